"""All SQL of `healthcode`, one statement a function. It decides nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select

from gov_services.consent.models import RelationRow
from gov_services.healthcode.models import CodeRow, DecisionRow, DeclarationRow, ReviewRow, StrikeRow
from gov_services.kit.database import ReadSession, Session


async def lock_declarations(session: Session, *, citizen_id: UUID) -> None:
    """Let no other declaration of the citizen be taken before the transaction ends, also where none is there yet."""
    key = func.hashtextextended(f"healthcode.declaration:{citizen_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def declaration(session: ReadSession, *, citizen_id: UUID, now: dt.datetime) -> DeclarationRow | None:
    """A citizen's newest declaration that is still kept."""
    query = (
        select(DeclarationRow)
        .where(DeclarationRow.citizen_id == citizen_id, DeclarationRow.keep_until > now)
        .order_by(DeclarationRow.declaration_id.desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def declaration_of_code(session: ReadSession, *, code_id: UUID, now: dt.datetime) -> DeclarationRow | None:
    """What a code that is still good stands for."""
    query = (
        select(DeclarationRow)
        .join(
            CodeRow,
            (CodeRow.citizen_id == DeclarationRow.citizen_id)
            & (CodeRow.declaration_id == DeclarationRow.declaration_id),
        )
        .where(CodeRow.code_id == code_id, CodeRow.expires_at > now)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def remove_declarations(session: Session, *, citizen_id: UUID) -> int:
    """Remove everything that a citizen declared, and their codes with it; how many declarations that were."""
    statement = delete(DeclarationRow).where(DeclarationRow.citizen_id == citizen_id)
    statement_returning = statement.returning(DeclarationRow.declaration_id)
    return len((await session.execute(statement_returning)).all())


async def remove_lapsed_declarations(session: Session, *, now: dt.datetime, limit: int) -> int:
    """Remove what is kept no longer; how many that were."""
    lapsed = select(DeclarationRow.declaration_id).where(DeclarationRow.keep_until <= now).limit(limit)
    statement = delete(DeclarationRow).where(DeclarationRow.declaration_id.in_(lapsed))
    return len((await session.execute(statement.returning(DeclarationRow.declaration_id))).all())


async def remove_lapsed_codes(session: Session, *, before: dt.datetime, limit: int) -> int:
    """Remove codes that were over before a moment; how many that were."""
    lapsed = select(CodeRow.code_id).where(CodeRow.expires_at <= before).limit(limit)
    statement = delete(CodeRow).where(CodeRow.code_id.in_(lapsed))
    return len((await session.execute(statement.returning(CodeRow.code_id))).all())


async def lapsed(session: ReadSession, *, now: dt.datetime) -> bool:
    """Whether anything is to be removed."""
    declarations = select(DeclarationRow.declaration_id).where(DeclarationRow.keep_until <= now).limit(1)
    codes = select(CodeRow.code_id).where(CodeRow.expires_at <= now).limit(1)
    return any([(await session.execute(query)).first() is not None for query in (declarations, codes)])


async def review(session: ReadSession, *, request_id: UUID, officer_id: UUID) -> ReviewRow | None:
    """The review that this officer took on that request."""
    query = select(ReviewRow).where(ReviewRow.request_id == request_id, ReviewRow.officer_id == officer_id)
    return (await session.execute(query)).scalar_one_or_none()


async def strike(session: ReadSession, *, strike_id: UUID) -> StrikeRow | None:
    """The proposal."""
    return (await session.execute(select(StrikeRow).where(StrikeRow.strike_id == strike_id))).scalar_one_or_none()


async def waiting_strike(session: ReadSession, citizen_id: UUID, *, declaration_id: UUID) -> StrikeRow | None:
    """The proposal about a declaration that nobody has decided on."""
    query = (
        select(StrikeRow)
        .outerjoin(DecisionRow, _decided())
        .where(
            StrikeRow.citizen_id == citizen_id,
            StrikeRow.declaration_id == declaration_id,
            DecisionRow.strike_id.is_(None),
        )
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def decision(session: ReadSession, citizen_id: UUID, *, strike_id: UUID) -> DecisionRow | None:
    """What was decided on a proposal."""
    query = select(DecisionRow).where(DecisionRow.citizen_id == citizen_id, DecisionRow.strike_id == strike_id)
    return (await session.execute(query)).scalar_one_or_none()


async def who_took(session: ReadSession, citizen_id: UUID, *, strike_id: UUID) -> Sequence[UUID]:
    """Who can see a proposal as its second officer."""
    query = select(RelationRow.actor_id).where(
        RelationRow.citizen_id == citizen_id,
        RelationRow.relation == "handler",
        RelationRow.case_id == strike_id,
        RelationRow.until.is_(None),
    )
    return (await session.execute(query)).scalars().all()


async def longest_waiting_strike(session: Session, *, but: UUID, since: dt.datetime) -> StrikeRow | None:
    """The oldest proposal that nobody has decided on and nobody took since a moment, neither made nor held by `but`.

    One transaction takes at a time: a lock of the whole queue, for as long as it takes to state who has it.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("healthcode.strike:queue", 0))))
    taken = select(RelationRow.relation_id).where(
        RelationRow.citizen_id == StrikeRow.citizen_id,
        RelationRow.relation == "handler",
        RelationRow.case_id == StrikeRow.strike_id,
        RelationRow.until.is_(None),
        or_(RelationRow.since > since, RelationRow.actor_id == but),
    )
    query = (
        select(StrikeRow)
        .outerjoin(DecisionRow, _decided())
        .where(DecisionRow.strike_id.is_(None), StrikeRow.proposed_by != but, ~taken.exists())
        .order_by(StrikeRow.proposed_at, StrikeRow.strike_id)
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


def _decided() -> ColumnElement[bool]:
    return (DecisionRow.citizen_id == StrikeRow.citizen_id) & (DecisionRow.strike_id == StrikeRow.strike_id)
