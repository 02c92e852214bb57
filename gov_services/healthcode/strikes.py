"""What a review can strike from the evidence of a colour, and what the rules make of what is left. Pure.

Nobody sets a colour: evidence that was wrong goes, and the same rules are asked again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum

from gov_services.healthcode.facts import Facts
from gov_services.healthcode.rules import RuleSet, Standing, carry, judge


class StrikeGround(StrEnum):
    """Why evidence is wrong."""

    WRONG_PERSON = "wrong-person"
    """It is about somebody else."""
    WRONG_RESULT = "wrong-result"
    """It says what was not so."""
    OUTDATED = "outdated"
    """It was so, and is so no more."""


class StrikePart(StrEnum):
    """What of the evidence is struck."""

    SYMPTOMS = "symptoms"
    TEST = "test"
    CONTACT = "contact"
    EARLIER = "earlier"
    """What earlier declarations brought and still stands."""


def present(facts: Facts, standing: Standing) -> frozenset[StrikePart]:
    """The parts that there is anything of."""
    found = {
        StrikePart.SYMPTOMS: bool(facts.symptoms),
        StrikePart.TEST: facts.test_result is not None,
        StrikePart.CONTACT: facts.contact_at is not None,
        StrikePart.EARLIER: any(outcome.declared_at < facts.declared_at for outcome in standing.outcomes),
    }
    return frozenset(part for part, there in found.items() if there)


def without(facts: Facts, parts: Collection[StrikePart]) -> Facts:
    """The evidence without what is struck."""
    if StrikePart.SYMPTOMS in parts:
        facts = replace(facts, symptoms=[])
    if StrikePart.TEST in parts:
        facts = replace(facts, test_result=None, tested_at=None)
    return replace(facts, contact_at=None) if StrikePart.CONTACT in parts else facts


def judge_without(
    rules: RuleSet, facts: Facts, standing: Standing, parts: Collection[StrikePart], *, now: dt.datetime
) -> tuple[Facts, Standing]:
    """The evidence that is left and what stands by it. Raises certlogic.LogicRefused where no rule holds."""
    left = without(facts, parts)
    newest = judge(rules, left, masked_name=standing.outcomes[0].masked_name, now=now)
    earlier = [outcome for outcome in standing.outcomes if outcome.declared_at < facts.declared_at]
    return left, carry(newest, () if StrikePart.EARLIER in parts else earlier, now=now)
