"""Paying a bill: two transactions with the channel asked between them, never within one.

begin     the payment and the idempotency key are there, `created`            ── a crash after this leaves a payment
ask       the channel takes the order and gives the address to scan              that the reconciliation job settles
prepared  `awaiting`, with the address                                           by asking the channel
"""

from __future__ import annotations

import datetime as dt
import re
from typing import ClassVar

from gov_services.kit.canonical import canonical_json, sha256
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import new_id, parse_id
from gov_services.payments import store
from gov_services.payments.channel import Order
from gov_services.payments.lifecycle import PAYMENT, BillState, PaymentEvent, PaymentState, advance
from gov_services.payments.models import BillRow, IdempotencyRow, PaymentRow
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service.reconciling import recipient, settle_by_asking
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import Outcome, commit

LIFETIME = dt.timedelta(hours=2)
"""How long an address to scan is good."""
FIRST_ASK_AFTER = dt.timedelta(seconds=60)
"""When the job asks about it first: well after any request of ours to the channel has ended."""
_KEY = re.compile(r"[A-Za-z0-9_-]{1,255}")


class InvalidIdempotencyKey(UserError):
    """The key is not one."""

    code = "IDEMPOTENCY_KEY_INVALID"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "幂等键须为 1 至 255 个字母、数字、下划线或连字符。",
        "en": "An idempotency key is 1 to 255 letters, digits, underscores or hyphens.",
    }


class IdempotencyConflict(UserError):
    """The key was used for another request."""

    code = "IDEMPOTENCY_CONFLICT"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该幂等键已用于另一请求。",
        "en": "This idempotency key was used for another request.",
    }


class BillNotPayable(UserError):
    """The bill is paid, given back, or cancelled."""

    code = "BILL_NOT_PAYABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该缴款单当前无需缴费。",
        "en": "There is nothing to pay on this bill now.",
    }


async def pay_bill(ctx: ReadContext[PaymentsPorts], *, bill_id: str, idempotency_key: str) -> Outcome[PaymentRow]:
    """Begin to pay, or go on with what the same key began. Raises NotFound, ChannelUnavailable; then try again."""
    await _retire_expired(ctx, bill_id)
    begun = await commit(ctx, begin_payment, bill_id=bill_id, idempotency_key=idempotency_key)
    payment = begun.result
    if payment is None or payment.state != PaymentState.CREATED:
        return begun
    order = Order(number=payment.payment_id.hex, amount_fen=payment.amount_fen, expires_at=payment.expires_at)
    code_url = await ctx.ports.channel.prepay(order)
    return await commit(ctx, record_prepared, payment=payment, code_url=code_url)


async def begin_payment(ctx: WriteContext[PaymentsPorts], *, bill_id: str, idempotency_key: str) -> PaymentRow:
    """The payment that this key stands for, made now if it stood for none; one open payment serves all keys."""
    citizen_id = ctx.citizen_id()
    if not _KEY.fullmatch(idempotency_key):
        raise InvalidIdempotencyKey(field="input.idempotencyKey")
    body_hash = _body_hash(bill_id)
    if (used := await store.idempotency(ctx.session, citizen_id=citizen_id, key=idempotency_key)) is not None:
        return await _go_on(ctx, used, body_hash)
    identifier = parse_id(bill_id)
    bill = await store.bill_for_update(ctx.session, citizen_id=citizen_id, bill_id=identifier) if identifier else None
    if bill is None:
        raise NotFound
    # Whoever used the key for this bill held its lock until now.
    if (used := await store.idempotency(ctx.session, citizen_id=citizen_id, key=idempotency_key)) is not None:
        return await _go_on(ctx, used, body_hash)
    if bill.state != BillState.ISSUED:
        raise BillNotPayable(field="input.billId")
    payment = await store.open_payment(ctx.session, citizen_id=citizen_id, bill_id=bill.bill_id)
    if payment is None:
        payment = await _make_payment(ctx, bill)
    payment.next_ask_at = max(payment.next_ask_at, ctx.now + FIRST_ASK_AFTER)
    taken = await store.take_key(
        ctx.session,
        citizen_id=citizen_id,
        key=idempotency_key,
        body_hash=body_hash,
        payment_id=payment.payment_id,
        now=ctx.now,
    )
    if not taken:  # for another bill: this one's lock is ours
        raise IdempotencyConflict(field="input.idempotencyKey")
    await ctx.record(
        "payment.begun",
        subject=citizen_id,
        object_ref=f"payment:{payment.payment_id}",
        recipient=recipient(ctx),
        disclosed={"Bill.amount": "PLAIN"},
    )
    return payment


async def record_prepared(ctx: WriteContext[PaymentsPorts], *, payment: PaymentRow, code_url: str) -> PaymentRow:
    """Keep the address that the channel gave, unless it was kept, paid or closed meanwhile."""
    bill = await store.bill_for_update(ctx.session, citizen_id=payment.citizen_id, bill_id=payment.bill_id)
    current = await store.payment_for_update(ctx.session, citizen_id=payment.citizen_id, payment_id=payment.payment_id)
    if bill is None or bill.state == BillState.CANCELLED:  # while the channel was asked: the job closes the order there
        raise BillNotPayable(field="input.billId")
    if current.state == PaymentState.CREATED:
        current.state = advance(PAYMENT, PaymentState.CREATED, PaymentEvent.PREPARE).value
        current.code_url = code_url
    await ctx.record("payment.prepared", subject=current.citizen_id, object_ref=f"payment:{current.payment_id}")
    return current


async def _retire_expired(ctx: ReadContext[PaymentsPorts], bill_id: str) -> None:
    """Ask about an open payment of the bill whose time is over, so that it stands in nobody's way."""
    citizen_id, identifier = ctx.citizen_id(), parse_id(bill_id)
    if identifier is None:
        return
    async with ctx.reading() as session:
        payment = await store.open_payment(session, citizen_id=citizen_id, bill_id=identifier)
    if payment is not None and payment.expires_at <= ctx.now:
        await settle_by_asking(ctx, payment)


async def _go_on(ctx: WriteContext[PaymentsPorts], used: IdempotencyRow, body_hash: bytes) -> PaymentRow:
    if used.body_hash != body_hash:
        raise IdempotencyConflict(field="input.idempotencyKey")
    payment = await store.payment_for_update(ctx.session, citizen_id=used.citizen_id, payment_id=used.payment_id)
    bill = await store.bill(ctx.session, bill_id=payment.bill_id)
    if bill is None or bill.state == BillState.CANCELLED:
        raise BillNotPayable(field="input.billId")
    if payment.state == PaymentState.CREATED:
        payment.next_ask_at = max(payment.next_ask_at, ctx.now + FIRST_ASK_AFTER)
    await ctx.record("payment.begun_again", subject=used.citizen_id, object_ref=f"payment:{used.payment_id}")
    return payment


async def _make_payment(ctx: WriteContext[PaymentsPorts], bill: BillRow) -> PaymentRow:
    payment = PaymentRow(
        citizen_id=bill.citizen_id,
        payment_id=new_id(ctx.now),
        bill_id=bill.bill_id,
        channel=ctx.ports.channel.name,
        amount_fen=bill.amount_fen,
        state=advance(PAYMENT, None, PaymentEvent.BEGIN).value,
        begun_at=ctx.now,
        expires_at=ctx.now + LIFETIME,
        next_ask_at=ctx.now + FIRST_ASK_AFTER,
        asks=0,
    )
    ctx.session.add(payment)
    await ctx.session.flush()
    return payment


def _body_hash(bill_id: str) -> bytes:
    return sha256(canonical_json({"v": "gov-idempotency/1", "operation": "payBill", "billId": bill_id}))
