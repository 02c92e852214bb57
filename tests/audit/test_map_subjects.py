"""The mapper: every entry about somebody is listed once, when they may be told of it, and each root is in the log."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from gov_services.audit import map_store, map_subjects, store
from gov_services.audit.describe import Describer
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.findings import Fault
from gov_services.audit.integrate import Integrator
from gov_services.audit.listing import Listing, Mention, NoRoot, RootStatement
from gov_services.audit.log import AuditLog
from gov_services.audit.map_subjects import MapInconsistent, Mapped, Mapper
from gov_services.audit.merkle import EMPTY_ROOT
from gov_services.audit.recompute import Recomputed
from gov_services.audit.subject_map import by_key, grow, root_of
from gov_services.audit.verify import Report, Trust, verify_log
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database

pytestmark = pytest.mark.untraced

MakeEntry = Callable[..., Entry]
Tell = Callable[..., Awaitable[None]]
RoomDatabase = Callable[[str], Database]
NOW = dt.datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=dt.UTC)
ALICE, BOB = bytes.fromhex("a1" * 16), bytes.fromhex("b0" * 16)
LYING = """
CREATE OR REPLACE FUNCTION audit.map_take(first bigint, upto bigint, codes text[], days integer[], moment timestamptz)
RETURNS TABLE (number bigint, commitment bytea, tag bytea) LANGUAGE sql SECURITY DEFINER AS $$
  SELECT entry.seq, entry.commitment, said.subject_tag FROM audit.description AS said
    JOIN audit.entry ON entry.seq = said.seq
   WHERE said.seq >= first AND said.seq < upto AND said.subject_tag IS NOT NULL AND said.seq <> 1 ORDER BY said.seq
$$
"""


@pytest.fixture
def settle(integrator: Integrator, describer: Describer) -> Callable[[], Awaitable[None]]:
    """Number, sign and describe everything."""

    async def settled() -> None:
        await integrator.run_once()
        await describer.run_once()

    return settled


@pytest.fixture
def verify(database: Database, trust: Trust) -> Callable[[], Awaitable[Report]]:
    async def verified() -> Report:
        async with database.reading() as session:
            return await verify_log(session, trust)

    return verified


async def statements(database: Database) -> list[tuple[int, RootStatement]]:
    async with database.reading() as session:
        rows = await store.entries_from(session, begin=0, limit=1000)
    entries = [(row.seq, Entry.parse(row.body)) for row in rows]
    return [(seq, RootStatement.of(entry)) for seq, entry in entries if entry.kind is EntryKind.MAP]


async def test_each_entry_about_somebody_is_listed_and_the_root_is_an_entry_of_the_log(
    mapper: Mapper, permits_log: AuditLog, settle: Callable, verify: Callable, database: Database, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry(), make_entry(subject_tag=BOB), make_entry(subject_tag=None), make_entry()])
    await settle()
    assert await mapper.run_once() == [Mapped(upto=4, listed=3, pages=2)]
    await settle()
    async with database.reading() as session:
        rows = await store.entries_from(session, begin=0, limit=4)
        stored, pages = await map_store.root_at(session, [b"", *(bytes([nibble]) for nibble in range(16))])
    expected: dict[bytes, bytes] = {}
    root, _ = grow(
        expected, by_key([(tag, seq, rows[seq].commitment) for tag, seq in ((ALICE, 0), (BOB, 1), (ALICE, 3))])
    )
    assert (stored.upto, stored.root, pages) == (4, root, expected)
    assert await statements(database) == [(4, RootStatement(4, root, NOW, {}))]
    assert (await verify()).sound


async def test_where_nobody_was_named_since_no_root_is_logged(
    mapper: Mapper, permits_log: AuditLog, settle: Callable, database: Database, make_entry: MakeEntry
) -> None:
    assert await mapper.run_once() == []
    await permits_log.append([make_entry()])
    await settle()
    assert len(await mapper.run_once()) == 1
    await permits_log.append([make_entry(subject_tag=None)])
    await settle()
    assert await mapper.run_once() == []
    assert len(await statements(database)) == 1


async def test_what_is_not_signed_or_not_described_yet_is_not_mapped(
    mapper: Mapper, permits_log: AuditLog, integrator: Integrator, describer: Describer, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry()])
    await integrator.run_once()
    assert await mapper.run_once() == []
    await permits_log.append([make_entry()])
    await describer.run_once()
    assert [one.upto for one in await mapper.run_once()] == [1]


async def test_a_long_log_is_taken_in_by_batches_each_with_its_root(
    mapper: Mapper,
    permits_log: AuditLog,
    settle: Callable,
    verify: Callable,
    database: Database,
    make_entry: MakeEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(map_subjects, "BATCH", 7)
    tags = [bytes([number % 23]) * 16 for number in range(40)]
    await permits_log.append([make_entry(subject_tag=tag) for tag in tags])
    await settle()
    assert [one.upto for one in await mapper.run_once()] == [7, 14, 21, 28, 35, 40]
    await settle()
    assert [one.size for _, one in await statements(database)] == [7, 14, 21, 28, 35, 40]
    report = await verify()
    assert report.sound, report.findings


async def test_what_may_not_be_told_yet_is_in_no_root_until_it_may(
    mapper: Mapper,
    map_clock: FrozenClock,
    permits_log: AuditLog,
    settle: Callable,
    verify: Callable,
    database: Database,
    make_entry: MakeEntry,
    tell: Tell,
) -> None:
    """Not even whether there is any: the root is that of a log without it."""
    await tell(inquiry=("embargo", 30), census=("aggregate", 0), permit_review=("at-once", 0))
    await permits_log.append([make_entry(purpose="inquiry"), make_entry(), make_entry(purpose="census")])
    await settle()
    await mapper.run_once()
    await settle()
    async with database.reading() as session:
        (kept, plain, _) = await store.entries_from(session, begin=0, limit=3)
    ((_, first),) = await statements(database)
    assert first.withheld == {"census": None, "inquiry": 30}
    assert first.root == grow({}, by_key([(ALICE, 1, plain.commitment)]))[0]

    map_clock.advance(dt.timedelta(days=30, microseconds=-1))
    assert await mapper.run_once() == []
    map_clock.advance(dt.timedelta(microseconds=1))
    assert await mapper.run_once() == [Mapped(upto=4, listed=1, pages=1)]
    await settle()
    second = (await statements(database))[-1][1]
    listed = [(ALICE, 1, plain.commitment), (ALICE, 0, kept.commitment)]
    assert second.root == grow({}, by_key(listed))[0]
    async with database.reading() as session:
        rows = await map_store.listed(session, tag=ALICE, upto=second.size)
        before = await map_store.listed(session, tag=ALICE, upto=first.size)
    assert ([row.seq for row in before], [row.seq for row in rows]) == ([1], [1, 0])

    # The law changes: what was only counted may be told.
    await tell(inquiry=("embargo", 30))
    await permits_log.append([make_entry(purpose="census")])
    await settle()
    assert [one.listed for one in await mapper.run_once()] == [2]
    await settle()
    report = await verify()
    assert report.sound, report.findings


async def test_killed_in_the_middle_it_has_done_nothing_and_goes_on_from_there(
    mapper: Mapper,
    permits_log: AuditLog,
    settle: Callable,
    verify: Callable,
    database: Database,
    make_entry: MakeEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is not committed is gone with the process: the same as an error at each step."""
    await permits_log.append([make_entry(), make_entry(subject_tag=BOB)])
    await settle()

    async def killed(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    for step in ("take", "put_pages", "advance"):
        with monkeypatch.context() as patched:
            patched.setattr(map_store, step, killed)
            with pytest.raises(asyncio.CancelledError):
                await mapper.run_once()
    with monkeypatch.context() as patched:
        patched.setattr(store, "place_pending", killed)
        with pytest.raises(asyncio.CancelledError):
            await mapper.run_once()
    async with database.reading() as session:
        standing, pages = await map_store.root_at(session, [b""])
        assert (standing.upto, standing.root, standing.entry, pages) == (0, EMPTY_ROOT, None, {})
        assert await store.waiting(session) == []
    assert [one.upto for one in await mapper.run_once()] == [2]
    await settle()
    assert (await verify()).sound


async def test_two_that_map_at_once_are_one(
    mapper: Mapper, permits_log: AuditLog, settle: Callable, database: Database, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry()])
    await settle()
    async with database.writing() as session:
        assert await map_store.take_mapping(session)
        assert await mapper.run_once() == []
    assert len(await mapper.run_once()) == 1


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit.subject_page SET slots = set_byte(slots, 50, get_byte(slots, 50) # 1) WHERE prefix = ''",
        "UPDATE audit.subject_page SET slots = set_byte(slots, 4, get_byte(slots, 4) # 1) WHERE length(prefix) = 1",
        "DELETE FROM audit.subject_page WHERE length(prefix) = 1",
        "DELETE FROM audit.subject_page",
        "UPDATE audit.subject_map SET root = sha256('x')",
        "UPDATE audit.subject_page SET slots = slots || '\\x00'",
    ],
)
async def test_a_stored_map_that_was_changed_is_not_gone_on_from(
    mapper: Mapper,
    permits_log: AuditLog,
    settle: Callable,
    verify: Callable,
    administrator: Database,
    make_entry: MakeEntry,
    tampering: str,
) -> None:
    tags = [bytes([number]) * 16 for number in range(40)]
    await permits_log.append([make_entry(subject_tag=tag) for tag in tags])
    await settle()
    await mapper.run_once()
    await permits_log.append([make_entry(subject_tag=tag) for tag in tags])
    await settle()
    async with administrator.writing() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        assert (await session.execute(text(tampering))).rowcount > 0
    with pytest.raises(MapInconsistent):
        await mapper.run_once()
    assert Fault.MAP_ALTERED in {one.fault for one in (await verify()).findings}


async def test_a_root_that_leaves_an_entry_out_is_named_by_whoever_recomputes_it(
    mapper: Mapper,
    permits_log: AuditLog,
    settle: Callable,
    verify: Callable,
    administrator: Database,
    make_entry: MakeEntry,
) -> None:
    """A keeper of the database has the mapper, which is honest, not see an entry: its root is signed, and wrong."""
    await permits_log.append([make_entry(), make_entry(), make_entry(subject_tag=BOB)])
    await settle()
    async with administrator.writing() as session:
        await session.execute(text(LYING))
    await mapper.run_once()
    await settle()
    findings = (await verify()).findings
    assert [(one.check, one.fault, one.where, one.detail) for one in findings if one.check == 12] == [
        (12, Fault.MAP_CONTRADICTED, "entry 3", "the map of subjects at 3 is not what the entries give")
    ]
    assert {one.check for one in findings} == {12, 13}


async def test_a_root_that_another_room_states_is_none_and_is_named(
    permits_log: AuditLog, settle: Callable, verify: Callable, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry(kind=EntryKind.MAP, object=f"subjects:0:{EMPTY_ROOT.hex()}")])
    await settle()
    findings = (await verify()).findings
    assert [(one.fault, one.where) for one in findings] == [(Fault.MAP_CONTRADICTED, "entry 0")]


async def test_the_logs_own_process_sees_no_entry_and_no_room_but_it_changes_the_map(
    room_database: RoomDatabase, mapper: Mapper, permits_log: AuditLog, settle: Callable, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry()])
    await settle()
    await mapper.run_once()
    refused = {
        "audit": ("SELECT body FROM audit.entry", "SELECT salt FROM audit.entry", "SELECT * FROM audit.description",
                  "SELECT * FROM audit.withheld", "DELETE FROM audit.subject_page"),
        "privacy": ("UPDATE audit.subject_map SET upto = 9", "DELETE FROM audit.subject_page"),
        "permits": ("SELECT * FROM audit.subject_page", "SELECT * FROM audit.subject_map",
                    "SELECT * FROM audit.map_take(0, 1, '{}', '{}', now())"),
    }  # fmt: skip
    for room, asked in refused.items():
        for statement in asked:
            with pytest.raises(Exception, match="permission denied"):
                async with room_database(room).writing() as session:
                    await session.execute(text(statement))


def statement_entry(size: int, root: bytes, **withheld: int | None) -> Entry:
    return RootStatement(size, root, NOW, withheld).entry()


def test_a_root_that_does_not_go_on_from_the_one_before_is_named() -> None:
    recomputed = Recomputed()
    recomputed.meet(Mention(0, bytes(32), ALICE, "p", NOW))
    right = grow({}, by_key([(ALICE, 0, bytes(32))]))[0]
    recomputed.meet_statement(5, statement_entry(7, right))
    recomputed.meet_statement(6, statement_entry(1, right))
    recomputed.meet_statement(7, statement_entry(1, right))
    assert [(one.where, one.detail) for one in recomputed.findings()] == [
        ("entry 5", "a map of 7 entries is stated before there were as many"),
        ("entry 7", "a map of 1 entries is stated after one of 1"),
    ]


def test_of_many_wrong_roots_some_are_named_and_the_others_are_counted() -> None:
    recomputed = Recomputed()
    for number in range(1, 61):
        recomputed.meet_statement(number, statement_entry(number, bytes(32)))
    assert len(recomputed.findings()) == 51
    assert recomputed.findings()[-1].detail == "10 more roots are wrong"


@pytest.mark.parametrize(
    "changes",
    [
        {"room": "permits"},
        {"kind": EntryKind.CHANGE},
        {"object": "subjects:01:" + "00" * 32},
        {"object": None},
        {"coordinates": (("p", "embargo:0"),)},
        {"coordinates": (("p", "aggregate"), ("p", "embargo:1"))},
    ],
)
def test_what_states_no_root_is_none(make_entry: MakeEntry, changes: dict) -> None:
    whole = {"room": "audit", "kind": EntryKind.MAP, "action": "subjects.mapped", "coordinates": ()}
    good = make_entry(**whole, object="subjects:1:" + "00" * 32)
    assert RootStatement.of(good) == RootStatement(1, bytes(32), NOW, {})
    with pytest.raises(NoRoot):
        RootStatement.of(make_entry(**{**whole, "object": good.object, **changes}))


RULES = st.dictionaries(st.sampled_from("pqr"), st.none() | st.integers(1, 5), max_size=3)
ROOTS = st.lists(st.tuples(st.integers(0, 5), RULES, st.integers(0, 3)), max_size=12)


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.integers(0, 10)), max_size=20), ROOTS)
def test_an_entry_is_listed_once_and_never_before_it_may_be_told(
    said: list[tuple[str, int]], roots: list[tuple[int, dict[str, int | None], int]]
) -> None:
    """Whatever the law says from root to root."""
    mentions = [Mention(n, bytes(32), ALICE, p, NOW + dt.timedelta(days=d)) for n, (p, d) in enumerate(said)]
    listing, seen, begin, at = Listing(), set(), 0, NOW
    for more, rule, days in roots:
        at += dt.timedelta(days=days)
        new, begin = mentions[begin : begin + more], begin + more
        listed = listing.take(new, rule, at)
        assert listed == sorted(listed)
        for one in listed:
            assert one.number not in seen
            assert one.purpose not in rule or (
                rule[one.purpose] is not None and one.at + dt.timedelta(rule[one.purpose]) <= at
            )
            seen.add(one.number)
        told = {m.number for m in mentions[:begin] if m.purpose not in rule}
        assert told <= seen
    assert root_of({}) == EMPTY_ROOT
