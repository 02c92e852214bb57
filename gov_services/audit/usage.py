"""What the log says of how grants are used, and of who asked about how many. It counts and proposes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select, text

from gov_services.audit import store
from gov_services.audit.entry import Entry, EntryKind, EntryMalformed
from gov_services.audit.models import DescribedRow, EntryRow
from gov_services.kit.database import ReadSession

OF_USE = (EntryKind.READ, EntryKind.USE, EntryKind.REFUSAL)
_ASKED = text("SELECT audit.asked(CAST(:actor AS text), CAST(:office AS text), :purpose, :since)")


async def entries_of_use(session: ReadSession, *, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
    """Decisions, uses and refusals, numbered past `after`, in order; what is no entry is left out."""
    numbers = (
        select(DescribedRow.seq)
        .where(DescribedRow.seq > after, DescribedRow.kind.in_([kind.value for kind in OF_USE]))
        .order_by(DescribedRow.seq)
        .limit(limit)
    )
    rows = await store.found(session, numbers)
    return [(row.seq, entry) for row in reversed(rows) if (entry := parsed(row.body)) is not None]


def parsed(body: bytes) -> Entry | None:
    """The entry in `body`; None where it is none."""
    try:
        return Entry.parse(body)
    except EntryMalformed:
        return None


async def newest_uses(
    session: ReadSession, *, purpose: str, coordinate: str, limit: int
) -> Sequence[tuple[UUID, dt.datetime]]:
    """The newest entries in which a coordinate was opened under a purpose: id, moment."""
    query = (
        select(DescribedRow.id, DescribedRow.at)
        .where(
            DescribedRow.purpose == purpose,
            DescribedRow.kind == EntryKind.USE,
            DescribedRow.coordinates.contains([coordinate]),
        )
        .order_by(DescribedRow.seq.desc())
        .limit(limit)
    )
    return [(entry_id, at) for entry_id, at in await session.execute(query)]


async def uses_in_request(session: ReadSession, *, request: str, actor: str, since: dt.datetime) -> Sequence[EntryRow]:
    """What an actor opened in one request since a moment."""
    numbers = select(DescribedRow.seq).where(
        DescribedRow.actor == actor,
        DescribedRow.request == request,
        DescribedRow.kind == EntryKind.USE,
        DescribedRow.at >= since,
    )
    return await store.found(session, numbers)


async def uses_by_parties(session: ReadSession, *, after: int, limit: int) -> Sequence[DescribedRow]:
    """What relying parties opened, in entries numbered past `after`, in order."""
    query = (
        select(DescribedRow)
        .where(DescribedRow.seq > after, DescribedRow.kind == EntryKind.USE, DescribedRow.actor.startswith("client:"))
        .order_by(DescribedRow.seq)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def refusals(session: ReadSession, *, codes: Collection[str], after: int, limit: int) -> Sequence[DescribedRow]:
    """Refusals with one of `codes`, in entries numbered past `after`, in order."""
    query = (
        select(DescribedRow)
        .where(DescribedRow.seq > after, DescribedRow.outcome == "refused", DescribedRow.code.in_(codes))
        .order_by(DescribedRow.seq)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def asked(
    session: ReadSession, *, purpose: str, since: dt.datetime, actor: str | None = None, office: str | None = None
) -> Sequence[dt.datetime]:
    """When people were last asked about under a purpose since a moment, one moment a person, by an actor or an office.

    Who they were is not told. A look-up counts by itself, and what was disclosed of its hit does not.
    """
    values = {"actor": actor, "office": office, "purpose": purpose, "since": since}
    moments: list[dt.datetime] = (await session.execute(_ASKED, values)).scalar_one()
    return moments
