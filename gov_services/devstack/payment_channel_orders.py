"""The sandbox channel's orders and refunds, in memory. It moves no money and speaks no HTTP."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, field
from typing import Any

from gov_services.devstack.payment_channel_keys import APP_ID, MERCHANT_ID
from gov_services.devstack.payment_channel_wire import rfc3339

DESCRIPTIONS = {"SUCCESS": "支付成功", "REFUND": "转入退款", "NOTPAY": "订单未支付", "CLOSED": "订单已关闭"}


class ChannelError(Exception):
    """What the channel answers instead, with its status and code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


@dataclass(slots=True)
class SandboxOrder:
    """One order (商户订单)."""

    number: str
    total: int
    expires_at: dt.datetime
    notify_url: str
    code_url: str
    state: str = "NOTPAY"
    transaction: str = ""
    openid: str = ""
    paid_at: dt.datetime | None = None

    def about(self) -> dict[str, Any]:
        """The order as a query answers it and a notification carries it."""
        about: dict[str, Any] = {
            "appid": APP_ID,
            "mchid": MERCHANT_ID,
            "out_trade_no": self.number,
            "trade_state": self.state,
            "trade_state_desc": {"SUCCESS": "支付成功", "NOTPAY": "订单未支付", "CLOSED": "订单已关闭"}.get(
                self.state, ""
            ),
            "amount": {"total": self.total, "currency": "CNY"},
        }
        if self.paid_at is not None:
            about |= {
                "transaction_id": self.transaction,
                "trade_type": "NATIVE",
                "bank_type": "OTHERS",
                "attach": "",
                "success_time": rfc3339(self.paid_at),
                "payer": {"openid": self.openid},
                "amount": {
                    "total": self.total,
                    "payer_total": self.total,
                    "currency": "CNY",
                    "payer_currency": "CNY",
                },
            }
        return about


@dataclass(slots=True)
class SandboxRefund:
    """One refund (退款单)."""

    number: str
    order: SandboxOrder
    amount: int
    notify_url: str
    refund: str
    made_at: dt.datetime
    status: str = "PROCESSING"
    done_at: dt.datetime | None = None

    def about(self) -> dict[str, Any]:
        """The refund as the API answers it."""
        return {
            "refund_id": self.refund,
            "out_refund_no": self.number,
            "transaction_id": self.order.transaction,
            "out_trade_no": self.order.number,
            "channel": "ORIGINAL",
            "user_received_account": "支付用户零钱",
            "create_time": rfc3339(self.made_at),
            "status": self.status,
            "amount": {"total": self.order.total, "refund": self.amount, "currency": "CNY"},
            **({"success_time": rfc3339(self.done_at)} if self.done_at else {}),
        }

    def notified(self) -> dict[str, Any]:
        """The refund as a notification carries it."""
        return {
            "mchid": MERCHANT_ID,
            "out_trade_no": self.order.number,
            "transaction_id": self.order.transaction,
            "out_refund_no": self.number,
            "refund_id": self.refund,
            "refund_status": self.status,
            "user_received_account": "支付用户零钱",
            "amount": {
                "total": self.order.total,
                "refund": self.amount,
                "payer_total": self.order.total,
                "payer_refund": self.amount,
            },
            **({"success_time": rfc3339(self.done_at)} if self.done_at else {}),
        }


@dataclass(slots=True)
class Orders:
    """All orders and refunds."""

    _orders: dict[str, SandboxOrder] = field(default_factory=dict)
    _refunds: dict[str, SandboxRefund] = field(default_factory=dict)

    def place(self, given: dict[str, Any]) -> SandboxOrder:
        """Native 下单; the same unpaid order again gets the same address. Raises ChannelError."""
        try:
            number, total = str(given["out_trade_no"]), given["amount"]["total"]
            expires_at = dt.datetime.fromisoformat(given["time_expire"])
            notify_url = str(given["notify_url"])
            ours = given["mchid"] == MERCHANT_ID and given["appid"] == APP_ID and bool(given["description"])
        except (KeyError, TypeError, ValueError):
            raise ChannelError(400, "PARAM_ERROR", "参数错误") from None
        if not ours or not 6 <= len(number) <= 32 or not isinstance(total, int) or total < 1:
            raise ChannelError(400, "PARAM_ERROR", "参数错误")
        known = self._orders.get(number)
        if known is not None:
            if known.state == "SUCCESS":
                raise ChannelError(400, "ORDERPAID", "订单已支付")
            if known.state != "NOTPAY" or known.total != total:
                raise ChannelError(403, "OUT_TRADE_NO_USED", "商户订单号重复")
            return known
        code_url = f"weixin://wxpay/bizpayurl?pr={secrets.token_urlsafe(9)}"
        order = self._orders[number] = SandboxOrder(number, total, expires_at, notify_url, code_url)
        return order

    def find(self, number: str) -> SandboxOrder:
        """查询订单. Raises ChannelError."""
        order = self._orders.get(number)
        if order is None:
            raise ChannelError(404, "ORDER_NOT_EXIST", "订单不存在")
        return order

    def close(self, number: str) -> None:
        """关闭订单. Raises ChannelError."""
        order = self.find(number)
        if order.state == "SUCCESS":
            raise ChannelError(400, "ORDERPAID", "订单已支付")
        order.state = "CLOSED"

    def pay(self, code_url: str, *, openid: str, now: dt.datetime) -> SandboxOrder:
        """What the payer's phone does with a scanned address. Raises ChannelError."""
        for order in self._orders.values():
            if order.code_url == code_url:
                if order.state != "NOTPAY" or now >= order.expires_at:
                    raise ChannelError(409, "ORDER_CLOSED", "订单已支付、已关闭或已过期")
                order.state, order.openid, order.paid_at = "SUCCESS", openid, now
                order.transaction = "42" + "".join(secrets.choice("0123456789") for _ in range(26))
                return order
        raise ChannelError(404, "ORDER_NOT_EXIST", "二维码无效")

    def refund(self, given: dict[str, Any], *, now: dt.datetime) -> SandboxRefund:
        """申请退款; the same number again answers how it stands. Raises ChannelError."""
        try:
            number, order = str(given["out_refund_no"]), self._orders.get(str(given["out_trade_no"]))
            amount, total = given["amount"]["refund"], given["amount"]["total"]
        except (KeyError, TypeError):
            raise ChannelError(400, "PARAM_ERROR", "参数错误") from None
        if order is None:
            raise ChannelError(404, "RESOURCE_NOT_EXISTS", "订单不存在")
        notify_url = str(given.get("notify_url") or order.notify_url)
        known = self._refunds.get(number)
        if known is not None:
            return known
        returned = sum(item.amount for item in self._refunds.values() if item.order is order)
        if order.paid_at is None or total != order.total or not 1 <= amount <= order.total - returned:
            raise ChannelError(403, "NOT_ENOUGH", "可退金额不足")
        code = "50" + "".join(secrets.choice("0123456789") for _ in range(26))
        refund = self._refunds[number] = SandboxRefund(number, order, amount, notify_url, code, now)
        return refund

    def find_refund(self, number: str) -> SandboxRefund:
        """查询退款. Raises ChannelError."""
        refund = self._refunds.get(number)
        if refund is None:
            raise ChannelError(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
        return refund

    @staticmethod
    def pay_out(refund: SandboxRefund, *, now: dt.datetime) -> None:
        """The money is back with the payer."""
        refund.status, refund.done_at = "SUCCESS", now
        refund.order.state = "REFUND"
