"""All SQL of childhoods and of consents that guardians gave, one statement a function. It decides nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from gov_services.consent.models import ChildhoodRow, RelationRow, StandingRow
from gov_services.kit.database import ReadSession, Session

GUARDIAN = "guardian"


async def state_childhood(session: Session, *, citizen_id: UUID, until: dt.datetime) -> None:
    """State that a citizen is under fourteen until then; what was stated before stays."""
    await session.execute(insert(ChildhoodRow).values(citizen_id=citizen_id, until=until).on_conflict_do_nothing())


async def forget_childhood(session: Session, *, citizen_id: UUID) -> None:
    """Remove what tells an erased citizen's birthday: the childhood."""
    await session.execute(delete(ChildhoodRow).where(ChildhoodRow.citizen_id == citizen_id))


async def forget_ends(session: Session, *, citizen_id: UUID) -> None:
    """And the ends of guardians' relations, over or not: who they were stays, and from when on."""
    await session.execute(
        update(RelationRow)
        .where(
            RelationRow.citizen_id == citizen_id,
            RelationRow.relation == GUARDIAN,
            RelationRow.until > RelationRow.since,
        )
        .values(until=RelationRow.since)
    )


async def children(session: ReadSession, *, citizen_ids: Collection[UUID], now: dt.datetime) -> frozenset[UUID]:
    """Those of these citizens who are under fourteen."""
    query = select(ChildhoodRow.citizen_id).where(ChildhoodRow.citizen_id.in_(citizen_ids), ChildhoodRow.until > now)
    return frozenset((await session.execute(query)).scalars())


async def guardian_relation(
    session: ReadSession, *, child_id: UUID, guardian_id: UUID, now: dt.datetime
) -> UUID | None:
    """The relation in which a guardian stands to a child now."""
    query = select(RelationRow.relation_id).where(
        RelationRow.citizen_id == child_id,
        RelationRow.actor_id == guardian_id,
        RelationRow.relation == GUARDIAN,
        _stands(now),
    )
    return (await session.execute(query)).scalars().first()


async def end_of_relation(session: ReadSession, *, citizen_id: UUID, relation_id: UUID) -> dt.datetime | None:
    """When a relation ends, or ended."""
    query = select(RelationRow.until).where(
        RelationRow.citizen_id == citizen_id, RelationRow.relation_id == relation_id
    )
    return (await session.execute(query)).scalar_one_or_none()


async def without_guardian(session: ReadSession, *, now: dt.datetime, limit: int) -> Sequence[tuple[StandingRow, bool]]:
    """Consents that guardians gave and may not give any more, each with whether the child has turned fourteen."""
    grown = exists().where(ChildhoodRow.citizen_id == StandingRow.citizen_id, ChildhoodRow.until <= now)
    query = (
        select(StandingRow, grown)
        .where(
            StandingRow.guardian_relation_id.is_not(None),
            StandingRow.state.in_(("given", "renewed", "paused")),
            ~_guardian_stands(now),
        )
        .order_by(StandingRow.citizen_id)
        .limit(limit)
    )
    return [(row, of_age) for row, of_age in await session.execute(query)]


def by_who_may(now: dt.datetime) -> ColumnElement[bool]:
    """That a consent was given by who may give it now: a guardian who still is one, or nobody's child (PIPL 31)."""
    child = exists().where(ChildhoodRow.citizen_id == StandingRow.citizen_id, ChildhoodRow.until > now)
    return or_(and_(StandingRow.guardian_relation_id.is_(None), ~child), _guardian_stands(now))


def _guardian_stands(now: dt.datetime) -> ColumnElement[bool]:
    return exists().where(
        RelationRow.citizen_id == StandingRow.citizen_id,
        RelationRow.relation_id == StandingRow.guardian_relation_id,
        _stands(now),
    )


def _stands(now: dt.datetime) -> ColumnElement[bool]:
    """That a guardian's relation holds: the child is under fourteen, and its end was not brought forward.

    Brought forward at any moment: who asks began before a revocation that was committed meanwhile, and loses.
    """
    return exists().where(
        ChildhoodRow.citizen_id == RelationRow.citizen_id,
        ChildhoodRow.until == RelationRow.until,
        ChildhoodRow.until > now,
    )
