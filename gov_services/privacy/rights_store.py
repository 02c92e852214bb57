"""All SQL of rights and breaches, one statement a function. The rest of the room's is store.py's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on

from gov_services.kit.database import ReadSession, Session
from gov_services.privacy.models import BreachRow, DirectiveRow, RightRequestRow, SubjectRow

WAITING = ("RECEIVED", "TAKEN")
MOST_SHOWN = 50


async def count_open_rights(session: ReadSession, *, citizen_id: UUID) -> int:
    """How many of a citizen's requests wait for an answer."""
    query = select(func.count()).where(RightRequestRow.citizen_id == citizen_id, RightRequestRow.state.in_(WAITING))
    return (await session.execute(query)).scalar_one()


async def longest_waiting_right(session: Session) -> RightRequestRow | None:
    """The request that nobody has taken and that is due first, locked; those that others hold are left out."""
    query = (
        select(RightRequestRow)
        .where(RightRequestRow.state == "RECEIVED")
        .order_by(RightRequestRow.due_at, RightRequestRow.request_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def right_for_update(session: Session, *, request_id: UUID) -> RightRequestRow | None:
    """A request, locked until the transaction ends."""
    query = select(RightRequestRow).where(RightRequestRow.request_id == request_id).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def right(session: ReadSession, *, request_id: UUID) -> RightRequestRow | None:
    """A request, as it stands."""
    query = select(RightRequestRow).where(RightRequestRow.request_id == request_id)
    return (await session.execute(query)).scalar_one_or_none()


async def rights_of(session: ReadSession, *, citizen_id: UUID) -> Sequence[RightRequestRow]:
    """The newest requests of a citizen."""
    query = (
        select(RightRequestRow)
        .where(RightRequestRow.citizen_id == citizen_id)
        .order_by(RightRequestRow.request_id.desc())
        .limit(MOST_SHOWN)
    )
    return (await session.execute(query)).scalars().all()


async def open_rights(session: ReadSession, *, limit: int) -> Sequence[RightRequestRow]:
    """Requests that wait for an answer, by when they are due."""
    query = (
        select(RightRequestRow)
        .where(RightRequestRow.state.in_(WAITING))
        .order_by(RightRequestRow.due_at, RightRequestRow.request_id)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def overdue_rights(session: ReadSession, *, now: dt.datetime, limit: int) -> Sequence[RightRequestRow]:
    """Requests whose term is over and that nobody has answered."""
    query = (
        select(RightRequestRow)
        .where(RightRequestRow.state.in_(WAITING), RightRequestRow.due_at < now)
        .order_by(RightRequestRow.due_at)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def directives_of(session: ReadSession, *, citizen_id: UUID) -> Sequence[DirectiveRow]:
    """The last revision of each of a citizen's directives, by kind."""
    query = (
        select(DirectiveRow)
        .where(DirectiveRow.citizen_id == citizen_id)
        .ext(distinct_on(DirectiveRow.kind))
        .order_by(DirectiveRow.kind, DirectiveRow.number.desc())
    )
    return (await session.execute(query)).scalars().all()


async def is_citizen(session: ReadSession, *, citizen_id: UUID) -> bool:
    """Whether somebody of that id ever registered."""
    return await session.get(SubjectRow, citizen_id) is not None


async def breach_for_update(session: Session, *, breach_id: UUID) -> BreachRow | None:
    """A breach, locked until the transaction ends."""
    return await session.get(BreachRow, breach_id, with_for_update=True)


async def breach(session: ReadSession, *, breach_id: UUID) -> BreachRow | None:
    """A breach, as it stands."""
    return await session.get(BreachRow, breach_id)


async def breaches(session: ReadSession, *, before: UUID | None, limit: int) -> Sequence[BreachRow]:
    """The register, newest first."""
    query = select(BreachRow).order_by(BreachRow.breach_id.desc()).limit(limit)
    if before is not None:
        query = query.where(BreachRow.breach_id < before)
    return (await session.execute(query)).scalars().all()


async def late_breaches(session: ReadSession, *, now: dt.datetime) -> Sequence[BreachRow]:
    """Breaches that ought to have been reported and were not."""
    query = select(BreachRow).where(BreachRow.reported_at.is_(None), BreachRow.report_due_at < now)
    return (await session.execute(query.order_by(BreachRow.report_due_at))).scalars().all()
