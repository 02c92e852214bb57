"""Drafts of purposes: written by one officer, assessed where the law asks, in force by another's decision."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town

from gov_services.consent.purpose_files import parse_bundle
from gov_services.consent.purposes import Bundle, Form
from gov_services.kit.actor import Actor
from gov_services.privacy.lifecycle import DRAFT_EDGES

pytestmark = pytest.mark.untraced

DRAFT = (
    "draft { id state assessmentNeeded bundleVersion changes { coordinate before after } } userErrors { code message }"
)
WRITE = f"mutation($i: DraftPurposeInput!) {{ a: draftPurpose(input: $i) {{ {DRAFT} }} }}"
ASSESS = f"mutation($i: AssessDraftInput!) {{ a: assessPurposeDraft(input: $i) {{ {DRAFT} }} }}"
DECIDE = f"mutation($i: DecideDraftInput!) {{ a: decidePurposeDraft(input: $i) {{ {DRAFT} }} }}"
BACK = f"mutation($i: PurposeDraftInput!) {{ a: withdrawPurposeDraft(input: $i) {{ {DRAFT} }} }}"
TEXTS = '{ "zh-CN" = "告知", en = "notice" }'
SURVEY = f"""
title = {TEXTS}
notice = {TEXTS}
basis = "STATUTORY"
law = "中华人民共和国统计法"
article = "第七条"
controller = "data-bureau"
clients = ["counter"]
roles = ["registrar"]
relations = ["officer"]
retention_days = 30
[grants]
"Citizen.name" = "MASKED"
"""
ASSESSMENT = f"""
purposes = ["survey"]
triggers = ["sensitive"]
lawfulness = {TEXTS}
impact = {TEXTS}
measures = {TEXTS}
assessed_by = "示例市数据局"
assessed_on = "2026-11-01"
"""
SENSITIVE = SURVEY + '"Citizen.nationalId" = "MASKED"\n'


def officer(town: Town) -> Actor:
    return town.staff("compliance-officer", client="compliance")


async def ask(town: Town, actor: Actor, document: str, **told: Any) -> Any:
    answer = await town.ask("privacy", document, {"i": told}, purpose="purpose-review", actor=actor)
    return answer["data"]["a"] if "errors" not in answer else answer["errors"][0]["extensions"]["code"]


async def write(town: Town, definition: str = SURVEY, *, code: str = "survey", actor: Actor | None = None) -> Any:
    return await ask(town, actor or officer(town), WRITE, code=code, definition=definition, note="a survey is due")


async def decide(town: Town, written: Any, *, approve: bool = True, actor: Actor | None = None) -> Any:
    return await ask(town, actor or officer(town), DECIDE, draftId=written["draft"]["id"], approve=approve)


async def in_force(town: Town) -> Bundle:
    return parse_bundle(bytes(await town.value("SELECT body FROM consent.bundle ORDER BY version DESC LIMIT 1")))


def codes(answer: Any) -> list[str]:
    return [error["code"] for error in answer["userErrors"]]


async def test_a_purpose_is_in_force_when_a_second_officer_agrees_and_not_before(town: Town) -> None:
    author = officer(town)
    written = await write(town, actor=author)
    assert written["draft"]["state"] == "DRAFT"
    assert written["draft"]["changes"] == [{"coordinate": "Citizen.name", "before": None, "after": "MASKED"}]
    assert "survey" not in (await in_force(town)).purposes
    assert codes(await decide(town, written, actor=author)) == ["SECOND_OFFICER_NEEDED"]
    decided = await decide(town, written)
    assert (decided["draft"]["state"], decided["draft"]["bundleVersion"]) == ("APPROVED", 2)
    bundle = await in_force(town)
    assert bundle.purposes["survey"].grants == {"Citizen.name": Form.MASKED}
    assert codes(await decide(town, written)) == ["DRAFT_DECIDED"]
    actions = [entry.action for entry in await town.entries()]
    assert [action for action in actions if action.startswith("purpose.")] == ["purpose.drafted", "purpose.approved"]


async def test_what_needs_an_assessment_waits_for_one_that_was_made_for_it(town: Town) -> None:
    written = await write(town, SENSITIVE)
    assert written["draft"]["assessmentNeeded"] == ["SENSITIVE"]
    assert codes(await decide(town, written)) == ["ASSESSMENT_NEEDED"]
    told = {"draftId": written["draft"]["id"], "assessmentId": "PIA-2026-77"}
    for wrong, code in (
        (ASSESSMENT.replace("sensitive", "export"), "ASSESSMENT_NEEDED"),
        (ASSESSMENT.replace('"survey"', '"adult-check"'), "PURPOSE_NOT_LAWFUL"),
        (ASSESSMENT.replace(TEXTS, '{ en = "x" }'), "PURPOSE_NOT_LAWFUL"),
        ("=", "PURPOSE_NOT_LAWFUL"),
    ):
        assert codes(await ask(town, officer(town), ASSESS, **told, assessment=wrong)) == [code]
    again = await ask(town, officer(town), ASSESS, **{**told, "assessmentId": "PIA-2026-01"}, assessment=ASSESSMENT)
    assert codes(again) == ["PURPOSE_NOT_LAWFUL"]
    assessed = await ask(town, officer(town), ASSESS, **told, assessment=ASSESSMENT)
    assert (assessed["draft"]["state"], assessed["draft"]["assessmentNeeded"]) == ("ASSESSED", [])
    assert (await decide(town, written))["draft"]["state"] == "APPROVED"
    assert (await in_force(town)).assessments["PIA-2026-77"].purposes == {"survey"}


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("=", "it is no TOML"),
        (SURVEY.replace('"data-bureau"', '"nobody"'), "is no party"),
        (SURVEY.replace('law = "中华人民共和国统计法"\n', ""), "names law and article"),
        (SURVEY.replace("retention_days = 30", "retention_days = 0"), "retention is a number of days"),
        (SURVEY + "x" * 20_000, "at most 20000 characters"),
    ],
)
async def test_what_cannot_stand_is_not_even_a_draft(town: Town, definition: str, said: str) -> None:
    answer = await write(town, definition)
    assert codes(answer) == ["PURPOSE_NOT_LAWFUL"]
    assert said in answer["userErrors"][0]["message"]


async def test_a_draft_takes_nothing_away(town: Town) -> None:
    await decide(town, await write(town, SURVEY.replace("MASKED", "PLAIN")))
    assert codes(await write(town)) == ["NARROW_BY_STEP"]
    assert codes(await write(town, SURVEY.replace('"Citizen.name" = "MASKED"', ""))) == ["NARROW_BY_STEP"]


async def test_of_two_drafts_of_one_purpose_the_second_to_be_approved_is_stale(town: Town) -> None:
    first, second = await write(town), await write(town, SURVEY.replace("retention_days = 30", "retention_days = 60"))
    answers = await asyncio.gather(decide(town, first), decide(town, second), return_exceptions=True)
    approved = [answer for answer in answers if isinstance(answer, dict) and answer["draft"]]
    assert len(approved) == 1
    left = second if approved[0]["draft"]["id"] == first["draft"]["id"] else first
    assert codes(await decide(town, left)) == ["DRAFT_STALE"]
    assert (await decide(town, left, approve=False))["draft"]["state"] == "REFUSED"


async def test_a_draft_is_taken_back_by_its_author_alone(town: Town) -> None:
    author = officer(town)
    written = await write(town, actor=author)
    told = {"draftId": written["draft"]["id"]}
    assert await ask(town, officer(town), BACK, **told) == "NOT_FOUND"
    assert (await ask(town, author, BACK, **told))["draft"]["state"] == "WITHDRAWN"
    assert codes(await decide(town, written)) == ["DRAFT_DECIDED"]


async def test_the_database_knows_the_life_of_a_draft(town: Town) -> None:
    await write(town)
    for statement in (
        "UPDATE privacy.purpose_draft SET state = 'APPROVED', bundle_version = 2, decided_by = made_by",
        "UPDATE privacy.purpose_draft SET state = 'ASSESSED'",
        "DELETE FROM privacy.purpose_draft",
    ):
        with pytest.raises(DBAPIError):
            async with town.database.writing() as session:
                await session.execute(text(statement))
    trigger = await town.value(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'purpose_draft_keeps_to_its_life_cycle'"
    )
    pairs = {f"{before or ''}>{after}" for before, states in DRAFT_EDGES.items() for after in states}
    assert {pair for pair in pairs if f"'{pair}'" in trigger} == pairs
    assert trigger.count(">") == len(pairs)
