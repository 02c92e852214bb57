"""Writers' chains: what follows is found to follow, and nothing else; a batch of unknown fate is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from gov_services.audit import log as log_module
from gov_services.audit import store
from gov_services.audit.chain import END_ITEM, Batch, ChainBroken, ItemKind, Reader, Writer, pack_items
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog, AuditUnavailable
from gov_services.audit.verify import Report, Trust, verify_log
from gov_services.audit.verify_chains import Chains
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.database import Database

MakeEntry = Callable[..., Entry]
MakeLog = Callable[..., AuditLog]
RoomDatabase = Callable[[str], Database]
KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), "writer-permits-1")
KEYS = VerifyKeys({KEY.key_id: KEY.public_bytes})


def listing(*entry_ids: UUID) -> bytes:
    return pack_items(ItemKind.APPENDED, [(entry_id, entry_id.bytes * 2) for entry_id in entry_ids])


def written(writer: Writer, *batches: bytes) -> list[Batch]:
    made = []
    for items in batches:
        made.append(writer.sign(items))
        writer.written(made[-1])
    return made


def read(writer: Writer, batches: list[Batch], *, keys: VerifyKeys = KEYS) -> list[UUID]:
    """The ids that a doubter gets from a chain."""
    reader = Reader(writer.writer_id, writer.room, writer.key_id, keys)
    reader.open(writer.opening_signature)
    return [item.entry_id for one in batches for item in reader.follow(one.number, one.items, one.signature)]


async def test_who_begins_to_write_while_it_is_verified_is_no_stranger(
    room_database: Callable[[str], Database], permits_log: AuditLog, make_entry: Callable[..., Entry], trust: Trust
) -> None:
    async with room_database("privacy").reading() as session:
        chains = Chains(session, trust.writers, chained_from=0)
        await chains.open()
        async with room_database("permits").writing() as change:
            await permits_log.record_change(change, make_entry(kind=EntryKind.CHANGE))
        await chains.finish(0)
    assert (chains.planted, chains.dropped, chains.broken) == ([], [], [])


def test_a_chain_is_read_as_it_was_written() -> None:
    writer, ids = Writer("permits", KEY), [uuid4() for _ in range(3)]
    batches = written(writer, listing(ids[0]), b"", listing(*ids[1:]), END_ITEM)
    assert read(writer, batches) == ids


@given(st.data())
def test_whatever_is_changed_breaks_a_chain(data: st.DataObject) -> None:
    writer = Writer("permits", KEY)
    batches = written(writer, *(listing(*(uuid4() for _ in range(count))) for count in (1, 3, 0, 2)))
    place = data.draw(st.integers(0, 3))
    one = batches[place]
    way = data.draw(st.sampled_from(["items", "signature", "gone", "again", "swapped", "more"]))
    if way in ("items", "signature"):
        value = bytearray(getattr(one, way))
        if not value:
            return
        value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        changed = {"items": one.items, "signature": one.signature, way: bytes(value)}
        batches[place] = Batch(one.number, changed["items"], one.digest, changed["signature"])
    elif way == "gone" and place < 3:
        del batches[place]
    elif way == "again":
        batches.insert(place, one)
    elif way == "swapped" and place < 3:
        batches[place], batches[place + 1] = batches[place + 1], batches[place]
    elif way == "more":
        batches[place] = Batch(one.number, one.items + listing(uuid4()), one.digest, one.signature)
    else:
        return
    with pytest.raises(ChainBroken):
        read(writer, batches)


def test_a_chain_is_its_room_s_and_its_writer_s() -> None:
    writer, other = Writer("permits", KEY), Writer("permits", KEY)
    batches = written(writer, listing(uuid4()))
    with pytest.raises(ChainBroken, match="not begun by its room"):
        read(writer, batches, keys=VerifyKeys({KEY.key_id: bytes(32)}))
    with pytest.raises(ChainBroken, match="not as it was signed"):
        read(other, batches)


def test_nothing_follows_an_end() -> None:
    writer = Writer("permits", KEY)
    batches = written(writer, listing(uuid4()), END_ITEM, listing(uuid4()))
    with pytest.raises(ChainBroken, match="past its end"):
        read(writer, batches)


def test_a_voucher_is_for_one_entry_as_it_stands() -> None:
    writer, entry_id = Writer("permits", KEY), uuid4()
    reader = Reader(writer.writer_id, "permits", KEY.key_id, KEYS)
    voucher = writer.vouch(entry_id, bytes(32))
    assert reader.vouched(entry_id, bytes(32), voucher)
    assert not reader.vouched(uuid4(), bytes(32), voucher)
    assert not reader.vouched(entry_id, bytes([1]) * 32, voucher)
    assert not Reader(uuid4(), "permits", KEY.key_id, KEYS).vouched(entry_id, bytes(32), voucher)


@pytest.fixture
def verified(room_database: RoomDatabase, trust: Trust) -> Callable:
    async def verified() -> Report:
        async with room_database("privacy").reading() as session:
            return await verify_log(session, trust)

    return verified


async def count(database: Database, what: str) -> int:
    async with database.reading() as session:
        found: int = (await session.execute(text(f"SELECT count(*) FROM {what}"))).scalar_one()
        return found


@pytest.mark.parametrize("committed", [True, False])
async def test_a_batch_of_unknown_fate_is_settled_before_the_next(
    permits_log: AuditLog,
    database: Database,
    make_entry: MakeEntry,
    verified: Callable,
    monkeypatch: pytest.MonkeyPatch,
    committed: bool,
) -> None:
    """The connection is lost after the database had the batch, or before; nobody here can tell which."""
    whole, lost = store.append, [make_entry(), make_entry()]
    await permits_log.append([make_entry()])

    async def cut_off(connection: asyncpg.Connection, *args: object, **more: object) -> store.Numbers:
        if committed:
            await whole(connection, *args, **more)  # type: ignore[arg-type]
        connection.terminate()
        raise ConnectionResetError

    async def away(*_: object) -> store.Numbers:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(store, "append", cut_off)
        patched.setattr(store, "append_again", away)
        with pytest.raises(AuditUnavailable):
            await permits_log.append(lost)
    after = make_entry()
    (logged,) = await permits_log.append([after])
    await permits_log.close()
    assert logged.seq == 3
    report = await verified()
    assert report.sound, report.findings
    assert await count(database, "audit.entry") == 4


async def test_a_connection_that_is_cut_off_answers_whoever_waited(
    permits_log: AuditLog, make_entry: MakeEntry, verified: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, entry = store.append, make_entry()
    await permits_log.append([make_entry()])

    async def cut_off(connection: asyncpg.Connection, *args: object, **more: object) -> store.Numbers:
        await whole(connection, *args, **more)  # type: ignore[arg-type]
        connection.terminate()
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(store, "append", cut_off)
        (logged,) = await permits_log.append([entry])
    assert (logged.entry_id, logged.seq) == (entry.id, 1)
    assert (await verified()).sound


async def test_a_committed_change_is_listed_and_one_that_failed_is_not(
    permits_log: AuditLog,
    room_database: RoomDatabase,
    database: Database,
    integrator: Integrator,
    make_entry: MakeEntry,
    verified: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_module, "CHANGES_LISTED_WITHIN_S", 0.01)
    kept, failed = make_entry(kind=EntryKind.CHANGE), make_entry(kind=EntryKind.CHANGE)
    async with room_database("permits").writing() as session:
        await permits_log.record_change(session, kept)

    async def change_and_fail() -> None:
        async with room_database("permits").writing() as session:
            await permits_log.record_change(session, failed)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()
    for _ in range(100):
        if await count(database, "audit.batch"):
            break
        await asyncio.sleep(0.02)
    async with database.reading() as session:
        (items,) = (await session.execute(text("SELECT items FROM audit.batch"))).scalars()
    assert items[:17] == bytes([ItemKind.CHANGED]) + kept.id.bytes
    assert len(items) == len(END_ITEM)
    await integrator.run_once()
    assert (await verified()).sound


async def test_a_writer_that_dies_before_it_lists_a_change_has_vouched_for_it(
    make_log: MakeLog,
    room_database: RoomDatabase,
    database: Database,
    integrator: Integrator,
    make_entry: MakeEntry,
    verified: Callable,
) -> None:
    dying = make_log("permits")
    async with room_database("permits").writing() as session:
        await dying.record_change(session, make_entry(kind=EntryKind.CHANGE))
    for lane in dying._lanes:
        if lane.task is not None:
            lane.task.cancel()
    assert await count(database, "audit.batch") == 0
    assert (await verified()).sound
    await integrator.run_once()
    assert (await verified()).sound


async def test_a_writer_that_ends_says_so(
    make_log: MakeLog, database: Database, make_entry: MakeEntry, verified: Callable
) -> None:
    log = make_log("permits")
    await log.append([make_entry()])
    await log.close()
    async with database.reading() as session:
        ends = (await session.execute(text("SELECT items FROM audit.batch ORDER BY number DESC LIMIT 1"))).scalar_one()
    assert ends == END_ITEM
    assert (await verified()).sound


async def test_a_log_that_wrote_nothing_leaves_no_chain(make_log: MakeLog, database: Database) -> None:
    log = make_log("permits")
    await log.start()
    await log.close()
    assert await count(database, "audit.writer") == 0


async def test_an_entry_that_two_writers_append_is_one_entry_and_no_finding(
    make_log: MakeLog, database: Database, make_entry: MakeEntry, verified: Callable
) -> None:
    first, second, entry = make_log("permits"), make_log("permits"), make_entry()
    answers = [await log.append([entry]) for log in (first, second)]
    assert [one.seq for answer in answers for one in answer] == [0, 0]
    await first.close()
    await second.close()
    assert (await verified()).sound
    assert await count(database, "audit.entry") == 1


async def test_a_log_is_verified_while_it_is_written(
    permits_log: AuditLog,
    room_database: RoomDatabase,
    integrator: Integrator,
    make_entry: MakeEntry,
    verified: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What came while it was looked at is for the next time, and no finding."""
    await permits_log.append([make_entry() for _ in range(20)])
    await integrator.run_once()
    follow = Chains.follow

    async def with_more(self: Chains, begin: int, end: int) -> None:
        await follow(self, begin, end)
        for _ in range(3):
            await permits_log.append([make_entry(), make_entry()])
        async with room_database("permits").writing() as session:
            await permits_log.record_change(session, make_entry(kind=EntryKind.CHANGE))
        await integrator.run_once()

    monkeypatch.setattr(Chains, "follow", with_more)
    for _ in range(3):
        report = await verified()
        assert report.sound, report.findings


async def test_what_is_numbered_while_it_is_looked_for_is_not_called_dropped(
    permits_log: AuditLog,
    integrator: Integrator,
    database: Database,
    make_entry: MakeEntry,
    room_database: RoomDatabase,
    verified: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is looked for where it waits and where it is numbered, and goes from the one to the other in between."""
    monkeypatch.setattr(log_module, "CHANGES_LISTED_WITHIN_S", 0.01)
    async with room_database("permits").writing() as session:
        await permits_log.record_change(session, make_entry(kind=EntryKind.CHANGE))
    for _ in range(100):
        if await count(database, "audit.batch"):
            break
        await asyncio.sleep(0.02)
    asked = []

    def then_numbered(name: str) -> None:
        ask = getattr(store, name)

        async def asking(*args: Any) -> Any:
            answer = await ask(*args)
            asked.append(name)
            await integrator.run_once()
            return answer

        monkeypatch.setattr(store, name, asking)

    then_numbered("numbered_among")
    then_numbered("waiting_among")
    report = await verified()
    assert len(asked) == 2
    assert report.sound, report.findings
