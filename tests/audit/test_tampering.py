"""The tamper matrix: a bit in every column, and everything else that a database's keeper could do, is found and named.

Each case changes one log in a transaction of a superuser, verifies it there, and rolls back.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tampering import FLIPS, KEPT_ASIDE, NOT_SIGNED_FOR, ROWS, SPECIAL

from gov_services.audit import log as log_module
from gov_services.audit import store
from gov_services.audit.chain import ItemKind, Writer, pack_items
from gov_services.audit.checkpoint import Checkpoint, sign_checkpoint
from gov_services.audit.describe import Describer
from gov_services.audit.entry import Entry, EntryKind, commitment
from gov_services.audit.findings import Fault
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.map_subjects import Mapper
from gov_services.audit.merkle import extend, leaf_hash, root_of_peaks
from gov_services.audit.verify import Report, Trust, verify_log
from gov_services.crypto.signing import SigningKey
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database, ReadSession

pytestmark = pytest.mark.untraced

MakeEntry = Callable[..., Entry]
MakeLog = Callable[..., AuditLog]
RoomDatabase = Callable[[str], Database]


@dataclass(slots=True)
class Place:
    """One log with some of everything in it."""

    administrator: Database
    trust: Trust
    notes: list[str]
    """Every checkpoint, as somebody elsewhere keeps them."""

    @contextlib.asynccontextmanager
    async def tampered(self) -> AsyncIterator[AsyncSession]:
        """A transaction without triggers, which is rolled back."""
        async with AsyncSession(self.administrator.engine, expire_on_commit=False) as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))
            yield session
            await session.rollback()

    async def verify(self, session: AsyncSession, *published: str) -> Report:
        """The log as it stands in that transaction."""
        session.expire_all()
        return await verify_log(ReadSession(session), self.trust, published=published)


@pytest.fixture
async def place(
    make_log: MakeLog,
    room_database: RoomDatabase,
    integrator: Integrator,
    describer: Describer,
    administrator: Database,
    make_entry: MakeEntry,
    trust: Trust,
    mapper: Mapper,
    map_clock: FrozenClock,
    tell: Callable[..., Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    """Two rooms; entries that were read, changed and noted under three checkpoints, each mapped; two more; a change
    that waits, and the newest root. An entry that was kept back and came in late, and one that is kept back still."""
    await tell(inquiry=("embargo", 1), census=("aggregate", 0))
    monkeypatch.setattr(log_module, "CHANGES_LISTED_WITHIN_S", 0.0)
    permits, payments = make_log("permits"), make_log("payments")
    notes: list[str] = []

    async def change(log: AuditLog) -> None:
        async with room_database(log.room).writing() as session:
            await log.record_change(session, make_entry(room=log.room, kind=EntryKind.CHANGE))

    for turn in range(3):
        await permits.append([make_entry(request=f"{turn}-{number}", office="east") for number in range(3)])
        await change(permits)
        await payments.append([make_entry(room="payments", outcome="refused", code="FORBIDDEN", object="bill:1")])
        payments.note([make_entry(room="payments", kind=EntryKind.USE, purpose="inquiry")])
        if turn == 2:
            await permits.append([make_entry(subject_tag=bytes([number]) * 16) for number in range(40)])
            await permits.append([make_entry(purpose="census")])
        await integrator.run_once()
        await describer.run_once()
        async with administrator.reading() as session:
            notes.append((await store.newest_checkpoint(session)).note)
        await mapper.run_once()
        map_clock.advance(dt.timedelta(days=1))
    await permits.append([make_entry(), make_entry()])
    await change(permits)
    await permits.close()
    await payments.close()
    return Place(administrator, trust, notes)


async def columns(session: AsyncSession) -> list[tuple[str, str, str]]:
    """(table, column, type) of everything in schema `audit`, as the database has it."""
    query = text(
        "SELECT table_name, column_name, data_type FROM information_schema.columns JOIN information_schema.tables "
        "USING (table_schema, table_name) WHERE table_schema = 'audit' AND table_type = 'BASE TABLE' ORDER BY 1, 2"
    )
    return [tuple(row) for row in await session.execute(query)]


async def test_a_bit_in_every_column_is_found(place: Place) -> None:
    async with place.tampered() as session:
        assert (await place.verify(session, *place.notes)).sound
        every = await columns(session)
    missed, tried = [], 0
    for table, column, kind in every:
        if table in KEPT_ASIDE or column in NOT_SIGNED_FOR.get(table, ()) or (table, column) == ("head", "singleton"):
            continue
        async with place.tampered() as session:
            rows = ROWS[table]
            if table == "entry" and column == "voucher":
                rows = "seq = (SELECT min(seq) FROM audit.entry WHERE voucher IS NOT NULL)"
            flip = SPECIAL.get((table, column), FLIPS[kind]).format(c=column)
            changed = await session.execute(text(f"UPDATE audit.{table} SET {column} = {flip} WHERE {rows}"))
            assert changed.rowcount >= 1, (table, column)
            tried += 1
            # The log's id is held against what is kept outside, by whoever signs: see test_set_aside.
            if (await place.verify(session, *place.notes)).sound and (table, column) != ("head", "log_id"):
                missed.append(f"{table}.{column}")
    assert missed == []
    assert tried > 40


Tamper = Callable[[Place, AsyncSession], Awaitable[Any]]


def run(*statements: str) -> Tamper:
    async def tampered(_: Place, session: AsyncSession) -> None:
        for statement in statements:
            assert (await session.execute(text(statement))).rowcount != 0, statement

    return tampered


async def plant(_: Place, session: AsyncSession, *, voucher: bytes | None = None, writer: Any = None) -> None:
    """Number one more entry as the database does, without anybody who signs for it."""
    row = (await session.execute(text("SELECT body FROM audit.entry WHERE seq = 1"))).scalar_one()
    entry = Entry.parse(row)
    body = row.replace(str(entry.id).encode(), b"00000000-0000-7000-8000-0000000000ff")
    following = (await session.execute(text("SELECT next FROM audit.head"))).scalar_one()
    await session.execute(
        text("INSERT INTO audit.entry VALUES (:seq, :id, :salt, :body, :committed, :writer, :voucher)"),
        {
            "seq": following,
            "id": "00000000-0000-7000-8000-0000000000ff",
            "salt": bytes(32),
            "body": body,
            "committed": commitment(body, bytes(32)),
            "writer": writer,
            "voucher": voucher,
        },
    )
    await session.execute(text("UPDATE audit.head SET next = next + 1"))


async def plant_under_a_writer_of_ones_own(place: Place, session: AsyncSession) -> None:
    """A chain that is whole, under a key that is not the room's."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    writer = Writer("permits", SigningKey(Ed25519PrivateKey.generate(), "writer-permits-1"))
    following = (await session.execute(text("SELECT next FROM audit.head"))).scalar_one()
    await plant(place, session, writer=writer.writer_id)
    row = (await session.execute(text("SELECT id, commitment FROM audit.entry ORDER BY seq DESC LIMIT 1"))).one()
    batch = writer.sign(pack_items(ItemKind.APPENDED, [(row.id, row.commitment)]))
    await session.execute(
        text("INSERT INTO audit.writer VALUES (:id, 'permits', :key, :signature)"),
        {"id": writer.writer_id, "key": writer.key_id, "signature": writer.opening_signature},
    )
    await session.execute(
        text("INSERT INTO audit.batch VALUES (:id, 0, :first, :items, :signature)"),
        {"id": writer.writer_id, "first": following, "items": batch.items, "signature": batch.signature},
    )


async def plant_in_a_live_chain(place: Place, session: AsyncSession) -> None:
    """Under the name of a writer that there is."""
    writer = (await session.execute(text("SELECT writer FROM audit.entry WHERE seq = 1"))).scalar_one()
    await plant(place, session, writer=writer, voucher=bytes(64))


async def rewrite(_: Place, session: AsyncSession) -> None:
    """Change an entry, its commitment, and the whole tree over it."""
    row = (await session.execute(text("SELECT body, salt FROM audit.entry WHERE seq = 7"))).one()
    body = row.body.replace("初审".encode(), "复审".encode())
    assert body != row.body
    await session.execute(
        text("UPDATE audit.entry SET body = :body, commitment = :committed WHERE seq = 7"),
        {"body": body, "committed": commitment(body, row.salt)},
    )
    size = await store.tree_size(ReadSession(session))
    leaves = [leaf_hash(one) for _, one in await store.commitments(ReadSession(session), begin=0, limit=size)]
    for (level, index), digest in extend(0, (), leaves).nodes:
        await session.execute(
            text("UPDATE audit.node SET hash = :digest WHERE level = :level AND index = :index"),
            {"digest": digest, "level": level, "index": index},
        )


CUT_OFF = (
    "DELETE FROM audit.entry WHERE seq >= 6",
    "DELETE FROM audit.description WHERE seq >= 6",
    "DELETE FROM audit.node WHERE (index + 1) << level > 6",
    "DELETE FROM audit.checkpoint WHERE size > 6",
    "DELETE FROM audit.pending",
    "UPDATE audit.head SET next = 6",
)
UNNUMBERED = "seq = (SELECT max(seq) FROM audit.entry)"

CASES: dict[str, tuple[Tamper, set[Fault]]] = {
    "an entry is deleted": (run("DELETE FROM audit.entry WHERE seq = 4"), {Fault.ENTRY_MISSING, Fault.ENTRY_DROPPED}),
    "the last entry is deleted, which no checkpoint covers": (
        run(f"DELETE FROM audit.entry WHERE {UNNUMBERED}", "UPDATE audit.head SET next = next - 1"),
        {Fault.ENTRY_DROPPED},
    ),
    "two entries are swapped": (
        run(
            "UPDATE audit.entry SET seq = 100 WHERE seq = 3",
            "UPDATE audit.entry SET seq = 3 WHERE seq = 9",
            "UPDATE audit.entry SET seq = 9 WHERE seq = 100",
        ),
        {Fault.ENTRY_REORDERED},
    ),
    "an entry is put in that nobody wrote": (plant, {Fault.ENTRY_PLANTED}),
    "an entry is put in under a writer's name": (plant_in_a_live_chain, {Fault.ENTRY_PLANTED}),
    "an entry is put in with a chain of its own": (plant_under_a_writer_of_ones_own, {Fault.CHAIN_BROKEN}),
    "an entry is rewritten with its tree": (rewrite, {Fault.HISTORY_REWRITTEN, Fault.ENTRY_PLANTED}),
    "a description is deleted": (run("DELETE FROM audit.description WHERE seq = 5"), {Fault.DESCRIPTION_ALTERED}),
    "a description is put in": (
        run(
            "CREATE TEMPORARY TABLE more ON COMMIT DROP AS SELECT * FROM audit.description WHERE seq = 5",
            "UPDATE more SET seq = 99",
            "INSERT INTO audit.description SELECT * FROM more",
        ),
        {Fault.DESCRIPTION_ALTERED},
    ),
    "a node is deleted": (run("DELETE FROM audit.node WHERE level = 1 AND index = 1"), {Fault.TREE_ALTERED}),
    "a node is put in": (run("INSERT INTO audit.node VALUES (3, 40, sha256(''))"), {Fault.TREE_ALTERED}),
    "a batch is deleted": (
        run("DELETE FROM audit.batch WHERE first = (SELECT min(first) FROM audit.batch WHERE first >= 0)"),
        {Fault.CHAIN_BROKEN},
    ),
    "a writer is deleted": (run("DELETE FROM audit.writer WHERE room = 'payments'"), {Fault.CHAIN_BROKEN}),
    "a writer is deleted with its chain": (
        run(
            "DELETE FROM audit.batch WHERE writer IN (SELECT id FROM audit.writer WHERE room = 'payments')",
            "DELETE FROM audit.writer WHERE room = 'payments'",
        ),
        {Fault.ENTRY_PLANTED},
    ),
    "the end is cut off": (run(*CUT_OFF), {Fault.ENTRY_DROPPED}),
    "a change is dropped while it waits": (run("DELETE FROM audit.pending"), {Fault.ENTRY_DROPPED}),
    "a change is altered while it waits": (
        run("UPDATE audit.pending SET body = convert_to(replace(convert_from(body, 'UTF8'), '初审', '复审'), 'UTF8')"),
        {Fault.ENTRY_PLANTED},
    ),
    "a change is put among those that wait": (
        run(
            "INSERT INTO audit.pending SELECT gen_random_uuid(), salt, body, clock_timestamp(), writer, voucher "
            "FROM audit.pending"
        ),
        {Fault.ENTRY_PLANTED},
    ),
    "a change that waits is put aside": (
        run(
            "INSERT INTO audit.rejected SELECT id, clock_timestamp(), salt, body, placed_at, 'x' FROM audit.pending",
            "DELETE FROM audit.pending",
        ),
        {Fault.SET_ASIDE},
    ),
    "entries are said to be older than chains": (
        run("UPDATE audit.head SET chained_from = next"),
        {Fault.CHAIN_BROKEN},
    ),
    "a page of the map of subjects is deleted": (
        run("DELETE FROM audit.subject_page WHERE prefix = (SELECT max(prefix) FROM audit.subject_page)"),
        {Fault.MAP_ALTERED},
    ),
    "a page of the map of subjects is put in": (
        run("INSERT INTO audit.subject_page VALUES ('\\x0f0f0f', '\\x00000000')"),
        {Fault.MAP_ALTERED},
    ),
    "the map of subjects is begun anew": (
        run(
            "DELETE FROM audit.subject_page",
            "DELETE FROM audit.withheld",
            "UPDATE audit.subject_map SET upto = 0, root = sha256(''), entry = NULL",
        ),
        {Fault.MAP_ALTERED},
    ),
    "an entry that may be told is kept back": (
        run("UPDATE audit.withheld SET listed_before = NULL WHERE listed_before IS NOT NULL"),
        {Fault.MAP_ALTERED},
    ),
    "an entry that states a root is altered": (
        run(
            "UPDATE audit.entry SET body = convert_to(regexp_replace(convert_from(body, 'UTF8'), "
            "'subjects:6:[0-9a-f]{8}', 'subjects:6:00000000'), 'UTF8') "
            "WHERE convert_from(body, 'UTF8') LIKE '%subjects:6:%'"
        ),
        {Fault.ENTRY_ALTERED},
    ),
    "a checkpoint is deleted": (
        run("DELETE FROM audit.checkpoint WHERE size = (SELECT max(size) FROM audit.checkpoint)"),
        {Fault.TREE_ALTERED},
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_a_keeper_of_the_database_could_do_is_found(place: Place, case: str) -> None:
    tamper, expected = CASES[case]
    async with place.tampered() as session:
        await tamper(place, session)
        report = await place.verify(session)
    assert expected <= {one.fault for one in report.findings}, report.findings
    assert all(one.where and one.detail for one in report.findings)


async def test_a_restored_backup_is_found_by_what_was_published(place: Place) -> None:
    """Everything as it was, the chains included: only those who kept a checkpoint can tell."""
    async with place.tampered() as session:
        for statement in (
            *CUT_OFF,
            "DELETE FROM audit.subject_page",
            "DELETE FROM audit.withheld",
            "UPDATE audit.subject_map SET upto = 0, root = sha256(''), entry = NULL",
            "DELETE FROM audit.batch WHERE number > (SELECT max(b.number) FROM audit.batch b "
            "WHERE b.writer = batch.writer AND b.first BETWEEN 0 AND 5)",
            "DELETE FROM audit.batch b WHERE NOT EXISTS (SELECT FROM audit.entry e WHERE e.writer = b.writer)",
            "DELETE FROM audit.writer w WHERE NOT EXISTS (SELECT FROM audit.batch b WHERE b.writer = w.id)",
        ):
            await session.execute(text(statement))
        alone = await place.verify(session)
        held_against = await place.verify(session, place.notes[-1])
    assert alone.sound, alone.findings
    assert {one.fault for one in held_against.findings} == {Fault.HISTORY_REWRITTEN}


async def test_a_fork_shown_to_two_is_found_by_holding_the_log_against_both(
    place: Place, log_key: SigningKey, origin: str
) -> None:
    """The log's own key signed a second history of the same size: one of the two who kept it must be right."""
    other = sign_checkpoint(Checkpoint(origin, 12, root_of_peaks([leaf_hash(b"x"), leaf_hash(b"y")])), log_key)
    async with place.tampered() as session:
        one = await place.verify(session, place.notes[1])
        both = await place.verify(session, place.notes[1], other)
    assert one.sound
    assert [(found.fault, found.where) for found in both.findings] == [
        (Fault.HISTORY_REWRITTEN, "published checkpoint 12")
    ]
