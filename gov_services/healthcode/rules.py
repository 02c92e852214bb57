"""Colour from facts, by rules that are data: published, versioned, each with the fields that it reads. Pure.

No function here or elsewhere sets a colour: it follows from a rule and from what was declared, or there is none.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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


_BY_GRAVITY = (Colour.RED, Colour.YELLOW, Colour.GREEN)


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

    def explain(self, outcome: Outcome, *, newest: dt.datetime, locale: str) -> str:
        """Why an outcome stands; of one that an earlier declaration than the newest brought, also which."""
        reason = self.reason(outcome.rule_id, locale)
        if outcome.declared_at >= newest:
            return reason
        return _CARRIED[locale].format(reason=reason, day=f"{outcome.declared_at:%Y-%m-%d}")


_CARRIED = {"zh-CN": "{reason}(依据{day}的申报)", "en": "{reason} (declared on {day})"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the rules made of a declaration."""

    colour: Colour
    rule_id: str
    masked_name: str
    valid_until: dt.datetime
    declared_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Outcomes that stand together: the worst first, and each of the others only for when it outlasts those before.

    So a declaration never shortens a red or a yellow that an earlier one brought.
    """

    outcomes: tuple[Outcome, ...]

    def at(self, now: dt.datetime) -> Outcome:
        """The worst that is not over; the last where all are."""
        return next((item for item in self.outcomes if item.valid_until > now), self.outcomes[-1])

    def text(self) -> str:
        """What is sealed."""
        return canonical_json(
            {
                "v": OUTCOME_VERSION,
                "maskedName": self.outcomes[0].masked_name,
                "standing": [
                    {
                        "colour": item.colour.value,
                        "ruleId": item.rule_id,
                        "validUntil": item.valid_until.isoformat(),
                        "declaredAt": item.declared_at.isoformat(),
                    }
                    for item in self.outcomes
                ],
            }
        ).decode()


def carry(newest: Outcome, earlier: Iterable[Outcome], *, now: dt.datetime) -> Standing:
    """What stands once the newest declaration is judged: it, and every red and yellow before it until its end."""
    kept = [item for item in earlier if item.colour is not Colour.GREEN and item.valid_until > now]
    standing: list[Outcome] = []
    for item in sorted((newest, *kept), key=_gravity):
        if not standing or item.valid_until > standing[-1].valid_until:
            # The name is the one that was given last, whatever it stands beside.
            standing.append(replace(item, masked_name=newest.masked_name))
    return Standing(tuple(standing))


def _gravity(outcome: Outcome) -> tuple[int, float]:
    """The worst first; of two alike the one that ends later."""
    return _BY_GRAVITY.index(outcome.colour), -outcome.valid_until.timestamp()


def standing_in(text: str) -> Standing:
    """What stands, in a sealed text. Raises ValueError where it is none."""
    raw = json.loads(text)
    if raw["v"] != OUTCOME_VERSION:
        raise ValueError("not an outcome, version 1")
    return Standing(
        tuple(
            Outcome(
                colour=Colour(item["colour"]),
                rule_id=item["ruleId"],
                masked_name=raw["maskedName"],
                valid_until=dt.datetime.fromisoformat(item["validUntil"]),
                declared_at=dt.datetime.fromisoformat(item["declaredAt"]),
            )
            for item in raw["standing"]
        )
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
                declared_at=facts.declared_at,
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
