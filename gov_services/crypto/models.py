"""Tables of schema `keys`: wrapped data keys, tombstones, what wraps and what wraps no more. No SQL is built here."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import TIMESTAMP, Index, Integer, LargeBinary, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from gov_services.kit.database import Base

_MOMENT = TIMESTAMP(timezone=True)


class DataKeyRow(Base):
    """One citizen's key of one class. Destroyed, it stays as a tombstone, and is never made again."""

    __tablename__ = "data_key"
    __table_args__ = (
        Index("ix_data_key_kek_id", "kek_id", postgresql_where="destroyed_at IS NULL"),
        {"schema": "keys"},
    )

    citizen_id: Mapped[UUID] = mapped_column(Uuid(as_uuid=True), primary_key=True)
    data_class: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kek_id: Mapped[str] = mapped_column(Text)
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    commitment: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    destroyed_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    reason: Mapped[str | None] = mapped_column(Text)


class RetiredRow(Base):
    """A key-encryption key that was destroyed on purpose: nothing is wrapped under it any more."""

    __tablename__ = "retired"
    __table_args__ = {"schema": "keys"}  # noqa: RUF012

    kek_id: Mapped[str] = mapped_column(Text, primary_key=True)
    retired_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class HolderRow(Base):
    """By which key-encryption key of a class a holder wraps, as it said when it last started: a room, or `operator`."""

    __tablename__ = "holder"
    __table_args__ = {"schema": "keys"}  # noqa: RUF012

    holder: Mapped[str] = mapped_column(Text, primary_key=True)
    data_class: Mapped[str] = mapped_column(Text, primary_key=True)
    kek_id: Mapped[str] = mapped_column(Text)
    since: Mapped[dt.datetime] = mapped_column(_MOMENT)
