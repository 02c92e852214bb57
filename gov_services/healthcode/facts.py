"""What a citizen declares about their health, checked, and its one text. Pure; it judges nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from gov_services.kit.canonical import canonical_json
from gov_services.kit.errors import UserError

VERSION = "gov-health-facts/1"
OLDEST = dt.timedelta(days=30)
"""What lies further back changes no colour, and is not taken."""


class Symptom(StrEnum):
    """Symptoms that rules may ask for (WS 363.6 has many more)."""

    FEVER = "fever"
    COUGH = "cough"
    BREATHLESSNESS = "breathlessness"


class TestResult(StrEnum):
    """How a test came out."""

    __test__ = False  # no test of ours, whatever its name

    NEGATIVE = "negative"
    POSITIVE = "positive"


class FactRefused(UserError):
    """A date lies ahead or too far back or names no zone, or a test has no date."""

    code = "FACT_REFUSED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "请填写三十日以内、不晚于现在的时间。",
        "en": "Give a time within the last thirty days, and not ahead.",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was declared."""

    declared_at: dt.datetime
    symptoms: Sequence[Symptom]
    test_result: TestResult | None
    tested_at: dt.datetime | None
    contact_at: dt.datetime | None

    def payload(self) -> dict[str, Any]:
        """What rules read."""
        return {
            "declaredAt": self.declared_at.isoformat(),
            "symptoms": sorted(item.value for item in self.symptoms),
            "testResult": self.test_result.value if self.test_result else None,
            "testedAt": self.tested_at.isoformat() if self.tested_at else None,
            "contactAt": self.contact_at.isoformat() if self.contact_at else None,
        }

    def text(self) -> str:
        """What is sealed."""
        return canonical_json({"v": VERSION, **self.payload()}).decode()


def declare(
    *,
    now: dt.datetime,
    symptoms: Sequence[Symptom],
    test_result: TestResult | None,
    tested_at: dt.datetime | None,
    contact_at: dt.datetime | None,
) -> Facts:
    """The declaration, if it can be meant. Raises FactRefused naming the field."""
    if (test_result is None) != (tested_at is None):
        raise FactRefused(field="input.testedAt")
    for field, moment in (("testedAt", tested_at), ("contactAt", contact_at)):
        # A moment without a zone is none: nobody knows when it was.
        if moment is not None and (moment.tzinfo is None or not now - OLDEST <= moment <= now):
            raise FactRefused(field=f"input.{field}")
    return Facts(
        declared_at=now,
        symptoms=sorted(set(symptoms)),
        test_result=test_result,
        tested_at=tested_at,
        contact_at=contact_at,
    )


def facts_in(text: str) -> Facts:
    """The declaration in a sealed text. Raises ValueError where it is none."""
    raw = json.loads(text)
    if raw["v"] != VERSION:
        raise ValueError("not a declaration, version 1")
    return Facts(
        declared_at=dt.datetime.fromisoformat(raw["declaredAt"]),
        symptoms=[Symptom(item) for item in raw["symptoms"]],
        test_result=TestResult(raw["testResult"]) if raw["testResult"] else None,
        tested_at=dt.datetime.fromisoformat(raw["testedAt"]) if raw["testedAt"] else None,
        contact_at=dt.datetime.fromisoformat(raw["contactAt"]) if raw["contactAt"] else None,
    )
