"""What a finding can be, and who may look into it. Pure; it finds nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum


class FindingKind(StrEnum):
    """What an officer looks into."""

    BUDGET_EXHAUSTED = "budget-exhausted"
    """Staff or a party asked for more than their budget holds."""
    NO_RELATION = "no-relation"
    """Staff or a party asked about somebody who is none of their business."""
    SUBJECT_UNKNOWN = "subject-unknown"
    """A party read about somebody whom we could not tell of it."""
    NO_BUSINESS = "no-business"
    """Staff looked somebody up, and nothing came of it: no case, no change, nobody at their office."""
    CURIOSITY = "curiosity"
    """Staff came back to one person on several days without a case."""
    GROUNDLESS = "groundless"
    """Judged again, the consent or the case that an access named does not bear it out."""
    OVER_ASKING = "over-asking"
    """A document asks for a field again and again and never opens it."""
    OVERDUE = "overdue"
    """A person's request, or the report of a breach, is past its term."""
    COMPLAINT = "complaint"
    """A citizen complains about an access."""
    NOT_DELETED = "not-deleted"
    """A party read under a consent that has ended, may keep it no longer, and does not say that it deleted it."""
    BREAK_GLASS = "break-glass"
    """Somebody read under a relation that they gave themselves, for an emergency."""


REVIEWED_WITHIN: Mapping[FindingKind, dt.timedelta] = {FindingKind.BREAK_GLASS: dt.timedelta(days=3)}
"""Findings with a term; all others are looked into as they come."""


def may_review(*, actor: str, office: str | None, reviewer: str, reviewers_office: str | None) -> bool:
    """Whether a finding about `actor` may be looked into by `reviewer`.

    Nobody reviews themselves, and nobody from the actor's own office, where their superiors are, reviews them.
    """
    return actor != reviewer and (office is None or office != reviewers_office)
