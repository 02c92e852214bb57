"""Tables of schema `payments`: bills, payments, refunds, keys, notifications, the ledger. No SQL is built here."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gov_services.crypto.columns import Sealed, SealedColumn
from gov_services.crypto.keys import DataClass
from gov_services.kit.database import Base
from gov_services.subgraph.announcing import Announced

_MOMENT = TIMESTAMP(timezone=True)
_ID = Uuid(as_uuid=True)
_SCHEMA = {"schema": "payments"}
_OPEN_PAYMENT = text("state IN ('created', 'awaiting')")
PAYER_ACCOUNT = SealedColumn(
    "payments.payment.payer_account",
    coordinate="Payment.payerAccount",
    data_class=DataClass.PAYMENTS,
    row="payment_id",
)


def _to_bill() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["citizen_id", "bill_id"], ["payments.bill.citizen_id", "payments.bill.bill_id"])


class BillRow(Base):
    """What a citizen owes for one application. `citizen_id` is the payer."""

    announced: ClassVar = Announced("billChanged", by="bill_id")

    __tablename__ = "bill"
    __table_args__ = (Index("ix_bill_bill_id", "bill_id"), _SCHEMA)

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    bill_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    application_id: Mapped[UUID] = mapped_column(_ID)
    titles: Mapped[dict[str, str]] = mapped_column(JSONB)
    """What it is for, by locale."""
    amount_fen: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    due_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    settled_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    receipt_number: Mapped[str | None] = mapped_column(Text)


class PaymentRow(Base):
    """One attempt to pay a bill through the channel."""

    announced: ClassVar = Announced("billChanged", by="bill_id", on=frozenset({"state", "code_url"}))

    __tablename__ = "payment"
    __table_args__ = (
        _to_bill(),
        UniqueConstraint("citizen_id", "payment_id", "paid_fen"),
        Index("ix_payment_payment_id", "payment_id"),
        Index("uq_payment_open", "citizen_id", "bill_id", unique=True, postgresql_where=_OPEN_PAYMENT),
        Index(
            "uq_payment_settling", "citizen_id", "bill_id", unique=True, postgresql_where=text("state = 'succeeded'")
        ),
        Index("ix_payment_due", "next_ask_at", postgresql_where=_OPEN_PAYMENT),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    payment_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    bill_id: Mapped[UUID] = mapped_column(_ID)
    channel: Mapped[str] = mapped_column(Text)
    amount_fen: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    code_url: Mapped[str | None] = mapped_column(Text)
    begun_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    expires_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    next_ask_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    """When the channel is asked next how it stands."""
    asks: Mapped[int] = mapped_column(Integer)
    channel_transaction: Mapped[str | None] = mapped_column(Text)
    """The channel's own number of the transaction (微信支付订单号)."""
    payer_account: Mapped[Sealed | None] = mapped_column(PAYER_ACCOUNT)
    settled_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    paid_fen: Mapped[int | None] = mapped_column(Integer)
    """What really came; another amount than `amount_fen` is surplus, whole."""


class RefundRow(Base):
    """Giving the money of one payment back, whole, by the word of two officers."""

    announced: ClassVar = Announced("billChanged", by="bill_id", on=frozenset({"state"}))

    __tablename__ = "refund"
    __table_args__ = (
        _to_bill(),
        ForeignKeyConstraint(
            ["citizen_id", "payment_id", "amount_fen"],
            ["payments.payment.citizen_id", "payments.payment.payment_id", "payments.payment.paid_fen"],
        ),
        Index("ix_refund_refund_id", "refund_id"),
        Index(
            "uq_refund_live",
            "citizen_id",
            "payment_id",
            unique=True,
            postgresql_where=text("state NOT IN ('rejected', 'failed')"),
        ),
        Index("ix_refund_due", "next_ask_at", postgresql_where=text("state IN ('approved', 'submitted')")),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    refund_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    bill_id: Mapped[UUID] = mapped_column(_ID)
    payment_id: Mapped[UUID] = mapped_column(_ID)
    amount_fen: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[UUID] = mapped_column(_ID)
    requested_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    decided_by: Mapped[UUID | None] = mapped_column(_ID)
    decided_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)
    next_ask_at: Mapped[dt.datetime] = mapped_column(_MOMENT)
    asks: Mapped[int] = mapped_column(Integer)
    channel_refund: Mapped[str | None] = mapped_column(Text)
    completed_at: Mapped[dt.datetime | None] = mapped_column(_MOMENT)


class IdempotencyRow(Base):
    """What a citizen's key was used for. Append-only."""

    __tablename__ = "idempotency"
    __table_args__ = (
        ForeignKeyConstraint(
            ["citizen_id", "payment_id"], ["payments.payment.citizen_id", "payments.payment.payment_id"]
        ),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)
    payment_id: Mapped[UUID] = mapped_column(_ID)
    made_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class NotificationRow(Base):
    """That a notification of the channel had its effect: the channel's inbox. Append-only; it names no citizen."""

    __tablename__ = "notification"
    __table_args__ = _SCHEMA

    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    notification_id: Mapped[str] = mapped_column(Text, primary_key=True)
    received_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class UnmatchedReceiptRow(Base):
    """Money that came for a payment of ours and settled no bill: what the channel said of it last. Never removed."""

    __tablename__ = "unmatched_receipt"
    __table_args__ = (
        _to_bill(),
        ForeignKeyConstraint(
            ["citizen_id", "payment_id"], ["payments.payment.citizen_id", "payments.payment.payment_id"]
        ),
        UniqueConstraint("citizen_id", "payment_id", "channel_transaction"),
        Index("ix_unmatched_receipt_receipt_id", "receipt_id"),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    receipt_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    bill_id: Mapped[UUID] = mapped_column(_ID)
    payment_id: Mapped[UUID] = mapped_column(_ID)
    channel_transaction: Mapped[str] = mapped_column(Text)
    amount: Mapped[int] = mapped_column(BigInteger)
    """In the smallest unit of `currency`."""
    currency: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    received_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class LedgerTransactionRow(Base):
    """A posted fact. Append-only; the database refuses one whose lines do not sum to zero."""

    __tablename__ = "ledger_transaction"
    __table_args__ = (_to_bill(), UniqueConstraint("citizen_id", "kind", "cause_id"), _SCHEMA)

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    bill_id: Mapped[UUID] = mapped_column(_ID)
    kind: Mapped[str] = mapped_column(Text)
    cause_id: Mapped[UUID] = mapped_column(_ID)
    """The bill, payment or refund that it is about."""
    posted_at: Mapped[dt.datetime] = mapped_column(_MOMENT)


class LedgerEntryRow(Base):
    """One line of a transaction: a debit above zero, a credit below. Append-only."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        ForeignKeyConstraint(
            ["citizen_id", "transaction_id"],
            ["payments.ledger_transaction.citizen_id", "payments.ledger_transaction.transaction_id"],
        ),
        _SCHEMA,
    )

    citizen_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(_ID, primary_key=True)
    line: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    account: Mapped[str] = mapped_column(Text)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
