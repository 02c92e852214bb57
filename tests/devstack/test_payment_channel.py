"""The sandbox payment channel as a process of its own: the genuine SDK finds WeChat Pay there."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from wechatpayv3 import WeChatPay as GenuineSdk
from wechatpayv3 import WeChatPayType, core

from gov_services.devstack.payment_channel import PaymentChannelServer
from gov_services.devstack.payment_channel_keys import APP_ID, MERCHANT_ID, load_channel_keys, make_keys
from gov_services.kit.clock import SystemClock
from gov_services.payments.wechat import WeChatPay
from gov_services.payments.wechat_files import load_merchant

NUMBER = "0195000000007000800000000000000a"


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The channel's directory and the merchant's."""
    root = tmp_path_factory.mktemp("payment channel")
    return root / "sandbox", root / "merchant"


@pytest.fixture(scope="module")
def channel(directories: tuple[Path, Path]) -> Iterator[PaymentChannelServer]:
    """The process."""
    server = PaymentChannelServer(directories[0], merchant=directories[1])
    server.start()
    yield server
    server.stop()


class Hook:
    """A webhook on loopback that keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.arrived = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.received.append((dict(self.headers.items()), body))
                self.send_response(204)
                self.end_headers()
                hook.arrived.set()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture
def genuine(
    channel: PaymentChannelServer, directories: tuple[Path, Path], hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> GenuineSdk:
    """The SDK that merchants use; it fetches the platform's certificate when it is made."""
    assign = object.__setattr__

    def redirect(self: object, name: str, value: Any) -> None:
        # The SDK has the gateway's address as a literal in its constructor.
        assign(self, name, channel.url if name == "_gate_way" else value)

    monkeypatch.setattr(core.Core, "__setattr__", redirect, raising=False)
    merchant = directories[1]
    about = json.loads((merchant / "merchant.json").read_text())
    return GenuineSdk(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=about["mchid"],
        private_key=(merchant / "merchant-key.pem").read_text(),
        cert_serial_no=about["serial"],
        apiv3_key=(merchant / "apiv3.key").read_text(),
        appid=about["appid"],
        notify_url=hook.url,
    )


def test_the_genuine_sdk_orders_asks_pays_and_reads_the_notification(
    channel: PaymentChannelServer, genuine: GenuineSdk, hook: Hook
) -> None:
    status, answer = genuine.pay(
        description="测试",
        out_trade_no=NUMBER,
        amount={"total": 321, "currency": "CNY"},
        time_expire="2099-01-01T00:00:00+08:00",
    )
    assert status == 200
    code_url = json.loads(answer)["code_url"]
    status, answer = genuine.query(out_trade_no=NUMBER)
    assert (status, json.loads(answer)["trade_state"]) == (200, "NOTPAY")
    paid = httpx.post(f"{channel.url}/sandbox/pay", json={"codeUrl": code_url, "openid": "o-invented"}).json()
    assert hook.arrived.wait(5)
    headers, body = hook.received[0]
    notification = genuine.callback(headers, body)
    assert notification["event_type"] == "TRANSACTION.SUCCESS"
    about = notification["resource"]
    assert (about["mchid"], about["appid"], about["out_trade_no"]) == (MERCHANT_ID, APP_ID, NUMBER)
    assert (about["trade_state"], about["amount"]["total"]) == ("SUCCESS", 321)
    assert (about["transaction_id"], about["payer"]) == (paid["transactionId"], {"openid": "o-invented"})
    assert not genuine.callback(headers, body.replace(b"TRANSACTION", b"TRANSACTIOM", 1))
    status, answer = genuine.refund(
        out_trade_no=NUMBER, out_refund_no="refund-1", amount={"refund": 321, "total": 321, "currency": "CNY"}
    )
    assert (status, json.loads(answer)["status"]) == (200, "PROCESSING")
    status, answer = genuine.query_refund(out_refund_no="refund-1")
    assert (status, json.loads(answer)["status"]) == (200, "SUCCESS")


async def test_our_client_reads_the_same_over_real_sockets(
    channel: PaymentChannelServer, directories: tuple[Path, Path], hook: Hook
) -> None:
    from gov_services.payments.channel import Order, Trade

    clock = SystemClock()
    client = WeChatPay(load_merchant(directories[1]), address=channel.url, notify_url=hook.url, clock=clock)
    number = "0195000000007000800000000000000c"
    code_url = await client.prepay(Order(number=number, amount_fen=7, expires_at=clock.now().replace(year=2099)))
    async with httpx.AsyncClient() as phone:
        await phone.post(f"{channel.url}/sandbox/pay", json={"codeUrl": code_url, "notifications": 2})
    assert await asyncio.to_thread(hook.arrived.wait, 5)
    headers, body = hook.received[0]
    lower = {name.lower(): value for name, value in headers.items()}
    notification = client.open_notification(headers=lower, body=body, now=clock.now())
    assert isinstance(notification.fact, Trade)
    assert (notification.fact.number, notification.fact.amount_fen) == (number, 7)
    await client.close_connections()


@pytest.mark.parametrize(
    "authorization",
    ["", "WECHATPAY2-SHA256-RSA2048 nothing", 'WECHATPAY2-SHA256-RSA2048 mchid="1900000109",timestamp="x"'],
)
def test_what_the_merchant_did_not_sign_is_answered_401(channel: PaymentChannelServer, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = httpx.post(f"{channel.url}/v3/pay/transactions/native", json={}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
    assert answer.headers["Wechatpay-Signature"]


def test_the_payers_phone_is_told_what_it_did_wrong(channel: PaymentChannelServer) -> None:
    for content, status in ((b"{}", 404), (b"[", 400), (b"x" * 70_000, 413)):
        assert httpx.post(f"{channel.url}/sandbox/pay", content=content).status_code == status


def test_the_genuine_sdk_is_told_what_it_did_wrong(genuine: GenuineSdk) -> None:
    status, answer = genuine.query(out_trade_no="0195000000007000800000000000000f")
    assert (status, json.loads(answer)["code"]) == (404, "ORDER_NOT_EXIST")
    status, answer = genuine.pay(description="x", out_trade_no="short", amount={"total": 0})
    assert (status, json.loads(answer)["code"]) == (400, "PARAM_ERROR")
    status, answer = genuine.query_refund(out_refund_no="none")
    assert (status, json.loads(answer)["code"]) == (404, "RESOURCE_NOT_EXISTS")


def test_keys_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    channel, merchant = tmp_path / "channel", tmp_path / "merchant"
    make_keys(channel=channel, merchant=merchant, now=SystemClock().now())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert all(path.stat().st_mode & 0o077 == 0 for path in before)
    make_keys(channel=channel, merchant=merchant, now=SystemClock().now())
    assert {path: path.read_bytes() for path in before} == before
    keys = load_channel_keys(channel)
    assert list(load_merchant(merchant).certificates) == [keys.platform_serial]
