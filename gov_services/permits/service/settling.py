"""What payments tells: a fee was paid, or given back. And what an erasure means here."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import structlog

from gov_services.permits import store
from gov_services.permits.lifecycle import Event as Step
from gov_services.permits.lifecycle import State
from gov_services.permits.service.assigning import assign_approver
from gov_services.permits.service.moving import Context, move
from gov_services.subgraph.events import Event

_RESTING_ON_FEE = (State.FEE_DUE, State.UNDER_REVIEW, State.RECOMMENDED)
_LICENSED = (State.ISSUED, State.SURRENDERED)
_log = structlog.get_logger("gov_services.permits")


async def on_bill_settled(ctx: Context, *, event: Event) -> None:
    """`payments.bill_settled`: keep the fact; if it is the fee that the case waits for, the case goes on.

    A bill settled after its application was withdrawn, or of another amount, is kept too and moves nothing: the
    money is there, and finance sees whose it is.
    """
    if event.citizen_id is None:
        raise ValueError("a bill is somebody's")
    bill_id, application_id = UUID(event.body["bill_id"]), UUID(event.body["application_id"])
    amount_fen = int(event.body["amount_fen"])
    await store.keep_settlement(
        ctx.session,
        citizen_id=event.citizen_id,
        bill_id=bill_id,
        application_id=application_id,
        amount_fen=amount_fen,
        settled_at=dt.datetime.fromisoformat(event.body["settled_at"]),
    )
    row = await store.application_for_update(ctx.session, citizen_id=event.citizen_id, application_id=application_id)
    if row is not None and row.state == State.FEE_DUE and (row.bill_id, row.fee_fen) == (bill_id, amount_fen):
        await assign_approver(ctx, row)
        move(ctx, row, Step.SETTLE_FEE)
        action = "application.fee-settled"
    else:
        action = "application.settlement-told"
        _log.warning("a settlement moves no case", bill=str(bill_id), application=str(application_id))
    await ctx.record(action, subject=event.citizen_id, object_ref=f"application:{application_id}")


async def on_refund_started(ctx: Context, *, event: Event) -> None:
    """`payments.refund_started`: until it ends, nothing is recommended or approved that rests on this fee."""
    await _keep_refund(ctx, event, ended=False)
    await ctx.record("application.refund-told", subject=event.citizen_id, object_ref=_application(event))


async def on_refund_failed(ctx: Context, *, event: Event) -> None:
    """`payments.refund_failed`: the fee stays where it is, and the case goes on."""
    await _keep_refund(ctx, event, ended=True)
    await ctx.record("application.refund-told", subject=event.citizen_id, object_ref=_application(event))


async def _keep_refund(ctx: Context, event: Event, *, ended: bool) -> None:
    if event.citizen_id is None:
        raise ValueError("a refund is somebody's")
    await store.keep_refund(
        ctx.session,
        citizen_id=event.citizen_id,
        refund_id=UUID(event.body["refund_id"]),
        bill_id=UUID(event.body["bill_id"]),
        ended_at=ctx.now if ended else None,
    )


def _application(event: Event) -> str:
    return f"application:{UUID(event.body['application_id'])}"


async def on_bill_refunded(ctx: Context, *, event: Event) -> None:
    """`payments.bill_refunded`: a case that rests on this fee and is not decided goes back to before it was assessed.

    What is decided stays decided: a licence is not taken away because money went back. That its fee did stands in the
    log in words of its own, for whoever has to decide about it. A bill that the case does not rest on any more moves
    nothing.
    """
    await _keep_refund(ctx, event, ended=True)
    assert event.citizen_id is not None  # _keep_refund has asked
    bill_id, application_id = UUID(event.body["bill_id"]), UUID(event.body["application_id"])
    row = await store.application_for_update(ctx.session, citizen_id=event.citizen_id, application_id=application_id)
    action = "application.refund-told"
    if row is not None and row.bill_id == bill_id:
        if row.state in _RESTING_ON_FEE:
            move(ctx, row, Step.REFUND_FEE)
            row.bill_id = row.fee_fen = row.recommended_by = None
            action = "application.fee-refunded"
        elif row.state in _LICENSED:
            action = "licence.fee-refunded"
            _log.warning("the fee of a licence went back", bill=str(bill_id), application=str(application_id))
    await ctx.record(action, subject=event.citizen_id, object_ref=f"application:{application_id}")


async def on_citizen_erased(ctx: Context, *, event: Event) -> None:
    """`privacy.citizen_erased`, `privacy.term_over`: forget keys held in memory. Cases and licences stay for their
    statutory term; when that is over nothing opens them any more.
    """
    if event.citizen_id is None:
        raise ValueError("an erasure is somebody's")
    ctx.services.discloser.keys.forget(event.citizen_id)
    await ctx.record("erasure.noted", subject=event.citizen_id)
