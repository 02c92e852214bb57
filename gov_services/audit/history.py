"""Reading the log: a citizen's own history, a compliance officer's search. Who may, it neither decides nor logs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import BigInteger, Select, func, or_, select, union_all
from sqlalchemy.dialects.postgresql import JSONB

from gov_services.audit import store
from gov_services.audit.entry import Entry, EntryKind, EntryMalformed
from gov_services.audit.models import DescribedRow, EntryRow, PendingRow
from gov_services.kit.database import ReadSession

PAGE_LIMIT = 200
CITY_IS_AHEAD = dt.timedelta(hours=8)
OWN_ACTOR = "citizen"
"""How the log names a citizen who acts: they are told apart by their tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for; each part that is given narrows."""

    subject_tag: bytes | None = None
    actor: str | None = None
    client: str | None = None
    purpose: str | None = None
    coordinate: str | None = None
    kinds: frozenset[EntryKind] = field(default_factory=frozenset)
    outcome: str | None = None
    code: str | None = None
    case: UUID | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    hidden: Mapping[str, dt.datetime | None] = field(default_factory=dict)
    """Purposes of which entries since a moment are left out, or (None) all."""


async def of_subject(
    session: ReadSession,
    *,
    tag: bytes,
    hidden: Mapping[str, dt.datetime | None] = MappingProxyType({}),
    before: int | None = None,
    limit: int = 50,
) -> Sequence[EntryRow]:
    """Entries about one citizen, newest first, numbered below `before`; those that wait for a number are not in yet."""
    return await search(session, Search(subject_tag=tag, hidden=hidden), before=before, limit=limit)


async def totals(session: ReadSession, *, tag: bytes, hidden: Collection[str]) -> Sequence[tuple[str, dt.date, int]]:
    """How often a citizen's data was read under each purpose, month by month, newest first; not of `hidden`."""
    month = func.date_trunc("month", func.timezone("UTC", DescribedRow.at) + CITY_IS_AHEAD).label("month")
    query = (
        select(DescribedRow.purpose, month, func.count())
        .where(
            DescribedRow.subject_tag == tag,
            DescribedRow.kind == EntryKind.READ,
            DescribedRow.purpose.not_in(hidden),
        )
        .group_by(DescribedRow.purpose, month)
        .order_by(month.desc(), DescribedRow.purpose)
    )
    return [(purpose, found.date(), times) for purpose, found, times in await session.execute(query)]


async def search(
    session: ReadSession, wanted: Search, *, before: int | None = None, limit: int = 50
) -> Sequence[EntryRow]:
    """Entries that are all of `wanted`, newest first, numbered below `before`; PAGE_LIMIT at most.

    The last one's number is the cursor: the next page is what is below it.
    """
    query = _matching(wanted).order_by(DescribedRow.seq.desc()).limit(max(0, min(limit, PAGE_LIMIT)))
    if before is not None:
        query = query.where(DescribedRow.seq < before)
    return await store.found(session, query)


def _matching(wanted: Search) -> Select[int]:
    query = select(DescribedRow.seq)
    exact = {
        DescribedRow.subject_tag: wanted.subject_tag,
        DescribedRow.actor: wanted.actor,
        DescribedRow.client: wanted.client,
        DescribedRow.purpose: wanted.purpose,
        DescribedRow.outcome: wanted.outcome,
        DescribedRow.code: wanted.code,
        DescribedRow.case_id: wanted.case,
    }
    for column, value in exact.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.coordinate is not None:
        query = query.where(DescribedRow.coordinates.contains([wanted.coordinate]))
    if wanted.kinds:
        query = query.where(DescribedRow.kind.in_([kind.value for kind in wanted.kinds]))
    if wanted.since is not None:
        query = query.where(DescribedRow.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(DescribedRow.at < wanted.until)
    for purpose, since in wanted.hidden.items():
        shown = DescribedRow.purpose != purpose
        query = query.where(shown if since is None else or_(shown, DescribedRow.at < since))
    return query


async def part_about(
    session: ReadSession,
    *,
    tag: bytes,
    since: dt.datetime | None,
    until: dt.datetime | None,
    offset: int,
    limit: int,
    by_others: bool,
    hidden: Mapping[str, dt.datetime | None],
) -> tuple[Sequence[EntryRow], int]:
    """Entries about one citizen, newest first, from `offset` on; and how many there are of these in all."""
    query = _matching(Search(subject_tag=tag, since=since, until=until, hidden=hidden))
    if by_others:
        query = query.where(DescribedRow.actor != OWN_ACTOR)
    total = (await session.execute(select(func.count()).select_from(query.subquery()))).scalar_one()
    numbers = query.order_by(DescribedRow.seq.desc()).offset(offset).limit(limit)
    return await store.found(session, numbers), total


async def begins_at(session: ReadSession) -> dt.datetime | None:
    """The moment of the first entry; None before there is one."""
    query = select(DescribedRow.at).order_by(DescribedRow.seq).limit(1)
    return (await session.execute(query)).scalar_one_or_none()


async def entry(session: ReadSession, *, entry_id: UUID) -> Entry | None:
    """The numbered entry of that id; None where there is none, or its text is no entry's."""
    rows = await store.found(session, select(DescribedRow.seq).where(DescribedRow.id == entry_id))
    try:
        return Entry.parse(rows[0].body) if rows else None
    except EntryMalformed:
        return None


async def count(session: ReadSession) -> int:
    """How many entries have a number."""
    return (await store.head(session)).next


async def highest_named(session: ReadSession, *, purpose: str, kind: EntryKind, room: str, name: str) -> int:
    """The highest number in objects `name:number:…` that `room` logged; 0 for none. What waits for a number counts."""
    said = func.convert_from(PendingRow.body, "UTF8").cast(JSONB)
    numbered = select(DescribedRow.object.label("object")).where(
        DescribedRow.purpose == purpose, DescribedRow.kind == kind.value, DescribedRow.room == room
    )
    waiting = select(said["object"].astext.label("object")).where(
        said["kind"].astext == kind.value, said["room"].astext == room
    )
    objects = union_all(numbered, waiting).subquery()
    number = func.split_part(objects.c.object, ":", 2).cast(BigInteger)
    query = select(func.max(number)).where(objects.c.object.regexp_match(f"^{name}:[0-9]{{1,15}}:"))
    return (await session.execute(query)).scalar() or 0
