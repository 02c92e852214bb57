"""Issuing and cancelling bills, on the word of the room that assessed the fee; and what an erasure means here."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from gov_services.kit.errors import LOCALES
from gov_services.payments import store
from gov_services.payments.ledger import PostingKind
from gov_services.payments.lifecycle import BILL, BillEvent, BillState, advance
from gov_services.payments.models import BillRow
from gov_services.payments.money import require_amount
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service.posting import post_fact
from gov_services.subgraph.context import WriteContext
from gov_services.subgraph.events import Event

TERM = dt.timedelta(days=30)
"""How long a citizen has to pay."""


async def on_fee_assessed(ctx: WriteContext[PaymentsPorts], *, event: Event) -> None:
    """`permits.fee_assessed`: issue the bill, under the id that the application names already."""
    if event.citizen_id is None:
        raise ValueError("a fee is owed by somebody")
    bill = BillRow(
        citizen_id=event.citizen_id,
        bill_id=UUID(event.body["bill_id"]),
        application_id=UUID(event.body["application_id"]),
        titles={locale: str(event.body["titles"][locale]) for locale in LOCALES},
        amount_fen=require_amount(event.body["amount_fen"]),
        state=advance(BILL, None, BillEvent.ISSUE).value,
        issued_at=ctx.now,
        due_at=ctx.now + TERM,
        settled_at=None,
        receipt_number=None,
    )
    ctx.session.add(bill)
    await ctx.session.flush()
    await post_fact(ctx, bill, PostingKind.BILL_ISSUED, cause_id=bill.bill_id, amount_fen=bill.amount_fen)
    await ctx.record("bill.issued", subject=bill.citizen_id, object_ref=f"bill:{bill.bill_id}")
    await ctx.publish(
        "message.requested",
        subject=bill.citizen_id,
        body={"code": "bill.issued", "params": {"bill_id": str(bill.bill_id)}},
    )


async def on_fee_cancelled(ctx: WriteContext[PaymentsPorts], *, event: Event) -> None:
    """`permits.fee_cancelled`: nothing is owed any more. The job closes an order that the channel still holds open.

    A bill that was paid before we heard of it stays paid; officers give its money back.
    """
    if event.citizen_id is None:
        raise ValueError("a bill is somebody's")
    bill_id = UUID(event.body["bill_id"])
    bill = await store.bill_for_update(ctx.session, citizen_id=event.citizen_id, bill_id=bill_id)
    if bill is None:
        raise ValueError("the bill is not here yet")  # events may overtake each other: this one comes again
    if bill.state != BillState.ISSUED:
        await ctx.record("bill.cancellation_told", subject=bill.citizen_id, object_ref=f"bill:{bill.bill_id}")
        return
    bill.state = advance(BILL, BillState(bill.state), BillEvent.CANCEL).value
    await ctx.session.flush()
    payment = await store.open_payment(ctx.session, citizen_id=bill.citizen_id, bill_id=bill.bill_id)
    if payment is not None:
        payment.next_ask_at = ctx.now
    await post_fact(ctx, bill, PostingKind.BILL_CANCELLED, cause_id=bill.bill_id, amount_fen=bill.amount_fen)
    await ctx.record("bill.cancelled", subject=bill.citizen_id, object_ref=f"bill:{bill.bill_id}")


async def on_citizen_erased(ctx: WriteContext[PaymentsPorts], *, event: Event) -> None:
    """`privacy.citizen_erased`, `privacy.term_over`: forget keys held in memory. Bills and books stay (会计法: kept for
    their term); when that is over nothing opens the bills any more, and the books name nobody.
    """
    if event.citizen_id is None:
        raise ValueError("an erasure is somebody's")
    ctx.services.discloser.keys.forget(event.citizen_id)
    await ctx.record("erasure.noted", subject=event.citizen_id)
