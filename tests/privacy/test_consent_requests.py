"""Requests for consent: a party asks and never names anybody; a citizen answers, and is not asked again and again."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
from bank_consents import ask_adult, give, notice_hash
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town, sample_number

from gov_services.kit.actor import Actor
from gov_services.kit.ids import new_id
from gov_services.privacy.lifecycle import REQUEST_TRANSITIONS, RequestState

pytestmark = pytest.mark.untraced

REQUEST = "request { id purpose recipient scope days terms { keepDays uses times per } state consentId }"
OPEN = f"""mutation($input: OpenConsentRequestInput!) {{ answer: openConsentRequest(input: $input) {{
  code {REQUEST} userErrors {{ code field }} }} }}"""
RECEIVE = f"""mutation($input: ReceiveConsentRequestInput!) {{ answer: receiveConsentRequest(input: $input) {{
  {REQUEST} userErrors {{ code field }} }} }}"""
AGREE = f"""mutation($input: AnswerConsentRequestInput!) {{ answer: agreeToConsentRequest(input: $input) {{
  {REQUEST} userErrors {{ code field }} }} }}"""
REFUSE = f"""mutation($input: ConsentRequestInput!) {{ answer: refuseConsentRequest(input: $input) {{
  {REQUEST} userErrors {{ code field }} }} }}"""
DEFER = f"""mutation($input: ConsentRequestInput!) {{ answer: deferConsentRequest(input: $input) {{
  {REQUEST} userErrors {{ code field }} }} }}"""
READ = "query($id: ID!) { consentRequest(id: $id) { state consentId } }"
WAITING = "{ requestedConsents { id recipient state } }"
MESSAGES = "{ messages { edges { node { text } } } }"
WITHDRAW = """mutation($input: WithdrawConsentInput!) { withdrawConsent(input: $input) { userErrors { code } } }"""


async def as_party(town: Town, **asked: Any) -> Any:
    answer = await town.ask(
        "privacy",
        OPEN,
        {"input": {"purpose": "adult-check", **asked}},
        purpose="consent-requests",
        actor=town.party("riverside-bank"),
    )
    return answer["data"]["answer"]


async def as_citizen(town: Town, actor: Actor, document: str, **told: Any) -> Any:
    answer = await town.ask("privacy", document, {"input": told}, purpose="consent-management", actor=actor)
    return answer["data"]["answer"] if "errors" not in answer else answer["errors"][0]["extensions"]["code"]


async def state_of(town: Town, request_id: str) -> Any:
    bank = town.party("riverside-bank")
    answer = await town.ask("privacy", READ, {"id": request_id}, purpose="consent-requests", actor=bank)
    return answer["data"]["consentRequest"]


async def waiting(town: Town, actor: Actor) -> list[str]:
    answer = await town.ask("privacy", WAITING, purpose="consent-management", actor=actor)
    return [row["id"] for row in answer["data"]["requestedConsents"]]


async def texts(town: Town, actor: Actor) -> list[str]:
    await town.settle()
    answer = await town.ask("identity", MESSAGES, purpose="own-account", actor=actor)
    return [edge["node"]["text"] for edge in answer["data"]["messages"]["edges"]]


async def test_a_bank_shows_a_code_and_a_citizen_who_scans_it_answers_in_part(town: Town) -> None:
    actor = await town.register()
    opened = await as_party(town, days=30, uses=3)
    assert opened["request"]["state"] == "OPEN"
    received = await as_citizen(town, actor, RECEIVE, code=opened["code"])
    request = received["request"]
    assert (request["recipient"], request["scope"], request["days"]) == ("riverside-bank", ["Citizen.isAdult"], 30)
    assert request["terms"] == {"keepDays": 30, "uses": 3, "times": None, "per": None}
    # That somebody has it, the bank does not learn.
    assert await state_of(town, request["id"]) == {"state": "OPEN", "consentId": None}
    assert await waiting(town, actor) == [request["id"]]

    hash_ = await notice_hash(town, actor, "adult-check")
    agreed = await as_citizen(town, actor, AGREE, requestId=request["id"], noticeHash=hash_, uses=1)
    assert agreed["userErrors"] == []
    answered = await state_of(town, request["id"])
    assert answered["state"] == "GIVEN"
    assert await ask_adult(town, answered["consentId"]) is True
    assert await ask_adult(town, answered["consentId"]) == "CONSENT_REQUIRED"
    assert await waiting(town, actor) == []


@pytest.mark.parametrize(
    "more", [{"uses": 4}, {"days": 31}, {"times": 1, "per": "DAY", "uses": 4}, {"scope": ["Citizen.name"]}]
)
async def test_no_more_is_given_than_was_asked_for(town: Town, more: dict[str, Any]) -> None:
    actor = await town.register()
    opened = await as_party(town, days=30, uses=3)
    await as_citizen(town, actor, RECEIVE, code=opened["code"])
    hash_ = await notice_hash(town, actor, "adult-check")
    told = {"requestId": opened["request"]["id"], "noticeHash": hash_, **more}
    answer = await as_citizen(town, actor, AGREE, **told)
    assert answer["userErrors"] == [{"code": "BEYOND_REQUEST", "field": "input.scope"}]
    assert (await state_of(town, opened["request"]["id"]))["state"] == "OPEN"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"purpose": "licence-review"}, "PURPOSE_NOT_FOR_CONSENT"),
        ({"purpose": "health-code"}, "PURPOSE_NOT_FOR_CONSENT"),
        ({"scope": ["Citizen.name"]}, "SCOPE_TOO_WIDE"),
        ({"scope": []}, "SCOPE_TOO_WIDE"),
        ({"uses": 0}, "TERMS_TOO_WIDE"),
        ({"uses": -1}, "TERMS_TOO_WIDE"),
    ],
)
async def test_a_party_asks_within_its_purpose_or_not_at_all(town: Town, asked: dict[str, Any], code: str) -> None:
    answer = await as_party(town, **asked)
    assert (answer["request"], [error["code"] for error in answer["userErrors"]]) == (None, [code])


async def test_the_first_who_scans_a_code_has_it_and_its_time_is_short(town: Town) -> None:
    first, second = await town.register(), await town.register(phone="13900000002", number=sample_number(sequence=200))
    opened = await as_party(town)
    both = await asyncio.gather(*(as_citizen(town, actor, RECEIVE, code=opened["code"]) for actor in (first, second)))
    assert sorted(len(answer["userErrors"]) for answer in both) == [0, 1]
    late = await as_party(town)
    town.clock.advance(dt.timedelta(minutes=16))
    answer = await as_citizen(town, first, RECEIVE, code=late["code"])
    assert answer["userErrors"] == [{"code": "REQUEST_UNKNOWN", "field": "input.code"}]
    assert (await state_of(town, late["request"]["id"]))["state"] == "LAPSED"


async def test_a_request_is_answered_by_nobody_but_the_one_who_has_it_and_once(town: Town) -> None:
    actor, other = await town.register(), await town.register(phone="13900000002", number=sample_number(sequence=200))
    opened = await as_party(town)
    request_id = opened["request"]["id"]
    hash_ = await notice_hash(town, actor, "adult-check")
    told = {"requestId": request_id, "noticeHash": hash_}
    assert await as_citizen(town, actor, AGREE, **told) == "NOT_FOUND"  # not scanned yet
    await as_citizen(town, actor, RECEIVE, code=opened["code"])
    assert await as_citizen(town, other, AGREE, **told) == "NOT_FOUND"
    assert await as_citizen(town, other, REFUSE, requestId=request_id) == "NOT_FOUND"
    answers = await asyncio.gather(
        as_citizen(town, actor, AGREE, **told), as_citizen(town, actor, REFUSE, requestId=request_id)
    )
    assert [answer for answer in answers if answer == "NOT_FOUND"] == ["NOT_FOUND"]


async def test_a_citizen_may_answer_later_and_what_nobody_answers_lapses(town: Town) -> None:
    actor = await town.register()
    opened = await as_party(town)
    request_id = opened["request"]["id"]
    await as_citizen(town, actor, RECEIVE, code=opened["code"])
    assert (await as_citizen(town, actor, DEFER, requestId=request_id))["userErrors"] == []
    assert await town.value("SELECT state FROM consent.standing") == "deferred"
    assert await waiting(town, actor) == [request_id]
    town.clock.advance(dt.timedelta(days=31))
    await town.rooms["privacy"].run_job("lapse-consent-requests")
    assert await town.value("SELECT state FROM consent.standing") == "expired"
    assert (await state_of(town, request_id))["state"] == "LAPSED"


async def test_what_stands_is_not_touched_by_putting_another_off(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    opened = await as_party(town)
    await as_citizen(town, actor, RECEIVE, code=opened["code"])
    assert (await as_citizen(town, actor, DEFER, requestId=opened["request"]["id"]))["userErrors"] == []
    assert await ask_adult(town, reference) is True
    assert await waiting(town, actor) == [opened["request"]["id"]]


async def test_a_request_that_is_over_is_removed_when_its_purpose_keeps_it_no_longer(town: Town) -> None:
    actor = await town.register()
    opened = await as_party(town, days=30)
    await as_citizen(town, actor, RECEIVE, code=opened["code"])
    refused = await as_citizen(town, actor, REFUSE, requestId=opened["request"]["id"])
    assert refused["userErrors"] == []
    privacy, kept = town.rooms["privacy"], dt.timedelta(days=1095)
    until = await town.value("SELECT until FROM privacy.consent_request")
    revisions = await town.value("SELECT count(*) FROM consent.revision")

    town.clock.advance(until + kept - town.clock.now() - dt.timedelta(seconds=1))
    assert await privacy.run_job("remove-old-consent-requests") == 0
    town.clock.advance(dt.timedelta(seconds=1))
    assert await privacy.run_job("remove-old-consent-requests") == 1

    assert await town.rows("SELECT * FROM privacy.consent_request") == []
    assert await town.value("SELECT count(*) FROM consent.revision") == revisions


async def test_all_that_has_lapsed_is_closed_in_one_run_however_much_it_is(town: Town) -> None:
    await as_party(town)
    async with town.database.writing() as session:
        await session.execute(
            text(
                "INSERT INTO privacy.consent_request SELECT (r).* FROM (SELECT jsonb_populate_record(r, "
                "jsonb_build_object('request_id', gen_random_uuid(), 'code_digest', NULL)) AS r "
                "FROM privacy.consent_request AS r, generate_series(1, 249)) AS made"
            )
        )
    town.clock.advance(dt.timedelta(minutes=16))
    assert await town.rooms["privacy"].run_job("lapse-consent-requests") == 250
    assert await town.value("SELECT count(*) FROM privacy.consent_request WHERE state <> 'LAPSED'") == 0


async def test_a_party_that_was_refused_prompts_nobody_again_and_cannot_tell(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    asked = await as_party(town, reference=reference)
    assert asked["code"] is None
    assert len([told for told in await texts(town, actor) if "asks for your consent" in told]) == 1
    # Another one while that waits is shown to nobody.
    twin = await as_party(town, reference=reference)
    assert await waiting(town, actor) == [asked["request"]["id"]]
    await as_citizen(town, actor, REFUSE, requestId=asked["request"]["id"])
    # What was refused is the new one: the consent that stands goes on, until it is withdrawn.
    assert await ask_adult(town, reference) is True
    await town.ask("privacy", WITHDRAW, {"input": {"consentId": reference}}, purpose="consent-management", actor=actor)

    again = await as_party(town, reference=reference)
    nobody = await as_party(town, reference=str(new_id(town.clock.now())))
    for silent in (twin, again, nobody):
        assert silent["request"] == {**asked["request"], "id": silent["request"]["id"]}
        assert await state_of(town, silent["request"]["id"]) == {"state": "OPEN", "consentId": None}
    assert await waiting(town, actor) == []
    assert len([told for told in await texts(town, actor) if "asks for your consent" in told]) == 1

    town.clock.advance(dt.timedelta(days=91))
    later = await as_party(town, reference=reference)
    assert await waiting(town, actor) == [later["request"]["id"]]
    assert await town.value("SELECT state FROM consent.standing") == "requested"
    assert len([told for told in await texts(town, actor) if "asks for your consent" in told]) == 2


async def test_another_party_and_another_citizen_see_no_request(town: Town) -> None:
    actor = await town.register()
    opened = await as_party(town)
    variables = {"id": opened["request"]["id"]}
    for purpose, stranger in (("consent-management", actor), ("consent-requests", town.party("night-market"))):
        answer = await town.ask("privacy", READ, variables, purpose=purpose, actor=stranger)
        assert answer["errors"][0]["extensions"]["code"] in ("NOT_FOUND", "FORBIDDEN")


async def test_the_code_is_kept_nowhere(town: Town) -> None:
    opened = await as_party(town)
    found = await town.rows("SELECT row_to_json(r)::text AS row FROM privacy.consent_request AS r")
    bodies = [entry.body() if hasattr(entry, "body") else repr(entry) for entry in await town.entries()]
    assert opened["code"] not in str(found) + str(bodies)


async def test_the_database_knows_the_life_of_a_request(town: Town) -> None:
    opened = await as_party(town)
    for state in ("GIVEN", "REFUSED", "OPEN"):
        with pytest.raises(DBAPIError):
            async with town.database.writing() as session:
                await session.execute(text(f"UPDATE privacy.consent_request SET state = '{state}'"))
    pairs = {f"{before or ''}>{after}" for before, states in REQUEST_TRANSITIONS.items() for after in states}
    trigger = await town.value(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'consent_request_keeps_to_its_life_cycle'"
    )
    assert {pair for pair in pairs if f"'{pair}'" in trigger} == pairs
    assert trigger.count(">") == len(pairs)
    assert opened["request"]["state"] == RequestState.OPEN
