"""Tables of schema `healthcode`. Facts, colour and when it ends are sealed; what is plain is the same for everybody."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import TIMESTAMP, Boolean, ForeignKeyConstraint, Index, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from gov_services.crypto.columns import Sealed, SealedColumn
from gov_services.crypto.keys import DataClass
from gov_services.kit.database import Base

_MOMENT = TIMESTAMP(timezone=True)
_ID = Uuid(as_uuid=True)
_SCHEMA = {"schema": "healthcode"}


def _of_declaration() -> ForeignKeyConstraint:
    columns = ["healthcode.declaration.citizen_id", "healthcode.declaration.declaration_id"]
    return ForeignKeyConstraint(["citizen_id", "declaration_id"], columns, ondelete="CASCADE")


def _sealed(column_id: str, coordinate: str, *, row: str, pad_to: int) -> SealedColumn:
    return SealedColumn(column_id, coordinate=coordinate, data_class=DataClass.HEALTH, row=row, pad_to=pad_to)


EVIDENCE = _sealed("healthcode.declaration.evidence", "HealthCode.evidence", row="declaration_id", pad_to=256)
OUTCOME = _sealed("healthcode.declaration.outcome", "HealthCode.colour", row="declaration_id", pad_to=512)
PARTS = _sealed("healthcode.strike.parts", "HealthStrike.parts", row="strike_id", pad_to=64)


class DeclarationRow(Base):
    """What a citizen declared, and what the rules made of it. A later declaration takes its place."""

    __tablename__ = "declaration"
    __table_args__ = (Index("ix_declaration_keep_until", "keep_until"), _SCHEMA)

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    declaration_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    evidence: Mapped[Sealed] = mapped_column(EVIDENCE)
    """facts.Facts. Padded, so that its length does not tell whether there was a test or a contact."""
    outcome: Mapped[Sealed] = mapped_column(OUTCOME)
    """rules.Standing: masked name, and colours with rule, declaration and end."""
    declared_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    keep_until: Mapped[dt.datetime] = mapped_column(_MOMENT)


class CodeRow(Base):
    """A code that was shown: for minutes, and removed soon after."""

    __tablename__ = "code"
    __table_args__ = (
        _of_declaration(),
        Index("ix_code_citizen_id_declaration_id", "citizen_id", "declaration_id"),
        Index("ix_code_code_id", "code_id"),
        Index("ix_code_expires_at", "expires_at"),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    code_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    """Random, and stands in the code: it tells nothing, and two codes of one person share none."""
    declaration_id: Mapped[UUID] = mapped_column(_ID)
    issued_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    expires_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class ReviewRow(Base):
    """That an officer took a citizen's request for a person to look at their colour. Append-only."""

    __tablename__ = "review"
    __table_args__ = (Index("ix_review_request_id", "request_id"), _SCHEMA)

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    request_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    officer_id: Mapped[UUID] = mapped_column(_ID)
    taken_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class StrikeRow(Base):
    """That an officer proposes to strike evidence of a declaration. Append-only."""

    __tablename__ = "strike"
    __table_args__ = (
        UniqueConstraint("citizen_id", "strike_id", "proposed_by"),
        Index("ix_strike_strike_id", "strike_id"),
        Index("ix_strike_proposed_at", "proposed_at"),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    strike_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    request_id: Mapped[UUID] = mapped_column(_ID)
    declaration_id: Mapped[UUID] = mapped_column(_ID)
    ground: Mapped[str] = mapped_column(Text)
    parts: Mapped[Sealed] = mapped_column(PARTS)
    """Names of strikes.StrikePart: they tell what was declared."""
    proposed_by: Mapped[UUID] = mapped_column(_ID)
    proposed_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class DecisionRow(Base):
    """What a second officer decided on a strike. Append-only, once a strike."""

    __tablename__ = "strike_decision"
    __table_args__ = (
        ForeignKeyConstraint(
            ["citizen_id", "strike_id", "proposed_by"],
            ["healthcode.strike.citizen_id", "healthcode.strike.strike_id", "healthcode.strike.proposed_by"],
        ),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    strike_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    proposed_by: Mapped[UUID] = mapped_column(_ID)
    """Who is never the one that decides: the database compares."""
    approved: Mapped[bool] = mapped_column(Boolean)
    decided_by: Mapped[UUID] = mapped_column(_ID)
    decided_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
