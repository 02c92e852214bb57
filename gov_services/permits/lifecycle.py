"""The life of an application as one table of (state, event) → state. Pure; the database refuses the same edges."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from gov_services.kit.errors import UserError


class State(StrEnum):
    """Where an application (办件) stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    INCOMPLETE = "incomplete"
    """Something must be put right before it can be accepted; no statutory time runs yet."""
    ACCEPTED = "accepted"
    """受理: the statutory time runs."""
    CORRECTION_REQUESTED = "correction-requested"
    """补正: the statutory time stands still."""
    FEE_DUE = "fee-due"
    UNDER_REVIEW = "under-review"
    """The fee is paid; two officers decide, one after the other."""
    RECOMMENDED = "recommended"
    """The first officer is for it (审核); the second decides (核准)."""
    ISSUED = "issued"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    SURRENDERED = "surrendered"
    """The holder gave the licence back (注销)."""


class Event(StrEnum):
    """What can happen to an application."""

    START = "start"
    SUBMIT = "submit"
    REQUEST_CORRECTION = "request-correction"
    CORRECT = "correct"
    ACCEPT = "accept"
    ASSESS_FEE = "assess-fee"
    SETTLE_FEE = "settle-fee"
    REFUND_FEE = "refund-fee"
    """The fee went back to whoever paid it: it has to be assessed anew before anything is decided."""
    RECOMMEND = "recommend"
    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    SURRENDER = "surrender"


class IllegalApplicationChange(UserError):
    """The application cannot change in this way from where it stands."""

    code = "APPLICATION_STATE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "申请当前所处的环节不允许此操作。",
        "en": "The application cannot be changed in this way now.",
    }


_S, _E = State, Event
OPEN = (
    _S.SUBMITTED,
    _S.INCOMPLETE,
    _S.ACCEPTED,
    _S.CORRECTION_REQUESTED,
    _S.FEE_DUE,
    _S.UNDER_REVIEW,
    _S.RECOMMENDED,
)
"""States in which a case lies with its officers or waits for its applicant."""
AWAITING_CORRECTION = (_S.INCOMPLETE, _S.CORRECTION_REQUESTED)

APPLICATION: Mapping[tuple[State | None, Event], State] = {
    (None, _E.START): _S.DRAFT,
    (_S.DRAFT, _E.SUBMIT): _S.SUBMITTED,
    (_S.SUBMITTED, _E.REQUEST_CORRECTION): _S.INCOMPLETE,
    (_S.INCOMPLETE, _E.CORRECT): _S.SUBMITTED,
    (_S.SUBMITTED, _E.ACCEPT): _S.ACCEPTED,
    (_S.ACCEPTED, _E.REQUEST_CORRECTION): _S.CORRECTION_REQUESTED,
    (_S.CORRECTION_REQUESTED, _E.CORRECT): _S.ACCEPTED,
    (_S.ACCEPTED, _E.ASSESS_FEE): _S.FEE_DUE,
    (_S.FEE_DUE, _E.SETTLE_FEE): _S.UNDER_REVIEW,
    # From FEE_DUE where the word of the refund overtook the word of the settlement.
    **{(state, _E.REFUND_FEE): _S.ACCEPTED for state in (_S.FEE_DUE, _S.UNDER_REVIEW, _S.RECOMMENDED)},
    (_S.UNDER_REVIEW, _E.RECOMMEND): _S.RECOMMENDED,
    (_S.RECOMMENDED, _E.APPROVE): _S.ISSUED,
    (_S.ISSUED, _E.SURRENDER): _S.SURRENDERED,
    **{(state, _E.REJECT): _S.REJECTED for state in (_S.SUBMITTED, _S.ACCEPTED, _S.UNDER_REVIEW, _S.RECOMMENDED)},
    # An applicant may withdraw until it is decided.
    **{(state, _E.WITHDRAW): _S.WITHDRAWN for state in (_S.DRAFT, *OPEN)},
}

FINAL = frozenset(State) - {state for state, _ in APPLICATION if state is not None}
"""States from which nothing leads on."""


def advance(state: State | None, event: Event, *, field: str = "input.applicationId") -> State:
    """The state after `event`. Raises IllegalApplicationChange naming the input `field`."""
    try:
        return APPLICATION[state, event]
    except KeyError:
        raise IllegalApplicationChange(field=field) from None
