"""The webhook: the channel's own word, once, of our amount; anything else changes nothing and is in the log."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from payment_city import City, citizen, officer
from sqlalchemy import text

from gov_services.devstack.payment_channel_keys import APP_ID, MERCHANT_ID, ChannelKeys
from gov_services.devstack.payment_channel_wire import Wire
from gov_services.payments.channel import Trade, TradeState
from gov_services.payments.webhook import PATH

Spoil = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]
OPENID = "oInvented0000000000000000000"


async def _begun(city: City, *, amount_fen: int = 5000) -> tuple[UUID, str]:
    payer = await city.register()
    bill_id = await city.assess(payer, amount_fen=amount_fen)
    begun = await city.pay_bill(citizen(payer), bill_id)
    return bill_id, begun["payment"]["codeUrl"]


async def _number(city: City) -> str:
    payment_id: UUID = await city.value("SELECT payment_id FROM payments.payment")
    return payment_id.hex


def _about(number: str, **changes: Any) -> dict[str, Any]:
    return {
        "appid": APP_ID,
        "mchid": MERCHANT_ID,
        "out_trade_no": number,
        "trade_state": "SUCCESS",
        "transaction_id": "4200000000000000000000000001",
        "amount": {"total": 5000, "payer_total": 5000, "currency": "CNY", "payer_currency": "CNY"},
        "payer": {"openid": OPENID},
        **changes,
    }


def _notice(city: City, about: dict[str, Any], *, identifier: str = "EV-1", keys: ChannelKeys | None = None) -> bytes:
    wire = Wire(keys or city.keys)
    return wire.notification(identifier=identifier, event="TRANSACTION.SUCCESS", about=about, now=city.clock.now())


async def _send(city: City, body: bytes, *, spoil: Spoil | None = None, keys: ChannelKeys | None = None) -> int:
    headers = Wire(keys or city.keys).signed_headers(body, now=city.clock.now())
    if spoil is not None:
        headers, body = spoil(headers, body)
    answer = await city.hook.post(PATH, content=body, headers={**headers, "Content-Type": "application/json"})
    if answer.status_code != 204:
        assert answer.json()["code"] == "FAIL"
    return answer.status_code


async def _unmatched_page(city: City, **variables: Any) -> dict[str, Any]:
    """What a finance officer sees of money that no bill waits for."""
    answer = await city.ask(officer(1), "Unmatched", variables, reason="查账")
    assert "errors" not in answer, answer
    page: dict[str, Any] = answer["data"]["unmatchedReceipts"]
    return page


async def _unmatched(city: City) -> list[dict[str, Any]]:
    return [edge["node"] for edge in (await _unmatched_page(city))["edges"]]


async def _untouched(city: City) -> bool:
    state = await city.value("SELECT state FROM payments.payment")
    inbox = await city.value("SELECT count(*) FROM payments.notification")
    balances = await city.balances()
    return (state, inbox, balances) == ("awaiting", 0, {"receivable": 5000, "revenue": -5000})


async def test_a_true_notification_settles(city: City) -> None:
    await _begun(city)
    assert await _send(city, _notice(city, _about(await _number(city)))) == 204
    assert await city.value("SELECT state FROM payments.bill") == "paid"
    assert await city.value("SELECT receipt_number FROM payments.bill") == "4200000000000000000000000001"
    assert await city.refusals() == []


async def test_a_notification_that_comes_twice_and_late_settles_once(city: City) -> None:
    _, code_url = await _begun(city)
    await city.scan(code_url, notifications=3, delayS=0.2)
    await city.channel.idle()
    assert await city.value("SELECT count(*) FROM payments.notification") == 1
    assert await city.balances() == {"channel": 5000, "revenue": -5000}
    assert [kind for kind, _ in await city.events()].count("payments.bill_settled") == 1
    assert (await city.changes())[-3:] == ["payment.settled", "payment.told_again", "payment.told_again"]


async def test_copies_at_the_same_moment_settle_once(city: City) -> None:
    await _begun(city)
    number = await _number(city)
    bodies = [_notice(city, _about(number), identifier=f"EV-{index % 2}") for index in range(6)]
    assert await asyncio.gather(*(_send(city, body) for body in bodies)) == [204] * 6
    assert await city.value("SELECT count(*) FROM payments.ledger_transaction WHERE kind = 'payment-settled'") == 1


async def test_a_wrong_amount_or_currency_is_refused_and_logged(city: City) -> None:
    await _begun(city)
    number = await _number(city)
    for wrong in ({"total": 4999}, {"total": 50000}, {"currency": "USD"}):
        about = _about(number, amount={"total": 5000, "currency": "CNY", **wrong})
        assert await _send(city, _notice(city, about)) == 422
    assert await _untouched(city)
    assert await city.refusals() == [("AMOUNT_MISMATCH", f"payment:{UUID(hex=number)}")] * 3
    # It is somebody's money all the same: what was told last of this transaction is kept, for officers.
    (kept,) = await city.rows("SELECT reason, amount, currency, channel_transaction FROM payments.unmatched_receipt")
    assert kept == {
        "reason": "other-currency",
        "amount": 5000,
        "currency": "USD",
        "channel_transaction": "4200000000000000000000000001",
    }
    assert (await city.changes())[-3:] == ["receipt.unmatched"] * 3
    assert [node["reason"] for node in await _unmatched(city)] == ["OTHER_CURRENCY"]
    # The truth may still come, and the matter is closed.
    assert await _send(city, _notice(city, _about(number))) == 204
    assert await _unmatched(city) == []


async def test_another_transaction_for_a_settled_payment_is_refused(city: City) -> None:
    await _begun(city)
    number = await _number(city)
    await _send(city, _notice(city, _about(number)))
    other = _notice(city, _about(number, transaction_id="42-other"), identifier="EV-2")
    assert await _send(city, other) == 422
    assert [code for code, _ in await city.refusals()] == ["AMOUNT_MISMATCH"]
    assert await city.balances() == {"channel": 5000, "revenue": -5000}
    bill_id = await city.value("SELECT bill_id FROM payments.bill")
    (node,) = await _unmatched(city)
    assert (node["billId"], node["reason"]) == (str(bill_id), "OTHER_TRANSACTION")


async def test_another_amount_for_a_payment_that_was_closed_is_kept_and_paged_through(city: City) -> None:
    for index in range(3):
        await _begun(city)
        payment_id = await city.value("SELECT payment_id FROM payments.payment WHERE state = 'awaiting'")
        async with city.database.writing() as session:
            await session.execute(text("UPDATE payments.payment SET state = 'closed' WHERE state = 'awaiting'"))
        about = _about(payment_id.hex, transaction_id=f"42-{index}", amount={"total": 1, "currency": "CNY"})
        assert await _send(city, _notice(city, about, identifier=f"EV-{index}")) == 422
    first = await _unmatched_page(city, first=2)
    rest = await _unmatched_page(city, first=2, after=first["pageInfo"]["endCursor"])
    assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
    ids = [edge["node"]["id"] for edge in first["edges"] + rest["edges"]]
    assert ids == sorted(set(ids), reverse=True)
    assert {edge["node"]["reason"] for edge in first["edges"] + rest["edges"]} == {"OTHER_AMOUNT"}
    assert (
        await city.value("SELECT count(*) FROM audit.described WHERE action = 'unmatched-receipts' AND kind = 'read'")
        == 2
    )
    for stranger in (citizen(UUID(int=1)), officer(1, "registrar")):
        answer = await city.ask(stranger, "Unmatched", {}, reason="查账")
        assert answer["data"] is None or answer["data"]["unmatchedReceipts"] is None
        assert answer["errors"][0]["extensions"]["code"] in ("FORBIDDEN", "ASSERTION_REFUSED")


async def test_what_is_no_payment_of_ours_is_refused(city: City) -> None:
    await _begun(city)
    number = await _number(city)
    for changes in ({"out_trade_no": "0" * 32}, {"out_trade_no": "not-one-of-ours"}, {"trade_state": "CLOSED"}):
        assert await _send(city, _notice(city, {**_about(number), **changes})) == 422
    assert await _untouched(city)
    assert [code for code, _ in await city.refusals()] == ["NOTIFICATION_REFUSED"] * 3


def _header(name: str, value: str) -> Spoil:
    return lambda headers, body: ({**headers, name: value}, body)


SPOILS: tuple[Spoil, ...] = (
    _header("Wechatpay-Signature", base64.b64encode(b"x" * 256).decode()),
    _header("Wechatpay-Signature", "not base64"),
    _header("Wechatpay-Signature-Type", "WECHATPAY2-SM2-WITH-SM3"),
    _header("Wechatpay-Serial", "0"),
    _header("Wechatpay-Timestamp", "1"),
    _header("Wechatpay-Timestamp", ""),
    _header("Wechatpay-Timestamp", "٣٣"),
    _header("Wechatpay-Nonce", "another"),
    lambda headers, body: (headers, body.replace(b"encrypt-resource", b"encrypt-resourcE")),
    lambda headers, body: ({}, body),
    lambda headers, body: ({}, b""),
    lambda headers, body: ({}, b"\xff\xfe"),
)


async def test_what_the_channel_did_not_sign_is_refused_and_counted_as_a_strangers(city: City) -> None:
    await _begun(city)
    body = _notice(city, _about(await _number(city)))
    for spoil in SPOILS:
        assert await _send(city, body, spoil=_ascii(spoil)) == 401
    assert await _untouched(city)
    # The first of a minute is written at once, the others are counted.
    assert await city.refusals() == [("NOTIFICATION_REFUSED", None)]
    (row,) = await city.rows("SELECT actor, purpose FROM audit.described WHERE outcome = 'refused'")
    assert row == {"actor": "anonymous", "purpose": "payment-settlement"}


def _ascii(spoil: Spoil) -> Spoil:
    """Headers travel as latin-1."""

    def spoiled(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        changed, content = spoil(headers, body)
        return {name: value.encode("ascii", "replace").decode() for name, value in changed.items()}, content

    return spoiled


async def test_a_signature_is_good_for_five_minutes_either_way(city: City) -> None:
    await _begun(city)
    body = _notice(city, _about(await _number(city)))
    for seconds, status in ((301, 401), (-301, 401), (299, 204), (-299, 204)):
        headers = Wire(city.keys).signed_headers(body, now=city.clock.now() - dt.timedelta(seconds=seconds))
        answer = await city.hook.post(PATH, content=body, headers=headers)
        assert answer.status_code == status


async def test_another_platforms_key_under_our_serial_is_refused(city: City) -> None:
    await _begun(city)
    forged = ChannelKeys(
        generate_private_key(public_exponent=65537, key_size=2048),
        city.keys.platform_certificate,
        city.keys.merchant_certificate,
        city.keys.api_key,
    )
    assert await _send(city, _notice(city, _about(await _number(city))), keys=forged) == 401
    assert await _untouched(city)


SIGNED_NONSENSE = (
    b"{}",
    b"[]",
    b"null",
    b'{"id": "EV", "event_type": "TRANSACTION.SUCCESS", "resource": {}}',
    b'{"id": "EV", "event_type": "TRANSACTION.SUCCESS", "resource": {"algorithm": "AEAD_AES_256_GCM", '
    b'"nonce": "123456789012", "ciphertext": "AAAA"}}',
    b'{"id": "EV", "event_type": "TRANSACTION.SUCCESS", "resource": {"algorithm": "none", "nonce": "", '
    b'"ciphertext": ""}}',
    b'{"id": 7, "event_type": "TRANSACTION.SUCCESS", "resource": {}}',
)
ANOTHERS: tuple[dict[str, Any], ...] = (
    {"mchid": "1900000999"},
    {"appid": "wx-another"},
    {"amount": {"total": "5000", "currency": "CNY"}},
    {"amount": 1},
)


async def test_a_signed_body_that_is_no_notification_to_us_is_refused(city: City) -> None:
    await _begun(city)
    number = await _number(city)
    for body in (*SIGNED_NONSENSE, *(_notice(city, _about(number, **changes)) for changes in ANOTHERS)):
        assert await _send(city, body) == 401
    assert await _untouched(city)


async def test_an_unknown_kind_of_notification_is_refused(city: City) -> None:
    body = Wire(city.keys).notification(
        identifier="EV-1", event="COUPON.USE", about={"mchid": MERCHANT_ID}, now=city.clock.now()
    )
    assert await _send(city, body) == 401


async def test_a_body_that_is_too_long_is_not_read(city: City) -> None:
    answer = await city.hook.post(PATH, content=b"x" * 70_000)
    assert answer.status_code == 413


async def test_while_the_log_is_away_a_notification_is_not_taken_and_may_come_again(city: City) -> None:
    await _begun(city)
    body = _notice(city, _about(await _number(city)))
    async with city.database.writing() as session:
        await session.execute(text("ALTER TABLE audit.pending RENAME TO hidden"))
    assert await _send(city, body) == 503
    async with city.database.writing() as session:
        await session.execute(text("ALTER TABLE audit.hidden RENAME TO pending"))
    assert await _untouched(city)
    assert await _send(city, body) == 204


async def test_money_for_a_bill_that_was_paid_otherwise_is_kept_apart(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    first = await city.pay_bill(citizen(payer), bill_id, "first")
    # The first attempt is believed closed, a second one pays, and then the channel speaks of the first after all.
    async with city.database.writing() as session:
        await session.execute(text("UPDATE payments.payment SET state = 'closed'"))
    second = await city.pay_bill(citizen(payer), bill_id, "second")
    for payment in (second, first):
        await city.scan(payment["payment"]["codeUrl"])
        await city.channel.idle()
    states = await city.rows("SELECT payment_id, state FROM payments.payment ORDER BY state")
    assert states == [
        {"payment_id": UUID(second["payment"]["id"]), "state": "succeeded"},
        {"payment_id": UUID(first["payment"]["id"]), "state": "surplus"},
    ]
    assert await city.balances() == {"channel": 10000, "revenue": -5000, "surplus": -5000}
    assert (await city.changes())[-1] == "payment.surplus"
    assert [(node["billId"], node["reason"]) for node in await _unmatched(city)] == [(str(bill_id), "SURPLUS")]
    # Once officers give it back it is no open matter any more.
    values = {"input": {"billId": str(bill_id), "surplus": True}}
    requested = await city.ask(officer(1), "RequestRefund", values, reason="退还多付款项")
    assert requested["data"]["requestRefund"]["userErrors"] == []
    assert await _unmatched(city) == []
    assert [kind for kind, _ in await city.events()].count("payments.bill_settled") == 1


async def test_money_from_a_citizen_whose_keys_are_destroyed_is_booked_without_who_paid(city: City) -> None:
    _, code_url = await _begun(city)
    payer = await city.value("SELECT citizen_id FROM payments.payment")
    async with city.database.writing() as session:
        await session.execute(
            text(
                "UPDATE keys.data_key SET wrapped = NULL, destroyed_at = now(), reason = 'test' "
                "WHERE citizen_id = :payer"
            ),
            {"payer": payer},
        )
    assert await city.tell("privacy.citizen_erased", payer, {"classes": ["payments"]})
    await city.scan(code_url, openid=OPENID)
    await city.channel.idle()
    assert await city.rows("SELECT state, payer_account FROM payments.payment") == [
        {"state": "succeeded", "payer_account": None}
    ]


async def test_a_trade_by_asking_and_its_late_notification_are_one(city: City) -> None:
    _, code_url = await _begun(city)
    paid = await city.scan(code_url, notifications=0)
    city.clock.advance(dt.timedelta(minutes=2))
    assert await city.room.run_job("reconcile-payments") == 1
    assert await city.value("SELECT state FROM payments.bill") == "paid"
    about = _about(await _number(city), transaction_id=paid["transactionId"])
    assert await _send(city, _notice(city, about)) == 204
    assert await city.value("SELECT count(*) FROM payments.ledger_transaction WHERE kind = 'payment-settled'") == 1


def test_a_trade_shows_its_payer_to_no_log() -> None:
    trade = Trade(number="1", state=TradeState.PAID, payer_account=OPENID)
    assert OPENID not in repr(trade)
