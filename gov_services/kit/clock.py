"""The only place that reads the time. Everything else is handed a moment (`ctx.now`)."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

_BEIJING = dt.timezone(dt.timedelta(hours=8))
"""One time for the whole country, without summer time since 1992."""


class Clock(Protocol):
    """Where a moment comes from."""

    def now(self) -> dt.datetime:
        """The present moment, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)


class FrozenClock:
    """A clock that moves only when told; for tests and for replaying the past."""

    def __init__(self, start: dt.datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a moment carries its timezone")
        self._now = start

    def now(self) -> dt.datetime:
        return self._now

    def advance(self, by: dt.timedelta) -> None:
        """Move forward; backwards is refused, as a real clock would be distrusted for it."""
        if by < dt.timedelta(0):
            raise ValueError("time does not run backwards")
        self._now += by


def start_of_day(day: dt.date) -> dt.datetime:
    """The moment, in UTC, at which `day` begins where the city is."""
    return dt.datetime.combine(day, dt.time.min, tzinfo=_BEIJING).astimezone(dt.UTC)


def local_day(moment: dt.datetime) -> dt.date:
    """The day on which `moment` falls where the city is: dates of the law count in Beijing time."""
    return moment.astimezone(_BEIJING).date()
