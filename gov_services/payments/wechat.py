"""WeChat Pay (微信支付) API v3, Native: the payment channel over the network. It knows no bill and no citizen.

https://pay.weixin.qq.com/doc/v3/merchant/4012075373 (Native 支付开发指引)
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from typing import Any

import httpx
import structlog

from gov_services.kit.canonical import canonical_json
from gov_services.kit.clock import Clock
from gov_services.payments.channel import (
    ChannelUnavailable,
    Notification,
    NotificationRefused,
    Order,
    Return,
    ReturnOrder,
    ReturnState,
    Trade,
    TradeState,
)
from gov_services.payments.money import CURRENCY
from gov_services.payments.wechat_files import Merchant
from gov_services.payments.wechat_wire import Forged, authorization, open_resource, verify

TIMEOUT_S = 5.0
DESCRIPTION = "政务服务缴费"
"""What the payer's phone shows. It says no more: what the fee is for is no business of the channel's."""
REFUND_REASON = "退费"
ABSENT_ORDER = ("ORDER_NOT_EXIST", "ORDERNOTEXIST")
ABSENT_REFUND = ("RESOURCE_NOT_EXISTS",)
REFUSED_REFUND = ("PARAM_ERROR", "INVALID_REQUEST", "RESOURCE_NOT_EXISTS", "NO_AUTH", "USER_ACCOUNT_ABNORMAL")
"""申请退款: codes after which the same request never succeeds (此状态代表退款申请失败): parameters or business rule
violated, no such order, no right to refund it, the payer's account closed. NOT_ENOUGH is documented beside them but
ends when the merchant's account is topped up; SYSTEM_ERROR, BIZERR_NEED_RETRY and FREQUENCY_LIMITED ask for the same
number again; SIGN_ERROR and MCH_NOT_EXISTS are ours to repair. All of these are unavailability."""
_ANSWER_LIMIT_BYTES = 262_144

_TRADE_STATES = {
    "SUCCESS": TradeState.PAID,
    "REFUND": TradeState.PAID,
    "NOTPAY": TradeState.PENDING,
    "USERPAYING": TradeState.PENDING,
    "PAYERROR": TradeState.PENDING,
    "ACCEPT": TradeState.PENDING,
    "CLOSED": TradeState.CLOSED,
    "REVOKED": TradeState.CLOSED,
}
_RETURN_STATES = {
    "SUCCESS": ReturnState.RETURNED,
    "PROCESSING": ReturnState.PENDING,
    "CLOSED": ReturnState.FAILED,
    # 退款异常: the payer's bank did not take it; the merchant sends it another way, and SUCCESS follows. Not the end.
    "ABNORMAL": ReturnState.PENDING,
}
_log = structlog.get_logger("gov_services.payments.wechat")


class WeChatPay:
    """The channel `wechat`. One per process; it keeps a pool of connections until `close_connections`."""

    name = "wechat"

    def __init__(
        self,
        merchant: Merchant,
        *,
        address: str,
        notify_url: str,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._merchant = merchant
        self._notify_url = notify_url
        self._clock = clock
        self._http = httpx.AsyncClient(base_url=address, timeout=TIMEOUT_S, transport=transport)

    async def close_connections(self) -> None:
        """Let go of the network."""
        await self._http.aclose()

    async def prepay(self, order: Order) -> str:
        """See PaymentChannel."""
        answer = await self._request(
            "POST",
            "/v3/pay/transactions/native",
            {
                "appid": self._merchant.app_id,
                "mchid": self._merchant.id,
                "description": DESCRIPTION,
                "out_trade_no": order.number,
                "time_expire": order.expires_at.replace(microsecond=0).isoformat(),
                "notify_url": self._notify_url,
                "amount": {"total": order.amount_fen, "currency": CURRENCY},
            },
        )
        code_url = (answer or {}).get("code_url")
        if not isinstance(code_url, str):
            raise ChannelUnavailable("no code_url in the answer")
        return code_url

    async def ask(self, number: str) -> Trade:
        """See PaymentChannel."""
        target = f"/v3/pay/transactions/out-trade-no/{number}?mchid={self._merchant.id}"
        answer = await self._request("GET", target, instead=ABSENT_ORDER)
        if answer is None:
            return Trade(number=number, state=TradeState.ABSENT)
        trade = self._trade(answer)
        if trade.number != number:
            raise ChannelUnavailable("the answer is about another order")
        return trade

    async def close(self, number: str) -> None:
        """See PaymentChannel."""
        await self._request("POST", f"/v3/pay/transactions/out-trade-no/{number}/close", {"mchid": self._merchant.id})

    async def give_back(self, order: ReturnOrder) -> Return:
        """See PaymentChannel."""
        answer = await self._request(
            "POST",
            "/v3/refund/domestic/refunds",
            {
                "out_trade_no": order.order_number,
                "out_refund_no": order.number,
                "reason": REFUND_REASON,
                "notify_url": self._notify_url,
                "amount": {"refund": order.amount_fen, "total": order.paid_fen, "currency": CURRENCY},
            },
            instead=REFUSED_REFUND,
        )
        if answer is None:
            return Return(number=order.number, state=ReturnState.REFUSED)
        return _return(answer, "status")

    async def ask_return(self, number: str) -> Return:
        """See PaymentChannel."""
        answer = await self._request("GET", f"/v3/refund/domestic/refunds/{number}", instead=ABSENT_REFUND)
        if answer is None:
            return Return(number=number, state=ReturnState.ABSENT)
        return _return(answer, "status")

    def open_notification(self, *, headers: Mapping[str, str], body: bytes, now: dt.datetime) -> Notification:
        """See PaymentChannel. 1 signature, time and certificate   2 shape   3 decryption   4 about us   5 its fact."""
        try:
            # (1)
            verify(self._merchant.certificates, headers=headers, body=body, now=now)
            # (2)
            envelope = json.loads(body)
            identifier, kind, resource = envelope["id"], envelope["event_type"], envelope["resource"]
            if not (isinstance(identifier, str) and 0 < len(identifier) <= 64):
                raise Forged("id")
            # (3)
            about = json.loads(open_resource(self._merchant.api_key, resource))
            # (4)
            if about["mchid"] != self._merchant.id:
                raise Forged("another merchant's")
            # (5)
            if kind.startswith("REFUND."):
                return Notification(id=identifier, fact=_return(about, "refund_status"))
            if kind.startswith("TRANSACTION."):
                return Notification(id=identifier, fact=self._trade(about))
            raise Forged("event type")
        except Forged as forged:
            raise NotificationRefused(str(forged)) from forged
        except (ChannelUnavailable, KeyError, TypeError, AttributeError, ValueError) as malformed:
            raise NotificationRefused("shape") from malformed

    def _trade(self, about: Mapping[str, Any]) -> Trade:
        try:
            state = _TRADE_STATES[about["trade_state"]]
            number = str(about["out_trade_no"])
            if about["mchid"] != self._merchant.id or about["appid"] != self._merchant.app_id:
                raise ChannelUnavailable("the order is another merchant's")
            if state is not TradeState.PAID:
                return Trade(number=number, state=state)
            return Trade(
                number=number,
                state=state,
                amount_fen=_whole(about["amount"]["total"]),
                currency=str(about["amount"]["currency"]),
                transaction=str(about["transaction_id"]),
                payer_account=(about.get("payer") or {}).get("openid"),
            )
        except (KeyError, TypeError, AttributeError) as malformed:
            raise ChannelUnavailable("not an order") from malformed

    async def _request(
        self, method: str, target: str, content: Mapping[str, Any] | None = None, *, instead: tuple[str, ...] = ()
    ) -> dict[str, Any] | None:
        """The verified answer, empty for one without a body; None for an error whose code is among `instead`."""
        now = self._clock.now()
        body = b"" if content is None else canonical_json(content)
        header = authorization(
            self._merchant.key,
            merchant_id=self._merchant.id,
            serial=self._merchant.serial,
            method=method,
            target=target,
            body=body,
            nonce=os.urandom(16).hex().upper(),
            timestamp=int(now.timestamp()),
        )
        headers = {"Authorization": header, "Accept": "application/json", "Content-Type": "application/json"}
        try:
            response = await self._http.request(method, target, content=body, headers=headers)
        except (httpx.HTTPError, OSError) as away:
            raise ChannelUnavailable(type(away).__name__) from away
        return self._read(response, instead=instead)

    def _read(self, response: httpx.Response, *, instead: tuple[str, ...]) -> dict[str, Any] | None:
        # Errors are verified as successes are: we act on some of them.
        try:
            if len(response.content) > _ANSWER_LIMIT_BYTES:
                raise Forged("length")
            verify(
                self._merchant.certificates,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=response.content,
                now=self._clock.now(),
            )
            answer = json.loads(response.content) if response.content else {}
            if not isinstance(answer, dict):
                raise Forged("shape")
        except (Forged, ValueError) as forged:
            _log.error("an answer that is not the channel's", status=response.status_code, check=str(forged))
            raise ChannelUnavailable(f"not the channel's answer: {forged}") from forged
        if response.is_success:
            return answer
        code = str(answer.get("code", ""))
        if code in instead:
            return None
        _log.warning("the channel refused a request", status=response.status_code, code=code)
        raise ChannelUnavailable(f"refused: {code}")


def _return(about: Mapping[str, Any], state: str) -> Return:
    try:
        if about[state] == "ABNORMAL":
            _log.error("a refund waits for the merchant's hand at the channel", refund=str(about["out_refund_no"]))
        return Return(
            number=str(about["out_refund_no"]),
            state=_RETURN_STATES[about[state]],
            amount_fen=_whole(about["amount"]["refund"]),
            channel_refund=str(about["refund_id"]),
        )
    except (KeyError, TypeError) as malformed:
        raise ChannelUnavailable("not a refund") from malformed


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("an amount is a whole number of fen")
    return value
