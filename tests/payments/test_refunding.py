"""Refunds: two officers, the channel, the books; nobody decides on their own request."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from payment_city import City, citizen, officer
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from gov_services.kit.actor import Actor
from gov_services.payments.channel import Return, ReturnState

REASON = "申请人撤回申请"
OPENID = "oInvented0000000000000000000"


async def _paid(city: City) -> UUID:
    payer = await city.register()
    bill_id = await city.assess(payer)
    begun = await city.pay_bill(citizen(payer), bill_id)
    await city.scan(begun["payment"]["codeUrl"], openid=OPENID)
    await city.channel.idle()
    return bill_id


async def _request(city: City, bill_id: UUID | str, who: Actor | None = None) -> Any:
    answer = await city.ask(who or officer(1), "RequestRefund", {"input": {"billId": str(bill_id)}}, reason=REASON)
    return answer["data"]["requestRefund"] if answer["data"] and answer["data"]["requestRefund"] else answer


async def _decide(city: City, name: str, refund_id: str, who: Actor | None = None) -> Any:
    answer = await city.ask(who or officer(2), name, {"input": {"refundId": refund_id}}, reason=REASON)
    field = name[0].lower() + name[1:]
    return answer["data"][field] if answer["data"] and answer["data"][field] else answer


async def _bill_state(city: City) -> str:
    state: str = await city.value("SELECT state FROM payments.bill")
    return state


async def test_one_officer_requests_another_approves_and_the_money_goes_back(city: City) -> None:
    bill_id = await _paid(city)
    requested = await _request(city, bill_id)
    assert requested["userErrors"] == []
    assert requested["refund"]["state"] == "REQUESTED"
    assert requested["bill"] == {
        "id": str(bill_id),
        "title": "Registration fee",
        "amount": {"amount": 5000},
        "state": "PAID",
    }
    approved = await _decide(city, "ApproveRefund", requested["refund"]["id"])
    assert (approved["refund"]["state"], approved["bill"]["state"]) == ("SUBMITTED", "REFUNDING")
    await city.channel.idle()
    assert await _bill_state(city) == "refunded"
    assert await city.value("SELECT state FROM payments.refund") == "succeeded"
    assert await city.balances() == {}
    assert (await city.changes())[-5:] == [
        "refund.requested",
        "refund.approved",
        "refund.asked",
        "refund.submitted",
        "refund.succeeded",
    ]
    assert ("message.requested", {"code": "bill.refunded", "params": {"bill_id": str(bill_id)}}) in await city.events()
    application_id = await city.value("SELECT application_id FROM payments.bill")
    refund_id = requested["refund"]["id"]
    body = {"bill_id": str(bill_id), "application_id": str(application_id), "refund_id": refund_id}
    about_refunds = {kind: told for kind, told in await city.events() if "refund" in kind}
    assert about_refunds == {"payments.refund_started": body, "payments.bill_refunded": body}


async def test_whoever_requested_does_not_decide(city: City) -> None:
    requested = await _request(city, await _paid(city))
    for name in ("ApproveRefund", "RejectRefund"):
        refused = await _decide(city, name, requested["refund"]["id"], officer(1))
        assert [error["code"] for error in refused["userErrors"]] == ["SECOND_OFFICER_NEEDED"]
    assert await city.value("SELECT state FROM payments.refund") == "requested"
    assert await _bill_state(city) == "paid"


async def test_the_database_itself_asks_for_two_officers(city: City) -> None:
    await _request(city, await _paid(city))
    with pytest.raises(IntegrityError, match="ck_refund_two_officers"):
        async with city.database.writing() as session:
            await session.execute(
                text("UPDATE payments.refund SET state = 'approved', decided_by = requested_by, decided_at = now()")
            )


async def test_a_rejected_refund_moves_nothing_and_another_may_be_requested(city: City) -> None:
    bill_id = await _paid(city)
    requested = await _request(city, bill_id)
    rejected = await _decide(city, "RejectRefund", requested["refund"]["id"])
    assert (rejected["refund"]["state"], rejected["bill"]["state"]) == ("REJECTED", "PAID")
    assert await city.balances() == {"channel": 5000, "revenue": -5000}
    again = await _decide(city, "ApproveRefund", requested["refund"]["id"])
    assert [(error["code"], error["field"]) for error in again["userErrors"]] == [("PAYMENT_STATE", "input.refundId")]
    assert (await _request(city, bill_id))["refund"]["state"] == "REQUESTED"


async def test_a_bill_is_refunded_once(city: City) -> None:
    bill_id = await _paid(city)
    requested = await _request(city, bill_id)
    for expected in (1, 1):
        again = await _request(city, bill_id, officer(3))
        assert [error["code"] for error in again["userErrors"]] == ["BILL_NOT_REFUNDABLE"]
        assert await city.value("SELECT count(*) FROM payments.refund") == expected
        await _decide(city, "ApproveRefund", requested["refund"]["id"])
        await city.channel.idle()
    assert await city.balances() == {}


async def test_an_unpaid_bill_has_nothing_to_give_back(city: City) -> None:
    bill_id = await city.assess(await city.register())
    refused = await _request(city, bill_id)
    assert [error["code"] for error in refused["userErrors"]] == ["BILL_NOT_REFUNDABLE"]
    assert await city.value("SELECT count(*) FROM payments.refund") == 0


async def test_unknown_and_malformed_ids_look_alike(city: City) -> None:
    for given in (str(uuid4()), "not an id"):
        for answer in (await _request(city, given), await _decide(city, "ApproveRefund", given)):
            assert [error["extensions"]["code"] for error in answer["errors"]] == ["NOT_FOUND"]


@pytest.mark.parametrize(
    ("who", "reason", "code"),
    [
        (officer(1, "permit-officer"), REASON, "FORBIDDEN"),
        (officer(1), None, "REASON_REQUIRED"),
    ],
)
async def test_role_and_reason_are_asked_for(city: City, who: Actor, reason: str | None, code: str) -> None:
    bill_id = await _paid(city)
    answer = await city.ask(who, "RequestRefund", {"input": {"billId": str(bill_id)}}, reason=reason)
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
    assert await city.value("SELECT count(*) FROM payments.refund") == 0
    assert [found for found, _ in await city.refusals()] == [code]


async def test_an_officer_sees_the_account_that_paid_masked_and_under_a_budget(city: City) -> None:
    bill_id = await _paid(city)
    answer = await city.ask(officer(1), "ReviewBill", {"id": str(bill_id)}, reason=REASON)
    assert answer["data"]["bill"]["payment"] == {"state": "SUCCEEDED", "payerAccount": "o" + "*" * 26 + "0"}
    for _ in range(29):
        await city.assess(await city.register())
    found = await city.rows("SELECT bill_id FROM payments.bill WHERE bill_id <> :known", known=bill_id)
    for row in found:
        answer = await city.ask(officer(1), "ReviewBill", {"id": str(row["bill_id"])}, reason=REASON)
        assert "errors" not in answer
    last = await city.assess(await city.register())
    answer = await city.ask(officer(1), "ReviewBill", {"id": str(last)}, reason=REASON)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BUDGET_EXHAUSTED"]


async def test_an_approval_stands_while_the_channel_is_away_and_the_job_submits_it(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = await _request(city, await _paid(city))
    with monkeypatch.context() as away:

        async def fail(*_: object, **__: object) -> httpx.Response:
            raise httpx.ConnectError("away")

        away.setattr(httpx.AsyncClient, "request", fail)
        approved = await _decide(city, "ApproveRefund", requested["refund"]["id"])
        assert (approved["refund"]["state"], approved["bill"]["state"]) == ("APPROVED", "REFUNDING")
        city.clock.advance(dt.timedelta(seconds=60))
        assert await city.room.run_job("reconcile-payments") == 1
    assert await city.balances() == {"channel": 5000, "refunds-payable": -5000}
    city.clock.advance(dt.timedelta(minutes=5))
    assert await city.room.run_job("reconcile-payments") == 1
    await city.channel.idle()
    assert await _bill_state(city) == "refunded"


async def test_a_refund_whose_notification_was_lost_is_completed_by_asking(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = await _request(city, await _paid(city))
    monkeypatch.setattr(city.channel, "_notify", lambda *_, **__: None)
    await _decide(city, "ApproveRefund", requested["refund"]["id"])
    assert await city.value("SELECT state FROM payments.refund") == "submitted"
    city.clock.advance(dt.timedelta(minutes=5))
    assert await city.room.run_job("reconcile-payments") == 1
    assert await _bill_state(city) == "refunded"
    assert await city.balances() == {}


@pytest.mark.parametrize(
    ("state", "amount", "refund", "bill", "balances"),
    [
        (ReturnState.FAILED, 5000, "failed", "paid", {"channel": 5000, "revenue": -5000}),
        (ReturnState.PENDING, 5000, "submitted", "refunding", {"channel": 5000, "refunds-payable": -5000}),
        # What the channel lost it is told again.
        (ReturnState.ABSENT, 0, "succeeded", "refunded", {}),
        (ReturnState.RETURNED, 4999, "submitted", "refunding", {"channel": 5000, "refunds-payable": -5000}),
    ],
)
async def test_what_the_channel_says_of_a_refund_later(
    city: City,
    monkeypatch: pytest.MonkeyPatch,
    state: ReturnState,
    amount: int,
    refund: str,
    bill: str,
    balances: dict[str, int],
) -> None:
    requested = await _request(city, await _paid(city))
    monkeypatch.setattr(city.channel, "_notify", lambda *_, **__: None)
    await _decide(city, "ApproveRefund", requested["refund"]["id"])

    async def answer(number: str) -> Return:
        return Return(number=number, state=state, amount_fen=amount, channel_refund="50")

    monkeypatch.setattr(city.room.services.ports.channel, "ask_return", answer)
    city.clock.advance(dt.timedelta(minutes=5))
    assert await city.room.run_job("reconcile-payments") == 1
    assert await city.value("SELECT state FROM payments.refund") == refund
    assert await _bill_state(city) == bill
    assert await city.balances() == balances
    assert [code for code, _ in await city.refusals()] == (["AMOUNT_MISMATCH"] if amount == 4999 else [])
