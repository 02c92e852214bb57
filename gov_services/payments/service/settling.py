"""What the channel says becomes our fact: a payment settled or closed, a refund paid out or failed. Once each.

Whatever changes a payment or a refund locks its bill first, so that two facts about one bill come one after the other.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar
from uuid import UUID

from gov_services.audit.entry import EntryKind
from gov_services.consent.entries import entry_for
from gov_services.kit.errors import NotFound, Refusal, ServiceError
from gov_services.payments import store
from gov_services.payments.channel import NotificationRefused, Return, ReturnState, Trade, TradeState
from gov_services.payments.ledger import PostingKind
from gov_services.payments.lifecycle import (
    BILL,
    OPEN_PAYMENTS,
    OPEN_REFUNDS,
    PAYMENT,
    REFUND,
    SETTLED_PAYMENTS,
    BillEvent,
    BillState,
    PaymentEvent,
    PaymentState,
    RefundEvent,
    RefundState,
    advance,
)
from gov_services.payments.models import PAYER_ACCOUNT, BillRow, PaymentRow, RefundRow
from gov_services.payments.money import CURRENCY
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service.posting import post_fact
from gov_services.subgraph.context import ReadContext, WriteContext


class AmountMismatch(Refusal):
    """The channel speaks of another amount, currency or transaction than ours. Nothing is settled; somebody looks."""

    code = "AMOUNT_MISMATCH"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "渠道通知的金额与缴款单不符,未予入账。",
        "en": "The channel's amount is not the bill's. Nothing was settled.",
    }


async def settle_payment(ctx: WriteContext[PaymentsPorts], *, trade: Trade, notification_id: str | None = None) -> None:
    """Settle what the channel says was paid. Raises NotificationRefused, AmountMismatch; then nothing changes.

    1 an order of ours   2 the notification is new   3 not settled yet   4 amount and currency are ours
    """
    # (1)
    payment_id = id_of(trade.number)
    known = await store.payment(ctx.session, payment_id=payment_id) if payment_id else None
    if known is None or trade.state is not TradeState.PAID:
        raise NotificationRefused("no payment of ours")
    bill, payment = await _lock_payment(ctx, known)
    # (2)
    fresh = await _is_new(ctx, notification_id)
    # (3)
    if PaymentState(payment.state) in SETTLED_PAYMENTS and payment.channel_transaction != trade.transaction:
        raise AmountMismatch
    if not fresh or PaymentState(payment.state) in SETTLED_PAYMENTS:
        await ctx.record("payment.told_again", subject=bill.citizen_id, object_ref=f"payment:{payment.payment_id}")
        return
    # (4)
    if (trade.amount_fen, trade.currency) != (payment.amount_fen, CURRENCY):
        raise AmountMismatch
    if bill.state == BillState.ISSUED:
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


async def apply_return(
    ctx: WriteContext[PaymentsPorts], *, returned: Return, notification_id: str | None = None
) -> RefundRow:
    """Take what the channel says of a refund. Raises NotificationRefused, AmountMismatch; then nothing changes."""
    refund_id = id_of(returned.number)
    known = await store.refund(ctx.session, refund_id=refund_id) if refund_id else None
    if known is None:
        raise NotificationRefused("no refund of ours")
    bill, refund = await lock_refund(ctx, known)
    fresh = await _is_new(ctx, notification_id)
    if RefundState(refund.state) not in OPEN_REFUNDS or not fresh or returned.state is ReturnState.ABSENT:
        await ctx.record("refund.told_again", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")
        return refund
    if returned.amount_fen != refund.amount_fen:
        raise AmountMismatch
    if refund.state == RefundState.APPROVED:
        refund.state = advance(REFUND, RefundState.APPROVED, RefundEvent.SUBMIT).value
        refund.channel_refund = returned.channel_refund
        await ctx.session.flush()  # each edge on its own, as the database's table has them
        await ctx.record("refund.submitted", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")
    if returned.state is ReturnState.RETURNED:
        await _complete(ctx, bill, refund)
    elif returned.state is ReturnState.FAILED:
        await _fail(ctx, bill, refund)
    elif not ctx.changes.entries:
        await ctx.record("refund.told_again", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")
    return refund


async def lock_refund(ctx: WriteContext[PaymentsPorts], refund: RefundRow) -> tuple[BillRow, RefundRow]:
    """The refund's bill and the refund, locked in that order and read anew."""
    bill = await store.bill_for_update(ctx.session, citizen_id=refund.citizen_id, bill_id=refund.bill_id)
    assert bill is not None  # a foreign key says so
    return bill, await store.refund_for_update(ctx.session, citizen_id=refund.citizen_id, refund_id=refund.refund_id)


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
    await post_fact(ctx, bill, PostingKind.PAYMENT_SURPLUS, cause_id=payment.payment_id, amount_fen=payment.amount_fen)
    await ctx.record("payment.surplus", subject=bill.citizen_id, object_ref=f"payment:{payment.payment_id}")


async def _note_money(ctx: WriteContext[PaymentsPorts], payment: PaymentRow, trade: Trade) -> None:
    payment.settled_at = ctx.now
    payment.channel_transaction = trade.transaction
    if trade.payer_account is None:
        return
    try:
        sealer = await ctx.sealer(payment.citizen_id)
    except NotFound:  # erased meanwhile: the money has come all the same, and who paid is kept no more
        return
    payment.payer_account = sealer.seal(PAYER_ACCOUNT, row_id=payment.payment_id, value=trade.payer_account)


async def _complete(ctx: WriteContext[PaymentsPorts], bill: BillRow, refund: RefundRow) -> None:
    refund.state = advance(REFUND, RefundState(refund.state), RefundEvent.SUCCEED).value
    refund.completed_at = ctx.now
    bill.state = advance(BILL, BillState(bill.state), BillEvent.COMPLETE_REFUND).value
    await post_fact(ctx, bill, PostingKind.REFUND_PAID, cause_id=refund.refund_id, amount_fen=refund.amount_fen)
    await ctx.record("refund.succeeded", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")
    await ctx.publish(
        "message.requested",
        subject=bill.citizen_id,
        body={"code": "bill.refunded", "params": {"bill_id": str(bill.bill_id)}},
    )


async def _fail(ctx: WriteContext[PaymentsPorts], bill: BillRow, refund: RefundRow) -> None:
    refund.state = advance(REFUND, RefundState(refund.state), RefundEvent.FAIL).value
    refund.completed_at = ctx.now
    bill.state = advance(BILL, BillState(bill.state), BillEvent.FAIL_REFUND).value
    await post_fact(ctx, bill, PostingKind.REFUND_FAILED, cause_id=refund.refund_id, amount_fen=refund.amount_fen)
    await ctx.record("refund.failed", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")


async def _lock_payment(ctx: WriteContext[PaymentsPorts], payment: PaymentRow) -> tuple[BillRow, PaymentRow]:
    bill = await store.bill_for_update(ctx.session, citizen_id=payment.citizen_id, bill_id=payment.bill_id)
    assert bill is not None  # a foreign key says so
    return bill, await store.payment_for_update(
        ctx.session, citizen_id=payment.citizen_id, payment_id=payment.payment_id
    )


async def _is_new(ctx: WriteContext[PaymentsPorts], notification_id: str | None) -> bool:
    if notification_id is None:
        return True
    return await store.first_notification(
        ctx.session, channel=ctx.ports.channel.name, notification_id=notification_id, now=ctx.now
    )
