"""Asking the channel about what is open: what a crash or a lost notification left behind, and refunds under way."""

from __future__ import annotations

import datetime as dt

import structlog

from gov_services.kit.errors import Refusal
from gov_services.payments import store
from gov_services.payments.channel import ChannelUnavailable, ReturnOrder, ReturnState, TradeState
from gov_services.payments.lifecycle import BillState, PaymentState, RefundState
from gov_services.payments.models import PaymentRow, RefundRow
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service.returning import apply_return
from gov_services.payments.service.settling import close_payment, log_refused_fact, refuse_trade, settle_payment
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import commit

BATCH = 100
FIRST_DELAY_S = 60
LONGEST_DELAY_S = 3600
_log = structlog.get_logger("gov_services.payments")


async def reconcile(ctx: ReadContext[PaymentsPorts]) -> int:
    """Ask about everything that is due; how much that was. What the channel does not answer now is due again later."""
    async with ctx.reading() as session:
        payments = await store.due_payments(session, now=ctx.now, limit=BATCH)
        refunds = await store.due_refunds(session, now=ctx.now, limit=BATCH)
    for payment in payments:
        try:
            await settle_by_asking(ctx, payment)
        except ChannelUnavailable as away:
            _log.warning("payment not asked about", payment=str(payment.payment_id), reason=away.reason)
    for refund in refunds:
        try:
            await drive_refund(ctx, refund)
        except ChannelUnavailable as away:
            _log.warning("refund not asked about", refund=str(refund.refund_id), reason=away.reason)
    return len(payments) + len(refunds)


async def settle_by_asking(ctx: ReadContext[PaymentsPorts], payment: PaymentRow) -> None:
    """Ask the channel how the payment stands and make that ours. Raises ChannelUnavailable."""
    await commit(ctx, note_asking_payment, payment=payment)
    number, channel = payment.payment_id.hex, ctx.ports.channel
    trade = await channel.ask(number)
    if trade.state is TradeState.PAID:
        try:
            await commit(ctx, settle_payment, trade=trade, asked=True)
        except Refusal as refusal:
            _log.error("what was paid is not what is owed", payment=str(payment.payment_id), code=refusal.code)
            await refuse_trade(ctx, trade, refusal)
        return
    if trade.state is TradeState.PENDING:
        if ctx.now < payment.expires_at and not await _is_cancelled(ctx, payment):
            return
        # Closed at the channel first: once we call it closed, nobody can pay it any more.
        await channel.close(number)
    # Of what the channel had not heard of, it may have heard since we asked.
    still = PaymentState(payment.state) if trade.state is TradeState.ABSENT else None
    await commit(ctx, close_payment, payment=payment, still=still)


async def drive_refund(ctx: ReadContext[PaymentsPorts], refund: RefundRow) -> None:
    """Submit an approved refund, or ask about a submitted one; again where the channel lost it.

    Raises ChannelUnavailable.
    """
    await commit(ctx, note_asking_refund, refund=refund)
    number, channel = refund.refund_id.hex, ctx.ports.channel
    order = ReturnOrder(
        number=number, order_number=refund.payment_id.hex, amount_fen=refund.amount_fen, paid_fen=refund.amount_fen
    )
    if refund.state == RefundState.APPROVED:
        returned = await channel.give_back(order)
    else:
        returned = await channel.ask_return(number)
        if returned.state is ReturnState.ABSENT:  # it forgot what it had taken on: the same number is safe
            returned = await channel.give_back(order)
    if returned.state is ReturnState.REFUSED:
        # An earlier request of ours may have arrived all the same; then what became of it counts.
        known = await channel.ask_return(number)
        returned = returned if known.state is ReturnState.ABSENT else known
    try:
        await commit(ctx, apply_return, returned=returned)
    except Refusal as refusal:
        _log.error("what was given back is not what was asked", refund=str(refund.refund_id), code=refusal.code)
        await log_refused_fact(ctx, refusal, object_ref=f"refund:{refund.refund_id}")


async def _is_cancelled(ctx: ReadContext[PaymentsPorts], payment: PaymentRow) -> bool:
    async with ctx.reading() as session:
        bill = await store.bill(session, bill_id=payment.bill_id)
    return bill is not None and bill.state == BillState.CANCELLED


async def note_asking_payment(ctx: WriteContext[PaymentsPorts], *, payment: PaymentRow) -> None:
    """Say, before it is done, that the channel is asked about a payment; the next time is later each time."""
    await store.postpone_payment(
        ctx.session,
        citizen_id=payment.citizen_id,
        payment_id=payment.payment_id,
        next_ask_at=ctx.now + delay(payment.asks),
    )
    await ctx.record(
        "payment.asked",
        subject=payment.citizen_id,
        object_ref=f"payment:{payment.payment_id}",
        recipient=recipient(ctx),
    )


async def note_asking_refund(ctx: WriteContext[PaymentsPorts], *, refund: RefundRow) -> None:
    """The same about a refund; what leaves with it is an amount."""
    await store.postpone_refund(
        ctx.session,
        citizen_id=refund.citizen_id,
        refund_id=refund.refund_id,
        next_ask_at=ctx.now + delay(refund.asks),
    )
    await ctx.record(
        "refund.asked",
        subject=refund.citizen_id,
        object_ref=f"refund:{refund.refund_id}",
        recipient=recipient(ctx),
        disclosed={"Bill.amount": "PLAIN"} if refund.state == RefundState.APPROVED else None,
    )


def delay(asks: int) -> dt.timedelta:
    """How long to wait after having asked `asks` times before: twice as long each time, up to an hour."""
    return dt.timedelta(seconds=min(FIRST_DELAY_S * 2 ** min(asks, 10), LONGEST_DELAY_S))


def recipient(ctx: ReadContext[PaymentsPorts]) -> str:
    """How the log names the channel as one who receives."""
    return f"payment-channel:{ctx.ports.channel.name}"
