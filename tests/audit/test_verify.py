"""Verification: a sound log is found sound, and every way of tampering with it is found and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from gov_services.audit import store, verify
from gov_services.audit.checkpoint import Checkpoint, sign_checkpoint
from gov_services.audit.describe import Describer
from gov_services.audit.entry import Entry, EntryKind, commitment
from gov_services.audit.findings import Fault
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.merkle import extend, leaf_hash, root_of_peaks
from gov_services.audit.verify import CHECKS, Report, Trust, verify_log
from gov_services.crypto.signing import SigningKey
from gov_services.kit.database import Database

RoomDatabase = Callable[[str], Database]
MakeEntry = Callable[..., Entry]
Check = Callable[..., Awaitable[Report]]

BATCHES = (4, 3, 6)
"""Entries under each of the three checkpoints; two more follow the last."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "CHUNK", 5)


@pytest.fixture
async def log_of_fifteen(
    integrator: Integrator, describer: Describer, permits_log: AuditLog, make_entry: MakeEntry
) -> None:
    for batch in BATCHES:
        await permits_log.append([make_entry(request=f"request-{number}") for number in range(batch)])
        await integrator.run_once()
    assert await describer.run_once() == sum(BATCHES)
    await permits_log.append([make_entry(), make_entry()])


@pytest.fixture
def check(room_database: RoomDatabase, trust: Trust) -> Check:
    async def verified(*published: str) -> Report:
        async with room_database("privacy").reading() as session:
            return await verify_log(session, trust, published=published)

    return verified


@pytest.fixture
def tamper(administrator: Database) -> Callable[..., Awaitable[None]]:
    """Change the database as a superuser does who turns triggers off."""

    async def tampered(*statements: str, **values: object) -> None:
        async with administrator.writing() as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                await session.execute(text(statement), values)

    return tampered


Tamper = Callable[..., Awaitable[None]]


def found(report: Report) -> set[tuple[int, Fault, str]]:
    return {(one.check, one.fault, one.where) for one in report.findings}


async def test_a_sound_log_is_found_sound(log_of_fifteen: None, check: Check) -> None:
    report = await check()
    assert report == Report(entries=15, covered=13, checkpoints=3, findings=())
    assert report.sound
    assert report.lines() == [f"{number}. {'--' if number == 11 else 'ok'} {title}" for number, title in CHECKS.items()]


async def test_an_empty_log_is_sound_before_and_after_its_first_checkpoint(
    check: Check, integrator: Integrator
) -> None:
    assert await check() == Report(entries=0, covered=0, checkpoints=0, findings=())
    await integrator.run_once()
    assert await check() == Report(entries=0, covered=0, checkpoints=1, findings=())


async def test_an_altered_entry_is_named(
    log_of_fifteen: None, check: Check, tamper: Tamper, make_entry: MakeEntry
) -> None:
    await tamper("UPDATE audit.entry SET body = :body WHERE seq = 6", body=make_entry(reason="别的").canonical())
    report = await check()
    # Its id and time differ with it, as columns; what matters is that its text is not what was committed to.
    assert found(report) == {(3, Fault.ENTRY_ALTERED, "entry 6")}
    assert not report.sound
    assert report.lines()[2] == f"3. FAILED (1) {CHECKS[3]}"
    assert report.lines()[len(CHECKS)] == "   ENTRY_ALTERED entry 6: its text is not what its commitment commits to"


async def test_an_entry_altered_with_its_commitment_is_named(
    log_of_fifteen: None, check: Check, tamper: Tamper, database: Database
) -> None:
    await forge_entry(database, tamper, 6)
    # With its commitment it is also one that nobody signed for.
    assert found(await check()) == {(5, Fault.ENTRY_ALTERED, "entry 6"), (10, Fault.ENTRY_PLANTED, "entry 6")}


async def forge_entry(database: Database, tamper: Tamper, seq: int) -> bytes:
    """Change the reason of an entry, with everything in its row that follows; the new leaf."""
    async with database.reading() as session:
        row = (await store.entries_from(session, begin=seq, limit=1))[0]
    body = row.body.replace("初审".encode(), "复审".encode())
    assert body != row.body
    committed = commitment(body, row.salt)
    await tamper(
        "UPDATE audit.entry SET body = :body, commitment = :committed WHERE seq = :seq",
        body=body,
        committed=committed,
        seq=seq,
    )
    return leaf_hash(committed)


async def test_history_rewritten_with_the_whole_tree_is_found_by_the_checkpoints(
    log_of_fifteen: None, check: Check, tamper: Tamper, database: Database
) -> None:
    await forge_entry(database, tamper, 6)
    async with database.reading() as session:
        leaves = [leaf_hash(committed) for _, committed in await store.commitments(session, begin=0, limit=13)]
    for (level, index), digest in extend(0, (), leaves).nodes:
        await tamper(
            "UPDATE audit.node SET hash = :digest WHERE level = :level AND index = :index",
            digest=digest,
            level=level,
            index=index,
        )
    report = await check()
    assert found(report) == {
        (6, Fault.HISTORY_REWRITTEN, "checkpoint 7"),
        (6, Fault.HISTORY_REWRITTEN, "checkpoint 13"),
        (10, Fault.ENTRY_PLANTED, "entry 6"),
    }
    assert report.findings[0].detail == "entries 4 to 6 are not those that were signed"
    assert report.covered == 4


async def test_a_missing_entry_is_named(log_of_fifteen: None, check: Check, tamper: Tamper) -> None:
    await tamper("DELETE FROM audit.entry WHERE seq IN (5, 14)")
    report = await check()
    assert {one.where for one in report.findings if one.fault is Fault.ENTRY_MISSING} == {"entry 5", "entry 14"}
    # Their writer says so too, and names them by their ids.
    assert Counter(one.fault for one in report.findings) == {Fault.ENTRY_MISSING: 2, Fault.ENTRY_DROPPED: 2}


async def test_reordered_entries_are_named_with_the_numbers_they_had(
    log_of_fifteen: None, check: Check, tamper: Tamper
) -> None:
    await tamper(
        "UPDATE audit.entry SET seq = 100 WHERE seq = 3",
        "UPDATE audit.entry SET seq = 3 WHERE seq = 9",
        "UPDATE audit.entry SET seq = 9 WHERE seq = 100",
        "DELETE FROM audit.description",
    )
    report = await check()
    assert found(report) == {(5, Fault.ENTRY_REORDERED, "entry 3"), (5, Fault.ENTRY_REORDERED, "entry 9")}
    assert {one.detail for one in report.findings} == {"it was logged as number 9", "it was logged as number 3"}


async def test_an_entry_slipped_in_behind_the_end_is_named(log_of_fifteen: None, check: Check, tamper: Tamper) -> None:
    await tamper(
        "CREATE TEMPORARY TABLE slipped ON COMMIT DROP AS SELECT * FROM audit.entry WHERE seq = 1",
        "UPDATE slipped SET seq = 15, id = gen_random_uuid()",
        "INSERT INTO audit.entry SELECT * FROM slipped",
    )
    report = await check()
    assert (2, Fault.HISTORY_REWRITTEN, "entry 15") in found(report)


@pytest.mark.parametrize(
    "column",
    [
        "id = gen_random_uuid()",
        "action = 'look-up'",
        "office = 'elsewhere'",
        "request = ''",
        "at = at - interval '1 day'",
        "room = 'payments'",
        "kind = 'use'",
        "actor = 'staff:nobody'",
        "client = 'riverside-bank'",
        "purpose = 'other'",
        "outcome = 'refused'",
        "code = 'X'",
        "subject_tag = NULL",
        "object = NULL",
        "case_id = NULL",
        "coordinates = '{}'",
        "forms = '{PLAIN,PLAIN}'",
    ],
)
async def test_a_description_that_says_something_else_than_its_entry_is_named(
    log_of_fifteen: None, check: Check, tamper: Tamper, column: str
) -> None:
    await tamper(f"UPDATE audit.description SET {column} WHERE seq = 8")
    report = await check()
    assert found(report) == {(4, Fault.DESCRIPTION_ALTERED, "entry 8")}
    assert report.findings[0].detail == f"differs in {column.split()[0]}"


@pytest.mark.parametrize("where", ["level = 0 AND index = 4", "level = 2 AND index = 1", "level = 3 AND index = 0"])
async def test_a_node_that_is_gone_is_named(log_of_fifteen: None, check: Check, tamper: Tamper, where: str) -> None:
    await tamper(f"DELETE FROM audit.node WHERE {where}")
    level, index = where.split()[2], where.split()[6]
    assert found(await check()) == {(5, Fault.TREE_ALTERED, f"node ({level}, {index})")}


async def test_a_node_that_is_changed_is_named(log_of_fifteen: None, check: Check, tamper: Tamper) -> None:
    await tamper("UPDATE audit.node SET hash = sha256('x') WHERE level = 2 AND index = 1")
    assert found(await check()) == {(5, Fault.TREE_ALTERED, "node (2, 1)")}


async def test_a_forged_checkpoint_is_named(
    log_of_fifteen: None, check: Check, tamper: Tamper, strangers_key: SigningKey, origin: str
) -> None:
    forged = sign_checkpoint(Checkpoint(origin, 7, bytes(32)), strangers_key)
    await tamper("UPDATE audit.checkpoint SET note = :note WHERE size = 7", note=forged)
    assert found(await check()) == {(1, Fault.CHECKPOINT_FORGED, "checkpoint 7")}


async def test_a_genuine_checkpoint_in_the_place_of_another_is_named(
    log_of_fifteen: None, check: Check, tamper: Tamper
) -> None:
    await tamper("UPDATE audit.checkpoint SET note = (SELECT note FROM audit.checkpoint WHERE size = 4) WHERE size = 7")
    assert found(await check()) == {(1, Fault.CHECKPOINT_FORGED, "checkpoint 7")}


async def test_an_end_cut_off_is_found_by_the_checkpoint(log_of_fifteen: None, check: Check, tamper: Tamper) -> None:
    await tamper(
        "DELETE FROM audit.entry WHERE seq >= 7",
        "DELETE FROM audit.node WHERE (index + 1) << level > 7",
        "UPDATE audit.head SET next = 7",
    )
    report = await check()
    assert (6, Fault.HISTORY_REWRITTEN, "checkpoint 13") in found(report)
    assert Counter(one.fault for one in report.findings)[Fault.ENTRY_DROPPED] == 8


async def test_an_end_cut_off_with_its_checkpoint_and_its_chain_is_found_by_what_was_published(
    log_of_fifteen: None, check: Check, tamper: Tamper, database: Database
) -> None:
    async with database.reading() as session:
        notes = [row.note for row in await store.checkpoints_between(session, after=-1, upto=99)]
    assert (await check(*notes)).sound
    await tamper(
        "DELETE FROM audit.entry WHERE seq >= 7",
        "DELETE FROM audit.node WHERE (index + 1) << level > 7",
        "DELETE FROM audit.checkpoint WHERE size > 7",
        "DELETE FROM audit.description WHERE seq >= 7",
        "DELETE FROM audit.batch WHERE first >= 7",
        "UPDATE audit.head SET next = 7",
    )
    assert (await check()).sound
    assert found(await check(*notes)) == {(7, Fault.HISTORY_REWRITTEN, "published checkpoint 13")}


async def test_a_second_history_signed_by_the_log_itself_is_found_by_what_was_published(
    log_of_fifteen: None, check: Check, log_key: SigningKey, strangers_key: SigningKey, origin: str
) -> None:
    fork = sign_checkpoint(Checkpoint(origin, 6, root_of_peaks([leaf_hash(b"x")])), log_key)
    assert found(await check(fork)) == {(7, Fault.HISTORY_REWRITTEN, "published checkpoint 6")}
    stranger = sign_checkpoint(Checkpoint(origin, 6, bytes(32)), strangers_key)
    assert found(await check(stranger)) == {(7, Fault.CHECKPOINT_FORGED, "published checkpoint")}


async def test_a_waiting_entry_that_contradicts_a_numbered_one_is_named(
    permits_log: AuditLog, room_database: RoomDatabase, make_entry: MakeEntry, check: Check
) -> None:
    entry = make_entry()
    await permits_log.append([entry])
    async with room_database("permits").writing() as session:
        await permits_log.record_change(session, make_entry(id=entry.id, kind=EntryKind.CHANGE))
    assert found(await check()) == {(8, Fault.PENDING_CONTRADICTS, f"entry {entry.id}")}
