"""All SQL of `permits`, one statement a function. It decides nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from gov_services.kit.database import ReadSession, Session
from gov_services.permits.lifecycle import OPEN
from gov_services.permits.models import (
    ApplicationRow,
    CorrectionRow,
    DocumentRow,
    LicenceRow,
    OfficerRow,
    RefundRow,
    RegisterRow,
    ServiceRow,
    SettlementRow,
    TimelineRow,
)

Case = tuple[UUID, UUID]
"""Citizen id and application id."""


async def application(session: ReadSession, *, application_id: UUID) -> ApplicationRow | None:
    """The application, whosever it is."""
    query = select(ApplicationRow).where(ApplicationRow.application_id == application_id)
    return (await session.execute(query)).scalar_one_or_none()


async def applications_by_id(session: ReadSession, *, ids: Sequence[UUID]) -> Sequence[ApplicationRow]:
    """Those of the applications that there are."""
    query = select(ApplicationRow).where(ApplicationRow.application_id.in_(ids))
    return (await session.execute(query)).scalars().all()


async def application_for_update(session: Session, *, citizen_id: UUID, application_id: UUID) -> ApplicationRow | None:
    """The citizen's application, locked until the transaction ends. Whatever moves one locks it first."""
    query = (
        select(ApplicationRow)
        .where(ApplicationRow.citizen_id == citizen_id, ApplicationRow.application_id == application_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def applications(
    session: ReadSession, *, citizen_id: UUID, before: UUID | None, limit: int
) -> Sequence[ApplicationRow]:
    """A citizen's applications, newest first: ids are in the order in which they were begun."""
    query = select(ApplicationRow).where(ApplicationRow.citizen_id == citizen_id)
    if before is not None:
        query = query.where(ApplicationRow.application_id < before)
    return (await session.execute(query.order_by(ApplicationRow.application_id.desc()).limit(limit))).scalars().all()


async def caseload(
    session: ReadSession, *, staff_id: UUID, states: Collection[str], after: UUID | None, limit: int
) -> Sequence[ApplicationRow]:
    """The cases that lie with a member of staff, the oldest first."""
    query = select(ApplicationRow).where(
        or_(ApplicationRow.officer_id == staff_id, ApplicationRow.approver_id == staff_id),
        ApplicationRow.state.in_(states),
    )
    if after is not None:
        query = query.where(ApplicationRow.application_id > after)
    return (await session.execute(query.order_by(ApplicationRow.application_id).limit(limit))).scalars().all()


async def least_burdened(session: Session, *, role: str, excluded: Collection[UUID]) -> UUID | None:
    """Who of those with `role`, but `excluded`, has the fewest open cases; None where there is nobody.

    They keep the role until the transaction ends: else a case could come to somebody who has just lost it.
    """
    burden = (
        select(func.count())
        .select_from(ApplicationRow)
        .where(
            or_(ApplicationRow.officer_id == OfficerRow.staff_id, ApplicationRow.approver_id == OfficerRow.staff_id),
            ApplicationRow.state.in_(OPEN),
        )
        .correlate(OfficerRow)
        .scalar_subquery()
    )
    query = (
        select(OfficerRow.staff_id)
        .where(OfficerRow.roles.contains([role]), OfficerRow.staff_id.not_in(excluded))
        .order_by(burden, OfficerRow.staff_id)
        .limit(1)
        .with_for_update(read=True, of=OfficerRow)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def unassigned(
    session: ReadSession, *, officer: str, others: Collection[str], role: str, states: Collection[str], limit: int
) -> Sequence[Case]:
    """Cases in `states` whose `officer` (a column) is nobody yet though somebody with `role` may be, the oldest first.

    Whoever stands in the case's `others` (columns) may not.
    """
    apart = [OfficerRow.staff_id.is_distinct_from(getattr(ApplicationRow, other)) for other in others]
    somebody = exists().where(OfficerRow.roles.contains([role]), *apart)
    query = (
        select(ApplicationRow.citizen_id, ApplicationRow.application_id)
        .where(ApplicationRow.state.in_(states), getattr(ApplicationRow, officer).is_(None), somebody)
        .order_by(ApplicationRow.application_id)
        .limit(limit)
    )
    return [(row.citizen_id, row.application_id) for row in (await session.execute(query)).all()]


async def keep_officer(
    session: Session, *, staff_id: UUID, roles: Sequence[str], office: str, told_at: dt.datetime
) -> bool:
    """Note a member of staff as identity says they are; False where something later was noted already."""
    values = {"roles": list(roles), "office": office, "noted_at": told_at}
    statement = (
        insert(OfficerRow)
        .values(staff_id=staff_id, **values)
        .on_conflict_do_update(index_elements=["staff_id"], set_=values, where=OfficerRow.noted_at <= told_at)
        .returning(OfficerRow.staff_id)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def release_cases(session: Session, *, staff_id: UUID, officer: str) -> Sequence[Case]:
    """Take the open cases whose `officer` (a column) is this member of staff from them; which they are."""
    held = (
        select(ApplicationRow.citizen_id, ApplicationRow.application_id)
        .where(getattr(ApplicationRow, officer) == staff_id, ApplicationRow.state.in_(OPEN))
        .order_by(ApplicationRow.citizen_id, ApplicationRow.application_id)
        .with_for_update()
    )
    cases = [(row.citizen_id, row.application_id) for row in (await session.execute(held)).all()]
    await session.execute(
        update(ApplicationRow)
        .where(tuple_(ApplicationRow.citizen_id, ApplicationRow.application_id).in_(cases))
        .values({officer: None})
    )
    return cases


async def keep_service(session: Session, *, columns: Mapping[str, Any], now: dt.datetime) -> None:
    """Write a matter of the catalogue, if its edition is newer than the stored one. Most often it writes nothing.

    An older process, during a rolling update, puts no older text back. Another text under a stored edition is not
    written either: what applicants were shown first under that number stands, whichever process comes last.
    """
    values = {**columns, "loaded_at": now}
    # Not by the conflict alone: that would lock the row, and every applicant would wait for the one before.
    there = exists().where(ServiceRow.code == columns["code"], ServiceRow.edition >= columns["edition"])
    row = select(*(literal(value, ServiceRow.__table__.c[name].type) for name, value in values.items())).where(~there)
    statement = insert(ServiceRow).from_select(list(values), row)
    changed = {name: statement.excluded[name] for name in values if name != "code"}
    newer = ServiceRow.edition < statement.excluded.edition
    await session.execute(statement.on_conflict_do_update(index_elements=["code"], set_=changed, where=newer))


async def service(session: ReadSession, *, code: str) -> ServiceRow:
    """A matter of the catalogue under which somebody applied."""
    return (await session.execute(select(ServiceRow).where(ServiceRow.code == code))).scalar_one()


async def open_correction(session: ReadSession, *, citizen_id: UUID, application_id: UUID) -> CorrectionRow | None:
    """What has been asked for and is not put right yet; there is one at most."""
    query = select(CorrectionRow).where(
        CorrectionRow.citizen_id == citizen_id,
        CorrectionRow.application_id == application_id,
        CorrectionRow.corrected_at.is_(None),
    )
    return (await session.execute(query)).scalar_one_or_none()


async def open_corrections(session: ReadSession, *, cases: Sequence[Case]) -> Sequence[CorrectionRow]:
    """The open corrections of these cases."""
    query = select(CorrectionRow).where(
        tuple_(CorrectionRow.citizen_id, CorrectionRow.application_id).in_(cases), CorrectionRow.corrected_at.is_(None)
    )
    return (await session.execute(query)).scalars().all()


async def documents(session: ReadSession, *, cases: Sequence[Case]) -> Sequence[DocumentRow]:
    """The stored documents of these cases, in the order in which they were asked for."""
    query = (
        select(DocumentRow)
        .where(
            tuple_(DocumentRow.citizen_id, DocumentRow.application_id).in_(cases), DocumentRow.stored_at.is_not(None)
        )
        .order_by(DocumentRow.document_id)
    )
    return (await session.execute(query)).scalars().all()


async def count_documents(
    session: ReadSession, *, citizen_id: UUID, application_id: UUID, asked_after: dt.datetime
) -> int:
    """How many documents one application has, with those that were asked for since and may still come."""
    query = (
        select(func.count())
        .select_from(DocumentRow)
        .where(
            DocumentRow.citizen_id == citizen_id,
            DocumentRow.application_id == application_id,
            or_(DocumentRow.stored_at.is_not(None), DocumentRow.requested_at > asked_after),
        )
    )
    return (await session.execute(query)).scalar_one()


async def document(session: ReadSession, *, document_id: UUID) -> DocumentRow | None:
    """The document, whosever it is."""
    return (
        await session.execute(select(DocumentRow).where(DocumentRow.document_id == document_id))
    ).scalar_one_or_none()


async def document_for_update(session: Session, *, citizen_id: UUID, document_id: UUID) -> DocumentRow:
    """The document, locked and read anew."""
    query = (
        select(DocumentRow)
        .where(DocumentRow.citizen_id == citizen_id, DocumentRow.document_id == document_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.execute(query)).scalar_one()


async def timelines(session: ReadSession, *, cases: Sequence[Case]) -> Sequence[TimelineRow]:
    """Every step of these cases, in order."""
    query = (
        select(TimelineRow)
        .where(tuple_(TimelineRow.citizen_id, TimelineRow.application_id).in_(cases))
        .order_by(TimelineRow.application_id, TimelineRow.number)
    )
    return (await session.execute(query)).scalars().all()


async def keep_refund(
    session: Session, *, citizen_id: UUID, refund_id: UUID, bill_id: UUID, ended_at: dt.datetime | None
) -> None:
    """Note that a refund began or ended; one that has ended does not begin again."""
    statement = insert(RefundRow).values(citizen_id=citizen_id, refund_id=refund_id, bill_id=bill_id, ended_at=ended_at)
    known = {"ended_at": func.coalesce(RefundRow.ended_at, statement.excluded.ended_at)}
    await session.execute(statement.on_conflict_do_update(index_elements=["citizen_id", "refund_id"], set_=known))


async def is_on_its_way_back(session: ReadSession, *, citizen_id: UUID, bill_id: UUID) -> bool:
    """Whether a refund of the bill has begun and not ended."""
    query = select(RefundRow.refund_id).where(
        RefundRow.citizen_id == citizen_id, RefundRow.bill_id == bill_id, RefundRow.ended_at.is_(None)
    )
    return (await session.execute(query.limit(1))).scalar_one_or_none() is not None


async def keep_settlement(
    session: Session,
    *,
    citizen_id: UUID,
    bill_id: UUID,
    application_id: UUID,
    amount_fen: int,
    settled_at: dt.datetime,
) -> None:
    """Note that a bill was paid; a second word of it changes nothing."""
    statement = insert(SettlementRow).values(
        citizen_id=citizen_id,
        bill_id=bill_id,
        application_id=application_id,
        amount_fen=amount_fen,
        settled_at=settled_at,
    )
    await session.execute(statement.on_conflict_do_nothing())


async def enter_register(session: Session, *, number: str, now: dt.datetime) -> int | None:
    """Enter a number as valid; its place in the status list, or None where the number is taken."""
    statement = (
        insert(RegisterRow)
        .values(number=number, status="valid", entered_at=now)
        .on_conflict_do_nothing(index_elements=["number"])
        .returning(RegisterRow.status_index)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def end_registration(session: Session, *, number: str, now: dt.datetime) -> None:
    """The licence of this number holds no more."""
    await session.execute(
        update(RegisterRow).where(RegisterRow.number == number).values(status="surrendered", ended_at=now)
    )


async def registered(session: ReadSession, *, number: str) -> RegisterRow | None:
    """What the public register says of a number."""
    return (await session.execute(select(RegisterRow).where(RegisterRow.number == number))).scalar_one_or_none()


async def register_state(session: ReadSession) -> tuple[int, Sequence[int]]:
    """How long the status list is, and which of its places have ended."""
    size = (await session.execute(select(func.max(RegisterRow.status_index)))).scalar_one()
    query = select(RegisterRow.status_index).where(RegisterRow.status != "valid")
    ended = (await session.execute(query)).scalars().all()
    return (0 if size is None else size + 1), ended


async def licence(session: ReadSession, *, licence_id: UUID) -> tuple[LicenceRow, RegisterRow] | None:
    """The licence, whosever it is, with what the register says of it."""
    query = (
        select(LicenceRow, RegisterRow)
        .join(RegisterRow, RegisterRow.number == LicenceRow.number)
        .where(LicenceRow.licence_id == licence_id)
    )
    found = (await session.execute(query)).one_or_none()
    return (found[0], found[1]) if found else None


async def licences(session: ReadSession, *, cases: Sequence[Case]) -> list[tuple[LicenceRow, RegisterRow]]:
    """The licences that came of these cases."""
    query = (
        select(LicenceRow, RegisterRow)
        .join(RegisterRow, RegisterRow.number == LicenceRow.number)
        .where(tuple_(LicenceRow.citizen_id, LicenceRow.application_id).in_(cases))
    )
    return [(found[0], found[1]) for found in (await session.execute(query)).all()]
