"""Requests that people make under their rights (PIPL 44–50): kinds, terms, why one may be refused, their life. Pure."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import ClassVar

from gov_services.kit.errors import UserError
from gov_services.kit.working_days import term_end

ANSWERED_WITHIN = dt.timedelta(days=30)
"""GB/T 35273-2020, 8.7."""
ACCOUNT_CLOSED_WITHIN_WORKING_DAYS = 15
"""GB/T 35273-2020, 8.5, where people have to do it."""


class RightKind(StrEnum):
    """What a person asks for that a person has to answer. Seeing, exporting and erasing go by themselves."""

    ACCESS = "ACCESS"
    """To see or copy what the account does not show (PIPL 45)."""
    CORRECTION = "CORRECTION"
    """To correct or complete (PIPL 46)."""
    DELETION = "DELETION"
    """To delete more than an erasure does (PIPL 47)."""
    EXPLANATION = "EXPLANATION"
    """To explain how data is processed (PIPL 48)."""
    REVIEW = "REVIEW"
    """To have a person look at what rules decided by themselves (PIPL 24)."""
    RELATIVE = "RELATIVE"
    """By a close relative, about somebody who has died (PIPL 49)."""
    COMPLAINT = "COMPLAINT"
    """About an access that the log shows (PIPL 50, 65)."""


class RightState(StrEnum):
    """Where it stands."""

    RECEIVED = "RECEIVED"
    TAKEN = "TAKEN"
    """By an officer, who alone reads it."""
    GRANTED = "GRANTED"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"


class RefusalReason(StrEnum):
    """Why a request is not granted. Without one of these nothing is refused (PIPL 50)."""

    LAW_HAS_IT_KEPT = "LAW_HAS_IT_KEPT"
    LAW_HAS_IT_PROCESSED = "LAW_HAS_IT_PROCESSED"
    OTHERS_RIGHTS = "OTHERS_RIGHTS"
    NOT_PROVED = "NOT_PROVED"
    """Who asks, or how they are related, could not be proved."""
    NOT_HELD = "NOT_HELD"
    """There is no such data."""
    CORRECT_AS_IT_IS = "CORRECT_AS_IT_IS"
    DIRECTED_OTHERWISE = "DIRECTED_OTHERWISE"
    """The person who has died directed otherwise (PIPL 49)."""


class DirectiveKind(StrEnum):
    """What close relatives may ask for after somebody's death (PIPL 49), and what a directive is about."""

    ACCESS = "ACCESS"
    """To see or copy."""
    CORRECTION = "CORRECTION"
    DELETION = "DELETION"


class Choice(StrEnum):
    """What a person directs about one kind of request."""

    ALLOWED = "ALLOWED"
    FORBIDDEN = "FORBIDDEN"
    WITHDRAWN = "WITHDRAWN"
    """Nothing any more: the law alone says what relatives may."""


class RightNotOpen(UserError):
    """The request does not wait for that any more."""

    code = "RIGHT_NOT_OPEN"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该请求当前不能进行此操作。",
        "en": "That cannot be done with this request now.",
    }


EDGES: dict[RightState | None, frozenset[RightState]] = {
    None: frozenset({RightState.RECEIVED}),
    RightState.RECEIVED: frozenset({RightState.TAKEN, RightState.WITHDRAWN}),
    RightState.TAKEN: frozenset({RightState.GRANTED, RightState.REFUSED, RightState.WITHDRAWN}),
}
"""From where to where. The database refuses any other."""


def require_edge(before: RightState, after: RightState) -> None:
    """Raises RightNotOpen where a request does not go from `before` to `after`."""
    if after not in EDGES.get(before, frozenset()):
        raise RightNotOpen


def due_at(kind: RightKind, made_at: dt.datetime) -> dt.datetime:
    """By when it is answered."""
    if kind is RightKind.DELETION:
        return term_end(made_at, ACCOUNT_CLOSED_WITHIN_WORKING_DAYS)
    return made_at + ANSWERED_WITHIN
