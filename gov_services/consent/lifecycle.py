"""The life of a consent as one table (DPV ConsentStatus; ISO/IEC TS 27560 event_state). Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from gov_services.kit.errors import UserError


class ConsentState(StrEnum):
    """Where a consent stands. Only GIVEN and RENEWED let anything leave."""

    REQUESTED = "requested"
    DEFERRED = "deferred"
    REFUSED = "refused"
    GIVEN = "given"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    RENEWED = "renewed"
    PAUSED = "paused"
    """Held up by the citizen: it opens nothing until they let it go on. DPV has no such state; the nearest is
    ConsentRequestDeferred, which is about an answer that was never given."""


class ConsentEvent(StrEnum):
    """What can happen to a consent."""

    REQUEST = "request"
    DEFER = "defer"
    REFUSE = "refuse"
    GIVE = "give"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"
    """By the citizen, at any time, without a reason (PIPL 15)."""
    REVOKE = "revoke"
    """By the agency that asked for it."""
    PAUSE = "pause"
    RESUME = "resume"
    """It goes on as it was: same scope, forms, terms and end."""


STANDS = (ConsentState.GIVEN, ConsentState.RENEWED)
"""Where a consent lets something leave."""
UNDER_WAY = (*STANDS, ConsentState.PAUSED)
"""Where it was given and has not ended."""
OPEN = (*STANDS, ConsentState.PAUSED, ConsentState.REQUESTED, ConsentState.DEFERRED)
"""Where it can still be withdrawn."""


class IllegalConsentChange(UserError):
    """The consent cannot change in this way from where it stands."""

    code = "CONSENT_STATE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "当前授权状态不允许此操作。",
        "en": "The consent cannot be changed in this way now.",
    }


_S, _E = ConsentState, ConsentEvent
_VALID = STANDS
_UNDER_WAY = UNDER_WAY
_ENDED = (_S.REFUSED, _S.EXPIRED, _S.WITHDRAWN, _S.REVOKED)

TRANSITIONS: dict[tuple[ConsentState | None, ConsentEvent], ConsentState] = {
    (None, _E.REQUEST): _S.REQUESTED,
    (None, _E.GIVE): _S.GIVEN,
    (_S.REQUESTED, _E.GIVE): _S.GIVEN,
    (_S.REQUESTED, _E.DEFER): _S.DEFERRED,
    (_S.REQUESTED, _E.REFUSE): _S.REFUSED,
    (_S.DEFERRED, _E.GIVE): _S.GIVEN,
    (_S.DEFERRED, _E.REFUSE): _S.REFUSED,
    **{(state, _E.GIVE): _S.RENEWED for state in (*_UNDER_WAY, *_ENDED)},
    **{(state, _E.REQUEST): _S.REQUESTED for state in _ENDED},
    **{(state, _E.WITHDRAW): _S.WITHDRAWN for state in (*_UNDER_WAY, _S.REQUESTED, _S.DEFERRED)},
    **{(state, _E.REVOKE): _S.REVOKED for state in _UNDER_WAY},
    **{(state, _E.EXPIRE): _S.EXPIRED for state in (*_UNDER_WAY, _S.REQUESTED, _S.DEFERRED)},
    **{(state, _E.PAUSE): _S.PAUSED for state in _VALID},
    (_S.PAUSED, _E.RESUME): _S.GIVEN,
}


def advance(state: ConsentState | None, event: ConsentEvent) -> ConsentState:
    """The state after `event`. Raises IllegalConsentChange."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalConsentChange from None
