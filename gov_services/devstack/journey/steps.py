"""A step of the journey: its number, its title, what it does. The order is the story's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gov_services.devstack.journey.town import Town


@dataclass(slots=True)
class Told:
    """What came back in a step: facts for programs, lines for people."""

    facts: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """One step."""

    number: int
    title: str
    play: Callable[[Town], Awaitable[Told]]
