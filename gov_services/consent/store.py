"""All SQL of `consent`, one statement a function. It decides nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, delete, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from gov_services.consent.guardian_store import by_who_may
from gov_services.consent.models import (
    AttestationRow,
    BundleRow,
    ReadingRow,
    RelationRow,
    RestrictionRow,
    RevisionRow,
    StandingRow,
)
from gov_services.consent.purposes import Restriction
from gov_services.consent.terms import Period
from gov_services.kit.database import ReadSession, Session

UNDER_WAY = ("given", "renewed", "paused")
"""States of consents that can still run out or lose their ground."""


async def newest_bundle_version(session: ReadSession) -> int | None:
    """The version in force, or None before the first bundle is published."""
    return (await session.execute(select(func.max(BundleRow.version)))).scalar()


async def bundle(session: ReadSession, *, version: int) -> BundleRow:
    """The bundle of that version."""
    return (await session.execute(select(BundleRow).where(BundleRow.version == version))).scalar_one()


async def bundles_until_now(session: ReadSession) -> Sequence[BundleRow]:
    """Every bundle that was ever in force, newest first."""
    return (await session.execute(select(BundleRow).order_by(BundleRow.version.desc()))).scalars().all()


async def bundles_since(session: ReadSession, *, version: int) -> Sequence[BundleRow]:
    """Every bundle after that version, oldest first."""
    query = select(BundleRow).where(BundleRow.version > version).order_by(BundleRow.version)
    return (await session.execute(query)).scalars().all()


async def relations(
    session: ReadSession, *, citizen_ids: Sequence[UUID], actor_id: UUID, now: dt.datetime
) -> Sequence[RelationRow]:
    """Standing relations of one actor to these citizens."""
    query = select(RelationRow).where(
        RelationRow.citizen_id.in_(citizen_ids),
        RelationRow.actor_id == actor_id,
        RelationRow.since <= now,
        or_(RelationRow.until.is_(None), RelationRow.until > now),
    )
    return (await session.execute(query)).scalars().all()


async def restrictions(session: ReadSession, *, citizen_ids: Sequence[UUID]) -> dict[UUID, Restriction]:
    """How processing of these citizens' data is restricted; the strictest of several."""
    query = select(RestrictionRow.citizen_id, RestrictionRow.level).where(
        RestrictionRow.citizen_id.in_(citizen_ids), RestrictionRow.until.is_(None)
    )
    found: dict[UUID, Restriction] = {}
    for citizen_id, level in await session.execute(query):
        if found.get(citizen_id) is not Restriction.STORAGE_ONLY:
            found[citizen_id] = Restriction(level)
    return found


async def lift_restriction(session: Session, *, citizen_id: UUID, level: Restriction, now: dt.datetime) -> None:
    """End a restriction of that level, if there is one."""
    await session.execute(
        update(RestrictionRow)
        .where(
            RestrictionRow.citizen_id == citizen_id,
            RestrictionRow.level == level.value,
            RestrictionRow.until.is_(None),
        )
        .values(until=now)
    )


async def end_relations(
    session: Session, *, citizen_id: UUID, actor_id: UUID, relation: str, case_id: UUID | None, now: dt.datetime
) -> None:
    """End the standing relation of that kind; one that does not stand stays as it is."""
    await session.execute(
        update(RelationRow)
        .where(
            RelationRow.citizen_id == citizen_id,
            RelationRow.actor_id == actor_id,
            RelationRow.relation == relation,
            RelationRow.case_id.is_(None) if case_id is None else RelationRow.case_id == case_id,
            or_(RelationRow.until.is_(None), RelationRow.until > now),
        )
        .values(until=now)
    )


async def standing(
    session: ReadSession, *, citizen_ids: Sequence[UUID], purpose: str, recipient: str, now: dt.datetime
) -> Sequence[StandingRow]:
    """Consents of these citizens for one purpose and recipient, as they stand and as their ledger has them.

    Those that were given by nobody who may give them now are left out.
    """
    query = (
        select(StandingRow)
        .join(RevisionRow, _as_revised())
        .where(
            StandingRow.citizen_id.in_(citizen_ids),
            StandingRow.purpose == purpose,
            StandingRow.recipient == recipient,
            by_who_may(now),
        )
    )
    return (await session.execute(query)).scalars().all()


async def standing_by_id(
    session: ReadSession, *, consent_id: UUID, recipient: str, now: dt.datetime
) -> StandingRow | None:
    """The consent of that name, if it was given to that recipient, and by who may give it now."""
    query = (
        select(StandingRow)
        .join(RevisionRow, _as_revised())
        .where(StandingRow.consent_id == consent_id, StandingRow.recipient == recipient, by_who_may(now))
    )
    return (await session.execute(query)).scalar_one_or_none()


def _as_revised() -> ColumnElement[bool]:
    """That the projection says what its revision says: a row that somebody laid there by hand opens nothing."""
    return and_(
        RevisionRow.citizen_id == StandingRow.citizen_id,
        RevisionRow.purpose == StandingRow.purpose,
        RevisionRow.recipient == StandingRow.recipient,
        RevisionRow.number == StandingRow.number,
        RevisionRow.hash == StandingRow.head,
        RevisionRow.revision_id == StandingRow.revision_id,
        RevisionRow.consent_id == StandingRow.consent_id,
        RevisionRow.state == StandingRow.state,
        RevisionRow.scope == StandingRow.scope,
        RevisionRow.forms == StandingRow.forms,
        RevisionRow.notice_hash == StandingRow.notice_hash,
        *(
            getattr(RevisionRow, name).is_not_distinct_from(getattr(StandingRow, name))
            for name in (
                *("expires_at", "uses", "times", "per", "keep_days", "given"),
                *("guardian_id", "guardian_relation_id"),
            )
        ),
    )


async def consents_of(session: ReadSession, *, citizen_id: UUID) -> Sequence[StandingRow]:
    """All consents of one citizen, as they stand."""
    query = (
        select(StandingRow)
        .where(StandingRow.citizen_id == citizen_id)
        .order_by(StandingRow.purpose, StandingRow.recipient)
    )
    return (await session.execute(query)).scalars().all()


async def last_no(session: ReadSession, *, citizen_id: UUID, purpose: str, recipient: str) -> dt.datetime | None:
    """When the citizen last refused or withdrew that consent; None where they never did."""
    query = select(func.max(RevisionRow.made_at)).where(
        RevisionRow.citizen_id == citizen_id,
        RevisionRow.purpose == purpose,
        RevisionRow.recipient == recipient,
        RevisionRow.state.in_(("refused", "withdrawn")),
    )
    return (await session.execute(query)).scalar()


async def over(session: ReadSession, *, now: dt.datetime, limit: int) -> Sequence[StandingRow]:
    """Consents that have run out, or whose readings are all used, and that the ledger still has as given or paused."""
    used = (
        select(func.count())
        .where(
            ReadingRow.citizen_id == StandingRow.citizen_id,
            ReadingRow.purpose == StandingRow.purpose,
            ReadingRow.recipient == StandingRow.recipient,
            ReadingRow.given == StandingRow.given,
        )
        .scalar_subquery()
    )
    query = (
        select(StandingRow)
        .where(
            StandingRow.state.in_(UNDER_WAY),
            or_(StandingRow.expires_at <= now, and_(StandingRow.uses.is_not(None), StandingRow.uses <= used)),
        )
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def without_ground(
    session: ReadSession, *, grounds: Sequence[tuple[str, str]], limit: int
) -> Sequence[StandingRow]:
    """Consents given or paused for a purpose and a recipient that are not among `grounds`."""
    query = (
        select(StandingRow)
        .where(
            StandingRow.state.in_(UNDER_WAY),
            tuple_(StandingRow.purpose, StandingRow.recipient).not_in(grounds),
        )
        .order_by(StandingRow.citizen_id)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def standing_for_update(
    session: Session, *, citizen_id: UUID, purpose: str, recipient: str
) -> StandingRow | None:
    """The standing consent, locked until the transaction ends; None before the first revision."""
    query = (
        select(StandingRow)
        .where(StandingRow.citizen_id == citizen_id, StandingRow.purpose == purpose, StandingRow.recipient == recipient)
        .with_for_update()
    )
    return (await session.execute(query)).scalar_one_or_none()


async def save_standing(session: Session, revision: RevisionRow) -> None:
    """Project `revision`. A second writer that did not see the first loses on the revision's own key."""
    values = {
        "number": revision.number,
        "revision_id": revision.revision_id,
        "consent_id": revision.consent_id,
        "state": revision.state,
        "scope": revision.scope,
        "forms": revision.forms,
        "notice_hash": revision.notice_hash,
        "expires_at": revision.expires_at,
        "uses": revision.uses,
        "times": revision.times,
        "per": revision.per,
        "keep_days": revision.keep_days,
        "given": revision.given,
        "guardian_id": revision.guardian_id,
        "guardian_relation_id": revision.guardian_relation_id,
        "head": revision.hash,
    }
    key = {"citizen_id": revision.citizen_id, "purpose": revision.purpose, "recipient": revision.recipient}
    statement = insert(StandingRow).values(**key, **values)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[StandingRow.citizen_id, StandingRow.purpose, StandingRow.recipient], set_=values
        )
    )


async def readings(
    session: ReadSession, *, consents: Sequence[StandingRow], but: str, now: dt.datetime
) -> dict[UUID, tuple[int, int]]:
    """Readings under consents of one purpose and recipient: citizen → (since it was given, in its period).

    Those of request `but` are left out.
    """
    if not consents:
        return {}
    period = case({period.value: period.length for period in Period}, value=StandingRow.per, else_=dt.timedelta(0))
    in_period = ReadingRow.taken_at > literal(now) - period
    query = (
        select(
            ReadingRow.citizen_id,
            func.count().filter(ReadingRow.given == StandingRow.given),
            func.count().filter(in_period),
        )
        .join(
            StandingRow,
            and_(
                StandingRow.citizen_id == ReadingRow.citizen_id,
                StandingRow.purpose == ReadingRow.purpose,
                StandingRow.recipient == ReadingRow.recipient,
            ),
        )
        .where(
            ReadingRow.citizen_id.in_([row.citizen_id for row in consents]),
            ReadingRow.purpose == consents[0].purpose,
            ReadingRow.recipient == consents[0].recipient,
            ReadingRow.request_id != but,
        )
        .group_by(ReadingRow.citizen_id)
    )
    return {citizen_id: (given, lately) for citizen_id, given, lately in await session.execute(query)}


async def take_reading(
    session: Session,
    *,
    citizen_id: UUID,
    purpose: str,
    recipient: str,
    revision_id: UUID,
    request: str,
    now: dt.datetime,
) -> bool:
    """Count a request as a reading under that very revision; False where it stands no more, or is used up."""
    query = select(func.consent.take(citizen_id, purpose, recipient, revision_id, request, now))
    return bool((await session.execute(query)).scalar_one() == "taken")


async def revisions_of(
    session: ReadSession, *, citizen_id: UUID, purpose: str, recipient: str
) -> Sequence[RevisionRow]:
    """The whole chain of one consent, oldest first."""
    query = (
        select(RevisionRow)
        .where(RevisionRow.citizen_id == citizen_id, RevisionRow.purpose == purpose, RevisionRow.recipient == recipient)
        .order_by(RevisionRow.number)
    )
    return (await session.execute(query)).scalars().all()


async def revision_and_next(session: ReadSession, *, revision_id: UUID) -> Sequence[RevisionRow]:
    """A revision, and the one after it if there is one; nothing where there is no such revision."""
    wanted = (
        select(RevisionRow.citizen_id, RevisionRow.purpose, RevisionRow.recipient, RevisionRow.number)
        .where(RevisionRow.revision_id == revision_id)
        .subquery()
    )
    query = (
        select(RevisionRow)
        .join(
            wanted,
            and_(
                RevisionRow.citizen_id == wanted.c.citizen_id,
                RevisionRow.purpose == wanted.c.purpose,
                RevisionRow.recipient == wanted.c.recipient,
                RevisionRow.number.in_((wanted.c.number, wanted.c.number + 1)),
            ),
        )
        .order_by(RevisionRow.number)
    )
    return (await session.execute(query)).scalars().all()


async def relations_ever(session: ReadSession, *, citizen_id: UUID, actor_id: UUID) -> Sequence[RelationRow]:
    """Every relation that an actor has or had to a citizen."""
    query = select(RelationRow).where(RelationRow.citizen_id == citizen_id, RelationRow.actor_id == actor_id)
    return (await session.execute(query)).scalars().all()


async def attestation(session: ReadSession, *, citizen_id: UUID, claim: str) -> bytes | None:
    """The tag of what was confirmed about the citizen."""
    query = select(AttestationRow.digest).where(AttestationRow.citizen_id == citizen_id, AttestationRow.claim == claim)
    return (await session.execute(query)).scalar_one_or_none()


async def keep_attestation(session: Session, *, citizen_id: UUID, claim: str, digest: bytes, now: dt.datetime) -> None:
    """Write it, in the place of an earlier one."""
    values = {"digest": digest, "attested_at": now}
    statement = insert(AttestationRow).values(citizen_id=citizen_id, claim=claim, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["citizen_id", "claim"], set_=values))


async def remove_attestations(session: Session, *, citizen_id: UUID) -> None:
    """Of an erased citizen nothing is confirmed any more."""
    await session.execute(delete(AttestationRow).where(AttestationRow.citizen_id == citizen_id))
