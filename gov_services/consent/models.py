"""Tables of schema `consent`: bundles, relations, childhoods, revisions, what stands. No SQL is built here."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import TIMESTAMP, Index, Integer, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from gov_services.kit.database import Base

_MOMENT = TIMESTAMP(timezone=True)
_ID = Uuid(as_uuid=True)


class BundleRow(Base):
    """A signed bundle of purposes. Append-only; the highest version is in force."""

    __tablename__ = "bundle"
    __table_args__ = {"schema": "consent"}  # noqa: RUF012

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(Text)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    proposed_by: Mapped[str] = mapped_column(Text)
    approved_by: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class RelationRow(Base):
    """A tie between an actor and a citizen, written by the room whose change made it true."""

    __tablename__ = "relation"
    __table_args__ = (Index("ix_relation_actor_id", "citizen_id", "actor_id"), {"schema": "consent"})

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    relation_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    actor_id: Mapped[UUID] = mapped_column(_ID)
    relation: Mapped[str] = mapped_column(Text)
    case_id: Mapped[UUID | None] = mapped_column(_ID)
    since: Mapped[dt.datetime] = mapped_column(_MOMENT)
    until: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class ChildhoodRow(Base):
    """That a citizen is under fourteen, and until when. Stated by identity, which alone knows the birth date."""

    __tablename__ = "childhood"
    __table_args__ = {"schema": "consent"}  # noqa: RUF012

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    until: Mapped[dt.datetime] = mapped_column(_MOMENT)


class RestrictionRow(Base):
    """That a citizen's data may not be processed but for what `Purpose.goes_on` lets pass."""

    __tablename__ = "restriction"
    __table_args__ = {"schema": "consent"}  # noqa: RUF012

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    restriction_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    level: Mapped[str] = mapped_column(Text)
    since: Mapped[dt.datetime] = mapped_column(_MOMENT)
    until: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class RevisionRow(Base):
    """One step in the life of a consent, hashed to the step before. Append-only."""

    __tablename__ = "revision"
    __table_args__ = (Index("ix_revision_revision_id", "revision_id"), {"schema": "consent"})

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    recipient: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    revision_id: Mapped[UUID] = mapped_column(_ID)
    consent_id: Mapped[UUID] = mapped_column(_ID)
    """Names the consent from its first revision on, whatever becomes of it."""
    state: Mapped[str] = mapped_column(Text)
    scope: Mapped[list[str]] = mapped_column(ARRAY(Text))
    forms: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Of each coordinate of the scope, what was consented to."""
    notice_hash: Mapped[bytes] = mapped_column(LargeBinary)
    bundle_version: Mapped[int] = mapped_column(Integer)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    expires_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    uses: Mapped[int | None] = mapped_column(Integer)
    """Most readings since it was given; the next four as well are of a consent that was given."""
    times: Mapped[int | None] = mapped_column(Integer)
    per: Mapped[str | None] = mapped_column(Text)
    """At most so many `times` in a period."""
    keep_days: Mapped[int | None] = mapped_column(Integer)
    """For how long the recipient may keep what it reads. None: from before terms were kept; the purpose's own."""
    given: Mapped[int | None] = mapped_column(Integer)
    """Number of the revision by which it was last given: pausing gives no readings back."""
    guardian_id: Mapped[UUID | None] = mapped_column(_ID)
    """Who decided for a child; None where the citizen did, or nobody."""
    guardian_relation_id: Mapped[UUID | None] = mapped_column(_ID)
    """In which relation: the consent opens nothing once that has ended."""
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class StandingRow(Base):
    """The consent as it stands: a projection of the last revision, there to be read fast."""

    __tablename__ = "standing"
    __table_args__ = (
        Index("ix_standing_consent_id", "consent_id"),
        Index("ix_standing_recipient", "recipient", "consent_id"),
        Index("ix_standing_expires_at", "expires_at", postgresql_where="state IN ('given', 'renewed', 'paused')"),
        Index(
            "ix_standing_uses",
            "uses",
            postgresql_where="uses IS NOT NULL AND state IN ('given', 'renewed', 'paused')",
        ),
        Index(
            "ix_standing_guardian",
            "citizen_id",
            postgresql_where="guardian_relation_id IS NOT NULL AND state IN ('given', 'renewed', 'paused')",
        ),
        {"schema": "consent"},
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    recipient: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    revision_id: Mapped[UUID] = mapped_column(_ID)
    consent_id: Mapped[UUID] = mapped_column(_ID, index=True)
    state: Mapped[str] = mapped_column(Text)
    scope: Mapped[list[str]] = mapped_column(ARRAY(Text))
    forms: Mapped[list[str]] = mapped_column(ARRAY(Text))
    notice_hash: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    uses: Mapped[int | None] = mapped_column(Integer)
    times: Mapped[int | None] = mapped_column(Integer)
    per: Mapped[str | None] = mapped_column(Text)
    keep_days: Mapped[int | None] = mapped_column(Integer)
    given: Mapped[int | None] = mapped_column(Integer)
    guardian_id: Mapped[UUID | None] = mapped_column(_ID)
    guardian_relation_id: Mapped[UUID | None] = mapped_column(_ID)
    head: Mapped[bytes] = mapped_column(LargeBinary)


class ReadingRow(Base):
    """That one request read under a consent whose readings are counted. Append-only; written by `consent.take`."""

    __tablename__ = "reading"
    __table_args__ = {"schema": "consent"}  # noqa: RUF012

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    recipient: Mapped[str] = mapped_column(Text, primary_key=True)
    given: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    request_id: Mapped[str] = mapped_column(Text, primary_key=True)
    taken_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class AttestationRow(Base):
    """That an authority confirmed a value of the citizen's: a keyed tag of it, which finds nobody."""

    __tablename__ = "attestation"
    __table_args__ = {"schema": "consent"}  # noqa: RUF012

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    claim: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    attested_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
