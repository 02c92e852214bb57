"""What the log says of how grants are used: declared and opened, by client and coordinate. It proposes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select, text

from gov_services.audit.entry import EntryKind
from gov_services.audit.models import DescribedRow
from gov_services.kit.database import ReadSession


@dataclass(frozen=True, slots=True)
class FieldUse:
    """How often one coordinate was decided to be given to one client, and how often it was really opened."""

    client: str
    coordinate: str
    declared: int
    opened: int
    withheld: int
    """Asked for and not given: no consent, or narrowed."""


_USES = text(
    """
    SELECT client, pair.coordinate,
           count(*) FILTER (WHERE kind = 'read' AND pair.form IN ('PLAIN', 'MASKED', 'DERIVED')) AS declared,
           count(*) FILTER (WHERE kind = 'use' AND pair.form = 'OPENED') AS opened,
           count(*) FILTER (WHERE kind IN ('read', 'refusal')
                              AND pair.form IN ('CONSENT_REQUIRED', 'PURPOSE_NARROWED')) AS withheld
      FROM audit.described CROSS JOIN LATERAL unnest(coordinates, forms) AS pair(coordinate, form)
     WHERE purpose = :purpose AND kind IN ('read', 'use', 'refusal') AND at >= :since
     GROUP BY client, pair.coordinate
     ORDER BY client, pair.coordinate
    """
)


_ASKED = text("SELECT audit.asked(CAST(:actor AS text), CAST(:office AS text), :purpose, :since)")


async def field_uses(session: ReadSession, *, purpose: str, since: dt.datetime) -> Sequence[FieldUse]:
    """How the coordinates of a purpose were used since a moment, per client."""
    rows = await session.execute(_USES, {"purpose": purpose, "since": since})
    return [FieldUse(row.client, row.coordinate, row.declared, row.opened, row.withheld) for row in rows]


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
