"""Reading the log: by subject, by what a compliance officer looks for, page by page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from gov_services.audit import history
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.history import Search
from gov_services.audit.log import AuditLog
from gov_services.kit.database import Database

pytestmark = pytest.mark.untraced

RoomDatabase = Callable[[str], Database]
MakeEntry = Callable[..., Entry]

ALICE = bytes.fromhex("a1" * 16)
BOB = bytes.fromhex("b0" * 16)
NOON = dt.datetime(2026, 3, 3, 4, tzinfo=dt.UTC)


async def test_a_citizen_s_entries_come_newest_first_page_by_page_and_nobody_else_s(
    permits_log: AuditLog, room_database: RoomDatabase, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry(subject_tag=ALICE if number % 3 else BOB) for number in range(12)])
    seen: list[int] = []
    before = None
    async with room_database("privacy").reading() as session:
        while page := await history.of_subject(session, tag=ALICE, before=before, limit=3):
            assert len(page) <= 3
            assert {Entry.parse(row.body).subject_tag for row in page} == {ALICE}
            seen += [row.seq for row in page]
            before = page[-1].seq
    assert seen == [11, 10, 8, 7, 5, 4, 2, 1]


async def test_a_search_finds_what_is_all_of_it(
    permits_log: AuditLog, room_database: RoomDatabase, make_entry: MakeEntry
) -> None:
    await permits_log.append(
        [
            make_entry(),
            make_entry(
                actor="client:riverside-bank",
                client="riverside-bank",
                purpose="credit.check",
                coordinates=(("Citizen.isAdult", "DERIVED"),),
            ),
            make_entry(kind=EntryKind.USE, case=UUID(int=5)),
            make_entry(kind=EntryKind.REFUSAL, outcome="refused", code="NOT_RELATED", at=NOON),
            make_entry(subject_tag=BOB, at=NOON + dt.timedelta(hours=1)),
        ]
    )
    for wanted, numbers in [
        (Search(), [4, 3, 2, 1, 0]),
        (Search(actor="client:riverside-bank"), [1]),
        (Search(client="riverside-bank"), [1]),
        (Search(purpose="credit.check"), [1]),
        (Search(coordinate="Citizen.isAdult"), [1]),
        (Search(coordinate="Application.phone"), [4, 3, 2, 0]),
        (Search(coordinate="Application.phone", purpose="credit.check"), []),
        (Search(outcome="refused"), [3]),
        (Search(code="NOT_RELATED"), [3]),
        (Search(kinds=frozenset({EntryKind.USE, EntryKind.REFUSAL})), [3, 2]),
        (Search(subject_tag=BOB), [4]),
        (Search(case=UUID(int=5)), [2]),
        (Search(since=NOON), [4, 3]),
        (Search(until=NOON), [2, 1, 0]),
        (Search(since=NOON, until=NOON + dt.timedelta(hours=1)), [3]),
        (Search(actor="' OR true --"), []),
    ]:
        async with room_database("privacy").reading() as session:
            assert [row.seq for row in await history.search(session, wanted)] == numbers


async def test_no_page_is_without_a_bound(
    permits_log: AuditLog, room_database: RoomDatabase, make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE_LIMIT", 2)
    await permits_log.append([make_entry() for _ in range(4)])
    async with room_database("privacy").reading() as session:
        assert len(await history.search(session, Search(), limit=1000)) == 2
        assert await history.search(session, Search(), limit=-1) == []


async def test_rooms_other_than_privacy_read_no_log(room_database: RoomDatabase) -> None:
    for room in ("identity", "permits", "payments", "healthcode", "audit", "worker"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with room_database(room).reading() as session:
                await history.search(session, Search())
