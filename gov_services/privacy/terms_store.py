"""SQL of the terms of what an erasure left, one statement a function; beside `store.py`, which is full."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, func, select

from gov_services.kit.database import ReadSession, Session
from gov_services.privacy.models import ConsentRequestRow, KeptClassRow, SubjectRow


async def has_over_terms(session: ReadSession, *, now: dt.datetime) -> bool:
    """Whether a term is over whose class still stands."""
    query = select(KeptClassRow.citizen_id).where(KeptClassRow.ended_at.is_(None), KeptClassRow.until <= now).limit(1)
    return (await session.execute(query)).first() is not None


async def over_terms(session: Session, *, now: dt.datetime, limit: int) -> Sequence[KeptClassRow]:
    """Terms that are over, the oldest first, locked; those that another process holds are left out."""
    query = (
        select(KeptClassRow)
        .where(KeptClassRow.ended_at.is_(None), KeptClassRow.until <= now)
        .order_by(KeptClassRow.until, KeptClassRow.citizen_id, KeptClassRow.data_class)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(query)).scalars().all()


async def other_terms(session: ReadSession, *, citizen_id: UUID, data_class: str) -> Sequence[dt.datetime]:
    """When the citizen's other kept classes ended, or will."""
    query = select(func.coalesce(KeptClassRow.ended_at, KeptClassRow.until)).where(
        KeptClassRow.citizen_id == citizen_id, KeptClassRow.data_class != data_class
    )
    return (await session.execute(query)).scalars().all()


async def forget_subject(session: Session, *, citizen_id: UUID) -> None:
    """Forget which tag of the log stood for the citizen."""
    await session.execute(delete(SubjectRow).where(SubjectRow.citizen_id == citizen_id))


async def remove_old_requests(session: Session, *, before: dt.datetime, limit: int) -> int:
    """Remove requests for consent that were over before a moment, whatever came of them; how many that were."""
    old = (
        select(ConsentRequestRow.request_id)
        .where(ConsentRequestRow.state.not_in(("OPEN", "RECEIVED")), ConsentRequestRow.until <= before)
        .limit(limit)
    )
    statement = delete(ConsentRequestRow).where(ConsentRequestRow.request_id.in_(old))
    return len((await session.execute(statement.returning(ConsentRequestRow.request_id))).all())


async def has_old_requests(session: ReadSession, *, before: dt.datetime) -> bool:
    """Whether there is one."""
    query = select(ConsentRequestRow.request_id).where(
        ConsentRequestRow.state.not_in(("OPEN", "RECEIVED")), ConsentRequestRow.until <= before
    )
    return (await session.execute(query.limit(1))).first() is not None
