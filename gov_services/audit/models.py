"""Tables of schema `audit`: head, entries, those that wait, tree, checkpoints, map of subjects. No SQL here."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gov_services.kit.database import Base

_MOMENT = TIMESTAMP(timezone=True)
_ID = Uuid(as_uuid=True)


class HeadRow(Base):
    """The one row whose lock gives out numbers. `log_id` tells this log from one begun anew."""

    __tablename__ = "head"
    __table_args__ = {"schema": "audit"}  # noqa: RUF012

    singleton: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    log_id: Mapped[UUID] = mapped_column(_ID)
    next: Mapped[int] = mapped_column(BigInteger)
    chained_from: Mapped[int] = mapped_column(BigInteger)
    """Entries of lower numbers are older than the writers' chains."""
    unsigned_since: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    """Since when something may wait to be under a checkpoint."""


class EntryRow(Base):
    """A numbered entry. `body` is what counts."""

    __tablename__ = "entry"
    __table_args__ = (UniqueConstraint("id"), {"schema": "audit"})

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(_ID)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    commitment: Mapped[bytes] = mapped_column(LargeBinary)
    writer: Mapped[UUID | None] = mapped_column(_ID)
    """Whose chain lists it; None for what was numbered before there were chains."""
    voucher: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Its writer's signature, where it waited in a change's transaction."""


class DescriptionRow(Base):
    """What a numbered entry says, for searching: worked out by the database, moments after the entry is durable."""

    __tablename__ = "description"
    __table_args__ = (
        Index("ix_description_subject_tag", "subject_tag", "seq", postgresql_where="subject_tag IS NOT NULL"),
        Index("ix_description_actor", "actor", "seq"),
        Index("ix_description_client", "client", "seq"),
        Index("ix_description_purpose", "purpose", "seq"),
        Index("ix_description_asked", "purpose", "at", postgresql_where="kind IN ('read', 'refusal')"),
        Index("ix_description_coordinates", "coordinates", postgresql_using="gin"),
        Index("ix_description_at", "at", postgresql_using="brin"),
        Index("ix_description_refused", "seq", postgresql_where="outcome = 'refused'"),
        {"schema": "audit"},
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(_ID)
    at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    room: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    client: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    code: Mapped[str | None] = mapped_column(Text)
    office: Mapped[str | None] = mapped_column(Text)
    request: Mapped[str] = mapped_column(Text)
    subject_tag: Mapped[bytes | None] = mapped_column(LargeBinary)
    object: Mapped[str | None] = mapped_column(Text)
    case_id: Mapped[UUID | None] = mapped_column(_ID)
    coordinates: Mapped[list[str]] = mapped_column(ARRAY(Text))
    forms: Mapped[list[str]] = mapped_column(ARRAY(Text))


class _Views(DeclarativeBase):
    """Apart from the tables: what a view shows is no table to be migrated."""


class DescribedRow(_Views):
    """The view over every numbered entry: its description, and until that is written, what it will be."""

    __table__ = Table(
        "described",
        _Views.metadata,
        *(Column(column.name, column.type, primary_key=column.primary_key) for column in DescriptionRow.__table__.c),
        schema="audit",
    )
    if TYPE_CHECKING:
        seq: Mapped[int]
        id: Mapped[UUID]
        at: Mapped[dt.datetime]
        room: Mapped[str]
        kind: Mapped[str]
        action: Mapped[str]
        actor: Mapped[str]
        client: Mapped[str]
        purpose: Mapped[str]
        outcome: Mapped[str]
        code: Mapped[str | None]
        office: Mapped[str | None]
        request: Mapped[str]
        subject_tag: Mapped[bytes | None]
        object: Mapped[str | None]
        case_id: Mapped[UUID | None]
        coordinates: Mapped[list[str]]
        forms: Mapped[list[str]]


class WriterRow(Base):
    """A process that appends, and the key that it signs by."""

    __tablename__ = "writer"
    __table_args__ = {"schema": "audit"}  # noqa: RUF012

    id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    room: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    signature: Mapped[bytes] = mapped_column(LargeBinary)


class BatchRow(Base):
    """What a writer appended in one call, as it signed it. `first` is the number of its first entry; -1 for none."""

    __tablename__ = "batch"
    __table_args__ = (Index("ix_batch_first", "first", postgresql_where="first >= 0"), {"schema": "audit"})

    writer: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first: Mapped[int] = mapped_column(BigInteger)
    items: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)


class PendingRow(Base):
    """An entry that a change left in its own transaction, before the integrator gives it a number."""

    __tablename__ = "pending"
    __table_args__ = (Index("ix_pending_placed_at", "placed_at", "id"), {"schema": "audit"})

    id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    placed_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    writer: Mapped[UUID | None] = mapped_column(_ID)
    voucher: Mapped[bytes | None] = mapped_column(LargeBinary)


class RejectedRow(Base):
    """An entry that waited and could not be numbered, kept for whoever looks into it. Append-only."""

    __tablename__ = "rejected"
    __table_args__ = {"schema": "audit"}  # noqa: RUF012

    id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    rejected_at: Mapped[dt.datetime] = mapped_column(_MOMENT, primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    placed_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    reason: Mapped[str] = mapped_column(Text)


class NodeRow(Base):
    """The hash of a complete subtree. Append-only: a complete subtree never changes."""

    __tablename__ = "node"
    __table_args__ = {"schema": "audit"}  # noqa: RUF012

    level: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class CheckpointRow(Base):
    """A signed note over the tree of `size` leaves. Append-only; `key_id` names the log key that signed."""

    __tablename__ = "checkpoint"
    __table_args__ = {"schema": "audit"}  # noqa: RUF012

    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    note: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)


class SubjectMapRow(Base):
    """The one row that says how far the map of subjects reaches, its root, and the entry that states it."""

    __tablename__ = "subject_map"
    __table_args__ = {"schema": "audit"}  # noqa: RUF012

    singleton: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    upto: Mapped[int] = mapped_column(BigInteger)
    root: Mapped[bytes] = mapped_column(LargeBinary)
    entry: Mapped[UUID | None] = mapped_column(_ID)


class SubjectPageRow(Base):
    """Four levels of the map of subjects, as `audit.subject_map` encodes them."""

    __tablename__ = "subject_page"
    __table_args__ = {"schema": "audit"}  # noqa: RUF012

    prefix: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    slots: Mapped[bytes] = mapped_column(LargeBinary)


class WithheldRow(Base):
    """An entry that its subject was not to be told of when its turn came; `listed_before`: where it came in late."""

    __tablename__ = "withheld"
    __table_args__ = (
        Index("ix_withheld_kept", "purpose", "at", postgresql_where="listed_before IS NULL"),
        {"schema": "audit"},
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    purpose: Mapped[str] = mapped_column(Text)
    at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    listed_before: Mapped[int | None] = mapped_column(BigInteger)
