"""Impact assessments: what must be thought through before certain processing begins (PIPL 55, 56). Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Trigger(StrEnum):
    """Why an assessment is due (PIPL 55)."""

    SENSITIVE = "sensitive"
    AUTOMATED = "automated"
    """Decisions that a rule makes about a person."""
    PROVISION = "provision"
    """Passing on to another, entrusting, or making public."""
    EXPORT = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A personal-information protection impact assessment, by its three questions (PIPL 56)."""

    id: str
    purposes: frozenset[str]
    triggers: frozenset[Trigger]
    """What it was made for. What comes to a purpose later is not covered."""
    lawfulness: Mapping[str, str]
    """Whether purpose and method are lawful, legitimate and necessary."""
    impact: Mapping[str, str]
    """What it does to people's rights, and what could go wrong."""
    measures: Mapping[str, str]
    """Whether what protects them is lawful, works, and is worth the risk."""
    assessed_by: str
    assessed_on: dt.date | None

    def plain(self) -> dict[str, object]:
        """As the bundle holds it."""
        return {
            "purposes": sorted(self.purposes),
            "triggers": sorted(self.triggers),
            "lawfulness": dict(self.lawfulness),
            "impact": dict(self.impact),
            "measures": dict(self.measures),
            "assessed_by": self.assessed_by,
            "assessed_on": self.assessed_on.isoformat() if self.assessed_on else "",
        }
