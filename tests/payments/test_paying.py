"""Paying a bill: idempotent, one open payment, the channel asked outside the transaction."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from payment_city import City, citizen, officer

from gov_services.kit.actor import ANONYMOUS

pytestmark = pytest.mark.untraced

SETTLED = ["payment.begun", "payment.prepared", "payment.settled"]


async def test_a_fee_becomes_a_bill_with_its_posting_and_a_message(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    (bill,) = await city.rows("SELECT citizen_id, bill_id, titles, amount_fen, state, due_at FROM payments.bill")
    assert bill == {
        "citizen_id": payer,
        "bill_id": bill_id,
        "titles": {"zh-CN": "个体工商户登记费", "en": "Registration fee"},
        "amount_fen": 5000,
        "state": "issued",
        "due_at": city.clock.now() + dt.timedelta(days=30),
    }
    assert await city.balances() == {"receivable": 5000, "revenue": -5000}
    assert await city.events() == [("message.requested", {"code": "bill.issued", "params": {"bill_id": str(bill_id)}})]
    assert await city.changes() == ["bill.issued"]


async def test_a_fee_that_is_no_amount_becomes_nothing(city: City) -> None:
    payer = await city.register()
    wrong: tuple[Any, ...] = (0, -1, "5000", 2**31, 1.5, True)
    for amount in wrong:
        with pytest.raises((ValueError, TypeError)):
            await city.assess(payer, amount_fen=amount)
    assert await city.value("SELECT count(*) FROM payments.bill") == 0


async def test_an_event_without_a_citizen_is_refused(city: City) -> None:
    for kind in ("permits.fee_assessed", "privacy.citizen_erased"):
        with pytest.raises(ValueError, match="somebody"):
            await city.tell(kind, None, {})


async def test_a_payment_is_begun_prepared_paid_and_settled(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    begun = await city.pay_bill(citizen(payer), bill_id)
    assert begun["userErrors"] == []
    assert begun["payment"]["state"] == "AWAITING"
    assert begun["payment"]["codeUrl"].startswith("weixin://wxpay/bizpayurl?pr=")
    assert begun["payment"]["expiresAt"] == (city.clock.now() + dt.timedelta(hours=2)).isoformat()
    paid = await city.scan(begun["payment"]["codeUrl"], openid="oInvented0000000000000000000")
    await city.channel.idle()
    answer = await city.ask(citizen(payer), "MyBill", {"id": str(bill_id)})
    assert answer == {
        "data": {
            "bill": {
                "id": str(bill_id),
                "title": "Registration fee",
                "amount": {"amount": 5000},
                "state": "PAID",
                "dueAt": (city.clock.now() + dt.timedelta(days=30)).isoformat(),
                "receipt": {"number": paid["transactionId"], "settledAt": city.clock.now().isoformat()},
                "payment": {
                    "id": begun["payment"]["id"],
                    "state": "SUCCEEDED",
                    "codeUrl": None,
                    "expiresAt": begun["payment"]["expiresAt"],
                },
                "refund": None,
            }
        }
    }
    assert await city.balances() == {"channel": 5000, "revenue": -5000}
    application_id = await city.value("SELECT application_id FROM payments.bill")
    # Ids of one moment lie in no order.
    events = await city.events()
    assert len(events) == 3
    assert ("message.requested", {"code": "bill.settled", "params": {"bill_id": str(bill_id)}}) in events
    assert [body for kind, body in events if kind == "payments.bill_settled"] == [
        {
            "bill_id": str(bill_id),
            "application_id": str(application_id),
            "amount_fen": 5000,
            "settled_at": city.clock.now().isoformat(),
        }
    ]
    assert await city.changes() == ["bill.issued", *SETTLED]


async def test_the_payers_pseudonym_lies_sealed_and_the_request_said_what_left(city: City) -> None:
    payer = await city.register()
    begun = await city.pay_bill(citizen(payer), await city.assess(payer))
    await city.scan(begun["payment"]["codeUrl"], openid="oInvented0000000000000000000")
    await city.channel.idle()
    box = await city.value("SELECT payer_account FROM payments.payment")
    assert len(box) > 32
    assert b"oInvented" not in box
    pending = await city.rows("SELECT body FROM audit.pending ORDER BY placed_at, id")
    said = [json.loads(row["body"]) for row in pending]
    begun_entry = next(entry for entry in said if entry["action"] == "payment.begun")
    assert begun_entry["recipient"] == "payment-channel:wechat"
    assert begun_entry["coordinates"] == [["Bill.amount", "PLAIN"]]
    assert begun_entry["object"] == f"payment:{begun['payment']['id']}"


async def test_the_channel_does_not_learn_what_the_money_is_for(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    request = httpx.AsyncClient.request

    async def listen(self: httpx.AsyncClient, method: str, url: str, **given: object) -> httpx.Response:
        sent.append(bytes(given.get("content") or b""))  # type: ignore[call-overload]
        return await request(self, method, url, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(httpx.AsyncClient, "request", listen)
    payer = await city.register()
    bill_id = await city.assess(payer)
    await city.pay_bill(citizen(payer), bill_id)
    (body,) = [json.loads(content) for content in sent if content]
    assert body["description"] == "政务服务缴费"
    text = json.dumps(body, ensure_ascii=False)
    for told in ("个体工商户", str(payer), payer.hex, str(bill_id), bill_id.hex):
        assert told not in text


async def test_the_same_key_and_bill_give_the_same_payment_however_often_and_at_once(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    answers = await asyncio.gather(*(city.pay_bill(citizen(payer), bill_id, "once") for _ in range(6)))
    assert [answer["payment"] for answer in answers] == [answers[0]["payment"]] * 6
    assert await city.value("SELECT count(*) FROM payments.payment") == 1
    assert await city.value("SELECT count(*) FROM payments.idempotency") == 1


async def test_another_key_meets_the_open_payment_and_begins_no_second(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    first = await city.pay_bill(citizen(payer), bill_id, "first")
    second = await city.pay_bill(citizen(payer), bill_id, "second")
    assert second["payment"] == first["payment"]
    assert await city.value("SELECT count(*) FROM payments.payment") == 1


async def test_the_same_key_for_another_bill_is_a_conflict_and_changes_nothing(city: City) -> None:
    payer = await city.register()
    first, second = await city.assess(payer), await city.assess(payer)
    await city.pay_bill(citizen(payer), first, "key")
    refused = await city.pay_bill(citizen(payer), second, "key")
    assert refused["payment"] is None
    assert refused["userErrors"] == [
        {
            "code": "IDEMPOTENCY_CONFLICT",
            "message": "This idempotency key was used for another request.",
            "field": "input.idempotencyKey",
        }
    ]
    assert await city.value("SELECT count(*) FROM payments.payment") == 1
    assert ("IDEMPOTENCY_CONFLICT", None) in await city.refusals()


async def test_two_citizens_may_choose_the_same_key(city: City) -> None:
    one, other = await city.register(), await city.register()
    payments = [await city.pay_bill(citizen(who), await city.assess(who), "same") for who in (one, other)]
    assert payments[0]["payment"]["id"] != payments[1]["payment"]["id"]


async def test_a_key_that_is_none_is_refused(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    for key in ("", " ", "a" * 256, "键", "a\n", "a;b"):
        refused = await city.pay_bill(citizen(payer), bill_id, key)
        assert [error["code"] for error in refused["userErrors"]] == ["IDEMPOTENCY_KEY_INVALID"]
    assert await city.value("SELECT count(*) FROM payments.payment") == 0


async def test_absent_malformed_and_anothers_bill_look_alike(city: City) -> None:
    payer, other = await city.register(), await city.register()
    bill_id = await city.assess(other)
    for given in (bill_id, uuid4(), "not an id", ""):
        answer = await city.pay_bill(citizen(payer), given)
        assert answer["data"]["payBill"] is None
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "NOT_FOUND"
        assert error["message"] == "There is nothing here that you can see."
    assert await city.value("SELECT count(*) FROM payments.payment") == 0


@pytest.mark.parametrize(("actor", "code"), [(ANONYMOUS, "UNAUTHENTICATED"), (officer(), "ASSERTION_REFUSED")])
async def test_nobody_but_a_citizen_pays(city: City, actor: object, code: str) -> None:
    bill_id = await city.assess(await city.register())
    answer = await city.pay_bill(actor, bill_id)  # type: ignore[arg-type]
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


async def test_a_paid_bill_is_not_paid_again_but_the_old_key_still_answers(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    begun = await city.pay_bill(citizen(payer), bill_id, "key")
    await city.scan(begun["payment"]["codeUrl"])
    await city.channel.idle()
    again = await city.pay_bill(citizen(payer), bill_id, "key")
    assert (again["payment"]["id"], again["payment"]["state"]) == (begun["payment"]["id"], "SUCCEEDED")
    refused = await city.pay_bill(citizen(payer), bill_id, "another")
    assert [error["code"] for error in refused["userErrors"]] == ["BILL_NOT_PAYABLE"]


async def test_an_expired_payment_gives_way_to_a_new_one(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    first = await city.pay_bill(citizen(payer), bill_id, "first")
    city.clock.advance(dt.timedelta(hours=2))
    second = await city.pay_bill(citizen(payer), bill_id, "second")
    assert second["payment"]["id"] != first["payment"]["id"]
    assert await city.rows("SELECT payment_id, state FROM payments.payment ORDER BY begun_at") == [
        {"payment_id": UUID(first["payment"]["id"]), "state": "closed"},
        {"payment_id": UUID(second["payment"]["id"]), "state": "awaiting"},
    ]
    stale = await city.wire.post("/sandbox/pay", json={"codeUrl": first["payment"]["codeUrl"]})
    assert stale.status_code == 409


async def test_while_the_channel_is_away_nothing_is_lost_and_the_same_key_goes_on(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    with monkeypatch.context() as away:

        async def fail(*_: object, **__: object) -> httpx.Response:
            raise httpx.ConnectError("away")

        away.setattr(httpx.AsyncClient, "request", fail)
        answer = await city.pay_bill(citizen(payer), bill_id, "key")
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["PAYMENT_CHANNEL_UNAVAILABLE"]
    assert await city.value("SELECT state FROM payments.payment") == "created"
    again = await city.pay_bill(citizen(payer), bill_id, "key")
    assert again["payment"]["state"] == "AWAITING"
    assert await city.value("SELECT count(*) FROM payments.payment") == 1
