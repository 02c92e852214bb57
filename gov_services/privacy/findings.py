"""What a finding can be. Pure; it finds nothing."""

from __future__ import annotations

from enum import StrEnum


class FindingKind(StrEnum):
    """What an officer looks into."""

    BUDGET_EXHAUSTED = "budget-exhausted"
    """Staff or a party asked for more than their budget holds."""
    NO_RELATION = "no-relation"
    """Staff or a party asked about somebody who is none of their business."""
    SUBJECT_UNKNOWN = "subject-unknown"
    """A party read about somebody whom we could not tell of it."""
