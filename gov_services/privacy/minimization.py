"""What the trail says about a grant: unasked, never opened, never shown; and by which step it may become less. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gov_services.consent.purposes import DISCLOSING, Form, Purpose

USUAL = dt.timedelta(days=90)
RARE = dt.timedelta(days=400)
"""Thirteen months and some: what is done once a year is seen once in it."""
RARELY_DAYS = 10
"""A purpose that was used on fewer days of the usual window is judged over the rare one."""
WARNED_FOR = dt.timedelta(days=7)
"""So long a warning stands before a field that somebody opens is masked or taken away."""


class Step(StrEnum):
    """How a grant becomes less, or as it was."""

    WARN = "WARN"
    """Still given; whoever gets it is told that it goes."""
    MASK = "MASK"
    DENY = "DENY"
    RESTORE = "RESTORE"
    """The way back: what an approved step took."""


class Why(StrEnum):
    """What the trail says of a grant."""

    UNASKED = "unasked"
    """No client asked for it."""
    UNOPENED = "unopened"
    """Asked for, and in no answer opened."""
    UNSHOWN = "unshown"
    """Opened, and by clients who tell what they show never shown: asking for more than is used saves no grant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How one client used one grant over a window."""

    client: str
    document: str
    coordinate: str
    declared: int
    masked: int
    opened: int
    used: int
    withheld: int
    last_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A step that the trail bears out."""

    purpose: str
    coordinate: str
    granted: Form
    step: Step
    why: Why
    since: dt.datetime
    declared: int
    opened: int
    used: int


def window_of(*, days_used: int, now: dt.datetime) -> dt.datetime:
    """Since when a purpose is judged that was used on so many days of the usual window."""
    return now - (RARE if days_used < RARELY_DAYS else USUAL)


def suggest(
    purpose: Purpose,
    uses: Sequence[Use],
    *,
    since: dt.datetime,
    granted_since: Mapping[str, dt.datetime],
    maskable: Collection[str],
) -> list[Suggestion]:
    """The steps that the trail since `since` bears out; none for a grant younger than that, or a purpose never used.

    What nobody acts under says nothing of its grants: `lint` names such a purpose.
    """
    if not any(use.declared or use.withheld for use in uses):
        return []
    telling = {use.client for use in uses if use.used}
    found = []
    for coordinate, form in sorted(purpose.grants.items()):
        if form not in DISCLOSING or granted_since[coordinate] > since:
            continue
        own = [use for use in uses if use.coordinate == coordinate]
        declared, opened, used = (sum(getattr(use, name) for use in own) for name in ("declared", "opened", "used"))
        openers = {use.client for use in own if use.opened}
        if not declared:
            why, step = Why.UNASKED, Step.DENY
        elif not opened:
            why, step = Why.UNOPENED, Step.DENY
        elif not used and openers <= telling:
            why = Why.UNSHOWN
            step = Step.MASK if form is Form.PLAIN and coordinate in maskable else Step.DENY
        else:
            continue
        if opened and coordinate not in purpose.warned:
            step = Step.WARN
        found.append(
            Suggestion(
                purpose=purpose.code,
                coordinate=coordinate,
                granted=form,
                step=step,
                why=why,
                since=since,
                declared=declared,
                opened=opened,
                used=used,
            )
        )
    return found


def may_take(
    step: Step, *, granted: Form, refuses: int, maskable: bool, warned_since: dt.datetime | None, now: dt.datetime
) -> bool:
    """Whether a step may be taken, after which so many accesses of the window would have been `refused`.

    Warn, then mask, then deny. What refuses nothing surprises nobody, and needs no warning.
    """
    if step in (Step.WARN, Step.RESTORE) or refuses == 0:
        return True
    if warned_since is None or now - warned_since < WARNED_FOR:
        return False
    return step is Step.MASK or granted is not Form.PLAIN or not maskable
