"""What the channel says of payments becomes our fact: settled, surplus or closed. Once each. Refunds: returning.

Whatever changes a payment locks its bill first, so that two facts about one bill come one after the other.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar
from uuid import UUID

import structlog

from gov_services.audit.entry import EntryKind
from gov_services.consent.entries import entry_for
from gov_services.kit.errors import NotFound, Refusal, ServiceError
from gov_services.kit.ids import new_id
from gov_services.payments import store
from gov_services.payments.channel import NotificationRefused, Trade, TradeState
from gov_services.payments.ledger import PostingKind
from gov_services.payments.lifecycle import (
    BILL,
    OPEN_PAYMENTS,
    PAYMENT,
    SETTLED_PAYMENTS,
    BillEvent,
    BillState,
    PaymentEvent,
    PaymentState,
    advance,
)
from gov_services.payments.models import PAYER_ACCOUNT, BillRow, PaymentRow
from gov_services.payments.money import CURRENCY
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service.posting import post_fact
from gov_services.payments.unmatched import UnmatchedReason
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import commit

_log = structlog.get_logger("gov_services.payments")


class AmountMismatch(Refusal):
    """The channel speaks of another amount, currency or transaction than ours. Nothing is settled; somebody looks."""

    code = "AMOUNT_MISMATCH"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "渠道通知的金额与缴款单不符,未予入账。",
        "en": "The channel's amount is not the bill's. Nothing was settled.",
    }


async def settle_payment(
    ctx: WriteContext[PaymentsPorts], *, trade: Trade, notification_id: str | None = None, asked: bool = False
) -> None:
    """Settle what the channel says was paid. Raises NotificationRefused, AmountMismatch; then nothing changes.

    1 an order of ours   2 the notification is new   3 not settled yet   4 currency and amount are ours

    Of another amount in our currency a notification is not believed; the answer to our own question (`asked`) is. Then
    the money has come, settles nothing, and is surplus, so that the bill can be paid anew.
    """
    # (1)
    payment_id = id_of(trade.number)
    known = await store.payment(ctx.session, payment_id=payment_id) if payment_id else None
    if known is None or trade.state is not TradeState.PAID:
        raise NotificationRefused("no payment of ours")
    bill, payment = await _lock_payment(ctx, known)
    # (2)
    fresh = await is_new(ctx, notification_id)
    # (3)
    if PaymentState(payment.state) in SETTLED_PAYMENTS and payment.channel_transaction != trade.transaction:
        raise AmountMismatch
    if not fresh or PaymentState(payment.state) in SETTLED_PAYMENTS:
        await ctx.record("payment.told_again", subject=bill.citizen_id, object_ref=f"payment:{payment.payment_id}")
        return
    # (4)
    ours = trade.amount_fen == payment.amount_fen
    if trade.currency != CURRENCY or trade.amount_fen < 1 or not (ours or asked):
        raise AmountMismatch
    if ours and bill.state == BillState.ISSUED:
        await _settle(ctx, bill, payment, trade)
    else:
        await _keep_surplus(ctx, bill, payment, trade)


async def close_payment(
    ctx: WriteContext[PaymentsPorts], *, payment: PaymentRow, still: PaymentState | None = None
) -> None:
    """The channel takes no money for it any more, or never heard of it; `still`: unless it has left that state."""
    _, current = await _lock_payment(ctx, payment)
    state = PaymentState(current.state)
    if state in OPEN_PAYMENTS and still in (None, state):
        current.state = advance(PAYMENT, state, PaymentEvent.CLOSE).value
        action = "payment.closed"
    else:
        action = "payment.told_again"
    await ctx.record(action, subject=current.citizen_id, object_ref=f"payment:{current.payment_id}")


async def refuse_trade(ctx: ReadContext[PaymentsPorts], trade: Trade, error: Refusal) -> None:
    """What the channel says of money is not taken: in the log, and kept for officers where money came.

    Raises Unavailable; then it must be told again.
    """
    known = id_of(trade.number)
    await log_refused_fact(ctx, error, object_ref=f"payment:{known}" if known else None)
    if isinstance(error, AmountMismatch):
        await commit(ctx, keep_unmatched, trade=trade)


async def keep_unmatched(ctx: WriteContext[PaymentsPorts], *, trade: Trade) -> None:
    """Keep money that came for a payment of ours and could not settle it: it is somebody's. It is in no books yet."""
    payment_id = id_of(trade.number)
    known = await store.payment(ctx.session, payment_id=payment_id) if payment_id else None
    if known is None:
        raise NotificationRefused("no payment of ours")
    _, payment = await _lock_payment(ctx, known)
    if PaymentState(payment.state) in SETTLED_PAYMENTS and payment.channel_transaction == trade.transaction:
        # Booked meanwhile, by asking the channel: nothing is left over.
        await ctx.record("payment.told_again", subject=payment.citizen_id, object_ref=f"payment:{payment.payment_id}")
        return
    if PaymentState(payment.state) in SETTLED_PAYMENTS:
        reason = UnmatchedReason.OTHER_TRANSACTION
    elif trade.currency != CURRENCY:
        reason = UnmatchedReason.OTHER_CURRENCY
    else:
        reason = UnmatchedReason.OTHER_AMOUNT
    await _note_unmatched(ctx, payment, trade, reason)
    await ctx.record("receipt.unmatched", subject=payment.citizen_id, object_ref=f"payment:{payment.payment_id}")


async def log_refused_fact(ctx: ReadContext[PaymentsPorts], error: ServiceError, *, object_ref: str | None) -> None:
    """Leave in the log that something the channel said was not taken, and about what. Raises AuditUnavailable."""
    entry = entry_for(
        ctx.call,
        room=ctx.services.discloser.room,
        kind=EntryKind.REFUSAL,
        action="payment.fact",
        purpose=None,
        policy=b"",
        subject_tag=None,
        actor_tag=None,
    )
    refused = replace(entry, outcome="refused", code=error.code, object=object_ref)
    await ctx.services.discloser.audit.refuse(refused)
    error.logged = True


def id_of(number: str) -> UUID | None:
    """The payment or refund that a number at the channel stands for; None for one that we never gave."""
    return UUID(hex=number) if re.fullmatch(r"[0-9a-f]{32}", number) else None


async def _settle(ctx: WriteContext[PaymentsPorts], bill: BillRow, payment: PaymentRow, trade: Trade) -> None:
    payment.state = advance(PAYMENT, PaymentState(payment.state), PaymentEvent.SETTLE).value
    await _note_money(ctx, payment, trade)
    bill.state = advance(BILL, BillState(bill.state), BillEvent.SETTLE).value
    bill.settled_at = ctx.now
    bill.receipt_number = trade.transaction
    await post_fact(ctx, bill, PostingKind.PAYMENT_SETTLED, cause_id=payment.payment_id, amount_fen=payment.amount_fen)
    await ctx.record("payment.settled", subject=bill.citizen_id, object_ref=f"payment:{payment.payment_id}")
    await ctx.publish(
        "payments.bill_settled",
        subject=bill.citizen_id,
        body={
            "bill_id": str(bill.bill_id),
            "application_id": str(bill.application_id),
            "amount_fen": bill.amount_fen,
            "settled_at": ctx.now.isoformat(),
        },
    )
    await ctx.publish(
        "message.requested",
        subject=bill.citizen_id,
        body={"code": "bill.settled", "params": {"bill_id": str(bill.bill_id)}},
    )


async def _keep_surplus(ctx: WriteContext[PaymentsPorts], bill: BillRow, payment: PaymentRow, trade: Trade) -> None:
    payment.state = advance(PAYMENT, PaymentState(payment.state), PaymentEvent.SETTLE_SURPLUS).value
    await _note_money(ctx, payment, trade)
    if trade.amount_fen != payment.amount_fen:
        _log.error("what was paid is not what is owed", payment=str(payment.payment_id), paid_fen=trade.amount_fen)
    await post_fact(ctx, bill, PostingKind.PAYMENT_SURPLUS, cause_id=payment.payment_id, amount_fen=trade.amount_fen)
    await _note_unmatched(ctx, payment, trade, UnmatchedReason.SURPLUS)
    await ctx.record("payment.surplus", subject=bill.citizen_id, object_ref=f"payment:{payment.payment_id}")


async def _note_unmatched(
    ctx: WriteContext[PaymentsPorts], payment: PaymentRow, trade: Trade, reason: UnmatchedReason
) -> None:
    await store.keep_unmatched(
        ctx.session, receipt_id=new_id(ctx.now), payment=payment, trade=trade, reason=reason, now=ctx.now
    )


async def _note_money(ctx: WriteContext[PaymentsPorts], payment: PaymentRow, trade: Trade) -> None:
    payment.settled_at = ctx.now
    payment.paid_fen = trade.amount_fen
    payment.channel_transaction = trade.transaction
    if trade.payer_account is None:
        return
    try:
        sealer = await ctx.sealer(payment.citizen_id)
    except NotFound:  # erased meanwhile: the money has come all the same, and who paid is kept no more
        return
    payment.payer_account = sealer.seal(PAYER_ACCOUNT, row_id=payment.payment_id, value=trade.payer_account)


async def _lock_payment(ctx: WriteContext[PaymentsPorts], payment: PaymentRow) -> tuple[BillRow, PaymentRow]:
    bill = await store.bill_for_update(ctx.session, citizen_id=payment.citizen_id, bill_id=payment.bill_id)
    assert bill is not None  # a foreign key says so
    return bill, await store.payment_for_update(
        ctx.session, citizen_id=payment.citizen_id, payment_id=payment.payment_id
    )


async def is_new(ctx: WriteContext[PaymentsPorts], notification_id: str | None) -> bool:
    """Take the notification into the inbox; False where it had its effect. An answer to our question is always new."""
    if notification_id is None:
        return True
    return await store.first_notification(
        ctx.session, channel=ctx.ports.channel.name, notification_id=notification_id, now=ctx.now
    )
