"""All SQL of `crypto`: the wrapped data keys. It wraps and unwraps nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select, tuple_, update

from gov_services.crypto.models import DataKeyRow
from gov_services.kit.database import ReadSession, Session


async def standing(session: ReadSession, *, pairs: Collection[tuple[UUID, str]]) -> Sequence[DataKeyRow]:
    """Keys of these citizens and classes that are not destroyed."""
    query = select(DataKeyRow).where(
        tuple_(DataKeyRow.citizen_id, DataKeyRow.data_class).in_(pairs), DataKeyRow.destroyed_at.is_(None)
    )
    return (await session.execute(query)).scalars().all()


async def at_the_ends(session: ReadSession, *, data_class: str) -> Sequence[DataKeyRow]:
    """The standing keys of a class that belong to the first and to the last citizen; none where there is none."""
    query = select(DataKeyRow).where(DataKeyRow.data_class == data_class, DataKeyRow.destroyed_at.is_(None)).limit(1)
    found: list[DataKeyRow] = []
    for order in (DataKeyRow.citizen_id.asc(), DataKeyRow.citizen_id.desc()):
        found += (await session.execute(query.order_by(order))).scalars().all()
    return found


async def destroy(session: Session, *, citizen_id: UUID, data_class: str, reason: str, now: dt.datetime) -> int:
    """Overwrite the wrapped keys of one citizen and class; how many stood. The trigger lets nothing bring them back."""
    statement = (
        update(DataKeyRow)
        .where(
            DataKeyRow.citizen_id == citizen_id,
            DataKeyRow.data_class == data_class,
            DataKeyRow.destroyed_at.is_(None),
        )
        .values(wrapped=None, destroyed_at=now, reason=reason)
        .returning(DataKeyRow.version)
    )
    return len((await session.execute(statement)).all())
