"""A person looks at a colour: evidence that is wrong is struck by two officers, and the rules are asked again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from health_codes import MINE, consent, declare, show, verify
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town

from gov_services.healthcode.app import RULES
from gov_services.healthcode.facts import Facts, Symptom, TestResult
from gov_services.healthcode.rules import Colour, Standing, carry, judge, load_rules
from gov_services.healthcode.strikes import StrikePart, judge_without, present, without
from gov_services.kit.actor import Actor
from gov_services.kit.database import Database

pytestmark = pytest.mark.untraced

NOW = dt.datetime(2026, 3, 2, 1, 0, tzinfo=dt.UTC)
RULE_SET = load_rules(RULES.read_text())
ASK = "mutation($i: MakeRightRequestInput!) { makeRightRequest(input: $i) { request { id } userErrors { code } } }"
TAKE_REQUEST = "mutation { takeRightRequest { request { id } userErrors { code } } }"
REVIEW = "query($id: ID!) { healthReview(requestId: $id) { colour ruleId evidence { testResult } } }"
PROPOSE = (
    "mutation($i: ProposeHealthStrikeInput!) { a: proposeHealthStrike(input: $i) { strikeId userErrors { code } } }"
)
TAKE = """mutation { takeHealthStrike { strike { id ground parts healthCode { colour } } userErrors { code } } }"""
DECIDE = "mutation($i: DecideHealthStrikeInput!) { a: decideHealthStrike(input: $i) { strikeId userErrors { code } } }"

moments = st.datetimes(dt.datetime(2026, 2, 10), dt.datetime(2026, 3, 2), timezones=st.just(dt.UTC))


@st.composite
def facts_(draw: st.DrawFn) -> Facts:
    result = draw(st.none() | st.sampled_from(TestResult))
    return Facts(
        declared_at=NOW,
        symptoms=sorted(draw(st.sets(st.sampled_from(Symptom)))),
        test_result=result,
        tested_at=draw(moments) if result else None,
        contact_at=draw(st.none() | moments),
    )


def standing_of(facts: Facts, *earlier: Facts) -> Standing:
    standing: Standing | None = None
    for one in (*earlier, facts):
        outcome = judge(RULE_SET, one, masked_name="测*甲", now=one.declared_at)
        standing = carry(outcome, standing.outcomes if standing else (), now=one.declared_at)
    assert standing is not None
    return standing


@given(facts_(), st.sets(st.sampled_from(StrikePart)))
def test_what_is_left_is_judged_as_if_the_rest_had_never_been_declared(facts: Facts, parts: set[StrikePart]) -> None:
    left, standing = judge_without(RULE_SET, facts, standing_of(facts), parts, now=NOW)

    assert left == without(facts, parts)
    assert standing == standing_of(left)
    assert present(left, standing).isdisjoint(parts - {StrikePart.EARLIER})


@given(facts_())
def test_with_all_evidence_struck_it_is_green_and_with_none_it_stays(facts: Facts) -> None:
    everything = judge_without(RULE_SET, facts, standing_of(facts), set(StrikePart), now=NOW)[1]
    nothing = judge_without(RULE_SET, facts, standing_of(facts), (), now=NOW)[1]

    assert [outcome.colour for outcome in everything.outcomes] == [Colour.GREEN]
    assert nothing == standing_of(facts)


def officer(town: Town, *roles: str) -> Actor:
    return town.staff(*(roles or ("rights-officer", "health-officer")))


async def asked(town: Town, citizen: Actor, *, kind: str = "REVIEW", about: str = "HealthCode.colour") -> None:
    values = {"i": {"kind": kind, "about": about, "text": "那次检测不是我"}}
    answer = await town.ask("privacy", ASK, values, purpose="data-rights", actor=citizen)
    assert answer["data"]["makeRightRequest"]["userErrors"] == []


async def taken(town: Town, who: Actor) -> str:
    """The request that an officer took, once healthcode knows of it; its id."""
    answer = await town.ask("privacy", TAKE_REQUEST, purpose="rights-handling", actor=who)
    await town.settle()
    return str(answer["data"]["takeRightRequest"]["request"]["id"])


async def as_officer(
    town: Town, who: Actor, document: str, *, case: str | None = None, **values: Any
) -> dict[str, Any] | str:
    variables = {"i": values} if "$i:" in document else values
    answer = await town.ask(
        "healthcode",
        document,
        variables,
        purpose="health-code-review",
        actor=who,
        case=UUID(case) if case else None,
    )
    if answer.get("errors"):
        return str(answer["errors"][0]["extensions"]["code"])
    (found,) = answer["data"].values()
    errors = found["userErrors"] if found and "userErrors" in found else []
    return str(errors[0]["code"]) if errors else dict(found)


async def red(town: Town) -> Actor:
    """A citizen whose code is red for a test, and who asks for a person to look at it."""
    citizen = await town.register()
    await consent(town, citizen)
    tested = (town.clock.now() - dt.timedelta(days=1)).isoformat()
    answer = await declare(town, citizen, testResult="POSITIVE", testedAt=tested)
    assert answer["data"]["declareHealth"]["healthCode"]["colour"] == "RED"
    await asked(town, citizen)
    return citizen


async def colour(town: Town, citizen: Actor) -> str:
    answer = await town.ask("healthcode", MINE, purpose="health-code", actor=citizen)
    return str(answer["data"]["healthCode"]["colour"])


async def proposed(town: Town, first: Actor) -> str:
    request = await taken(town, first)
    answer = await as_officer(town, first, PROPOSE, requestId=request, ground="WRONG_PERSON", parts=["TEST"])
    assert isinstance(answer, dict)
    return str(answer["strikeId"])


async def test_on_the_citizens_request_two_officers_strike_a_test_and_the_rules_say_green(town: Town) -> None:
    citizen = await red(town)
    first, second = officer(town), officer(town, "health-officer")
    code = await show(town, citizen)
    request = await taken(town, first)
    seen = await as_officer(town, first, REVIEW, id=request)
    assert seen == {
        "colour": "RED",
        "ruleId": seen["ruleId"],  # type: ignore[index]
        "evidence": {"testResult": "POSITIVE"},
    }
    assert await as_officer(town, second, TAKE) == "NOTHING_WAITS"
    await as_officer(town, first, PROPOSE, requestId=request, ground="WRONG_PERSON", parts=["TEST"])
    assert await colour(town, citizen) == "RED"

    took = await as_officer(town, second, TAKE)
    assert isinstance(took, dict)
    assert {**took["strike"], "id": ""} == {
        "id": "",
        "ground": "WRONG_PERSON",
        "parts": ["TEST"],
        "healthCode": {"colour": "RED"},
    }
    await as_officer(town, second, DECIDE, strikeId=took["strike"]["id"], approve=True)

    assert await colour(town, citizen) == "GREEN"
    assert (await verify(town, code))["userErrors"][0]["code"] == "HEALTH_CODE_REFUSED"
    await town.settle()
    assert await town.value("SELECT count(*) FROM identity.message WHERE code = 'health-strike.wrong-person'") == 1
    actions = [entry.action for entry in await town.entries() if entry.action.startswith("health-strike.")]
    assert actions == ["health-strike.proposed", "health-strike.taken", "health-strike.approved"]
    assert all(entry.subject_tag for entry in await town.entries() if entry.action.startswith("health-strike."))
    # What it took to see is over with the decision.
    assert await as_officer(town, second, DECIDE, strikeId=took["strike"]["id"], approve=True) == "NOT_FOUND"


async def test_what_is_declined_changes_nothing_and_can_be_proposed_anew(town: Town) -> None:
    citizen = await red(town)
    first, second = officer(town), officer(town, "health-officer")
    request = await taken(town, first)
    told = {"requestId": request, "ground": "OUTDATED", "parts": ["TEST"]}
    await as_officer(town, first, PROPOSE, **told)
    assert await as_officer(town, first, PROPOSE, **told) == "PROPOSED_ALREADY"
    took = await as_officer(town, second, TAKE)
    await as_officer(town, second, DECIDE, strikeId=took["strike"]["id"], approve=False)  # type: ignore[index,call-overload]

    assert await colour(town, citizen) == "RED"
    assert isinstance(await as_officer(town, first, PROPOSE, **told), dict)
    await town.settle()
    assert await town.value("SELECT count(*) FROM identity.message WHERE code = 'health-strike.declined'") == 1


async def test_nobody_strikes_alone_and_no_other_officer_sees_or_decides(
    town: Town, room_database: Callable[[str], Database]
) -> None:
    citizen = await red(town)
    first, second, third = officer(town), officer(town, "health-officer"), officer(town, "health-officer")
    strike = await proposed(town, first)
    request = str(await town.value("SELECT request_id FROM healthcode.review"))

    assert await as_officer(town, first, TAKE) == "NOTHING_WAITS"
    for who in (first, second, third):
        assert await as_officer(town, who, DECIDE, strikeId=strike, approve=True) == "NOT_FOUND"
    assert await as_officer(town, second, REVIEW, id=request) == "NOT_FOUND"
    assert isinstance(await as_officer(town, second, TAKE), dict)
    assert await as_officer(town, third, TAKE) == "NOTHING_WAITS"
    assert await as_officer(town, third, DECIDE, strikeId=strike, approve=True) == "NOT_FOUND"
    with pytest.raises(DBAPIError, match="ck_strike_decision_by_another"):
        async with room_database("healthcode").writing() as session:
            await session.execute(
                text(
                    "INSERT INTO healthcode.strike_decision "
                    "SELECT citizen_id, strike_id, proposed_by, true, proposed_by, now() FROM healthcode.strike"
                )
            )
    for relation in ("proposed_by", "gen_random_uuid()"):
        case = "strike_id" if relation == "proposed_by" else "gen_random_uuid()"
        with pytest.raises(DBAPIError, match="row-level security"):
            async with room_database("healthcode").writing() as session:
                await session.execute(
                    text(
                        "INSERT INTO consent.relation (citizen_id, relation_id, actor_id, relation, case_id, since) "
                        f"SELECT citizen_id, gen_random_uuid(), {relation}, 'handler', {case}, now() "
                        "FROM healthcode.strike"
                    )
                )
    assert await colour(town, citizen) == "RED"


async def test_without_the_citizens_request_for_a_review_there_is_nothing_to_see_or_strike(town: Town) -> None:
    citizen = await red(town)
    first = officer(town)
    await taken(town, first)
    await asked(town, citizen, kind="EXPLANATION")
    other = await taken(town, first)
    clerk = officer(town, "rights-officer")

    assert await as_officer(town, first, REVIEW, id=other) == "NOT_FOUND"
    answer = await as_officer(town, first, PROPOSE, requestId=other, ground="OUTDATED", parts=["TEST"])
    assert answer == "NOT_FOUND"
    assert await as_officer(town, clerk, TAKE) == "FORBIDDEN"
    assert await town.rows("SELECT * FROM healthcode.strike") == []


async def test_only_evidence_that_there_is_can_be_struck(town: Town) -> None:
    await red(town)
    first = officer(town)
    request = await taken(town, first)
    for parts in ([], ["CONTACT"], ["TEST", "SYMPTOMS"], ["EARLIER"]):
        answer = await as_officer(town, first, PROPOSE, requestId=request, ground="OUTDATED", parts=parts)
        assert answer == "NO_SUCH_EVIDENCE"
    assert await town.rows("SELECT * FROM healthcode.strike") == []


async def test_what_an_earlier_declaration_brought_is_struck_too_and_one_that_is_gone_is_not(town: Town) -> None:
    citizen = await red(town)
    town.clock.advance(dt.timedelta(hours=1))
    await declare(town, town.citizen(citizen.id))  # type: ignore[arg-type]
    assert await colour(town, town.citizen(citizen.id)) == "RED"  # type: ignore[arg-type]
    first, second = officer(town), officer(town, "health-officer")
    request = await taken(town, first)
    told = {"requestId": request, "ground": "WRONG_PERSON", "parts": ["EARLIER"]}
    await as_officer(town, first, PROPOSE, **told)
    town.clock.advance(dt.timedelta(minutes=1))
    again = town.citizen(citizen.id)  # type: ignore[arg-type]
    await declare(town, again)
    took: Any = await as_officer(town, second, TAKE)
    assert took["strike"]["healthCode"] is None
    assert await as_officer(town, second, DECIDE, strikeId=took["strike"]["id"], approve=True) == "DECLARED_ANEW"
    await as_officer(town, second, DECIDE, strikeId=took["strike"]["id"], approve=False)

    await as_officer(town, first, PROPOSE, **told)
    took = await as_officer(town, second, TAKE)
    await as_officer(town, second, DECIDE, strikeId=took["strike"]["id"], approve=True)

    assert await colour(town, again) == "GREEN"


async def test_who_took_a_proposal_and_does_nothing_loses_it_after_three_days(town: Town) -> None:
    await red(town)
    first, second, third = officer(town), officer(town, "health-officer"), officer(town, "health-officer")
    strike = await proposed(town, first)
    await as_officer(town, second, TAKE)
    town.clock.advance(dt.timedelta(days=3))
    second, third = (town.staff("health-officer", staff_id=who.id) for who in (second, third))

    took: Any = await as_officer(town, third, TAKE)
    assert took["strike"]["id"] == strike
    assert await as_officer(town, second, DECIDE, strikeId=strike, approve=True) == "NOT_FOUND"
    assert isinstance(await as_officer(town, third, DECIDE, strikeId=strike, approve=True), dict)
