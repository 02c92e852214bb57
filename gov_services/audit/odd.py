"""What the log says around an access: whether anything came of it, how often somebody came back. It judges nobody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import func, or_, select

from gov_services.audit import store, usage
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.models import DescribedRow
from gov_services.kit.database import ReadSession


async def accesses(session: ReadSession, *, after: int, before: dt.datetime, limit: int) -> Sequence[tuple[int, Entry]]:
    """Disclosures by staff and parties, numbered past `after`, made before a moment, in order."""
    numbers = (
        select(DescribedRow.seq)
        .where(
            DescribedRow.seq > after,
            DescribedRow.kind == EntryKind.READ,
            DescribedRow.action == "disclosure",
            DescribedRow.at < before,
            or_(DescribedRow.actor.startswith("staff:"), DescribedRow.actor.startswith("client:")),
        )
        .order_by(DescribedRow.seq)
        .limit(limit)
    )
    rows = await store.found(session, numbers)
    return [(row.seq, entry) for row in reversed(rows) if (entry := usage.parsed(row.body)) is not None]


async def has_business(session: ReadSession, entry: Entry, *, within: dt.timedelta) -> bool:
    """Whether the subject's matter shows at the actor's office around the access: a case, or a change."""
    query = (
        select(DescribedRow.seq)
        .where(
            DescribedRow.subject_tag == entry.subject_tag,
            DescribedRow.office == entry.office,
            or_(DescribedRow.case_id.is_not(None), DescribedRow.kind == EntryKind.CHANGE),
            DescribedRow.at >= entry.at - within,
            DescribedRow.at <= entry.at + within,
        )
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none() is not None


async def days_asked(session: ReadSession, entry: Entry, *, over: dt.timedelta) -> int:
    """On how many days of the time before it the actor read about this subject without a case, its own included."""
    query = select(func.count(func.date_trunc("day", DescribedRow.at).distinct())).where(
        DescribedRow.subject_tag == entry.subject_tag,
        DescribedRow.actor == entry.actor,
        DescribedRow.kind == EntryKind.READ,
        DescribedRow.case_id.is_(None),
        DescribedRow.at > entry.at - over,
        DescribedRow.at <= entry.at,
    )
    return (await session.execute(query)).scalar_one()


async def subjects_read(
    session: ReadSession, *, actor: str, since: dt.datetime, until: dt.datetime
) -> frozenset[bytes]:
    """Tags of everybody about whom an actor opened something between two moments."""
    query = (
        select(DescribedRow.subject_tag)
        .where(
            DescribedRow.actor == actor,
            DescribedRow.kind == EntryKind.USE,
            DescribedRow.subject_tag.is_not(None),
            DescribedRow.at >= since,
            DescribedRow.at <= until,
        )
        .distinct()
    )
    return frozenset(tag for tag in (await session.execute(query)).scalars() if tag is not None)


async def first_touched(session: ReadSession, *, purpose: str, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
    """Those about whom a purpose ever said something, each once: (number of the first entry, tag), past `after`."""
    first = func.min(DescribedRow.seq)
    query = (
        select(first, DescribedRow.subject_tag)
        .where(DescribedRow.purpose == purpose, DescribedRow.subject_tag.is_not(None))
        .group_by(DescribedRow.subject_tag)
        .having(first > after)
        .order_by(first)
        .limit(limit)
    )
    return [(seq, tag) for seq, tag in await session.execute(query) if tag is not None]
