"""Tables of schema `privacy`: tags, ids, coordinates, counts; and people's own words, sealed. No SQL is built here."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Boolean,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from gov_services.crypto.columns import Sealed, SealedColumn
from gov_services.crypto.keys import DataClass
from gov_services.kit.database import Base

_MOMENT = TIMESTAMP(timezone=True)
_ID = Uuid(as_uuid=True)
RIGHT_TEXT = SealedColumn(
    "privacy.right_request.text",
    coordinate="RightRequest.text",
    data_class=DataClass.AUDIT,
    row="request_id",
    pad_to=256,
)
RIGHT_ANSWER = SealedColumn(
    "privacy.right_request.answer",
    coordinate="RightRequest.answer",
    data_class=DataClass.AUDIT,
    row="request_id",
    pad_to=256,
)


class SubjectRow(Base):
    """Which citizen a tag of the log stands for, so that they can be told of what was read."""

    __tablename__ = "subject"
    __table_args__ = (Index("ix_subject_tag", "tag"), {"schema": "privacy"})

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    tag: Mapped[bytes] = mapped_column(LargeBinary)
    since: Mapped[dt.datetime] = mapped_column(_MOMENT)


class HeldClassRow(Base):
    """That another room's fact has a law keep a class of a citizen's data, and since when. A later fact moves it on."""

    __tablename__ = "held_class"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    data_class: Mapped[str] = mapped_column(Text, primary_key=True)
    since: Mapped[dt.datetime] = mapped_column(_MOMENT)


class NarrowingRow(Base):
    """A proposal to take a grant away or to mask it, with the evidence that it rests on."""

    __tablename__ = "narrowing"
    __table_args__ = (
        Index("uq_narrowing_open", "purpose", "coordinate", unique=True, postgresql_where="state = 'PROPOSED'"),
        {"schema": "privacy"},
    )

    narrowing_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text)
    coordinate: Mapped[str] = mapped_column(Text)
    form: Mapped[str | None] = mapped_column(Text)
    """What is granted after it; None where nothing is."""
    form_before: Mapped[str | None] = mapped_column(Text)
    step: Mapped[str] = mapped_column(Text)
    urgent: Mapped[bool] = mapped_column(Boolean)
    """Without the warning that would be due, for a reason that the note states."""
    refuses: Mapped[int] = mapped_column(BigInteger)
    """Accesses of the evidence's window that would have got less."""
    note: Mapped[str] = mapped_column(Text)
    declared: Mapped[int] = mapped_column(Integer)
    opened: Mapped[int] = mapped_column(Integer)
    since: Mapped[dt.datetime] = mapped_column(_MOMENT)
    state: Mapped[str] = mapped_column(Text)
    proposed_by: Mapped[UUID] = mapped_column(_ID)
    proposed_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    decided_by: Mapped[UUID | None] = mapped_column(_ID)
    decided_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    bundle_version: Mapped[int | None] = mapped_column(Integer)


class PurposeDraftRow(Base):
    """A purpose that is not in force yet: as it is written, what was assessed, who decided."""

    __tablename__ = "purpose_draft"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    draft_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    definition: Mapped[str] = mapped_column(Text)
    replaces: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Hash of the purpose that was in force when it was written; None for a new one."""
    note: Mapped[str] = mapped_column(Text)
    assessment_id: Mapped[str | None] = mapped_column(Text)
    assessment: Mapped[str | None] = mapped_column(Text)
    assessed_by: Mapped[UUID | None] = mapped_column(_ID)
    state: Mapped[str] = mapped_column(Text)
    made_by: Mapped[UUID] = mapped_column(_ID)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    decided_by: Mapped[UUID | None] = mapped_column(_ID)
    decided_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    bundle_version: Mapped[int | None] = mapped_column(Integer)


class FindingRow(Base):
    """Something in the log that an officer has to look into. Append-only."""

    __tablename__ = "finding"
    __table_args__ = (
        Index("uq_finding_entry_id_kind", "entry_id", "kind", unique=True, postgresql_where="entry_id IS NOT NULL"),
        Index("uq_finding_about_kind", "about", "kind", unique=True, postgresql_where="entry_id IS NULL"),
        {"schema": "privacy"},
    )

    finding_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(Text)
    entry_id: Mapped[UUID | None] = mapped_column(_ID)
    about: Mapped[str] = mapped_column(Text)
    """What it is about where no one entry shows it; else empty."""
    office: Mapped[str | None] = mapped_column(Text)
    """Of the actor: nobody from there looks into it."""
    due_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    """By when somebody has to have looked into it."""
    found_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class FindingReviewRow(Base):
    """That an officer looked into a finding, and what it came to. Append-only, once a finding."""

    __tablename__ = "finding_review"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    finding_id: Mapped[UUID] = mapped_column(_ID, ForeignKey("privacy.finding.finding_id"), primary_key=True)
    fault: Mapped[bool] = mapped_column(Boolean)
    note: Mapped[str] = mapped_column(Text)
    reviewed_by: Mapped[UUID] = mapped_column(_ID)
    reviewed_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class FieldUseRow(Base):
    """How a grant was used on one day by one client's document: counted from the log, and from it again if need be."""

    __tablename__ = "field_use"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    coordinate: Mapped[str] = mapped_column(Text, primary_key=True)
    client: Mapped[str] = mapped_column(Text, primary_key=True)
    document: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[dt.date] = mapped_column(Date, primary_key=True)
    declared: Mapped[int] = mapped_column(BigInteger)
    masked: Mapped[int] = mapped_column(BigInteger)
    opened: Mapped[int] = mapped_column(BigInteger)
    used: Mapped[int] = mapped_column(BigInteger)
    """Told by the client: shown to, or worked with by, a person."""
    withheld: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class ErasureRow(Base):
    """That a citizen's keys were destroyed: which classes, and which stay until when. Append-only, once a citizen.

    It is replayed after a restore.
    """

    __tablename__ = "erasure"
    __table_args__ = (UniqueConstraint("citizen_id"), {"schema": "privacy"})

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    erasure_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    destroyed: Mapped[list[str]] = mapped_column(ARRAY(Text))
    kept: Mapped[list[str]] = mapped_column(ARRAY(Text))
    kept_until: Mapped[list[dt.datetime]] = mapped_column(ARRAY(_MOMENT))
    """Of each of `kept`, in its order."""


class KeptClassRow(Base):
    """Until when a class is kept of somebody who was erased. The term moves on, and ends once, with its keys."""

    __tablename__ = "kept_class"
    __table_args__ = (
        Index("ix_kept_class_until", "until", postgresql_where="ended_at IS NULL"),
        {"schema": "privacy"},
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    data_class: Mapped[str] = mapped_column(Text, primary_key=True)
    until: Mapped[dt.datetime] = mapped_column(_MOMENT)
    ended_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class PartyReadingRow(Base):
    """When a relying party last read about a citizen for a purpose: followed from the log."""

    __tablename__ = "party_reading"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    recipient: Mapped[str] = mapped_column(Text, primary_key=True)
    last_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class DeletionRow(Base):
    """That a party attested to have deleted what it read under a consent. Append-only, once for each giving of it."""

    __tablename__ = "deletion"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    consent_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    given: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Number of the revision by which the consent was last given."""
    recipient: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(Text)
    deleted_on: Mapped[dt.date] = mapped_column(Date)
    attested_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class ConsentRequestRow(Base):
    """What a relying party asks consent for. Of nobody, until a citizen has scanned its code."""

    __tablename__ = "consent_request"
    __table_args__ = (
        UniqueConstraint("code_digest"),
        Index("ix_consent_request_citizen_id", "citizen_id", postgresql_where="state = 'RECEIVED'"),
        Index("ix_consent_request_until", "until", postgresql_where="state IN ('OPEN', 'RECEIVED')"),
        {"schema": "privacy"},
    )

    request_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    recipient: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(Text)
    scope: Mapped[list[str]] = mapped_column(ARRAY(Text))
    days: Mapped[int] = mapped_column(Integer)
    uses: Mapped[int | None] = mapped_column(Integer)
    times: Mapped[int | None] = mapped_column(Integer)
    per: Mapped[str | None] = mapped_column(Text)
    keep_days: Mapped[int] = mapped_column(Integer)
    code_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    citizen_id: Mapped[UUID | None] = mapped_column(_ID)
    silent: Mapped[bool] = mapped_column(Boolean)
    """Shown to nobody: the party asks on after a refusal, or for somebody whom it has no business to ask."""
    state: Mapped[str] = mapped_column(Text)
    consent_id: Mapped[UUID | None] = mapped_column(_ID)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    until: Mapped[dt.datetime] = mapped_column(_MOMENT)


class RightRequestRow(Base):
    """What a person asks for under their rights, in their own words, and what they were answered."""

    __tablename__ = "right_request"
    __table_args__ = (
        Index("ix_right_request_waiting", "made_at", postgresql_where="state IN ('RECEIVED', 'TAKEN')"),
        {"schema": "privacy"},
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    request_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    about: Mapped[str] = mapped_column(Text)
    text: Mapped[Sealed] = mapped_column(RIGHT_TEXT)
    state: Mapped[str] = mapped_column(Text)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    due_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    taken_by: Mapped[UUID | None] = mapped_column(_ID)
    taken_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    reason: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[Sealed | None] = mapped_column(RIGHT_ANSWER)
    answered_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class BreachRow(Base):
    """A breach of personal data: what is told of it, and what was done by when. It names nobody whose data it was."""

    __tablename__ = "breach"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    breach_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    grade: Mapped[str] = mapped_column(Text)
    kinds: Mapped[str] = mapped_column(Text)
    cause: Mapped[str] = mapped_column(Text)
    harm: Mapped[str] = mapped_column(Text)
    measures: Mapped[str] = mapped_column(Text)
    advice: Mapped[str] = mapped_column(Text)
    contact: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    since: Mapped[dt.datetime] = mapped_column(_MOMENT)
    until: Mapped[dt.datetime] = mapped_column(_MOMENT)
    found_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    entered_by: Mapped[UUID] = mapped_column(_ID)
    report_due_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    reported_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    report_number: Mapped[str | None] = mapped_column(Text)
    people: Mapped[int | None] = mapped_column(Integer)
    told_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    not_told_because: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)


class DirectiveRow(Base):
    """What a citizen directs about requests that relatives make after their death (PIPL 49). Append-only revisions."""

    __tablename__ = "directive"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    choice: Mapped[str] = mapped_column(Text)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class ComplianceAuditRow(Base):
    """A compliance audit that was done: when, by which body, the hash of its report (PIPL 54). Append-only."""

    __tablename__ = "compliance_audit"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    audit_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    done_on: Mapped[dt.date] = mapped_column(Date)
    auditor: Mapped[str] = mapped_column(Text)
    report_hash: Mapped[bytes] = mapped_column(LargeBinary)
    entered_by: Mapped[UUID] = mapped_column(_ID)
    entered_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class WatermarkRow(Base):
    """The number of the log entry up to which a job has read."""

    __tablename__ = "watermark"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    job: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
