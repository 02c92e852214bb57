"""Tables of schema `identity`. Personal values are sealed; what finds them is keyed digests. No SQL is built here."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import TIMESTAMP, ForeignKey, Index, Integer, LargeBinary, SmallInteger, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gov_services.crypto.columns import Sealed, SealedColumn
from gov_services.crypto.keys import DataClass
from gov_services.kit.database import Base
from gov_services.subgraph.announcing import Announced

_MOMENT = TIMESTAMP(timezone=True)
_ID = Uuid(as_uuid=True)


def _sealed(column_id: str, coordinate: str, *, pad_to: int = 32) -> SealedColumn:
    return SealedColumn(
        column_id, coordinate=coordinate, data_class=DataClass.IDENTITY, row="citizen_id", pad_to=pad_to
    )


class CitizenRow(Base):
    """A person. `assurance` is the level reached (认证等级): 2 self-declared, 3 matched, 5 seen at the counter."""

    __tablename__ = "citizen"
    __table_args__ = {"schema": "identity"}  # noqa: RUF012

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    name: Mapped[Sealed | None] = mapped_column(_sealed("identity.citizen.name", "Citizen.name"))
    national_id: Mapped[Sealed | None] = mapped_column(_sealed("identity.citizen.national_id", "Citizen.nationalId"))
    phone: Mapped[Sealed | None] = mapped_column(_sealed("identity.citizen.phone", "Citizen.phone"))
    address: Mapped[Sealed | None] = mapped_column(_sealed("identity.citizen.address", "Citizen.address", pad_to=128))
    birth_date: Mapped[Sealed | None] = mapped_column(_sealed("identity.citizen.birth_date", "Citizen.birthDate"))
    assurance: Mapped[int] = mapped_column(Integer)
    assured_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    registered_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    erased_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class DirectoryRow(Base):
    """From a keyed digest of a number to its citizen."""

    __tablename__ = "directory"
    __table_args__ = (
        Index("uq_directory_citizen_id", "citizen_id", "kind", unique=True),
        Index("ix_directory_layers", "layers"),
        {"schema": "identity"},
    )

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    citizen_id: Mapped[UUID] = mapped_column(_ID, ForeignKey("identity.citizen.citizen_id"))
    since: Mapped[dt.datetime] = mapped_column(_MOMENT)
    layers: Mapped[int] = mapped_column(SmallInteger)
    """Under how many roots the digest is: see crypto.blind_index."""


class BlindIndexRow(Base):
    """How many layers a digest gets that is written now: one row."""

    __tablename__ = "blind_index"
    __table_args__ = ({"schema": "identity"},)

    singleton: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    layers: Mapped[int] = mapped_column(SmallInteger)


class GuardianshipRow(Base):
    """That an officer has seen in a document who is guardian of a child under fourteen, and who ended it if anybody.

    Of the document's number only a keyed digest is kept, to hold the document against once more.
    """

    __tablename__ = "guardianship"
    __table_args__ = (
        Index(
            "uq_guardianship_standing", "citizen_id", "guardian_id", unique=True, postgresql_where="ended_at IS NULL"
        ),
        Index("ix_guardianship_guardian_id", "guardian_id"),
        {"schema": "identity"},
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    guardianship_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    """The relation's id, too."""
    guardian_id: Mapped[UUID] = mapped_column(_ID)
    document: Mapped[str] = mapped_column(Text)
    document_digest: Mapped[bytes] = mapped_column(LargeBinary)
    layers: Mapped[int] = mapped_column(SmallInteger)
    """Of the digest."""
    made_by: Mapped[UUID] = mapped_column(_ID)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    ended_by: Mapped[UUID | None] = mapped_column(_ID)
    """The officer; None where it ended with an erasure."""
    ended_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class SessionRow(Base):
    """A signed-in device. Its refresh tokens are derived from its id and their generation; none is stored."""

    __tablename__ = "session"
    __table_args__ = (
        Index("ix_session_holder_id", "holder_id"),
        Index("ix_session_expires_at", "expires_at"),
        {"schema": "identity"},
    )

    session_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    holder_id: Mapped[UUID] = mapped_column(_ID)
    holder_kind: Mapped[str] = mapped_column(Text)
    client_id: Mapped[str] = mapped_column(Text)
    generation: Mapped[int] = mapped_column(Integer)
    """Of the newest refresh token, counted from 1."""
    turned_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    """When that token came to be."""
    authenticated_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    expires_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    ended_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    ended_for: Mapped[str | None] = mapped_column(Text)


class StaffRow(Base):
    """A member of staff. The name shown at work is no citizen's data."""

    __tablename__ = "staff"
    __table_args__ = (UniqueConstraint("username"), {"schema": "identity"})

    staff_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    username: Mapped[str] = mapped_column(Text)
    display_name: Mapped[str] = mapped_column(Text)
    password: Mapped[str] = mapped_column(Text)
    """Argon2id."""
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    office: Mapped[str] = mapped_column(Text)
    client_id: Mapped[str] = mapped_column(Text)
    """The front end that they work in: `counter` or `compliance`."""
    added_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    disabled_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    """Since when they sign in no more. The row stays: the log names it."""


class ClientRow(Base):
    """A relying party: a bank, a venue, another department."""

    __tablename__ = "client"
    __table_args__ = {"schema": "identity"}  # noqa: RUF012

    client_id: Mapped[str] = mapped_column(Text, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)
    """Argon2id."""
    added_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class MessageRow(Base):
    """A message to a citizen: a code and what fills it in, ids and names of fields only."""

    announced: ClassVar = Announced("messageReceived", by="message_id")

    __tablename__ = "message"
    __table_args__ = (Index("ix_message_sent_at", "sent_at"), {"schema": "identity"})

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    message_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    params: Mapped[dict[str, Any]] = mapped_column(JSONB)
    sent_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
