"""All SQL of `payments`, one statement a function. It decides nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from gov_services.kit.database import ReadSession, Session
from gov_services.payments.channel import Trade
from gov_services.payments.ledger import Line, PostingKind
from gov_services.payments.lifecycle import OPEN_PAYMENTS, OPEN_REFUNDS
from gov_services.payments.models import (
    BillRow,
    IdempotencyRow,
    LedgerEntryRow,
    LedgerTransactionRow,
    NotificationRow,
    PaymentRow,
    RefundRow,
    UnmatchedReceiptRow,
)
from gov_services.payments.unmatched import UnmatchedReason


async def bill(session: ReadSession, *, bill_id: UUID) -> BillRow | None:
    """The bill, whoever owes it."""
    return (await session.execute(select(BillRow).where(BillRow.bill_id == bill_id))).scalar_one_or_none()


async def bills_by_id(session: ReadSession, *, bill_ids: Sequence[UUID]) -> Sequence[BillRow]:
    """Those of the bills that there are."""
    return (await session.execute(select(BillRow).where(BillRow.bill_id.in_(bill_ids)))).scalars().all()


async def bills(session: ReadSession, *, citizen_id: UUID, after: UUID | None, limit: int) -> Sequence[BillRow]:
    """A citizen's bills, newest first: ids are in the order in which bills were made."""
    query = select(BillRow).where(BillRow.citizen_id == citizen_id)
    if after is not None:
        query = query.where(BillRow.bill_id < after)
    return (await session.execute(query.order_by(BillRow.bill_id.desc()).limit(limit))).scalars().all()


async def bill_for_update(session: Session, *, citizen_id: UUID, bill_id: UUID) -> BillRow | None:
    """The citizen's bill, locked until the transaction ends. Whatever changes a bill's payments locks it first."""
    query = (
        select(BillRow)
        .where(BillRow.citizen_id == citizen_id, BillRow.bill_id == bill_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def payment(session: ReadSession, *, payment_id: UUID) -> PaymentRow | None:
    """The payment, whoever pays."""
    query = select(PaymentRow).where(PaymentRow.payment_id == payment_id)
    return (await session.execute(query)).scalar_one_or_none()


async def payment_for_update(session: Session, *, citizen_id: UUID, payment_id: UUID) -> PaymentRow:
    """The payment, locked and read anew."""
    query = (
        select(PaymentRow)
        .where(PaymentRow.citizen_id == citizen_id, PaymentRow.payment_id == payment_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.execute(query)).scalar_one()


async def open_payment(session: ReadSession, *, citizen_id: UUID, bill_id: UUID) -> PaymentRow | None:
    """The payment by which the bill may still be paid; there is one at most."""
    query = select(PaymentRow).where(
        PaymentRow.citizen_id == citizen_id, PaymentRow.bill_id == bill_id, PaymentRow.state.in_(OPEN_PAYMENTS)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def settling_payment(session: ReadSession, *, citizen_id: UUID, bill_id: UUID) -> PaymentRow | None:
    """The payment that settled the bill."""
    query = select(PaymentRow).where(
        PaymentRow.citizen_id == citizen_id, PaymentRow.bill_id == bill_id, PaymentRow.state == "succeeded"
    )
    return (await session.execute(query)).scalar_one_or_none()


async def surplus_payment(session: ReadSession, *, citizen_id: UUID, bill_id: UUID) -> PaymentRow | None:
    """The oldest payment that the bill did not need and whose money is neither back nor on its way."""
    query = (
        select(PaymentRow)
        .where(
            PaymentRow.citizen_id == citizen_id,
            PaymentRow.bill_id == bill_id,
            PaymentRow.state == "surplus",
            ~_live_refund(),
        )
        .order_by(PaymentRow.payment_id)
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def latest_payments(session: ReadSession, *, bills: Sequence[tuple[UUID, UUID]]) -> Sequence[PaymentRow]:
    """Of each bill (citizen id, bill id) the payment that settled it, else the newest."""
    query = (
        select(PaymentRow)
        .ext(distinct_on(PaymentRow.citizen_id, PaymentRow.bill_id))
        .where(tuple_(PaymentRow.citizen_id, PaymentRow.bill_id).in_(bills))
        .order_by(
            PaymentRow.citizen_id,
            PaymentRow.bill_id,
            (PaymentRow.state == "succeeded").desc(),
            PaymentRow.payment_id.desc(),
        )
    )
    return (await session.execute(query)).scalars().all()


async def due_payments(session: ReadSession, *, now: dt.datetime, limit: int) -> Sequence[PaymentRow]:
    """Open payments about which the channel is to be asked now, the longest due first."""
    query = (
        select(PaymentRow)
        .where(PaymentRow.state.in_(OPEN_PAYMENTS), PaymentRow.next_ask_at <= now)
        .order_by(PaymentRow.next_ask_at)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def postpone_payment(session: Session, *, citizen_id: UUID, payment_id: UUID, next_ask_at: dt.datetime) -> None:
    """The channel is being asked now; ask again then."""
    await session.execute(
        update(PaymentRow)
        .where(PaymentRow.citizen_id == citizen_id, PaymentRow.payment_id == payment_id)
        .values(next_ask_at=next_ask_at, asks=PaymentRow.asks + 1)
    )


async def idempotency(session: ReadSession, *, citizen_id: UUID, key: str) -> IdempotencyRow | None:
    """What the citizen's key was used for."""
    query = select(IdempotencyRow).where(IdempotencyRow.citizen_id == citizen_id, IdempotencyRow.key == key)
    return (await session.execute(query)).scalar_one_or_none()


async def take_key(
    session: Session, *, citizen_id: UUID, key: str, body_hash: bytes, payment_id: UUID, now: dt.datetime
) -> bool:
    """Use the key for the payment; False where it was used meanwhile."""
    statement = (
        insert(IdempotencyRow)
        .values(citizen_id=citizen_id, key=key, body_hash=body_hash, payment_id=payment_id, made_at=now)
        .on_conflict_do_nothing()
        .returning(IdempotencyRow.key)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def first_notification(session: Session, *, channel: str, notification_id: str, now: dt.datetime) -> bool:
    """Take the notification into the channel's inbox; False where it had its effect before."""
    statement = (
        insert(NotificationRow)
        .values(channel=channel, notification_id=notification_id, received_at=now)
        .on_conflict_do_nothing()
        .returning(NotificationRow.notification_id)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def refund(session: ReadSession, *, refund_id: UUID) -> RefundRow | None:
    """The refund, whosever it is."""
    return (await session.execute(select(RefundRow).where(RefundRow.refund_id == refund_id))).scalar_one_or_none()


async def refund_for_update(session: Session, *, citizen_id: UUID, refund_id: UUID) -> RefundRow:
    """The refund, locked and read anew."""
    query = (
        select(RefundRow)
        .where(RefundRow.citizen_id == citizen_id, RefundRow.refund_id == refund_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.execute(query)).scalar_one()


async def live_refund(session: ReadSession, *, citizen_id: UUID, payment_id: UUID) -> RefundRow | None:
    """The refund of the payment that is under way or done; there is one at most."""
    query = select(RefundRow).where(
        RefundRow.citizen_id == citizen_id,
        RefundRow.payment_id == payment_id,
        RefundRow.state.not_in(("rejected", "failed")),
    )
    return (await session.execute(query)).scalar_one_or_none()


async def latest_refunds(session: ReadSession, *, bills: Sequence[tuple[UUID, UUID]]) -> Sequence[RefundRow]:
    """Of each bill (citizen id, bill id) the newest refund."""
    query = (
        select(RefundRow)
        .ext(distinct_on(RefundRow.citizen_id, RefundRow.bill_id))
        .where(tuple_(RefundRow.citizen_id, RefundRow.bill_id).in_(bills))
        .order_by(RefundRow.citizen_id, RefundRow.bill_id, RefundRow.refund_id.desc())
    )
    return (await session.execute(query)).scalars().all()


async def due_refunds(session: ReadSession, *, now: dt.datetime, limit: int) -> Sequence[RefundRow]:
    """Refunds about which the channel is to be asked now, the longest due first."""
    query = (
        select(RefundRow)
        .where(RefundRow.state.in_(OPEN_REFUNDS), RefundRow.next_ask_at <= now)
        .order_by(RefundRow.next_ask_at)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def postpone_refund(session: Session, *, citizen_id: UUID, refund_id: UUID, next_ask_at: dt.datetime) -> None:
    """The channel is being asked now; ask again then."""
    await session.execute(
        update(RefundRow)
        .where(RefundRow.citizen_id == citizen_id, RefundRow.refund_id == refund_id)
        .values(next_ask_at=next_ask_at, asks=RefundRow.asks + 1)
    )


async def keep_unmatched(
    session: Session, *, receipt_id: UUID, payment: PaymentRow, trade: Trade, reason: UnmatchedReason, now: dt.datetime
) -> None:
    """Keep money that settled no bill; of one transaction what was told last."""
    told = {"amount": trade.amount_fen, "currency": trade.currency, "reason": reason.value, "received_at": now}
    statement = insert(UnmatchedReceiptRow).values(
        citizen_id=payment.citizen_id,
        receipt_id=receipt_id,
        bill_id=payment.bill_id,
        payment_id=payment.payment_id,
        channel_transaction=trade.transaction,
        **told,
    )
    key = ["citizen_id", "payment_id", "channel_transaction"]
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_=told))


async def unmatched(session: ReadSession, *, before: UUID | None, limit: int) -> Sequence[UnmatchedReceiptRow]:
    """Money that settled no bill since either, and that is neither back nor on its way; newest first."""
    closed = (
        select(PaymentRow.payment_id)
        .where(
            PaymentRow.citizen_id == UnmatchedReceiptRow.citizen_id,
            PaymentRow.payment_id == UnmatchedReceiptRow.payment_id,
            PaymentRow.channel_transaction == UnmatchedReceiptRow.channel_transaction,
            or_(PaymentRow.state == "succeeded", _live_refund()),
        )
        .exists()
    )
    query = select(UnmatchedReceiptRow).where(~closed)
    if before is not None:
        query = query.where(UnmatchedReceiptRow.receipt_id < before)
    query = query.order_by(UnmatchedReceiptRow.receipt_id.desc()).limit(limit)
    return (await session.execute(query)).scalars().all()


def _live_refund() -> ColumnElement[bool]:
    """That the money of the payment at hand is back, or on its way."""
    return (
        select(RefundRow.refund_id)
        .where(
            RefundRow.citizen_id == PaymentRow.citizen_id,
            RefundRow.payment_id == PaymentRow.payment_id,
            RefundRow.state.not_in(("rejected", "failed")),
        )
        .exists()
    )


async def post(
    session: Session,
    *,
    citizen_id: UUID,
    transaction_id: UUID,
    bill_id: UUID,
    kind: PostingKind,
    cause_id: UUID,
    lines: Sequence[Line],
    now: dt.datetime,
) -> None:
    """Post a transaction. The database refuses one that was posted before and, at commit, one that is not zero."""
    session.add(
        LedgerTransactionRow(
            citizen_id=citizen_id,
            transaction_id=transaction_id,
            bill_id=bill_id,
            kind=kind.value,
            cause_id=cause_id,
            posted_at=now,
        )
    )
    await session.flush()  # the unit of work does not know that entries come after their transaction
    session.add_all(
        LedgerEntryRow(
            citizen_id=citizen_id,
            transaction_id=transaction_id,
            line=number,
            account=line.account.value,
            amount_fen=line.amount_fen,
        )
        for number, line in enumerate(lines, start=1)
    )
    await session.flush()
