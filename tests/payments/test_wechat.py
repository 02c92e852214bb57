"""WeChat Pay's client: it takes no answer that the channel did not sign, and no key that others can read."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gov_services.devstack.payment_channel_http import PaymentChannel
from gov_services.devstack.payment_channel_keys import APP_ID, MERCHANT_ID, ChannelKeys
from gov_services.devstack.payment_channel_wire import Wire
from gov_services.kit.clock import FrozenClock
from gov_services.kit.settings import SettingsRefused
from gov_services.payments.app import MERCHANT_DIRECTORY, create_room
from gov_services.payments.channel import (
    ChannelUnavailable,
    Order,
    Return,
    ReturnOrder,
    ReturnState,
    Trade,
    TradeState,
)
from gov_services.payments.wechat import WeChatPay
from gov_services.payments.wechat_files import MerchantFilesRefused, load_merchant

NUMBER = "0195000000007000800000000000000a"
REFUND = "0195000000007000800000000000000b"
Clients = Callable[..., WeChatPay]


@pytest.fixture
async def client_to(
    channel_keys: ChannelKeys, secrets_directory: Path, clock: FrozenClock
) -> AsyncIterator[Callable[[httpx.AsyncBaseTransport], WeChatPay]]:
    """A client whose network is the given transport."""
    made = []

    def make(transport: httpx.AsyncBaseTransport) -> WeChatPay:
        client = WeChatPay(
            load_merchant(secrets_directory / MERCHANT_DIRECTORY),
            address="http://channel.test",
            notify_url="http://city.test/hook",
            clock=clock,
            transport=transport,
        )
        made.append(client)
        return client

    yield make
    for client in made:
        await client.close_connections()


def _order(clock: FrozenClock, amount_fen: int = 100) -> Order:
    return Order(number=NUMBER, amount_fen=amount_fen, expires_at=clock.now().replace(hour=5))


def _signed(keys: ChannelKeys, clock: FrozenClock, answer: Any, status: int = 200) -> httpx.MockTransport:
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return httpx.MockTransport(
        lambda _: httpx.Response(status, content=content, headers=Wire(keys).signed_headers(content, now=clock.now()))
    )


async def test_an_order_lives_at_the_channel(client_to: Clients, channel_keys: ChannelKeys, clock: FrozenClock) -> None:
    sandbox = PaymentChannel(channel_keys, clock=clock, transport=httpx.MockTransport(lambda _: httpx.Response(204)))
    client = client_to(httpx.ASGITransport(sandbox))
    assert await client.ask(NUMBER) == Trade(number=NUMBER, state=TradeState.ABSENT)
    code_url = await client.prepay(_order(clock))
    assert await client.prepay(_order(clock)) == code_url
    assert (await client.ask(NUMBER)).state is TradeState.PENDING
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox), base_url="http://channel.test") as phone:
        paid = (await phone.post("/sandbox/pay", json={"codeUrl": code_url, "openid": "o-invented"})).json()
        assert (await phone.post("/sandbox/pay", json={"codeUrl": "weixin://other"})).status_code == 404
    assert await client.ask(NUMBER) == Trade(
        number=NUMBER,
        state=TradeState.PAID,
        amount_fen=100,
        currency="CNY",
        transaction=paid["transactionId"],
        payer_account="o-invented",
    )
    for refused in (client.close(NUMBER), client.prepay(_order(clock))):
        with pytest.raises(ChannelUnavailable) as paid_already:
            await refused
        assert paid_already.value.reason == "refused: ORDERPAID"
    assert await client.ask_return(REFUND) == Return(number=REFUND, state=ReturnState.ABSENT)
    asked = ReturnOrder(number=REFUND, order_number=NUMBER, amount_fen=100, paid_fen=100)
    assert (await client.give_back(asked)).state is ReturnState.PENDING
    assert (await client.give_back(asked)).state is ReturnState.RETURNED
    assert (await client.ask_return(REFUND)).state is ReturnState.RETURNED
    unknown = ReturnOrder(number="e" * 32, order_number="d" * 32, amount_fen=100, paid_fen=100)
    assert await client.give_back(unknown) == Return(number="e" * 32, state=ReturnState.REFUSED)
    with pytest.raises(ChannelUnavailable) as too_much:
        await client.give_back(ReturnOrder(number="f" * 32, order_number=NUMBER, amount_fen=100, paid_fen=100))
    assert too_much.value.reason == "refused: NOT_ENOUGH"
    await sandbox.close()


async def test_a_closed_order_stays_closed(client_to: Clients, channel_keys: ChannelKeys, clock: FrozenClock) -> None:
    client = client_to(httpx.ASGITransport(PaymentChannel(channel_keys, clock=clock)))
    await client.prepay(_order(clock))
    await client.close(NUMBER)
    assert (await client.ask(NUMBER)).state is TradeState.CLOSED
    with pytest.raises(ChannelUnavailable) as used:
        await client.prepay(_order(clock))
    assert used.value.reason == "refused: OUT_TRADE_NO_USED"


@pytest.mark.parametrize("answer", [{}, {"code_url": 7}, [], b"", b"not json"])
async def test_an_answer_of_another_shape_is_not_taken(
    client_to: Clients, channel_keys: ChannelKeys, clock: FrozenClock, answer: Any
) -> None:
    client = client_to(_signed(channel_keys, clock, answer))
    with pytest.raises(ChannelUnavailable):
        await client.prepay(_order(clock))


async def test_an_answer_without_the_channels_signature_is_not_taken_whatever_its_status(
    client_to: Clients, clock: FrozenClock
) -> None:
    for status in (200, 404, 500, 302):
        client = client_to(
            httpx.MockTransport(
                lambda _, status=status: httpx.Response(status, json={"code": "ORDER_NOT_EXIST", "code_url": "x"})
            )
        )
        for asked in (client.prepay(_order(clock)), client.ask(NUMBER)):
            with pytest.raises(ChannelUnavailable, match="PAYMENT_CHANNEL_UNAVAILABLE") as refused:
                await asked
            assert refused.value.reason.startswith("not the channel's answer")


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"trade_state": "SUCCESS"},
        {"trade_state": "UNHEARD_OF", "out_trade_no": NUMBER, "mchid": MERCHANT_ID, "appid": APP_ID},
        {"trade_state": "NOTPAY", "out_trade_no": "f" * 32, "mchid": MERCHANT_ID, "appid": APP_ID},
        {"trade_state": "NOTPAY", "out_trade_no": NUMBER, "mchid": "1", "appid": APP_ID},
        {
            "trade_state": "SUCCESS",
            "out_trade_no": NUMBER,
            "mchid": MERCHANT_ID,
            "appid": APP_ID,
            "amount": {"total": True, "currency": "CNY"},
            "transaction_id": "4",
        },
    ],
)
async def test_an_answer_about_something_else_is_not_taken(
    client_to: Clients, channel_keys: ChannelKeys, clock: FrozenClock, about: dict[str, Any]
) -> None:
    client = client_to(_signed(channel_keys, clock, about or {"nothing": 1}))
    with pytest.raises(ChannelUnavailable):
        await client.ask(NUMBER)


async def test_an_answer_that_never_ends_is_not_read_as_an_order(
    client_to: Clients, channel_keys: ChannelKeys, clock: FrozenClock
) -> None:
    client = client_to(_signed(channel_keys, clock, {"code_url": "x" * 300_000}))
    with pytest.raises(ChannelUnavailable) as refused:
        await client.prepay(_order(clock))
    assert refused.value.reason == "not the channel's answer: length"


async def test_a_refund_of_another_shape_is_not_taken(
    client_to: Clients, channel_keys: ChannelKeys, clock: FrozenClock
) -> None:
    client = client_to(_signed(channel_keys, clock, {"status": "SUCCESS"}))
    with pytest.raises(ChannelUnavailable):
        await client.ask_return(REFUND)


def _merchant_copy(secrets_directory: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "merchant"
    shutil.copytree(secrets_directory / MERCHANT_DIRECTORY, copy)
    return copy


def _unlink(name: str) -> Callable[[Path], None]:
    return lambda directory: next(directory.glob(name)).unlink()


def _write(name: str, content: bytes) -> Callable[[Path], None]:
    def write(directory: Path) -> None:
        path = directory / name
        path.write_bytes(content)
        path.chmod(0o600)

    return write


@pytest.mark.parametrize(
    "spoil",
    [
        lambda directory: (directory / "merchant-key.pem").chmod(0o640),
        lambda directory: (directory / "apiv3.key").chmod(0o604),
        _unlink("merchant.json"),
        _unlink("merchant-key.pem"),
        _unlink("platform/*.pem"),
        _write("apiv3.key", b"short"),
        _write("merchant.json", b'{"v": "gov-wechat-merchant/2"}'),
        _write("merchant.json", b"[]"),
        _write("merchant-key.pem", b"no key"),
        _write("platform/x.pem", b"no certificate"),
    ],
)
def test_a_merchants_files_are_all_there_whole_and_private(
    channel_keys: ChannelKeys, secrets_directory: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    directory = _merchant_copy(secrets_directory, tmp_path)
    merchant = load_merchant(directory)
    assert merchant.id == MERCHANT_ID
    assert (directory / "apiv3.key").read_text() not in repr(merchant)
    spoil(directory)
    with pytest.raises(MerchantFilesRefused):
        load_merchant(directory)


async def test_the_room_does_not_start_without_a_channel(settings: Any, clock: FrozenClock, valkey: Any) -> None:
    with pytest.raises(SettingsRefused, match="GOV_PAYMENT_CHANNEL_URL"):
        await create_room(settings, clock=clock, valkey=valkey)
