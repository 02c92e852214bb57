"""Why money that came is matched to no bill. Pure: it books nothing."""

from __future__ import annotations

from enum import StrEnum


class UnmatchedReason(StrEnum):
    """What keeps money from settling a bill. It is somebody's all the same, and officers look into it."""

    SURPLUS = "surplus"
    """Its bill did not need it, or it was of another amount; it is in the books and goes back by two officers."""
    OTHER_AMOUNT = "other-amount"
    """A notification speaks of another amount than was asked for; it is in no books."""
    OTHER_CURRENCY = "other-currency"
    OTHER_TRANSACTION = "other-transaction"
    """The payment was settled by another transaction of the channel's."""
