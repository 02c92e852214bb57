"""When the next compliance audit is due, by how many people it is about and when the last one was (PIPL 54). Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from gov_services.kit.errors import UserError

MANY_PEOPLE = 10_000_000
"""Above so many a law says how often (个人信息保护合规审计管理办法, in force 2025-05-01)."""
EVERY_OF_MANY_YEARS = 2
"""The same rules: at least once in so many years."""
EVERY_OF_FEWER_YEARS = 3
"""Of fewer people the rules ask for a reasonable frequency, and leave it to whoever processes: this is ours."""


class AuditNotComplete(UserError):
    """An audit that was done has a day that is past, somebody who did it, and a report."""

    code = "AUDIT_NOT_COMPLETE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "请填写审计日期(不晚于今日)、审计机构和报告的 SHA-256。",
        "en": "Please say when it was done (today or before), by whom, and the SHA-256 of the report.",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """How often audits are due, and by when the next one."""

    persons: int
    every_years: int
    last_on: dt.date | None
    due_on: dt.date | None
    """None while nobody's data is processed."""

    def is_overdue(self, today: dt.date) -> bool:
        """Whether its day is over."""
        return self.due_on is not None and today > self.due_on


def due(*, persons: int, since: dt.date | None, last_on: dt.date | None) -> Due:
    """By when the next audit is due: so long after the last one, or after the first person's data was taken in."""
    every = EVERY_OF_MANY_YEARS if persons > MANY_PEOPLE else EVERY_OF_FEWER_YEARS
    start = last_on or since
    due_on = years_after(start, every) if start is not None else None
    return Due(persons=persons, every_years=every, last_on=last_on, due_on=due_on)


def years_after(day: dt.date, years: int) -> dt.date:
    """The same day of a later year; of a leap day the last of its month."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
