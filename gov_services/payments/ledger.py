"""Double entry: which accounts a fact moves. Pure; debits are positive, credits negative, a transaction sums to zero.

account           what its balance says
receivable        what citizens owe (应收)
revenue           fees earned, as a credit (非税收入)
channel           what the payment channel owes the treasury
refunds-payable   approved refunds that the channel has not paid out yet, as a credit
surplus           money that a bill did not need (paid already, cancelled, another amount), as a credit; it goes back
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Account(StrEnum):
    """The accounts of the books."""

    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    CHANNEL = "channel"
    REFUNDS_PAYABLE = "refunds-payable"
    SURPLUS = "surplus"


class PostingKind(StrEnum):
    """The facts that are posted, each once for its cause."""

    BILL_ISSUED = "bill-issued"
    BILL_CANCELLED = "bill-cancelled"
    PAYMENT_SETTLED = "payment-settled"
    PAYMENT_SURPLUS = "payment-surplus"
    REFUND_APPROVED = "refund-approved"
    REFUND_PAID = "refund-paid"
    REFUND_FAILED = "refund-failed"
    REFUND_PAID_LATE = "refund-paid-late"
    """The money went back although the refund was believed failed, and taken back in the books."""
    SURPLUS_APPROVED = "surplus-approved"
    SURPLUS_FAILED = "surplus-failed"
    SURPLUS_PAID_LATE = "surplus-paid-late"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a transaction."""

    account: Account
    amount_fen: int


_DEBIT_AND_CREDIT: dict[PostingKind, tuple[Account, Account]] = {
    PostingKind.BILL_ISSUED: (Account.RECEIVABLE, Account.REVENUE),
    PostingKind.BILL_CANCELLED: (Account.REVENUE, Account.RECEIVABLE),
    PostingKind.PAYMENT_SETTLED: (Account.CHANNEL, Account.RECEIVABLE),
    PostingKind.PAYMENT_SURPLUS: (Account.CHANNEL, Account.SURPLUS),
    PostingKind.REFUND_APPROVED: (Account.REVENUE, Account.REFUNDS_PAYABLE),
    PostingKind.REFUND_PAID: (Account.REFUNDS_PAYABLE, Account.CHANNEL),
    PostingKind.REFUND_FAILED: (Account.REFUNDS_PAYABLE, Account.REVENUE),
    PostingKind.REFUND_PAID_LATE: (Account.REVENUE, Account.CHANNEL),
    PostingKind.SURPLUS_APPROVED: (Account.SURPLUS, Account.REFUNDS_PAYABLE),
    PostingKind.SURPLUS_FAILED: (Account.REFUNDS_PAYABLE, Account.SURPLUS),
    PostingKind.SURPLUS_PAID_LATE: (Account.SURPLUS, Account.CHANNEL),
}


def lines(kind: PostingKind, amount_fen: int) -> tuple[Line, Line]:
    """The lines that post `amount_fen` for a fact of that kind."""
    debit, credit = _DEBIT_AND_CREDIT[kind]
    return Line(debit, amount_fen), Line(credit, -amount_fen)
