"""The lives of a proposal to narrow, of a request for consent and of a draft of a purpose, a table each. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from gov_services.kit.errors import UserError


class NarrowingState(StrEnum):
    """Where a proposal stands."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"


class NarrowingEvent(StrEnum):
    """What can happen to a proposal."""

    APPROVE = "approve"
    REFUSE = "refuse"


class NarrowingDecided(UserError):
    """Somebody else has decided on the proposal already."""

    code = "ALREADY_DECIDED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该建议已有处理结果。",
        "en": "This proposal has been decided already.",
    }


TRANSITIONS: dict[tuple[NarrowingState, NarrowingEvent], NarrowingState] = {
    (NarrowingState.PROPOSED, NarrowingEvent.APPROVE): NarrowingState.APPROVED,
    (NarrowingState.PROPOSED, NarrowingEvent.REFUSE): NarrowingState.REFUSED,
}


def advance(state: NarrowingState, event: NarrowingEvent) -> NarrowingState:
    """The state after `event`. Raises NarrowingDecided."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise NarrowingDecided from None


class RequestState(StrEnum):
    """Where a party's request for consent stands."""

    OPEN = "OPEN"
    """Nobody has scanned its code yet."""
    RECEIVED = "RECEIVED"
    """A citizen has it, and may still put it off."""
    GIVEN = "GIVEN"
    REFUSED = "REFUSED"
    LAPSED = "LAPSED"


REQUEST_TRANSITIONS: dict[RequestState | None, frozenset[RequestState]] = {
    None: frozenset({RequestState.OPEN, RequestState.RECEIVED}),
    RequestState.OPEN: frozenset({RequestState.RECEIVED, RequestState.LAPSED}),
    RequestState.RECEIVED: frozenset({RequestState.GIVEN, RequestState.REFUSED, RequestState.LAPSED}),
}
"""From where to where. The database refuses any other."""


class DraftState(StrEnum):
    """Where a draft of a purpose stands."""

    DRAFT = "DRAFT"
    ASSESSED = "ASSESSED"
    """What the law has assessed is attached."""
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"


_DECIDED = frozenset({DraftState.APPROVED, DraftState.REFUSED, DraftState.WITHDRAWN})
DRAFT_EDGES: dict[DraftState | None, frozenset[DraftState]] = {
    None: frozenset({DraftState.DRAFT}),
    DraftState.DRAFT: frozenset({DraftState.ASSESSED, *_DECIDED}),
    DraftState.ASSESSED: _DECIDED,
}
"""From where to where. The database refuses any other."""
