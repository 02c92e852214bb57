"""Colour from facts: every rule at its boundary, and rule sets that say more or less than they do."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gov_services.healthcode.app import RULES
from gov_services.healthcode.certlogic import LogicRefused, evaluate, is_falsy, is_truthy, parse_moment, variables
from gov_services.healthcode.facts import FactRefused, Facts, Symptom, TestResult, declare, facts_in
from gov_services.healthcode.rules import (
    Colour,
    Outcome,
    RuleSetRefused,
    Standing,
    carry,
    judge,
    load_rules,
    standing_in,
)

NOW = dt.datetime(2026, 3, 2, 1, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
NEW_YEAR = {"plusTime": ["2026-01-01", 0, "day"]}
SECOND = dt.timedelta(seconds=1)
RULE_SET = load_rules(RULES.read_text())


def colour_of(**facts: Any) -> tuple[Colour, str, dt.datetime]:
    """Colour, rule and end for facts declared now."""
    values = {"symptoms": [], "test_result": None, "tested_at": None, "contact_at": None, **facts}
    outcome = judge(RULE_SET, declare(now=NOW, **values), masked_name="测**", now=NOW)
    return outcome.colour, outcome.rule_id.partition("#")[2], outcome.valid_until


@pytest.mark.parametrize(
    ("facts", "colour", "rule", "good_for"),
    [
        ({}, Colour.GREEN, "G-1", 3 * DAY),
        ({"symptoms": [Symptom.COUGH]}, Colour.GREEN, "G-1", 3 * DAY),
        ({"symptoms": [Symptom.COUGH, Symptom.FEVER]}, Colour.YELLOW, "Y-2", 2 * DAY),
        ({"contact_at": NOW - 7 * DAY}, Colour.YELLOW, "Y-1", 0 * DAY),
        ({"contact_at": NOW - 7 * DAY - SECOND}, Colour.GREEN, "G-1", 3 * DAY),
        ({"test_result": TestResult.POSITIVE, "tested_at": NOW}, Colour.RED, "R-1", 7 * DAY),
        ({"test_result": TestResult.POSITIVE, "tested_at": NOW - 7 * DAY}, Colour.RED, "R-1", 0 * DAY),
        ({"test_result": TestResult.POSITIVE, "tested_at": NOW - 7 * DAY - SECOND}, Colour.GREEN, "G-1", 3 * DAY),
        ({"test_result": TestResult.NEGATIVE, "tested_at": NOW}, Colour.GREEN, "G-1", 3 * DAY),
        (
            {
                "test_result": TestResult.POSITIVE,
                "tested_at": NOW - DAY,
                "contact_at": NOW,
                "symptoms": [Symptom.FEVER],
            },
            Colour.RED,
            "R-1",
            6 * DAY,
        ),
    ],
)
def test_each_rule_decides_up_to_its_boundary(
    facts: dict[str, Any], colour: Colour, rule: str, good_for: dt.timedelta
) -> None:
    assert colour_of(**facts) == (colour, rule, NOW + good_for)


moments = st.none() | st.timedeltas(dt.timedelta(0), 30 * DAY).map(lambda back: NOW - back)


@given(st.lists(st.sampled_from(Symptom)), st.none() | st.sampled_from(TestResult), moments, moments)
def test_whatever_is_declared_has_one_colour_and_comes_back_as_it_was(
    symptoms: list[Symptom],
    test_result: TestResult | None,
    tested_at: dt.datetime | None,
    contact_at: dt.datetime | None,
) -> None:
    values = {"symptoms": symptoms, "test_result": test_result, "tested_at": tested_at, "contact_at": contact_at}
    if (test_result is None) != (tested_at is None):
        with pytest.raises(FactRefused):
            declare(now=NOW, **values)  # type: ignore[arg-type]
        return
    facts = declare(now=NOW, **values)  # type: ignore[arg-type]
    outcome = judge(RULE_SET, facts, masked_name="测**", now=NOW)

    assert facts_in(facts.text()) == facts
    standing = carry(outcome, [], now=NOW)
    assert standing.at(NOW) == outcome
    assert standing_in(standing.text()) == standing
    assert RULE_SET.reason(outcome.rule_id, "zh-CN")
    assert RULE_SET.reason("of/9#another-set", "en") == "of/9#another-set"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"contact_at": NOW + SECOND}, "input.contactAt"),
        ({"contact_at": NOW - 30 * DAY - SECOND}, "input.contactAt"),
        ({"test_result": TestResult.NEGATIVE, "tested_at": NOW + SECOND}, "input.testedAt"),
        ({"test_result": TestResult.NEGATIVE}, "input.testedAt"),
        ({"tested_at": NOW}, "input.testedAt"),
        ({"test_result": TestResult.NEGATIVE, "tested_at": NOW.replace(tzinfo=None)}, "input.testedAt"),
        ({"contact_at": NOW.replace(tzinfo=None)}, "input.contactAt"),
    ],
)
def test_facts_that_cannot_be_meant_are_refused_by_field(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(FactRefused) as refused:
        colour_of(**changed)
    assert refused.value.field == field


def test_a_text_of_another_version_is_not_read() -> None:
    facts = Facts(declared_at=NOW, symptoms=[], test_result=None, tested_at=None, contact_at=None)
    standing = Standing((outcome_of(Colour.GREEN, 1),))
    with pytest.raises(ValueError, match="version 1"):
        facts_in(facts.text().replace("gov-health-facts/1", "gov-health-facts/2"))
    with pytest.raises(ValueError, match="version 1"):
        standing_in(standing.text().replace("gov-health-outcome/1", "gov-health-outcome/2"))


def outcome_of(colour: Colour, days: int, *, name: str = "测**") -> Outcome:
    """An outcome that is good for some days from now."""
    return Outcome(colour=colour, rule_id="r", masked_name=name, valid_until=NOW + days * DAY, declared_at=NOW - SECOND)


@pytest.mark.parametrize(
    ("newest", "earlier", "day_by_day"),
    [
        ((Colour.GREEN, 3), [(Colour.RED, 2)], "RRG"),
        ((Colour.GREEN, 3), [(Colour.RED, 5)], "RRRRR"),
        ((Colour.YELLOW, 4), [(Colour.RED, 2)], "RRYY"),
        ((Colour.RED, 2), [(Colour.YELLOW, 4)], "RRYY"),
        ((Colour.YELLOW, 1), [(Colour.YELLOW, 3)], "YYY"),
        ((Colour.GREEN, 1), [(Colour.GREEN, 3)], "G"),
        ((Colour.GREEN, 4), [(Colour.RED, 1), (Colour.YELLOW, 3)], "RYYG"),
        ((Colour.GREEN, 1), [(Colour.RED, 0), (Colour.RED, -1)], "G"),
    ],
)
def test_the_worst_that_stands_is_shown_until_its_own_end(
    newest: tuple[Colour, int], earlier: list[tuple[Colour, int]], day_by_day: str
) -> None:
    standing = carry(outcome_of(*newest), [outcome_of(*item, name="别***") for item in earlier], now=NOW)

    shown = [standing.at(NOW + day * DAY) for day in range(len(day_by_day))]
    assert "".join(item.colour.value[0] for item in shown) == day_by_day
    assert all(item.valid_until > NOW + day * DAY for day, item in enumerate(shown))
    assert standing.at(NOW + len(day_by_day) * DAY) == standing.outcomes[-1]
    assert {item.masked_name for item in standing.outcomes} == {"测**"}


def rule_set_with(change: Any) -> str:
    """The rule set in force, changed."""
    raw = json.loads(RULES.read_text())
    change(raw)
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda raw: raw.update(format="gov-colour-rules/2"), "not gov-colour-rules/1"),
        (lambda raw: raw["rules"][0].update(affectedFields=["testResult"]), "R-1: it reads"),
        (lambda raw: raw["rules"][3].update(affectedFields=["symptoms"]), "G-1: it reads"),
        (lambda raw: raw["rules"][0].update(validFrom="symptoms"), "nobody declares"),
        (
            lambda raw: raw["rules"][2].update(affectedFields=["income"], logic={"var": "payload.income"}),
            "nobody declares",
        ),
        (lambda raw: raw["rules"][0]["reason"].pop("en"), "a reason is given"),
        (lambda raw: raw["rules"].pop(), "holds always"),
        (lambda raw: raw["rules"][1].update(id="R-1"), "given twice"),
    ],
)
def test_a_rule_set_that_says_other_than_it_does_is_refused(change: Any, problem: str) -> None:
    with pytest.raises(RuleSetRefused, match=problem):
        load_rules(rule_set_with(change))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"var": ""}, {"a": [1, {"b": "c"}], "zero": 0}),
        ({"var": "a.1.b"}, "c"),
        ({"var": "a.9"}, None),
        ({"var": "a.x"}, None),
        ({"if": [{"var": "zero"}, 1, 2]}, 2),
        ({"if": [{"var": "a"}, 1, 2]}, 1),
        ({"and": [True, 1, {"var": "zero"}, {"nonsense": [1]}]}, 0),
        ({"and": [True, "x"]}, "x"),
        ({"!": [{"var": "missing"}]}, True),
        ({"!": ["x"]}, False),
        ({"===": [1, True]}, False),
        ({"===": ["a", "a"]}, True),
        ({"in": [1, [True, 1]]}, True),
        ({"in": ["d", ["a"]]}, False),
        ({"+": [2, 3]}, 5),
        ({"<": [1, 2, 3]}, True),
        ({"<=": [2, 2]}, True),
        ({">": [1, 2]}, False),
        ({">=": [2, 2, 1]}, True),
        ({"before": [{"plusTime": ["2026-01-31", 1, "month"]}, {"plusTime": ["2026-03-04", 0, "day"]}]}, True),
        ({"not-after": [{"plusTime": ["2024-02-29", 1, "year"]}, {"plusTime": ["2025-03-01", 0, "day"]}]}, True),
        (
            {
                "after": [
                    {"plusTime": ["2026-01-01T00:00:00.5+08:00", 9, "hour"]},
                    {"plusTime": ["2026-01-01", 0, "day"]},
                ]
            },
            True,
        ),
        ([1, {"var": "zero"}], [1, 0]),
    ],
)
def test_expressions_come_to_what_certlogic_says(expression: Any, value: Any) -> None:
    assert evaluate(expression, {"a": [1, {"b": "c"}], "zero": 0}) == value


@pytest.mark.parametrize(
    "expression",
    [
        None,
        1.5,
        {},
        {"a": [1], "b": [2]},
        {"nonsense": [1]},
        {"and": []},
        {"and": [True]},
        {"if": [True, 1]},
        {"if": [{"plusTime": ["2026-01-01", 0, "day"]}, 1, 2]},
        {"and": [{"plusTime": ["2026-01-01", 0, "day"]}, 1]},
        {"!": [{"plusTime": ["2026-01-01", 0, "day"]}]},
        {"var": 1},
        {"in": [1, 1]},
        {"+": [1, True]},
        {"+": [1]},
        {"<": [1, "2"]},
        {"<": [1, 2, 3, 4]},
        {"before": ["2026-01-01", "2026-01-02"]},
        {"plusTime": ["2026-01-01", 1, "week"]},
        {"plusTime": ["2026-02-30", 1, "day"]},
        {"plusTime": ["2026-1-1", 1, "day"]},
        {"plusTime": [1, 1, "day"]},
        {"plusTime": ["2026-01-01", 99999999, "year"]},
    ],
)
def test_what_means_nothing_is_refused_and_never_a_colour(expression: Any) -> None:
    with pytest.raises(LogicRefused):
        evaluate(expression, {})


def test_no_value_is_both_true_and_false_and_a_date_is_neither() -> None:
    for value in (None, False, "", 0, [], {}):
        assert is_falsy(value)
        assert not is_truthy(value)
    for value in (True, "x", 1, [0], {"a": 0}):
        assert is_truthy(value)
        assert not is_falsy(value)
    date = parse_moment("2026-01-01")
    assert not is_truthy(date)
    assert not is_falsy(date)


def test_a_rule_names_every_path_that_it_can_read() -> None:
    assert variables({"if": [{"var": "a.b"}, [{"var": "c"}], {"!": [{"var": "d"}]}]}) == {"a.b", "c", "d"}
