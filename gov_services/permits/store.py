"""All SQL of `permits`, one statement a function. It decides nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from gov_services.kit.database import ReadSession, Session
from gov_services.permits.lifecycle import OPEN
from gov_services.permits.models import (
    ApplicationRow,
    CorrectionRow,
    DocumentRow,
    LicenceRow,
    OfficerRow,
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


async def least_burdened(session: ReadSession, *, role: str, excluded: UUID | None) -> UUID | None:
    """Who of those with `role`, but `excluded`, has the fewest open cases; None where there is nobody."""
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
    query = select(OfficerRow.staff_id).where(OfficerRow.roles.contains([role]))
    if excluded is not None:
        query = query.where(OfficerRow.staff_id != excluded)
    return (await session.execute(query.order_by(burden, OfficerRow.staff_id).limit(1))).scalar_one_or_none()


async def unassigned(session: ReadSession, *, officer: str, states: Collection[str], limit: int) -> Sequence[Case]:
    """Cases in `states` whose `officer` (a column) is nobody yet, the oldest first."""
    query = (
        select(ApplicationRow.citizen_id, ApplicationRow.application_id)
        .where(ApplicationRow.state.in_(states), getattr(ApplicationRow, officer).is_(None))
        .order_by(ApplicationRow.application_id)
        .limit(limit)
    )
    return [(row.citizen_id, row.application_id) for row in (await session.execute(query)).all()]


async def keep_officer(
    session: Session, *, staff_id: UUID, roles: Sequence[str], office: str, now: dt.datetime
) -> None:
    """Note a member of staff as identity says they are."""
    values = {"roles": list(roles), "office": office, "noted_at": now}
    statement = insert(OfficerRow).values(staff_id=staff_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["staff_id"], set_=values))


async def keep_service(session: Session, *, columns: Mapping[str, Any], now: dt.datetime) -> None:
    """Write a matter of the catalogue as it is in force now."""
    values = {**columns, "loaded_at": now}
    statement = insert(ServiceRow).values(**values)
    changed = {name: value for name, value in values.items() if name != "code"}
    await session.execute(statement.on_conflict_do_update(index_elements=["code"], set_=changed))


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


async def count_documents(session: ReadSession, *, citizen_id: UUID, application_id: UUID) -> int:
    """How many uploads were asked for in one application."""
    query = (
        select(func.count())
        .select_from(DocumentRow)
        .where(DocumentRow.citizen_id == citizen_id, DocumentRow.application_id == application_id)
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
