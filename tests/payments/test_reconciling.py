"""Reconciliation: what a crash or a lost notification left behind is settled by asking the channel."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import httpx
import pytest
from payment_city import City, citizen
from sqlalchemy import text

from gov_services.payments.channel import Trade, TradeState
from gov_services.payments.service.reconciling import delay

pytestmark = pytest.mark.untraced


async def _run(city: City) -> int:
    return await city.room.run_job("reconcile-payments")


async def _state(city: City) -> str:
    state: str = await city.value("SELECT state FROM payments.payment")
    return state


async def _begin(city: City) -> str:
    payer = await city.register()
    begun = await city.pay_bill(citizen(payer), await city.assess(payer))
    code_url: str = begun["payment"]["codeUrl"]
    return code_url


async def _forget_address(city: City) -> None:
    """As a crash leaves it between the channel's answer and our second transaction."""
    async with city.database.writing() as session:
        await session.execute(text("ALTER TABLE payments.payment DISABLE TRIGGER USER"))
        await session.execute(text("UPDATE payments.payment SET state = 'created', code_url = NULL"))
        await session.execute(text("ALTER TABLE payments.payment ENABLE TRIGGER USER"))


async def test_nothing_is_asked_before_it_is_due(city: City) -> None:
    await _begin(city)
    assert await _run(city) == 0
    assert await city.changes() == ["bill.issued", "payment.begun", "payment.prepared"]


async def test_a_payment_whose_notification_was_lost_is_settled(city: City) -> None:
    code_url = await _begin(city)
    await city.scan(code_url, notifications=0)
    city.clock.advance(dt.timedelta(seconds=60))
    assert await _run(city) == 1
    assert await _state(city) == "succeeded"
    assert await city.balances() == {"channel": 5000, "revenue": -5000}
    assert await _run(city) == 0


async def test_a_crash_before_the_channel_heard_of_it_ends_in_a_closed_payment(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    with monkeypatch.context() as away:

        async def fail(*_: object, **__: object) -> httpx.Response:
            raise httpx.ReadTimeout("away")

        away.setattr(httpx.AsyncClient, "request", fail)
        await city.pay_bill(citizen(payer), bill_id, "first")
    city.clock.advance(dt.timedelta(seconds=60))
    assert await _run(city) == 1
    assert await _state(city) == "closed"
    again = await city.pay_bill(citizen(payer), bill_id, "first")
    assert (again["payment"]["state"], again["payment"]["codeUrl"]) == ("CLOSED", None)
    fresh = await city.pay_bill(citizen(payer), bill_id, "second")
    assert fresh["payment"]["state"] == "AWAITING"


async def test_a_crash_after_the_channel_heard_of_it_is_mended_by_the_same_key(city: City) -> None:
    code_url = await _begin(city)
    await _forget_address(city)
    city.clock.advance(dt.timedelta(seconds=60))
    assert await _run(city) == 1
    assert await _state(city) == "created"
    payer = await city.value("SELECT citizen_id FROM payments.payment")
    bill_id: UUID = await city.value("SELECT bill_id FROM payments.payment")
    again = await city.pay_bill(citizen(payer), bill_id)
    assert (again["payment"]["state"], again["payment"]["codeUrl"]) == ("AWAITING", code_url)


async def test_a_crash_after_which_it_was_paid_all_the_same_is_settled(city: City) -> None:
    code_url = await _begin(city)
    await _forget_address(city)
    await city.scan(code_url, notifications=0)
    city.clock.advance(dt.timedelta(seconds=60))
    assert await _run(city) == 1
    assert await _state(city) == "succeeded"


async def test_a_payment_that_nobody_paid_in_time_is_closed_at_the_channel_and_here(city: City) -> None:
    code_url = await _begin(city)
    city.clock.advance(dt.timedelta(hours=2, seconds=1))
    assert await _run(city) == 1
    assert await _state(city) == "closed"
    stale = await city.wire.post("/sandbox/pay", json={"codeUrl": code_url})
    assert stale.status_code == 409
    assert await city.balances() == {"receivable": 5000, "revenue": -5000}


async def test_what_is_still_open_is_asked_about_less_and_less_often(city: City) -> None:
    await _begin(city)
    asked = []
    for _ in range(30):
        city.clock.advance(dt.timedelta(seconds=60))
        if await _run(city):
            asked.append(city.clock.now())
    # After 1, 2, 4, 8 and 16 minutes' waiting: 1, 2, 4, 8, 16 from the start.
    first = asked[0] - dt.timedelta(seconds=60)
    assert [int((at - first).total_seconds()) // 60 for at in asked] == [1, 2, 4, 8, 16]
    assert await _state(city) == "awaiting"
    assert delay(100) == dt.timedelta(hours=1)


async def test_another_amount_paid_is_kept_as_surplus_and_the_bill_can_be_paid_anew(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    first = await city.pay_bill(citizen(payer), bill_id, "first")
    await city.scan(first["payment"]["codeUrl"], paidFen=1, notifications=0)
    city.clock.advance(dt.timedelta(seconds=60))
    assert await _run(city) == 1
    assert await city.rows("SELECT state, amount_fen, paid_fen FROM payments.payment") == [
        {"state": "surplus", "amount_fen": 5000, "paid_fen": 1}
    ]
    assert await city.balances() == {"receivable": 5000, "revenue": -5000, "channel": 1, "surplus": -1}
    assert await city.value("SELECT state FROM payments.bill") == "issued"
    again = await city.pay_bill(citizen(payer), bill_id, "first")
    assert (again["payment"]["state"], again["payment"]["codeUrl"]) == ("SURPLUS", None)
    second = await city.pay_bill(citizen(payer), bill_id, "second")
    assert second["payment"]["id"] != first["payment"]["id"]
    await city.scan(second["payment"]["codeUrl"])
    await city.channel.idle()
    assert await city.value("SELECT state FROM payments.bill") == "paid"
    assert await city.balances() == {"revenue": -5000, "channel": 5001, "surplus": -1}


async def test_while_the_channel_is_away_the_job_goes_on_later(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    code_url = await _begin(city)
    await city.scan(code_url, notifications=0)
    city.clock.advance(dt.timedelta(seconds=60))
    with monkeypatch.context() as away:

        async def fail(*_: object, **__: object) -> httpx.Response:
            raise httpx.ConnectError("away")

        away.setattr(httpx.AsyncClient, "request", fail)
        assert await _run(city) == 1
        assert await _run(city) == 0
    assert await _state(city) == "awaiting"
    city.clock.advance(dt.timedelta(seconds=60))
    assert await _run(city) == 1
    assert await _state(city) == "succeeded"


async def test_what_the_channel_hears_of_while_it_is_asked_stays_open(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _begin(city)
    await _forget_address(city)
    channel = city.room.services.ports.channel

    async def ask(number: str) -> Trade:
        bill_id = await city.value("SELECT bill_id FROM payments.payment")
        payer = await city.value("SELECT citizen_id FROM payments.payment")
        await city.pay_bill(citizen(payer), bill_id, "another")
        return Trade(number=number, state=TradeState.ABSENT)

    monkeypatch.setattr(channel, "ask", ask)
    city.clock.advance(dt.timedelta(seconds=60))
    assert await _run(city) == 1
    assert await _state(city) == "awaiting"
