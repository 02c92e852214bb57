"""All SQL of `privacy`, one statement a function. The log's is `audit`'s, the consents' is `consent`'s."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from gov_services.consent.models import RelationRow
from gov_services.kit.database import ReadSession, Session
from gov_services.privacy.models import (
    ConsentRequestRow,
    ErasureRow,
    FindingRow,
    HeldClassRow,
    NarrowingRow,
    SubjectRow,
    WatermarkRow,
)

MOST_REQUESTS = 50
"""Requests for consent that are shown to a citizen at once."""


async def save_subject(session: Session, *, citizen_id: UUID, tag: bytes, now: dt.datetime) -> None:
    """Remember which citizen the tag stands for."""
    statement = insert(SubjectRow).values(citizen_id=citizen_id, tag=tag, since=now)
    await session.execute(statement.on_conflict_do_nothing())


async def subjects_of(session: ReadSession, *, tags: Collection[bytes]) -> dict[bytes, UUID]:
    """The citizens whom the tags stand for; unknown tags are left out."""
    rows = await session.execute(select(SubjectRow.tag, SubjectRow.citizen_id).where(SubjectRow.tag.in_(tags)))
    return {tag: citizen_id for tag, citizen_id in rows}


async def save_held_class(session: Session, *, citizen_id: UUID, data_class: str, since: dt.datetime) -> None:
    """Remember that a class is held since that moment, or since a later one that is known."""
    statement = insert(HeldClassRow).values(citizen_id=citizen_id, data_class=data_class, since=since)
    later = func.greatest(HeldClassRow.since, statement.excluded.since)
    await session.execute(
        statement.on_conflict_do_update(index_elements=["citizen_id", "data_class"], set_={"since": later})
    )


async def held_classes(session: ReadSession, *, citizen_id: UUID) -> dict[str, dt.datetime]:
    """The classes that are held of a citizen, and since when."""
    query = select(HeldClassRow.data_class, HeldClassRow.since).where(HeldClassRow.citizen_id == citizen_id)
    return {data_class: since for data_class, since in await session.execute(query)}


async def cases_of(session: ReadSession, *, citizen_id: UUID) -> tuple[dt.datetime | None, bool]:
    """When the citizen's latest case got an officer, and whether a case is open.

    A relation stands from the very commit that assigns the case, where an event may still be on its way.
    """
    query = select(func.max(RelationRow.since), func.bool_or(RelationRow.until.is_(None))).where(
        RelationRow.citizen_id == citizen_id, RelationRow.case_id.is_not(None)
    )
    latest, is_open = (await session.execute(query)).one()
    return latest, bool(is_open)


async def narrowing_for_update(session: Session, *, narrowing_id: UUID) -> NarrowingRow | None:
    """The proposal, locked until the transaction ends."""
    query = select(NarrowingRow).where(NarrowingRow.narrowing_id == narrowing_id).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def narrowing(session: ReadSession, *, narrowing_id: UUID) -> NarrowingRow | None:
    """The proposal, as it stands."""
    return await session.get(NarrowingRow, narrowing_id)


async def open_narrowing(session: ReadSession, *, purpose: str, coordinate: str) -> NarrowingRow | None:
    """The proposal about that grant which waits for a decision."""
    query = select(NarrowingRow).where(
        NarrowingRow.purpose == purpose, NarrowingRow.coordinate == coordinate, NarrowingRow.state == "PROPOSED"
    )
    return (await session.execute(query)).scalar_one_or_none()


async def narrowings(session: ReadSession, *, before: UUID | None, limit: int) -> Sequence[NarrowingRow]:
    """Proposals, newest first."""
    query = select(NarrowingRow).order_by(NarrowingRow.narrowing_id.desc()).limit(limit)
    if before is not None:
        query = query.where(NarrowingRow.narrowing_id < before)
    return (await session.execute(query)).scalars().all()


async def decide_narrowing(
    session: Session, *, narrowing_id: UUID, state: str, by: UUID, now: dt.datetime, bundle_version: int | None
) -> None:
    """Write the decision on a proposal that the caller has locked."""
    await session.execute(
        update(NarrowingRow)
        .where(NarrowingRow.narrowing_id == narrowing_id)
        .values(state=state, decided_by=by, decided_at=now, bundle_version=bundle_version)
    )


async def save_finding(
    session: Session, *, finding_id: UUID, kind: str, actor: str, purpose: str, entry_id: UUID, now: dt.datetime
) -> bool:
    """Keep a finding; False where the same entry gave the same finding before."""
    statement = (
        insert(FindingRow)
        .values(finding_id=finding_id, kind=kind, actor=actor, purpose=purpose, entry_id=entry_id, found_at=now)
        .on_conflict_do_nothing()
        .returning(FindingRow.finding_id)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def findings(session: ReadSession, *, before: UUID | None, limit: int) -> Sequence[FindingRow]:
    """Findings, newest first."""
    query = select(FindingRow).order_by(FindingRow.finding_id.desc()).limit(limit)
    if before is not None:
        query = query.where(FindingRow.finding_id < before)
    return (await session.execute(query)).scalars().all()


async def lock_erasure(session: Session, *, citizen_id: UUID) -> None:
    """Let no other erasure of the citizen be made before the transaction ends."""
    key = func.hashtextextended(f"privacy.erasure:{citizen_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def erasure_of(session: ReadSession, *, citizen_id: UUID) -> ErasureRow | None:
    """What was erased of a citizen, if anything was."""
    return (await session.execute(select(ErasureRow).where(ErasureRow.citizen_id == citizen_id))).scalar_one_or_none()


async def watermark(session: ReadSession, *, job: str) -> int:
    """The number of the entry up to which the job has read; -1 for one that never ran."""
    found = await session.execute(select(WatermarkRow.seq).where(WatermarkRow.job == job))
    seq = found.scalar_one_or_none()
    return -1 if seq is None else seq


async def watermark_for_update(session: Session, *, job: str) -> int:
    """The number up to which the job has read, locked: one runs at a time."""
    await session.execute(insert(WatermarkRow).values(job=job, seq=-1).on_conflict_do_nothing())
    query = select(WatermarkRow.seq).where(WatermarkRow.job == job).with_for_update()
    return (await session.execute(query)).scalar_one()


async def advance_watermark(session: Session, *, job: str, seq: int) -> None:
    """The job has read up to and including `seq`."""
    await session.execute(update(WatermarkRow).where(WatermarkRow.job == job).values(seq=seq))


async def request_by_code(session: Session, *, digest: bytes) -> ConsentRequestRow | None:
    """The request for consent with that code, locked until the transaction ends."""
    query = select(ConsentRequestRow).where(ConsentRequestRow.code_digest == digest).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def request_for_update(session: Session, *, request_id: UUID) -> ConsentRequestRow | None:
    """The request, locked until the transaction ends."""
    return await session.get(ConsentRequestRow, request_id, with_for_update=True)


async def request(session: ReadSession, *, request_id: UUID) -> ConsentRequestRow | None:
    """The request, as it stands."""
    return await session.get(ConsentRequestRow, request_id)


async def requests_of(session: ReadSession, *, citizen_id: UUID, now: dt.datetime) -> Sequence[ConsentRequestRow]:
    """The requests that wait for a citizen's answer, oldest first."""
    query = (
        select(ConsentRequestRow)
        .where(
            ConsentRequestRow.citizen_id == citizen_id,
            ConsentRequestRow.state == "RECEIVED",
            ConsentRequestRow.silent.is_(False),
            ConsentRequestRow.until > now,
        )
        .order_by(ConsentRequestRow.request_id)
        .limit(MOST_REQUESTS)
    )
    return (await session.execute(query)).scalars().all()


async def has_lapsed_requests(session: ReadSession, *, now: dt.datetime) -> bool:
    """Whether there is a request whose time is over and that nobody has answered."""
    query = select(ConsentRequestRow.request_id).where(
        ConsentRequestRow.state.in_(("OPEN", "RECEIVED")), ConsentRequestRow.until <= now
    )
    return (await session.execute(query.limit(1))).scalar_one_or_none() is not None


async def lapsed_requests(session: Session, *, now: dt.datetime, limit: int) -> Sequence[ConsentRequestRow]:
    """Requests whose time is over and that nobody has answered, locked; those that others hold are left out."""
    query = (
        select(ConsentRequestRow)
        .where(ConsentRequestRow.state.in_(("OPEN", "RECEIVED")), ConsentRequestRow.until <= now)
        .order_by(ConsentRequestRow.until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(query)).scalars().all()
