"""The terms of a consent: how often a recipient may read, how long it may keep what it read. Pure: no counting."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum


class Period(StrEnum):
    """What a frequency is counted over. It rolls: the last so many hours, whichever hour it is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    """Thirty days."""

    @property
    def length(self) -> dt.timedelta:
        """How long it is."""
        return _LENGTHS[self]


_LENGTHS = {
    Period.HOUR: dt.timedelta(hours=1),
    Period.DAY: dt.timedelta(days=1),
    Period.WEEK: dt.timedelta(weeks=1),
    Period.MONTH: dt.timedelta(days=30),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequency:
    """At most so many readings in a period."""

    times: int
    per: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a consent allows beside its fields and its end. A reading is one request, whatever it reads."""

    keep_days: int
    """Data life: for so many days the recipient may keep what it reads. A purpose that keeps longer is not covered."""
    uses: int | None = None
    """Most readings in all since it was last given; 1: one-time. None: no bound."""
    frequency: Frequency | None = None

    @property
    def counted(self) -> bool:
        """Whether readings under it are counted."""
        return self.uses is not None or self.frequency is not None

    def within(self, widest: Terms) -> bool:
        """Whether no term is wider than `widest` has it."""
        uses = widest.uses is None or (self.uses is not None and self.uses <= widest.uses)
        return uses and self.keep_days <= widest.keep_days and _seldom_enough(self.frequency, widest.frequency)


def _seldom_enough(asked: Frequency | None, most: Frequency | None) -> bool:
    """Whether every stretch of time in which `most` bounds readings is bounded as much by `asked`.

    Periods of different length are compared only where that is certain: fewer readings over a longer period.
    """
    if most is None:
        return True
    return asked is not None and asked.times <= most.times and asked.per.length >= most.per.length
