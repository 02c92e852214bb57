"""What the channel says of refunds becomes our fact: submitted, paid out or failed. Once each.

A refund gives back the money of one payment, whole: of the one that settled its bill, or of one that the bill did not
need (surplus). Only the former changes the bill. As in settling, the bill is locked first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gov_services.kit.errors import Refusal
from gov_services.payments import store
from gov_services.payments.channel import NotificationRefused, Return, ReturnState
from gov_services.payments.ledger import PostingKind
from gov_services.payments.lifecycle import (
    BILL,
    OPEN_REFUNDS,
    REFUND,
    BillEvent,
    BillState,
    PaymentState,
    RefundEvent,
    RefundState,
    advance,
)
from gov_services.payments.models import BillRow, RefundRow
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service.posting import post_fact
from gov_services.payments.service.settling import AmountMismatch, id_of, is_new
from gov_services.subgraph.context import WriteContext


class ReturnUnexpected(Refusal):
    """The channel gave money back that we did not ask it to, or that another refund gives back. Somebody looks."""

    code = "RETURN_UNEXPECTED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "渠道通知的退款并非应退款项,未予入账。",
        "en": "The channel gave back what was not to be given back. Nothing was booked.",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedRefund:
    """A refund under the lock of its bill, and whether it gives back surplus."""

    bill: BillRow
    refund: RefundRow
    surplus: bool


async def apply_return(
    ctx: WriteContext[PaymentsPorts], *, returned: Return, notification_id: str | None = None
) -> RefundRow:
    """Take what the channel says of a refund; that money went back is never passed over.

    Raises NotificationRefused, AmountMismatch, ReturnUnexpected; then nothing changes.
    """
    refund_id = id_of(returned.number)
    known = await store.refund(ctx.session, refund_id=refund_id) if refund_id else None
    if known is None:
        raise NotificationRefused("no refund of ours")
    locked = await lock_refund(ctx, known)
    refund = locked.refund
    fresh = await is_new(ctx, notification_id)
    state = RefundState(refund.state)
    if returned.state is ReturnState.RETURNED and fresh and state not in (*OPEN_REFUNDS, RefundState.SUCCEEDED):
        await _complete_late(ctx, locked, returned)
        return refund
    if state not in OPEN_REFUNDS or not fresh or returned.state is ReturnState.ABSENT:
        await ctx.record("refund.told_again", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")
        return refund
    if returned.state is ReturnState.REFUSED:
        await _fail(ctx, locked)
        return refund
    if returned.amount_fen != refund.amount_fen:
        raise AmountMismatch
    if state is RefundState.APPROVED:
        refund.state = advance(REFUND, RefundState.APPROVED, RefundEvent.SUBMIT).value
        refund.channel_refund = returned.channel_refund
        await ctx.session.flush()  # each edge on its own, as the database's table has them
        await ctx.record("refund.submitted", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")
    if returned.state is ReturnState.RETURNED:
        await _complete(ctx, locked, PostingKind.REFUND_PAID)
    elif returned.state is ReturnState.FAILED:
        await _fail(ctx, locked)
    elif not ctx.changes.entries:
        await ctx.record("refund.told_again", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")
    return refund


async def lock_refund(ctx: WriteContext[PaymentsPorts], refund: RefundRow) -> LockedRefund:
    """The refund's bill and the refund, locked in that order and read anew."""
    bill = await store.bill_for_update(ctx.session, citizen_id=refund.citizen_id, bill_id=refund.bill_id)
    payment = await store.payment(ctx.session, payment_id=refund.payment_id)
    assert bill is not None  # a foreign key says so
    assert payment is not None  # and so does another
    current = await store.refund_for_update(ctx.session, citizen_id=refund.citizen_id, refund_id=refund.refund_id)
    return LockedRefund(bill=bill, refund=current, surplus=payment.state == PaymentState.SURPLUS)


async def _complete_late(ctx: WriteContext[PaymentsPorts], locked: LockedRefund, returned: Return) -> None:
    """The money went back although we believed that it would not."""
    refund = locked.refund
    if returned.amount_fen != refund.amount_fen:
        raise AmountMismatch
    other = await store.live_refund(ctx.session, citizen_id=refund.citizen_id, payment_id=refund.payment_id)
    if refund.state != RefundState.FAILED or other is not None:
        raise ReturnUnexpected
    await _complete(ctx, locked, PostingKind.SURPLUS_PAID_LATE if locked.surplus else PostingKind.REFUND_PAID_LATE)


async def _complete(ctx: WriteContext[PaymentsPorts], locked: LockedRefund, posted: PostingKind) -> None:
    bill, refund = locked.bill, locked.refund
    refund.state = advance(REFUND, RefundState(refund.state), RefundEvent.SUCCEED).value
    refund.completed_at = ctx.now
    if not locked.surplus:
        bill.state = advance(BILL, BillState(bill.state), BillEvent.COMPLETE_REFUND).value
    await post_fact(ctx, bill, posted, cause_id=refund.refund_id, amount_fen=refund.amount_fen)
    await ctx.record("refund.succeeded", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")
    await tell_of_refund(ctx, locked, "payments.bill_refunded")
    await ctx.publish(
        "message.requested",
        subject=bill.citizen_id,
        body={"code": "bill.refunded", "params": {"bill_id": str(bill.bill_id)}},
    )


async def _fail(ctx: WriteContext[PaymentsPorts], locked: LockedRefund) -> None:
    bill, refund = locked.bill, locked.refund
    refund.state = advance(REFUND, RefundState(refund.state), RefundEvent.FAIL).value
    refund.completed_at = ctx.now
    if not locked.surplus:
        bill.state = advance(BILL, BillState(bill.state), BillEvent.FAIL_REFUND).value
    kind = PostingKind.SURPLUS_FAILED if locked.surplus else PostingKind.REFUND_FAILED
    await post_fact(ctx, bill, kind, cause_id=refund.refund_id, amount_fen=refund.amount_fen)
    await ctx.record("refund.failed", subject=refund.citizen_id, object_ref=f"refund:{refund.refund_id}")
    await tell_of_refund(ctx, locked, "payments.refund_failed")


async def tell_of_refund(ctx: WriteContext[PaymentsPorts], locked: LockedRefund, event_type: str) -> None:
    """Tell other rooms how a fee's refund goes; that of surplus is no business of theirs.

    The refund is named: a bill may have several, one after the other, and events may overtake each other.
    """
    if locked.surplus:
        return
    bill = locked.bill
    await ctx.publish(
        event_type,
        subject=bill.citizen_id,
        body={
            "bill_id": str(bill.bill_id),
            "application_id": str(bill.application_id),
            "refund_id": str(locked.refund.refund_id),
        },
    )
