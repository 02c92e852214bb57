"""Refunds that do not go straight: abnormal, refused for good, lost, or paid out after all."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from payment_city import City, citizen, officer

from gov_services.devstack.payment_channel_keys import MERCHANT_ID
from gov_services.devstack.payment_channel_orders import ChannelError
from gov_services.devstack.payment_channel_wire import Wire
from gov_services.payments.webhook import PATH

pytestmark = pytest.mark.untraced

REASON = "申请人撤回申请"
PAID = {"channel": 5000, "revenue": -5000}


async def _requested(city: City) -> tuple[UUID, str]:
    payer = await city.register()
    bill_id = await city.assess(payer)
    begun = await city.pay_bill(citizen(payer), bill_id)
    await city.scan(begun["payment"]["codeUrl"])
    await city.channel.idle()
    return bill_id, await _request(city, bill_id)


async def _request(city: City, bill_id: UUID) -> str:
    answer = await city.ask(officer(1), "RequestRefund", {"input": {"billId": str(bill_id)}}, reason=REASON)
    refund_id: str = answer["data"]["requestRefund"]["refund"]["id"]
    return refund_id


async def _approve(city: City, refund_id: str) -> Any:
    answer = await city.ask(officer(2), "ApproveRefund", {"input": {"refundId": refund_id}}, reason=REASON)
    return answer["data"]["approveRefund"]


async def _notify(city: City, refund_id: str, status: str, *, identifier: str, amount_fen: int = 5000) -> int:
    about = {
        "mchid": MERCHANT_ID,
        "out_refund_no": UUID(refund_id).hex,
        "refund_id": "50",
        "refund_status": status,
        "amount": {"total": 5000, "refund": amount_fen},
    }
    now = city.clock.now()
    body = Wire(city.keys).notification(identifier=identifier, event=f"REFUND.{status}", about=about, now=now)
    headers = Wire(city.keys).signed_headers(body, now=now)
    return (await city.hook.post(PATH, content=body, headers=headers)).status_code


async def _states(city: City) -> tuple[str, str]:
    refund = await city.value("SELECT state FROM payments.refund ORDER BY refund_id LIMIT 1")
    return refund, await city.value("SELECT state FROM payments.bill")


def _refuse(city: City, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    def refund(*_: object, **__: object) -> None:
        raise ChannelError(403, code, "")

    monkeypatch.setattr(type(city.channel._orders), "refund", refund)


async def _work(city: City) -> None:
    city.clock.advance(dt.timedelta(hours=2))
    assert await city.room.run_job("reconcile-payments") == 1
    await city.channel.idle()


async def test_a_refund_that_succeeds_after_it_was_abnormal_is_booked_and_told_to_permits(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill_id, refund_id = await _requested(city)
    monkeypatch.setattr(city.channel, "_notify", lambda *_, **__: None)
    await _approve(city, refund_id)
    assert await _notify(city, refund_id, "ABNORMAL", identifier="EV-1") == 204
    assert await _states(city) == ("submitted", "refunding")
    assert await _notify(city, refund_id, "SUCCESS", identifier="EV-2") == 204
    assert await _states(city) == ("succeeded", "refunded")
    assert await city.balances() == {}
    application_id = await city.value("SELECT application_id FROM payments.bill")
    assert [body for kind, body in await city.events() if kind == "payments.bill_refunded"] == [
        {"bill_id": str(bill_id), "application_id": str(application_id), "refund_id": refund_id}
    ]


async def test_money_that_goes_back_after_the_refund_was_closed_is_booked_all_the_same(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill_id, refund_id = await _requested(city)
    monkeypatch.setattr(city.channel, "_notify", lambda *_, **__: None)
    await _approve(city, refund_id)
    assert await _notify(city, refund_id, "CLOSED", identifier="EV-1") == 204
    assert (await _states(city), await city.balances()) == (("failed", "paid"), PAID)
    application_id = await city.value("SELECT application_id FROM payments.bill")
    body = {"bill_id": str(bill_id), "application_id": str(application_id), "refund_id": refund_id}
    told = {kind: said for kind, said in await city.events() if "refund" in kind}
    assert told == {"payments.refund_started": body, "payments.refund_failed": body}
    assert await _notify(city, refund_id, "SUCCESS", identifier="EV-2", amount_fen=1) == 422
    assert await _notify(city, refund_id, "SUCCESS", identifier="EV-2") == 204
    assert (await _states(city), await city.balances()) == (("succeeded", "refunded"), {})
    assert await _notify(city, refund_id, "SUCCESS", identifier="EV-3") == 204
    assert (await city.changes())[-2:] == ["refund.succeeded", "refund.told_again"]


async def test_money_that_goes_back_twice_or_unasked_is_refused_and_logged(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill_id, refund_id = await _requested(city)
    assert await _notify(city, refund_id, "SUCCESS", identifier="EV-1") == 422
    monkeypatch.setattr(city.channel, "_notify", lambda *_, **__: None)
    await _approve(city, refund_id)
    assert await _notify(city, refund_id, "CLOSED", identifier="EV-2") == 204
    await _request(city, bill_id)
    assert await _notify(city, refund_id, "SUCCESS", identifier="EV-3") == 422
    assert await city.refusals() == [("RETURN_UNEXPECTED", f"refund:{refund_id}")] * 2
    assert await city.balances() == PAID
    assert await city.value("SELECT state FROM payments.bill") == "paid"


@pytest.mark.parametrize("code", ["PARAM_ERROR", "INVALID_REQUEST", "RESOURCE_NOT_EXISTS", "NO_AUTH"])
async def test_a_refund_that_the_channel_refuses_for_good_fails_and_another_can_be_requested(
    city: City, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    bill_id, refund_id = await _requested(city)
    with monkeypatch.context() as refusing:
        _refuse(city, refusing, code)
        approved = await _approve(city, refund_id)
    assert (approved["refund"]["state"], approved["bill"]["state"]) == ("FAILED", "PAID")
    assert await city.balances() == PAID
    await _approve(city, await _request(city, bill_id))
    await city.channel.idle()
    assert (await city.value("SELECT state FROM payments.bill"), await city.balances()) == ("refunded", {})


@pytest.mark.parametrize("code", ["NOT_ENOUGH", "SYSTEM_ERROR", "FREQUENCY_LIMITED", "SIGN_ERROR"])
async def test_a_refund_that_the_channel_cannot_make_now_is_made_later(
    city: City, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    _, refund_id = await _requested(city)
    with monkeypatch.context() as refusing:
        _refuse(city, refusing, code)
        assert (await _approve(city, refund_id))["refund"]["state"] == "APPROVED"
    await _work(city)
    assert (await _states(city), await city.balances()) == (("succeeded", "refunded"), {})


async def test_a_refusal_of_what_the_channel_took_on_before_gives_way_to_what_became_of_it(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, refund_id = await _requested(city)
    orders = type(city.channel._orders)
    take = orders.refund

    def answer_lost(self: Any, given: dict[str, Any], *, now: dt.datetime) -> None:
        self.pay_out(take(self, given, now=now), now=now)
        raise ChannelError(500, "SYSTEM_ERROR", "")

    with monkeypatch.context() as lost:
        lost.setattr(orders, "refund", answer_lost)
        assert (await _approve(city, refund_id))["refund"]["state"] == "APPROVED"
    _refuse(city, monkeypatch, "INVALID_REQUEST")
    await _work(city)
    assert (await _states(city), await city.balances()) == (("succeeded", "refunded"), {})


async def test_a_submitted_refund_that_the_channel_lost_and_then_refuses_fails(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, refund_id = await _requested(city)
    monkeypatch.setattr(city.channel, "_notify", lambda *_, **__: None)
    await _approve(city, refund_id)
    city.channel._orders._refunds.clear()
    _refuse(city, monkeypatch, "NO_AUTH")
    await _work(city)
    assert (await _states(city), await city.balances()) == (("failed", "paid"), PAID)
