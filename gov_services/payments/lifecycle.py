"""The lives of a bill, a payment and a refund, each as one table. Pure; the database refuses the same edges."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, TypeVar

from gov_services.kit.errors import UserError

State = TypeVar("State", bound=StrEnum)
Happening = TypeVar("Happening", bound=StrEnum)


class BillState(StrEnum):
    """Where a bill (缴款单) stands."""

    ISSUED = "issued"
    PAID = "paid"
    REFUNDING = "refunding"
    """A refund was approved and the channel has not yet said that the money is back."""
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    """What it was for was taken back before anybody paid: nothing is owed."""


class BillEvent(StrEnum):
    """What can happen to a bill."""

    ISSUE = "issue"
    SETTLE = "settle"
    BEGIN_REFUND = "begin-refund"
    FAIL_REFUND = "fail-refund"
    COMPLETE_REFUND = "complete-refund"
    CANCEL = "cancel"


class PaymentState(StrEnum):
    """Where one attempt to pay stands."""

    CREATED = "created"
    """We know of it; whether the channel does is not known yet."""
    AWAITING = "awaiting"
    """The channel waits for the payer."""
    CLOSED = "closed"
    """It can no longer be paid."""
    SUCCEEDED = "succeeded"
    SURPLUS = "surplus"
    """It was paid when its bill did not need it, or with another amount: the money must go back."""


class PaymentEvent(StrEnum):
    """What can happen to a payment."""

    BEGIN = "begin"
    PREPARE = "prepare"
    """The channel took the order (预下单)."""
    CLOSE = "close"
    SETTLE = "settle"
    SETTLE_SURPLUS = "settle-surplus"


class RefundState(StrEnum):
    """Where a refund stands."""

    REQUESTED = "requested"
    REJECTED = "rejected"
    APPROVED = "approved"
    """By a second officer; whether the channel knows is not known yet."""
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundEvent(StrEnum):
    """What can happen to a refund."""

    REQUEST = "request"
    REJECT = "reject"
    APPROVE = "approve"
    SUBMIT = "submit"
    SUCCEED = "succeed"
    FAIL = "fail"


class IllegalPaymentChange(UserError):
    """The bill, payment or refund cannot change in this way from where it stands."""

    code = "PAYMENT_STATE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "当前缴费状态不允许此操作。",
        "en": "The bill cannot be changed in this way now.",
    }


_B, _P, _R = BillState, PaymentState, RefundState
OPEN_PAYMENTS = (PaymentState.CREATED, PaymentState.AWAITING)
"""States in which the payer may still pay."""
OPEN_REFUNDS = (RefundState.APPROVED, RefundState.SUBMITTED)
"""States in which the channel has the last word."""
SETTLED_PAYMENTS = (PaymentState.SUCCEEDED, PaymentState.SURPLUS)

BILL: Mapping[tuple[BillState | None, BillEvent], BillState] = {
    (None, BillEvent.ISSUE): _B.ISSUED,
    (_B.ISSUED, BillEvent.SETTLE): _B.PAID,
    (_B.ISSUED, BillEvent.CANCEL): _B.CANCELLED,
    (_B.PAID, BillEvent.BEGIN_REFUND): _B.REFUNDING,
    (_B.REFUNDING, BillEvent.FAIL_REFUND): _B.PAID,
    (_B.REFUNDING, BillEvent.COMPLETE_REFUND): _B.REFUNDED,
    # Money that went back after its refund was believed failed is a fact too.
    (_B.PAID, BillEvent.COMPLETE_REFUND): _B.REFUNDED,
}

PAYMENT: Mapping[tuple[PaymentState | None, PaymentEvent], PaymentState] = {
    (None, PaymentEvent.BEGIN): _P.CREATED,
    (_P.CREATED, PaymentEvent.PREPARE): _P.AWAITING,
    **{(state, PaymentEvent.CLOSE): _P.CLOSED for state in OPEN_PAYMENTS},
    # Money that has come is a fact, whatever we thought of the payment before.
    **{(state, PaymentEvent.SETTLE): _P.SUCCEEDED for state in (*OPEN_PAYMENTS, _P.CLOSED)},
    **{(state, PaymentEvent.SETTLE_SURPLUS): _P.SURPLUS for state in (*OPEN_PAYMENTS, _P.CLOSED)},
}

REFUND: Mapping[tuple[RefundState | None, RefundEvent], RefundState] = {
    (None, RefundEvent.REQUEST): _R.REQUESTED,
    (_R.REQUESTED, RefundEvent.REJECT): _R.REJECTED,
    (_R.REQUESTED, RefundEvent.APPROVE): _R.APPROVED,
    (_R.APPROVED, RefundEvent.SUBMIT): _R.SUBMITTED,
    (_R.SUBMITTED, RefundEvent.SUCCEED): _R.SUCCEEDED,
    # The channel may refuse for good before it takes the refund on.
    **{(state, RefundEvent.FAIL): _R.FAILED for state in OPEN_REFUNDS},
    (_R.FAILED, RefundEvent.SUCCEED): _R.SUCCEEDED,
}


def advance(
    table: Mapping[tuple[State | None, Happening], State], state: State | None, event: Happening, *, field: str = ""
) -> State:
    """The state after `event`, by one of the tables above. Raises IllegalPaymentChange naming the input `field`."""
    try:
        return table[state, event]
    except KeyError:
        raise IllegalPaymentChange(field=field) from None
