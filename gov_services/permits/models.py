"""Tables of schema `permits`. What tells about a person is sealed under their key. No SQL is built here."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import TIMESTAMP, ForeignKeyConstraint, Index, Integer, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import Identity

from gov_services.crypto.columns import Sealed, SealedColumn
from gov_services.crypto.keys import DataClass
from gov_services.kit.database import Base
from gov_services.subgraph.announcing import Announced

_MOMENT = TIMESTAMP(timezone=True)
_ID = Uuid(as_uuid=True)
_SCHEMA = {"schema": "permits"}


def _sealed(column_id: str, coordinate: str, *, row: str, pad_to: int = 64) -> SealedColumn:
    return SealedColumn(column_id, coordinate=coordinate, data_class=DataClass.PERMITS, row=row, pad_to=pad_to)


BUSINESS_NAME = _sealed("permits.application.business_name", "Application.businessName", row="application_id")
BUSINESS_ADDRESS = _sealed(
    "permits.application.business_address", "Application.businessAddress", row="application_id", pad_to=128
)
SCOPE = _sealed("permits.application.scope", "Application.scope", row="application_id", pad_to=256)
APPLICANT_NAME = _sealed("permits.application.applicant_name", "Application.applicantName", row="application_id")
CORRECTION_NOTE = _sealed("permits.correction.note", "Correction.note", row="correction_id", pad_to=128)
CREDENTIAL = _sealed("permits.licence.credential", "Licence.credential", row="licence_id", pad_to=256)
DOCUMENT_CONTENT = _sealed("permits.document.content", "ApplicationDocument.content", row="document_id", pad_to=4096)


def _to_application() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["citizen_id", "application_id"], ["permits.application.citizen_id", "permits.application.application_id"]
    )


class TransitionRow(Base):
    """One edge of the life cycle, for the database to refuse what is none. Append-only."""

    __tablename__ = "transition"
    __table_args__ = _SCHEMA

    state_before: Mapped[str] = mapped_column(Text, primary_key=True)
    event: Mapped[str] = mapped_column(Text, primary_key=True)
    state_after: Mapped[str] = mapped_column(Text)


class ServiceRow(Base):
    """One matter of the catalogue (事项), as the reviewed file has it."""

    __tablename__ = "service"
    __table_args__ = _SCHEMA

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    edition: Mapped[int] = mapped_column(Integer)
    titles: Mapped[dict[str, str]] = mapped_column(JSONB)
    fee_titles: Mapped[dict[str, str]] = mapped_column(JSONB)
    documents: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    fee_fen: Mapped[int] = mapped_column(Integer)
    statutory_working_days: Mapped[int] = mapped_column(Integer)
    legal_basis: Mapped[str] = mapped_column(Text)
    agency: Mapped[str] = mapped_column(Text)
    division: Mapped[str] = mapped_column(Text)
    loaded_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class OfficerRow(Base):
    """A member of staff who may be given cases. This room's projection of identity's staff."""

    __tablename__ = "officer"
    __table_args__ = _SCHEMA

    staff_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    office: Mapped[str] = mapped_column(Text)
    noted_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class ApplicationRow(Base):
    """One application (办件). `moves` counts its steps; each step is an edge of the life cycle."""

    announced: ClassVar = Announced("applicationChanged", by="application_id")

    __tablename__ = "application"
    __table_args__ = (
        ForeignKeyConstraint(["service_code"], ["permits.service.code"]),
        Index("ix_application_application_id", "application_id"),
        Index("ix_application_officer_id", "officer_id", "application_id"),
        Index("ix_application_approver_id", "approver_id", "application_id"),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    application_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    service_code: Mapped[str] = mapped_column(Text)
    business_name: Mapped[Sealed] = mapped_column(BUSINESS_NAME)
    business_address: Mapped[Sealed] = mapped_column(BUSINESS_ADDRESS)
    scope: Mapped[Sealed] = mapped_column(SCOPE)
    applicant_name: Mapped[Sealed] = mapped_column(APPLICANT_NAME)
    state: Mapped[str] = mapped_column(Text)
    event: Mapped[str] = mapped_column(Text)
    moves: Mapped[int] = mapped_column(Integer)
    moved_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    moved_by_kind: Mapped[str] = mapped_column(Text)
    moved_by: Mapped[UUID | None] = mapped_column(_ID)
    """The staff member who made the step; None for the applicant and for the system."""
    officer_id: Mapped[UUID | None] = mapped_column(_ID)
    approver_id: Mapped[UUID | None] = mapped_column(_ID)
    recommended_by: Mapped[UUID | None] = mapped_column(_ID)
    decided_by: Mapped[UUID | None] = mapped_column(_ID)
    started_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    submitted_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    accepted_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    due_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    remaining_working_days: Mapped[int | None] = mapped_column(Integer)
    """What is left of the statutory time while it stands still."""
    bill_id: Mapped[UUID | None] = mapped_column(_ID)
    fee_fen: Mapped[int | None] = mapped_column(Integer)
    rejection: Mapped[str | None] = mapped_column(Text)


class TimelineRow(Base):
    """One step of an application, written by the database with the step itself. Append-only."""

    __tablename__ = "timeline"
    __table_args__ = (_to_application(), _SCHEMA)

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    application_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    event: Mapped[str] = mapped_column(Text)
    state_before: Mapped[str] = mapped_column(Text)
    state_after: Mapped[str] = mapped_column(Text)
    at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    by_kind: Mapped[str] = mapped_column(Text)
    by_id: Mapped[UUID | None] = mapped_column(_ID)


class CorrectionRow(Base):
    """A request to put one named field right (补正通知)."""

    announced: ClassVar = Announced("applicationChanged", by="application_id")

    __tablename__ = "correction"
    __table_args__ = (
        _to_application(),
        Index(
            "uq_correction_open",
            "citizen_id",
            "application_id",
            unique=True,
            postgresql_where=text("corrected_at IS NULL"),
        ),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    correction_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    application_id: Mapped[UUID] = mapped_column(_ID)
    field: Mapped[str] = mapped_column(Text)
    note: Mapped[Sealed | None] = mapped_column(CORRECTION_NOTE)
    requested_by: Mapped[UUID] = mapped_column(_ID)
    requested_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    corrected_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class DocumentRow(Base):
    """A document of an application; its content lies sealed in a file of that id (files.py)."""

    announced: ClassVar = Announced("applicationChanged", by="application_id")

    __tablename__ = "document"
    __table_args__ = (
        _to_application(),
        Index("ix_document_document_id", "document_id"),
        Index("ix_document_application_id", "citizen_id", "application_id"),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    document_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    application_id: Mapped[UUID] = mapped_column(_ID)
    kind: Mapped[str] = mapped_column(Text)
    requested_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    media_type: Mapped[str | None] = mapped_column(Text)
    size_bytes: Mapped[int | None] = mapped_column(Integer)
    stored_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class SettlementRow(Base):
    """That a fee was paid: this room's projection of payments' fact. Append-only."""

    __tablename__ = "settlement"
    __table_args__ = _SCHEMA

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    bill_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    application_id: Mapped[UUID] = mapped_column(_ID)
    amount_fen: Mapped[int] = mapped_column(Integer)
    settled_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class RefundRow(Base):
    """That a fee is on its way back, or was: this room's projection of payments' facts, which may come in any order."""

    __tablename__ = "refund"
    __table_args__ = (Index("ix_refund_bill_id", "citizen_id", "bill_id"), _SCHEMA)

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    refund_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    bill_id: Mapped[UUID] = mapped_column(_ID)
    ended_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class RegisterRow(Base):
    """The public register: a licence's number and whether it holds. It names no citizen."""

    __tablename__ = "register"
    __table_args__ = (UniqueConstraint("status_index"), _SCHEMA)

    number: Mapped[str] = mapped_column(Text, primary_key=True)
    status_index: Mapped[int] = mapped_column(Integer, Identity(always=True, start=0, minvalue=0))
    """Its place in the published status list."""
    status: Mapped[str] = mapped_column(Text)
    entered_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    ended_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class LicenceRow(Base):
    """A licence, as its holder has it: a signed credential. Append-only."""

    announced: ClassVar = Announced("applicationChanged", by="application_id")

    __tablename__ = "licence"
    __table_args__ = (
        _to_application(),
        ForeignKeyConstraint(["number"], ["permits.register.number"]),
        UniqueConstraint("citizen_id", "application_id"),
        UniqueConstraint("citizen_id", "number"),
        Index("ix_licence_licence_id", "licence_id"),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    licence_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    application_id: Mapped[UUID] = mapped_column(_ID)
    number: Mapped[str] = mapped_column(Text)
    credential: Mapped[Sealed] = mapped_column(CREDENTIAL)
    issued_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class FileBase(DeclarativeBase):
    """For rows that are files: declared as tables are, so that a Disclosure opens them; no table of PostgreSQL's."""


class DocumentContent(FileBase):
    """The content of a document: one sealed value in a file, base64 text before it was sealed."""

    __tablename__ = "document_content"

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    document_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    content: Mapped[Sealed] = mapped_column(DOCUMENT_CONTENT)
