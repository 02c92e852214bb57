"""Tables of schema `audit`: the log's head, its entries, those that wait, the tree and the checkpoints. No SQL here."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import TIMESTAMP, BigInteger, Index, Integer, LargeBinary, SmallInteger, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

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


class EntryRow(Base):
    """A numbered entry. `body` is what counts; the columns beside it are worked out from it, for searching."""

    __tablename__ = "entry"
    __table_args__ = (
        UniqueConstraint("id"),
        Index("ix_entry_subject_tag", "subject_tag", "seq", postgresql_where="subject_tag IS NOT NULL"),
        Index("ix_entry_actor", "actor", "seq"),
        Index("ix_entry_client", "client", "seq"),
        Index("ix_entry_purpose", "purpose", "seq"),
        Index("ix_entry_asked", "purpose", "at", postgresql_where="kind IN ('read', 'refusal')"),
        Index("ix_entry_coordinates", "coordinates", postgresql_using="gin"),
        Index("ix_entry_at", "at", postgresql_using="brin"),
        Index("ix_entry_refused", "seq", postgresql_where="outcome = 'refused'"),
        {"schema": "audit"},
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(_ID)
    at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    room: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    client: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    code: Mapped[str | None] = mapped_column(Text)
    subject_tag: Mapped[bytes | None] = mapped_column(LargeBinary)
    object: Mapped[str | None] = mapped_column(Text)
    case_id: Mapped[UUID | None] = mapped_column(_ID)
    coordinates: Mapped[list[str]] = mapped_column(ARRAY(Text))
    forms: Mapped[list[str]] = mapped_column(ARRAY(Text))
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    commitment: Mapped[bytes] = mapped_column(LargeBinary)
    numbered_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    """By the database's clock; outside what is committed to. Only the lag is told from it."""


class PendingRow(Base):
    """An entry that a change left in its own transaction, before the integrator gives it a number."""

    __tablename__ = "pending"
    __table_args__ = (Index("ix_pending_placed_at", "placed_at", "id"), {"schema": "audit"})

    id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    placed_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


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
    signed_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
