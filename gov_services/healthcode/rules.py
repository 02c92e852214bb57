"""Colour from facts, by rules that are data: published, versioned, each with the fields that it reads. Pure.

No function here or elsewhere sets a colour: it follows from a rule and from what was declared, or there is none.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gov_services.healthcode import certlogic
from gov_services.healthcode.facts import Facts
from gov_services.kit.canonical import canonical_json
from gov_services.kit.errors import LOCALES

FORMAT = "gov-colour-rules/1"
OUTCOME_VERSION = "gov-health-outcome/1"
_READABLE = frozenset({"declaredAt", "symptoms", "testResult", "testedAt", "contactAt"})
_MOMENTS = frozenset({"declaredAt", "testedAt", "contactAt"})


class RuleSetRefused(ValueError):
    """The rule set lacks something, or says what cannot be meant."""


class Colour(StrEnum):
    """What a code shows."""

    GREEN = "GREEN"
    YELLOW = "YELLOW"
    RED = "RED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. The first of its set that holds decides."""

    id: str
    colour: Colour
    reason: Mapping[str, str]
    affected_fields: frozenset[str]
    valid_days: int
    valid_from: str
    logic: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The rules in force in a region."""

    id: str
    version: int
    region: str
    keep_days: int
    rules: tuple[Rule, ...]

    @property
    def name(self) -> str:
        """How a rule's id begins."""
        return f"{self.id}/{self.version}"

    def reason(self, rule_id: str, locale: str) -> str:
        """Why, in words; of a rule of an older set its id."""
        known = {f"{self.name}#{rule.id}": rule.reason for rule in self.rules}
        return known[rule_id][locale] if rule_id in known else rule_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the rules made of a declaration."""

    colour: Colour
    rule_id: str
    masked_name: str
    valid_until: dt.datetime

    def text(self) -> str:
        """What is sealed."""
        return canonical_json(
            {
                "v": OUTCOME_VERSION,
                "colour": self.colour.value,
                "ruleId": self.rule_id,
                "maskedName": self.masked_name,
                "validUntil": self.valid_until.isoformat(),
            }
        ).decode()


def outcome_in(text: str) -> Outcome:
    """The outcome in a sealed text. Raises ValueError where it is none."""
    raw = json.loads(text)
    if raw["v"] != OUTCOME_VERSION:
        raise ValueError("not an outcome, version 1")
    return Outcome(
        colour=Colour(raw["colour"]),
        rule_id=raw["ruleId"],
        masked_name=raw["maskedName"],
        valid_until=dt.datetime.fromisoformat(raw["validUntil"]),
    )


def judge(rule_set: RuleSet, facts: Facts, *, masked_name: str, now: dt.datetime) -> Outcome:
    """What the first rule that holds says. Raises certlogic.LogicRefused, and then there is no colour."""
    payload = facts.payload()
    data = {"payload": payload, "external": {"validationClock": now.isoformat()}}
    for rule in rule_set.rules:
        if certlogic.is_truthy(certlogic.evaluate(rule.logic, data)):
            begins = certlogic.parse_moment(payload[rule.valid_from])
            return Outcome(
                colour=rule.colour,
                rule_id=f"{rule_set.name}#{rule.id}",
                masked_name=masked_name,
                valid_until=begins + dt.timedelta(days=rule.valid_days),
            )
    raise certlogic.LogicRefused("no rule holds")


def load_rules(text: str) -> RuleSet:
    """The rule set in the JSON file. Raises RuleSetRefused naming the rule and what is wrong."""
    raw = json.loads(text)
    if raw.get("format") != FORMAT:
        raise RuleSetRefused(f"not {FORMAT}")
    rules = tuple(_rule(item) for item in raw["rules"])
    if len({rule.id for rule in rules}) != len(rules):
        raise RuleSetRefused("an id is given twice")
    if not rules or rules[-1].logic is not True:
        raise RuleSetRefused("the last rule holds always, so that there is a colour")
    return RuleSet(
        id=raw["id"],
        version=int(raw["version"]),
        region=raw["region"],
        keep_days=int(raw["keepDays"]),
        rules=rules,
    )


def _rule(raw: Mapping[str, Any]) -> Rule:
    rule = Rule(
        id=raw["id"],
        colour=Colour(raw["colour"]),
        reason=raw["reason"],
        affected_fields=frozenset(raw["affectedFields"]),
        valid_days=int(raw["validDays"]),
        valid_from=raw["validFrom"],
        logic=raw["logic"],
    )
    reads = {path.removeprefix("payload.") for path in certlogic.variables(rule.logic) if path.startswith("payload.")}
    if reads != rule.affected_fields:
        # What a rule says that it reads is what a citizen is told, and no more is read.
        raise RuleSetRefused(f"{rule.id}: it reads {sorted(reads)} and says {sorted(rule.affected_fields)}")
    if not reads <= _READABLE or rule.valid_from not in _MOMENTS:
        raise RuleSetRefused(f"{rule.id}: it reads what nobody declares")
    if any(not rule.reason.get(locale) for locale in LOCALES):
        raise RuleSetRefused(f"{rule.id}: a reason is given in {' and '.join(LOCALES)}")
    return rule
