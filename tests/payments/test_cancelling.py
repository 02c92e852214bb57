"""Bills whose fee was taken back: nobody owes them, the channel takes no money for them, and what comes goes back."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from payment_city import City, citizen, officer

pytestmark = pytest.mark.untraced

REASON = "申请人撤回申请"


async def _cancel(city: City, payer: UUID, bill_id: UUID) -> None:
    assert await city.tell("permits.fee_cancelled", payer, {"bill_id": str(bill_id), "application_id": str(uuid4())})


async def _run(city: City) -> int:
    return await city.room.run_job("reconcile-payments")


async def _bill(city: City) -> str:
    state: str = await city.value("SELECT state FROM payments.bill")
    return state


async def _refund_surplus(city: City, bill_id: UUID) -> Any:
    values = {"input": {"billId": str(bill_id), "surplus": True}}
    answer = await city.ask(officer(1), "RequestRefund", values, reason=REASON)
    return answer["data"]["requestRefund"]


async def test_a_cancelled_bill_is_owed_by_nobody_and_cannot_be_paid(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    await _cancel(city, payer, bill_id)
    assert await _bill(city) == "cancelled"
    assert await city.balances() == {}
    assert await city.changes() == ["bill.issued", "bill.cancelled"]
    answer = await city.ask(citizen(payer), "MyBill", {"id": str(bill_id)})
    assert answer["data"]["bill"]["state"] == "CANCELLED"
    refused = await city.pay_bill(citizen(payer), bill_id)
    assert [(error["code"], error["field"]) for error in refused["userErrors"]] == [
        ("BILL_NOT_PAYABLE", "input.billId")
    ]
    assert await city.value("SELECT count(*) FROM payments.payment") == 0


async def test_an_order_that_is_open_at_the_channel_is_closed_there_before_it_expires(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    begun = await city.pay_bill(citizen(payer), bill_id)
    await _cancel(city, payer, bill_id)
    same_key = await city.pay_bill(citizen(payer), bill_id)
    assert [error["code"] for error in same_key["userErrors"]] == ["BILL_NOT_PAYABLE"]
    assert await _run(city) == 1
    assert await city.value("SELECT state FROM payments.payment") == "closed"
    late = await city.wire.post("/sandbox/pay", json={"codeUrl": begun["payment"]["codeUrl"]})
    assert late.status_code == 409
    assert await city.balances() == {}


async def test_a_bill_cancelled_while_the_channel_is_asked_shows_no_address(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    channel = city.room.services.ports.channel
    prepay = channel.prepay

    async def slow(order: Any) -> str:
        await _cancel(city, payer, bill_id)
        return await prepay(order)

    monkeypatch.setattr(channel, "prepay", slow)
    refused = await city.pay_bill(citizen(payer), bill_id)
    assert [error["code"] for error in refused["userErrors"]] == ["BILL_NOT_PAYABLE"]
    assert await city.value("SELECT state FROM payments.payment") == "created"
    city.clock.advance(dt.timedelta(seconds=60))
    assert await _run(city) == 1
    assert await city.value("SELECT state FROM payments.payment") == "closed"


async def test_money_that_comes_for_a_cancelled_bill_is_surplus_and_two_officers_return_it(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    begun = await city.pay_bill(citizen(payer), bill_id)
    await _cancel(city, payer, bill_id)
    await city.scan(begun["payment"]["codeUrl"])
    await city.channel.idle()
    assert await city.value("SELECT state FROM payments.payment") == "surplus"
    assert await city.balances() == {"channel": 5000, "surplus": -5000}
    assert "payments.bill_settled" not in [kind for kind, _ in await city.events()]

    requested = await _refund_surplus(city, bill_id)
    again = await _refund_surplus(city, bill_id)
    assert [error["code"] for error in again["userErrors"]] == ["BILL_NOT_REFUNDABLE"]
    approval = {"input": {"refundId": requested["refund"]["id"]}}
    await city.ask(officer(2), "ApproveRefund", approval, reason=REASON)
    await city.channel.idle()

    assert await city.value("SELECT state FROM payments.refund") == "succeeded"
    assert await _bill(city) == "cancelled"
    assert await city.balances() == {}
    assert [kind for kind, _ in await city.events() if "refund" in kind] == []


async def test_surplus_of_another_amount_goes_back_beside_a_fee_that_stays(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    for key, paid in (("first", 7), ("second", 5000)):
        begun = await city.pay_bill(citizen(payer), bill_id, key)
        await city.scan(begun["payment"]["codeUrl"], paidFen=paid, notifications=0)
        city.clock.advance(dt.timedelta(seconds=60))
        await _run(city)
    assert await city.balances() == {"channel": 5007, "revenue": -5000, "surplus": -7}

    requested = await _refund_surplus(city, bill_id)
    approval = {"input": {"refundId": requested["refund"]["id"]}}
    await city.ask(officer(2), "ApproveRefund", approval, reason=REASON)
    await city.channel.idle()

    assert await city.rows("SELECT state, amount_fen FROM payments.refund") == [{"state": "succeeded", "amount_fen": 7}]
    assert await _bill(city) == "paid"
    assert await city.balances() == {"channel": 5000, "revenue": -5000}


async def test_a_bill_paid_before_the_cancellation_came_stays_paid(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    begun = await city.pay_bill(citizen(payer), bill_id)
    await city.scan(begun["payment"]["codeUrl"])
    await city.channel.idle()
    await _cancel(city, payer, bill_id)
    assert await _bill(city) == "paid"
    assert (await city.changes())[-1] == "bill.cancellation_told"
    assert await city.balances() == {"channel": 5000, "revenue": -5000}


async def test_a_cancellation_that_overtakes_its_fee_comes_again(city: City) -> None:
    payer = await city.register()
    with pytest.raises(ValueError, match="not here yet"):
        await _cancel(city, payer, uuid4())
    assert await city.changes() == []


async def test_a_channel_that_is_away_is_told_to_close_the_order_later(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    await city.pay_bill(citizen(payer), bill_id)
    await _cancel(city, payer, bill_id)
    with monkeypatch.context() as away:

        async def fail(*_: object, **__: object) -> httpx.Response:
            raise httpx.ConnectError("away")

        away.setattr(httpx.AsyncClient, "request", fail)
        assert await _run(city) == 1
    assert await city.value("SELECT state FROM payments.payment") == "awaiting"
    city.clock.advance(dt.timedelta(minutes=2))
    assert await _run(city) == 1
    assert await city.value("SELECT state FROM payments.payment") == "closed"
