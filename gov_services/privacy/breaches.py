"""Breaches of personal data: what has to be told to whom, and by when (PIPL 57). Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from gov_services.kit.errors import UserError


class Grade(StrEnum):
    """How grave it is (国家网络安全事件报告管理办法, in force since 2025-11-01)."""

    ORDINARY = "ordinary"
    RELATIVELY_MAJOR = "relatively-major"
    MAJOR = "major"
    ESPECIALLY_MAJOR = "especially-major"


REPORTED_WITHIN: Mapping[Grade, dt.timedelta] = {
    Grade.ORDINARY: dt.timedelta(hours=72),
    Grade.RELATIVELY_MAJOR: dt.timedelta(hours=4),
    Grade.MAJOR: dt.timedelta(hours=4),
    Grade.ESPECIALLY_MAJOR: dt.timedelta(hours=4),
}
"""After it was found, for who is neither critical infrastructure (one hour) nor an organ of the centre (two). PIPL 57
says `immediately` and gives no number for ordinary ones: seventy-two hours are the GDPR's (33)."""


class BreachState(StrEnum):
    """Where it stands."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


EDGES: dict[BreachState | None, frozenset[BreachState]] = {
    None: frozenset({BreachState.OPEN}),
    BreachState.OPEN: frozenset({BreachState.CLOSED}),
}


class NotComplete(UserError):
    """A notice of a breach says which data, why, which harm, what was done, what people can do, and whom to ask."""

    code = "BREACH_NOT_COMPLETE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "通知须载明:涉及的信息种类、原因、可能的危害、已采取的措施、个人可采取的措施、联系方式。",
        "en": "A notice says: which data, the cause, possible harm, measures taken, what people can do, whom to ask.",
    }


class NotDoneYet(UserError):
    """It is closed when it was reported, and people were told or a reason not to stands written."""

    code = "BREACH_NOT_DONE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "须先完成报告,并通知个人或写明不通知的理由。",
        "en": "Report it first, and tell people or write down why not.",
    }


class DoneAlready(UserError):
    """That was done."""

    code = "BREACH_DONE"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "该步骤已完成。", "en": "That was done already."}


def report_due_at(grade: Grade, found_at: dt.datetime) -> dt.datetime:
    """By when the authority is told."""
    return found_at + REPORTED_WITHIN[grade]
