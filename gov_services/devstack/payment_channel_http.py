"""The sandbox channel over HTTP: WeChat Pay's paths, signed both ways, and `/sandbox/pay` for the payer's phone.

POST /sandbox/pay {"codeUrl", "openid"?, "notifications"?: how many times to notify (1), "delayS"?: how late (0),
"notifiedFen"?: an amount to lie about, "paidFen"?: an amount that was really paid} → {"transactionId"}
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from typing import Any

import httpx
import structlog

from gov_services.devstack.payment_channel_keys import ChannelKeys
from gov_services.devstack.payment_channel_orders import ChannelError, Orders
from gov_services.devstack.payment_channel_wire import SignatureWrong, Wire
from gov_services.kit.clock import Clock

RETRY_DELAYS_S = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
"""How the channel repeats a notification that was not taken."""
DUPLICATE_DELAY_S = 0.2
BODY_LIMIT_BYTES = 65_536
_ORDER = re.compile(r"/v3/pay/transactions/out-trade-no/([0-9A-Za-z_*|-]{6,32})")
_REFUND = re.compile(r"/v3/refund/domestic/refunds/([0-9A-Za-z_*|@-]{1,64})")
_log = structlog.get_logger("gov_services.devstack.payment_channel")


class PaymentChannel:
    """The ASGI application. `transport` is how notifications leave; None is the network."""

    def __init__(self, keys: ChannelKeys, *, clock: Clock, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._wire = Wire(keys)
        self._clock = clock
        self._transport = transport
        self._orders = Orders()
        self._notices: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        path = scope["path"]
        try:
            body = await _body(receive)
            if path == "/healthz":
                status, answer = 200, {"status": "ok"}
            elif path == "/sandbox/pay" and scope["method"] == "POST":
                status, answer = 200, self._pay(_object(body))
            else:
                status, answer = self._serve(scope, body)
        except SignatureWrong as wrong:
            _log.warning("request refused", path=path, check=str(wrong))
            status, answer = 401, {"code": "SIGN_ERROR", "message": "签名错误"}
        except ChannelError as error:
            status, answer = error.status, {"code": error.code, "message": error.message}
        content = json.dumps(answer, ensure_ascii=False).encode() if answer else b""
        headers = self._wire.signed_headers(content, now=self._clock.now())
        headers |= {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(content))}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": content})

    async def close(self) -> None:
        """Drop the notifications that are still under way."""
        for task in self._notices:
            task.cancel()
        await asyncio.gather(*self._notices, return_exceptions=True)

    async def idle(self) -> None:
        """Return when every notification under way has been taken or given up."""
        while self._notices:
            await asyncio.gather(*self._notices, return_exceptions=True)

    async def _live(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    def _serve(self, scope: Any, body: bytes) -> tuple[int, dict[str, Any]]:
        """WeChat Pay's own paths. Raises SignatureWrong, ChannelError."""
        method, path, now = scope["method"], scope["path"], self._clock.now()
        target = scope["raw_path"].decode() + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self._wire.verify(method=method, target=target, body=body, header=headers.get("authorization", ""), now=now)
        if (method, path) == ("GET", "/v3/certificates"):
            return 200, self._wire.certificates(now=now)
        if (method, path) == ("POST", "/v3/pay/transactions/native"):
            return 200, {"code_url": self._orders.place(_object(body)).code_url}
        if (method, path) == ("POST", "/v3/refund/domestic/refunds"):
            return 200, self._refund(_object(body))
        if method == "GET" and (found := _ORDER.fullmatch(path)):
            return 200, self._orders.find(found[1]).about()
        if method == "POST" and path.endswith("/close") and (found := _ORDER.fullmatch(path.removesuffix("/close"))):
            self._orders.close(found[1])
            return 204, {}
        if method == "GET" and (found := _REFUND.fullmatch(path)):
            return 200, self._orders.find_refund(found[1]).about()
        raise ChannelError(404, "NOT_FOUND", "没有这个接口")

    def _pay(self, given: dict[str, Any]) -> dict[str, Any]:
        openid = str(given.get("openid") or f"o{secrets.token_urlsafe(20)}")
        order = self._orders.pay(str(given.get("codeUrl")), openid=openid, now=self._clock.now())
        if "paidFen" in given:
            order.total = int(given["paidFen"])
        about = order.about()
        if "notifiedFen" in given:
            about["amount"]["total"] = int(given["notifiedFen"])
        self._notify(
            order.notify_url,
            "TRANSACTION.SUCCESS",
            about,
            times=int(given.get("notifications", 1)),
            delay_s=float(given.get("delayS", 0)),
        )
        return {"transactionId": order.transaction}

    def _refund(self, given: dict[str, Any]) -> dict[str, Any]:
        now = self._clock.now()
        refund = self._orders.refund(given, now=now)
        answer = refund.about()
        if refund.status == "PROCESSING":
            self._orders.pay_out(refund, now=now)
            self._notify(refund.notify_url, "REFUND.SUCCESS", refund.notified(), times=1, delay_s=0)
        return answer

    def _notify(self, address: str, event: str, about: dict[str, Any], *, times: int, delay_s: float) -> None:
        identifier = secrets.token_hex(16)
        for number in range(times):
            # Copies come on other links, a moment apart, with the same id.
            task = asyncio.create_task(
                self._deliver(address, identifier, event, about, delay_s=delay_s + number * DUPLICATE_DELAY_S)
            )
            self._notices.add(task)
            task.add_done_callback(self._notices.discard)

    async def _deliver(
        self, address: str, identifier: str, event: str, about: dict[str, Any], *, delay_s: float
    ) -> None:
        await asyncio.sleep(delay_s)
        body = self._wire.notification(identifier=identifier, event=event, about=about, now=self._clock.now())
        async with httpx.AsyncClient(timeout=5.0, transport=self._transport) as client:
            for wait_s in (*RETRY_DELAYS_S, 0):
                # Each time it is sent it is signed anew.
                headers = self._wire.signed_headers(body, now=self._clock.now())
                try:
                    answer = await client.post(
                        address, content=body, headers={**headers, "Content-Type": "application/json"}
                    )
                    if answer.is_success:
                        return
                    _log.warning("notification not taken", notification=identifier, status=answer.status_code)
                except (httpx.HTTPError, OSError) as away:
                    _log.warning("notification not delivered", notification=identifier, error=type(away).__name__)
                await asyncio.sleep(wait_s)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ChannelError(400, "PARAM_ERROR", "参数错误")
    return value


async def _body(receive: Any) -> bytes:
    content, more = b"", True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
        if len(content) > BODY_LIMIT_BYTES:
            raise ChannelError(413, "PARAM_ERROR", "请求过大")
    return content
