"""All SQL of `privacy`, one statement a function. The log's is `audit`'s, the consents' is `consent`'s."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from gov_services.consent.models import RelationRow
from gov_services.kit.database import ReadSession, Session
from gov_services.privacy.counting import Counts, Key
from gov_services.privacy.models import (
    ConsentRequestRow,
    ErasureRow,
    FieldUseRow,
    FindingReviewRow,
    FindingRow,
    HeldClassRow,
    NarrowingRow,
    SubjectRow,
    WatermarkRow,
)

COUNTED = ("declared", "masked", "opened", "used", "withheld")
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
        RelationRow.citizen_id == citizen_id, RelationRow.relation == "officer"
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


async def asked_in_vain(session: ReadSession, *, since: dt.date, at_least: int) -> Sequence[Row[str, str, str, str]]:
    """Grants that one client's document asked for so often since a day, and never opened."""
    declared, opened = func.sum(FieldUseRow.declared), func.sum(FieldUseRow.opened)
    query = (
        select(FieldUseRow.purpose, FieldUseRow.client, FieldUseRow.document, FieldUseRow.coordinate)
        .where(FieldUseRow.day >= since)
        .group_by(FieldUseRow.purpose, FieldUseRow.client, FieldUseRow.document, FieldUseRow.coordinate)
        .having(declared >= at_least, opened == 0)
        .order_by(FieldUseRow.document, FieldUseRow.coordinate)
    )
    return (await session.execute(query)).all()


async def warned_since(session: ReadSession, *, purpose: str, coordinate: str) -> dt.datetime | None:
    """When the last warning about a grant was put in force; None where none was."""
    query = select(func.max(NarrowingRow.decided_at)).where(
        NarrowingRow.purpose == purpose,
        NarrowingRow.coordinate == coordinate,
        NarrowingRow.step == "WARN",
        NarrowingRow.state == "APPROVED",
    )
    return (await session.execute(query)).scalar()


async def forms_before(session: ReadSession, *, purpose: str, coordinate: str) -> Sequence[str]:
    """In which forms a grant was given before the steps that took something of it, newest first."""
    query = (
        select(NarrowingRow.form_before)
        .where(
            NarrowingRow.purpose == purpose,
            NarrowingRow.coordinate == coordinate,
            NarrowingRow.step.in_(("MASK", "DENY")),
            NarrowingRow.state == "APPROVED",
            NarrowingRow.form_before.is_not(None),
        )
        .order_by(NarrowingRow.bundle_version.desc())
    )
    return [form for form in (await session.execute(query)).scalars() if form is not None]


async def add_uses(session: Session, counts: Mapping[Key, Counts]) -> None:
    """Add counts to those of their days."""
    if not counts:
        return
    rows = [
        {
            "purpose": key.purpose,
            "coordinate": key.coordinate,
            "client": key.client,
            "document": key.document,
            "day": key.day,
            **{name: getattr(value, name) for name in (*COUNTED, "last_at")},
        }
        for key, value in sorted(counts.items())
    ]
    statement = insert(FieldUseRow)
    added: dict[str, Any] = {name: getattr(FieldUseRow, name) + getattr(statement.excluded, name) for name in COUNTED}
    added["last_at"] = func.greatest(FieldUseRow.last_at, statement.excluded.last_at)
    key_columns = ["purpose", "coordinate", "client", "document", "day"]
    await session.execute(statement.on_conflict_do_update(index_elements=key_columns, set_=added), rows)


async def uses(session: ReadSession, *, purpose: str, since: dt.date) -> Sequence[FieldUseRow]:
    """How a purpose's grants were used, day by day since one."""
    query = select(FieldUseRow).where(FieldUseRow.purpose == purpose, FieldUseRow.day >= since)
    return (await session.execute(query)).scalars().all()


async def days_used(session: ReadSession, *, purpose: str, since: dt.date) -> int:
    """On how many days since one a purpose was used."""
    query = select(func.count(FieldUseRow.day.distinct())).where(
        FieldUseRow.purpose == purpose, FieldUseRow.day >= since
    )
    return (await session.execute(query)).scalar_one()


async def purposes_used(session: ReadSession, *, since: dt.date) -> frozenset[str]:
    """Purposes that were used since a day."""
    query = select(FieldUseRow.purpose).where(FieldUseRow.day >= since).distinct()
    return frozenset((await session.execute(query)).scalars())


async def save_finding(session: Session, finding: FindingRow) -> bool:
    """Keep a finding; False where the same entry, or the same thing, gave the same finding before."""
    values = {column.name: getattr(finding, column.name) for column in FindingRow.__table__.columns}
    statement = insert(FindingRow).values(**values).on_conflict_do_nothing().returning(FindingRow.finding_id)
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def findings(
    session: ReadSession, *, before: UUID | None, limit: int, open_only: bool = False
) -> Sequence[tuple[FindingRow, FindingReviewRow | None]]:
    """Findings, newest first, each with what came of it."""
    query = (
        select(FindingRow, FindingReviewRow)
        .outerjoin(FindingReviewRow, FindingReviewRow.finding_id == FindingRow.finding_id)
        .order_by(FindingRow.finding_id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(FindingRow.finding_id < before)
    if open_only:
        query = query.where(FindingReviewRow.finding_id.is_(None))
    return [(finding, review) for finding, review in await session.execute(query)]


async def finding(session: ReadSession, *, finding_id: UUID) -> tuple[FindingRow, FindingReviewRow | None] | None:
    """One finding, with what came of it."""
    row = await session.get(FindingRow, finding_id)
    return (row, await session.get(FindingReviewRow, finding_id)) if row is not None else None


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
