"""Tables of the consent API's own: policies, which agreement goes by which, webhooks. No SQL is built here."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import TIMESTAMP, BigInteger, Boolean, ForeignKey, Identity, Index, Integer, LargeBinary, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from gov_services.kit.database import Base

_MOMENT = TIMESTAMP(timezone=True)


class PolicyRow(Base):
    """One revision of a processing policy, hashed to the one before. Append-only; the last one stands."""

    __tablename__ = "processing_policy"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    jurisdiction: Mapped[str] = mapped_column(Text)
    sector: Mapped[str] = mapped_column(Text)
    retention_days: Mapped[int | None] = mapped_column(Integer)
    restriction: Mapped[str] = mapped_column(Text)
    storage: Mapped[str] = mapped_column(Text)
    ended: Mapped[bool] = mapped_column(Boolean)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class AgreementPolicyRow(Base):
    """Which policy a purpose goes by, since when. Append-only; the last one stands, else policy 1."""

    __tablename__ = "agreement_policy"
    __table_args__ = {"schema": "privacy"}  # noqa: RUF012

    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT, primary_key=True)
    policy: Mapped[int] = mapped_column(Integer)
    made_by: Mapped[str] = mapped_column(Text)


class WebhookRow(Base):
    """Where a relying party is told that a consent given to it has changed."""

    __tablename__ = "webhook"
    __table_args__ = (
        Index("ix_webhook_client", "client", postgresql_where="removed_at IS NULL"),
        {"schema": "privacy"},
    )

    webhook_id: Mapped[UUID] = mapped_column(Uuid(as_uuid=True), primary_key=True)
    client: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    disabled: Mapped[bool] = mapped_column(Boolean)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    removed_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class MessageRow(Base):
    """That a webhook has still to be told of a change: no names, no values. Gone once it is told, or given up."""

    __tablename__ = "webhook_message"
    __table_args__ = (
        Index("ix_webhook_message_due_at", "due_at"),
        Index("ix_webhook_message_webhook_id", "webhook_id", "number"),
        {"schema": "privacy"},
    )

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """In the order of the changes: two of one consent wait for each other."""
    message_id: Mapped[UUID] = mapped_column(Uuid(as_uuid=True))
    webhook_id: Mapped[UUID] = mapped_column(Uuid(as_uuid=True), ForeignKey("privacy.webhook.webhook_id"))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    due_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    attempts: Mapped[int] = mapped_column(Integer)
