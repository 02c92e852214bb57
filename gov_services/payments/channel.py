"""The payment channel as the room sees it: a port. How a channel speaks on the wire is its own module's (wechat)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from gov_services.kit.errors import Refusal, Unavailable


class ChannelUnavailable(Unavailable):
    """The channel does not answer, or not in a way that can be trusted. `reason` is for our log only."""

    code = "PAYMENT_CHANNEL_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "支付渠道暂时不可用,请稍后重试,不会重复扣款。",
        "en": "The payment channel is unavailable for the moment. Please try again; you will not be charged twice.",
    }

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class NotificationRefused(Refusal):
    """What came to the webhook is not a notification of the channel's, or not a fresh one. `reason` is for our log."""

    code = "NOTIFICATION_REFUSED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "通知未通过校验。",
        "en": "The notification was not accepted.",
    }

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class TradeState(StrEnum):
    """How an order stands at the channel."""

    ABSENT = "absent"
    """The channel never heard of it."""
    PENDING = "pending"
    PAID = "paid"
    CLOSED = "closed"


class ReturnState(StrEnum):
    """How a refund stands at the channel."""

    ABSENT = "absent"
    PENDING = "pending"
    RETURNED = "returned"
    FAILED = "failed"
    REFUSED = "refused"
    """The channel does not take it on, now or later: asking again with the same number is no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the channel is asked to collect. It learns an amount and a number, not what the money is for."""

    number: str
    amount_fen: int
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """What the channel says of one order. Amount, currency and transaction are there once it is PAID."""

    number: str
    state: TradeState
    amount_fen: int = 0
    currency: str = ""
    transaction: str = ""
    payer_account: str | None = field(default=None, repr=False)
    """The payer's pseudonym at the channel (openid); personal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnOrder:
    """What the channel is asked to give back."""

    number: str
    order_number: str
    amount_fen: int
    paid_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What the channel says of one refund."""

    number: str
    state: ReturnState
    amount_fen: int = 0
    channel_refund: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A verified, decrypted notification. The channel sends each at least once, and perhaps late."""

    id: str
    fact: Trade | Return


class PaymentChannel(Protocol):
    """A way to be paid. Every method but the last asks over the network and raises ChannelUnavailable."""

    @property
    def name(self) -> str:
        """How the log and the rows name it."""
        ...

    async def prepay(self, order: Order) -> str:
        """Place the order; the address that the payer's phone scans. Placing it again gives an address again."""
        ...

    async def ask(self, number: str) -> Trade:
        """How the order stands."""
        ...

    async def close(self, number: str) -> None:
        """Close the order, so that it can never be paid. One that was paid meanwhile raises."""
        ...

    async def give_back(self, order: ReturnOrder) -> Return:
        """Ask for a refund; REFUSED where it never will be. The same number again gives nothing back twice."""
        ...

    async def ask_return(self, number: str) -> Return:
        """How the refund stands."""
        ...

    def open_notification(self, *, headers: Mapping[str, str], body: bytes, now: dt.datetime) -> Notification:
        """The notification in `body`, once it is known to be the channel's own. Raises NotificationRefused."""
        ...
