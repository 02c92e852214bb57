"""Statutory time: working days as the State Council sets them, counted and stopped. Pure; it reads no clock."""

from __future__ import annotations

import datetime as dt

import chinese_calendar

BEIJING = dt.timezone(dt.timedelta(hours=8))
"""One time for the whole country, without summer time since 1992."""


def is_working_day(day: dt.date) -> bool:
    """Whether offices are open on `day`: holidays (放假) and shifted working days (调休) included.

    The calendar of a year is announced late in the one before. Until we have it, Monday to Friday count.
    """
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5


def due_on(start: dt.date, working_days: int) -> dt.date:
    """The last day of a term of `working_days` from `start`; the day of `start` is not counted (行政许可法 82)."""
    if working_days < 0:
        raise ValueError("a term is not negative")
    day, left = start, working_days
    while left > 0:
        day += dt.timedelta(days=1)
        left -= is_working_day(day)
    return day


def working_days_until(today: dt.date, due: dt.date) -> int:
    """Working days after `today` up to and with `due`; none once it is past."""
    return sum(is_working_day(today + dt.timedelta(days=passed)) for passed in range(1, (due - today).days + 1))


def local_day(moment: dt.datetime) -> dt.date:
    """The day in Beijing at `moment`."""
    return moment.astimezone(BEIJING).date()


def end_of(day: dt.date) -> dt.datetime:
    """The last second of `day` in Beijing, in UTC."""
    return dt.datetime.combine(day, dt.time(23, 59, 59), BEIJING).astimezone(dt.UTC)


def term_end(now: dt.datetime, working_days: int) -> dt.datetime:
    """When a term of `working_days` that begins at `now` is over."""
    return end_of(due_on(local_day(now), working_days))
