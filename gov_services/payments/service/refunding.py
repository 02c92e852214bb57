"""Giving money back, by the word of two officers: one requests, another approves; then the channel is told.

An officer reaches a bill by its id, which its payer, or the officer who requested, handed over: a presented code, under
a budget (Relation.VERIFIER). An id that is nobody's and one that may not be asked about look alike.
"""

from __future__ import annotations

from typing import ClassVar

import structlog

from gov_services.kit.errors import UserError
from gov_services.kit.ids import new_id, parse_id
from gov_services.payments import store
from gov_services.payments.channel import ChannelUnavailable
from gov_services.payments.ledger import PostingKind
from gov_services.payments.lifecycle import BILL, REFUND, BillEvent, BillState, RefundEvent, RefundState, advance
from gov_services.payments.models import BillRow, PaymentRow, RefundRow
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service.posting import post_fact
from gov_services.payments.service.reconciling import delay, drive_refund
from gov_services.payments.service.returning import LockedRefund, lock_refund, tell_of_refund
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import Outcome, commit

_log = structlog.get_logger("gov_services.payments")


class BillNotRefundable(UserError):
    """The bill is not paid, there is no surplus, or the money is on its way back."""

    code = "BILL_NOT_REFUNDABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该缴款单没有可退的款项,或正在退费。",
        "en": "There is no such money on this bill, or it is going back already.",
    }


class SecondOfficerNeeded(UserError):
    """Whoever requested a refund does not decide on it."""

    code = "SECOND_OFFICER_NEEDED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "退费须由另一名工作人员审核。",
        "en": "Another officer must decide on this refund.",
    }


async def request_refund(ctx: WriteContext[PaymentsPorts], *, bill_id: str, surplus: bool = False) -> RefundRow:
    """The first officer's word: the fee, or money that the bill did not need. Raises NotFound, BillNotRefundable."""
    staff_id, identifier = ctx.staff_id(), parse_id(bill_id)
    known = await store.bill(ctx.session, bill_id=identifier) if identifier else None
    await ctx.disclosure(
        known.citizen_id if known else None, presented=True, object_ref=f"bill:{known.bill_id}" if known else None
    )
    assert known is not None  # disclosure raises NotFound for nobody
    bill = await store.bill_for_update(ctx.session, citizen_id=known.citizen_id, bill_id=known.bill_id)
    assert bill is not None  # bills are never removed
    payment = await _surplus_of(ctx, bill) if surplus else await _fee_of(ctx, bill)
    if payment is None or payment.paid_fen is None:
        raise BillNotRefundable(field="input.billId")
    refund = RefundRow(
        citizen_id=bill.citizen_id,
        refund_id=new_id(ctx.now),
        bill_id=bill.bill_id,
        payment_id=payment.payment_id,
        amount_fen=payment.paid_fen,
        state=advance(REFUND, None, RefundEvent.REQUEST).value,
        requested_by=staff_id,
        requested_at=ctx.now,
        next_ask_at=ctx.now,
        asks=0,
    )
    ctx.session.add(refund)
    await ctx.session.flush()
    await ctx.record("refund.requested", subject=bill.citizen_id, object_ref=f"refund:{refund.refund_id}")
    return refund


async def approve_refund(ctx: ReadContext[PaymentsPorts], *, refund_id: str) -> Outcome[RefundRow]:
    """The second officer's word, then the channel's. Approved is approved: if the channel is away, the job tells it."""
    approved = await commit(ctx, decide_to_approve, refund_id=refund_id)
    if approved.result is not None:
        try:
            await drive_refund(ctx, approved.result)
        except ChannelUnavailable as away:
            _log.warning("refund not submitted yet", refund=str(approved.result.refund_id), reason=away.reason)
    return approved


async def decide_to_approve(ctx: WriteContext[PaymentsPorts], *, refund_id: str) -> RefundRow:
    """Raises NotFound, SecondOfficerNeeded, IllegalPaymentChange."""
    locked = await _for_decision(ctx, refund_id)
    bill, refund = locked.bill, locked.refund
    refund.state = advance(REFUND, RefundState(refund.state), RefundEvent.APPROVE, field="input.refundId").value
    refund.next_ask_at = ctx.now + delay(0)
    if not locked.surplus:
        bill.state = advance(BILL, BillState(bill.state), BillEvent.BEGIN_REFUND, field="input.refundId").value
    await ctx.session.flush()
    kind = PostingKind.SURPLUS_APPROVED if locked.surplus else PostingKind.REFUND_APPROVED
    await post_fact(ctx, bill, kind, cause_id=refund.refund_id, amount_fen=refund.amount_fen)
    await ctx.record("refund.approved", subject=bill.citizen_id, object_ref=f"refund:{refund.refund_id}")
    await tell_of_refund(ctx, locked, "payments.refund_started")
    return refund


async def reject_refund(ctx: WriteContext[PaymentsPorts], *, refund_id: str) -> RefundRow:
    """The second officer says no. Raises NotFound, SecondOfficerNeeded, IllegalPaymentChange."""
    refund = (await _for_decision(ctx, refund_id)).refund
    refund.state = advance(REFUND, RefundState(refund.state), RefundEvent.REJECT, field="input.refundId").value
    await ctx.record("refund.rejected", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")
    return refund


async def _fee_of(ctx: WriteContext[PaymentsPorts], bill: BillRow) -> PaymentRow | None:
    """The payment that settled the bill, if its money is all there."""
    payment = await store.settling_payment(ctx.session, citizen_id=bill.citizen_id, bill_id=bill.bill_id)
    if payment is None or bill.state != BillState.PAID:
        return None
    live = await store.live_refund(ctx.session, citizen_id=bill.citizen_id, payment_id=payment.payment_id)
    return payment if live is None else None


async def _surplus_of(ctx: WriteContext[PaymentsPorts], bill: BillRow) -> PaymentRow | None:
    return await store.surplus_payment(ctx.session, citizen_id=bill.citizen_id, bill_id=bill.bill_id)


async def _for_decision(ctx: WriteContext[PaymentsPorts], refund_id: str) -> LockedRefund:
    staff_id, identifier = ctx.staff_id(), parse_id(refund_id)
    known = await store.refund(ctx.session, refund_id=identifier) if identifier else None
    await ctx.disclosure(
        known.citizen_id if known else None, presented=True, object_ref=f"refund:{known.refund_id}" if known else None
    )
    assert known is not None  # disclosure raises NotFound for nobody
    locked = await lock_refund(ctx, known)
    refund = locked.refund
    if refund.requested_by == staff_id:
        raise SecondOfficerNeeded(field="input.refundId")
    if refund.state == RefundState.REQUESTED:
        refund.decided_by = staff_id
        refund.decided_at = ctx.now
    return locked
