"""Tables of schema `events`: the outbox, written with a change, and the inboxes, written with its effect."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import TIMESTAMP, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from gov_services.kit.database import Base

_MOMENT = TIMESTAMP(timezone=True)
_ID = Uuid(as_uuid=True)


class OutboxRow(Base):
    """An event that a change published, kept until every receiver has it."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due_at", "due_at", postgresql_where=text("delivered_at IS NULL")),
        {"schema": "events"},
    )

    event_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    citizen_id: Mapped[UUID | None] = mapped_column(_ID)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    published_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    due_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    attempts: Mapped[int] = mapped_column(Integer)
    delivered_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class InboxRow(Base):
    """That a room has made an event's effect, once."""

    __tablename__ = "inbox"
    __table_args__ = {"schema": "events"}  # noqa: RUF012

    room: Mapped[str] = mapped_column(Text, primary_key=True)
    event_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    received_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
