"""What cannot be numbered holds up nobody: refused where it is laid down, set aside where it slipped through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from gov_services.audit import log as log_module
from gov_services.audit import store
from gov_services.audit.chain import ItemKind, pack_items
from gov_services.audit.describe import Describer
from gov_services.audit.entry import TEXT_LIMIT_BYTES, Entry, EntryKind, EntryMalformed, commitment
from gov_services.audit.findings import Fault
from gov_services.audit.integrate import Integrated, Integrator, LogInconsistent, adopt, published_path
from gov_services.audit.log import AuditLog
from gov_services.audit.store import Unnumbered
from gov_services.audit.verify import Trust, verify_log
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database

pytestmark = pytest.mark.untraced

RoomDatabase = Callable[[str], Database]
MakeEntry = Callable[..., Entry]
LONG = {"client": "c" * 12_000}


def saying(entry: Entry, *, salt: bytes = bytes(32), **more: object) -> Unnumbered:
    """The entry with what no Entry would say, as a room may hand it to the database."""
    body = json.dumps({**json.loads(entry.canonical()), **more}, ensure_ascii=False).encode()
    return Unnumbered(entry.id, salt, body, bytes(32))


async def change(database: Database, *statements: str) -> None:
    """As a superuser who turns triggers off."""
    async with database.writing() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            await session.execute(text(statement))


async def slip_in(administrator: Database, unnumbered: Unnumbered) -> None:
    """Lay down what waits, past the trigger that reads it."""
    async with administrator.writing() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(
            text(
                "INSERT INTO audit.pending (id, salt, body, placed_at) "
                "VALUES (:id, :salt, :body, clock_timestamp() - interval '1 hour')"
            ),
            {"id": unnumbered.entry_id, "salt": unnumbered.salt, "body": unnumbered.body},
        )


@pytest.mark.parametrize(
    "said",
    [{name: "长" * (TEXT_LIMIT_BYTES // 3 + 1)} for name in ("room", "actor", "client", "purpose", "code", "object")]
    + [{"coordinates": (("c" * 501, "PLAIN"),)}, {"subject_tag": bytes(501)}],
)
def test_an_entry_is_searched_by_short_texts(make_entry: MakeEntry, said: dict[str, object]) -> None:
    with pytest.raises(EntryMalformed):
        make_entry(**said)


@pytest.mark.parametrize(
    "said",
    [LONG, {"purpose": "p" * 501}, {"actor": "a" * 501}, {"coordinates": [["c" * 501, "PLAIN"]]}, {"at": "infinity"}],
)
async def test_the_database_takes_no_entry_that_an_index_would_not(
    room_database: RoomDatabase,
    permits_log: AuditLog,
    database: Database,
    make_entry: MakeEntry,
    said: dict[str, object],
) -> None:
    bad = saying(make_entry(), **said)
    appender = permits_log._lanes[0].appender
    await appender.open()
    with pytest.raises(DBAPIError, match="is no entry"):
        async with room_database("permits").writing() as session:
            await store.place_pending(session, bad, writer_id=appender.writer.writer_id, voucher=bytes(64))
    async with database.reading() as session:
        assert await store.pending_ids(session, limit=10) == []


@pytest.mark.parametrize("said", [LONG, {"room": "payments"}, {"v": "gov-audit/2"}, {"at": "infinity"}, {"id": "x"}])
async def test_text_that_is_no_entry_is_described_as_its_writer_s_and_named(
    permits_log: AuditLog,
    describer: Describer,
    room_database: RoomDatabase,
    make_entry: MakeEntry,
    trust: Trust,
    said: dict[str, object],
) -> None:
    good, bad, appender = make_entry(), saying(make_entry(), **said), permits_log._lanes[0].appender
    bad.commitment = commitment(bad.body, bad.salt)
    await permits_log.append([good])
    await appender.append([bad], pack_items(ItemKind.APPENDED, [(bad.entry_id, bad.commitment)]))
    seen = "SELECT room, kind, outcome FROM audit.described ORDER BY seq"
    async with room_database("privacy").reading() as session:
        before = [tuple(row) for row in await session.execute(text(seen))]
        await describer.run_once()
        after = [tuple(row) for row in await session.execute(text(seen))]
        report = await verify_log(session, trust)
    assert before == after == [("permits", "read", "allowed"), ("permits", "malformed", "refused")]
    assert {one.where for one in report.findings} == {"entry 1"}


async def test_text_that_its_writer_did_not_commit_to_is_described_as_malformed_and_named(
    permits_log: AuditLog,
    describer: Describer,
    room_database: RoomDatabase,
    make_entry: MakeEntry,
    trust: Trust,
) -> None:
    entry = make_entry()
    one = Unnumbered(entry.id, bytes(32), entry.canonical(), commitment(entry.canonical(), b"\x01" * 32))
    other = saying(make_entry(), at="infinity")  # so that each is described by itself
    other.commitment = commitment(other.body, other.salt)
    appender = permits_log._lanes[0].appender
    for said in (one, other):
        await appender.append([said], pack_items(ItemKind.APPENDED, [(said.entry_id, said.commitment)]))
        async with room_database("privacy").reading() as session:
            kinds = (await session.execute(text("SELECT kind FROM audit.described"))).scalars().all()
        assert set(kinds) == {"malformed"}
    await describer.run_once()
    async with room_database("privacy").reading() as session:
        report = await verify_log(session, trust)
    told = {(finding.where, "commits to" in finding.detail) for finding in report.findings}
    assert ("entry 0", True) in told
    assert {where for where, _ in told} == {"entry 0", "entry 1"}


async def test_a_commitment_of_another_length_is_refused(permits_log: AuditLog, make_entry: MakeEntry) -> None:
    short = saying(make_entry())
    short.commitment = bytes(31)
    appender = permits_log._lanes[0].appender
    with pytest.raises(asyncpg.CheckViolationError):
        await appender.append([short], bytes([ItemKind.APPENDED]) + short.entry_id.bytes + bytes(32))
    assert await permits_log.append([make_entry()])


async def test_a_waiting_entry_that_no_table_takes_is_set_aside_and_the_others_get_their_numbers(
    integrator: Integrator,
    permits_log: AuditLog,
    room_database: RoomDatabase,
    database: Database,
    administrator: Database,
    make_entry: MakeEntry,
    trust: Trust,
) -> None:
    first, bad, last = make_entry(kind=EntryKind.CHANGE), make_entry(), make_entry(kind=EntryKind.CHANGE)
    async with room_database("permits").writing() as session:
        await permits_log.record_change(session, first)
    await slip_in(administrator, saying(bad, salt=bytes(31)))
    async with room_database("permits").writing() as session:
        await permits_log.record_change(session, last)
    with capture_logs() as told:
        assert await integrator.run_once() == Integrated(numbered=2, added=2, size=2)
    assert [(line["event"], line["entries"]) for line in told if line["log_level"] == "critical"] == [
        ("entries set aside that cannot be numbered", 1)
    ]
    async with room_database("privacy").reading() as session:
        rows = await store.entries_from(session, begin=0, limit=10)
        assert [Entry.parse(row.body) for row in rows] == [first, last]
        assert [entry_id for entry_id, _ in await store.rejected(session)] == [bad.id]
        report = await verify_log(session, trust)
    async with database.reading() as session:
        assert await store.lag_s(session) is None
    assert [(one.check, one.fault, one.where) for one in report.findings] == [(8, Fault.SET_ASIDE, f"entry {bad.id}")]
    with pytest.raises(DBAPIError):
        async with database.writing() as session:
            await session.execute(text("DELETE FROM audit.rejected"))


async def test_one_bad_note_is_told_of_and_takes_no_other_with_it(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, read = make_entry(kind=EntryKind.USE), make_entry(kind=EntryKind.USE), make_entry()
    plain = log_module._unnumbered

    def unnumbered(entry: Entry, room: str) -> Unnumbered:
        return saying(bad, salt=bytes(31)) if entry is bad else plain(entry, room)

    monkeypatch.setattr(log_module, "_unnumbered", unnumbered)
    with capture_logs() as told:
        permits_log.note([bad, good])
        (logged,) = await permits_log.append([read])
        await asyncio.sleep(0.05)
        await permits_log.close()
    async with database.reading() as session:
        rows = await store.entries_from(session, begin=0, limit=10)
    assert {row.id for row in rows} == {good.id, read.id}
    assert logged.entry_id == read.id
    (lost,) = [line for line in told if line["event"] == "audit entry not written"]
    assert str(bad.id) in lost["entry"]


async def log_id(database: Database) -> UUID:
    async with database.reading() as session:
        return (await store.head(session)).log_id


async def test_a_log_that_bears_another_id_is_signed_only_when_an_operator_says_so(
    integrator: Integrator,
    permits_log: AuditLog,
    database: Database,
    administrator: Database,
    make_entry: MakeEntry,
    tmp_path: Path,
    origin: str,
) -> None:
    await permits_log.append([make_entry(), make_entry()])
    await integrator.run_once()
    kept = published_path(tmp_path / "published", origin)
    note = kept.read_text()
    await change(administrator, "UPDATE audit.head SET log_id = gen_random_uuid()")
    await permits_log.append([make_entry()])
    with pytest.raises(LogInconsistent, match="adopt-log"):
        await integrator.run_once()
    assert kept.read_text() == note
    adopt(tmp_path / "published", origin, await log_id(database))
    assert await integrator.run_once() == Integrated(numbered=0, added=1, size=3)
    assert kept.read_text() != note
    kept.with_suffix(".log").unlink()
    await permits_log.append([make_entry()])
    with pytest.raises(LogInconsistent, match="of log unknown"):
        await integrator.run_once()


async def test_a_rewritten_log_under_a_new_id_is_not_signed_even_when_it_is_adopted(
    integrator: Integrator,
    permits_log: AuditLog,
    database: Database,
    administrator: Database,
    make_entry: MakeEntry,
    log_key: SigningKey,
    log_keys: VerifyKeys,
    trust: Trust,
    origin: str,
    room_database: RoomDatabase,
    tmp_path: Path,
) -> None:
    await permits_log.append([make_entry(), make_entry()])
    await integrator.run_once()
    note = published_path(tmp_path / "published", origin).read_text()
    await change(
        administrator,
        "DELETE FROM audit.checkpoint",
        "DELETE FROM audit.node",
        "DELETE FROM audit.entry",
        "UPDATE audit.head SET next = 0, log_id = gen_random_uuid()",
    )
    await permits_log.append([make_entry() for _ in range(3)])
    # A second history, signed by the same key where nobody remembers the first.
    elsewhere = Integrator(
        room_database("audit"), log_key, SystemClock(), keys=log_keys, origin=origin, published=tmp_path / "elsewhere"
    )
    assert await elsewhere.run_once() == Integrated(numbered=0, added=3, size=3)
    adopt(tmp_path / "published", origin, await log_id(database))
    with pytest.raises(LogInconsistent, match="does not continue the one published at 2"):
        await integrator.run_once()
    assert published_path(tmp_path / "published", origin).read_text() == note
    async with room_database("privacy").reading() as session:
        report = await verify_log(session, trust, published=[note])
    assert (7, Fault.HISTORY_REWRITTEN) in [(one.check, one.fault) for one in report.findings]
