"""Findings: what in the log somebody has to look into, and who may; breaking the glass is one of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from bank_consents import ask_adult, give
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town, sample_number

from gov_services.kit.actor import Actor
from gov_services.kit.database import Database
from gov_services.privacy.findings import may_review
from gov_services.privacy.service import findings

pytestmark = pytest.mark.untraced

FINDINGS = """query($open: Boolean!) { findings(first: 50, open: $open) {
  edges { node { id kind actor purpose entryId about dueAt review { fault note } } } } }"""
REVIEW = """mutation($input: ReviewFindingInput!) { a: reviewFinding(input: $input) {
  finding { review { fault note } } userErrors { code } } }"""
FIND = "query($i: FindCitizenInput!) { citizenByNationalId(input: $i) { id name } }"
CONTACT = "query($i: FindCitizenInput!) { citizenByNationalId(input: $i) { name phone address } }"
BREAK = "mutation($i: BreakGlassInput!) { a: breakGlass(input: $i) { until userErrors { code } } }"
NUMBER = sample_number()


def officer(town: Town, office: str = "compliance-office") -> Actor:
    return replace(town.staff("compliance-officer", client="compliance"), office=office)


async def found(town: Town, *, open: bool = False) -> list[dict[str, Any]]:
    answer = await town.ask("privacy", FINDINGS, {"open": open}, purpose="log-review", actor=officer(town))
    return [edge["node"] for edge in answer["data"]["findings"]["edges"]]


async def kinds(town: Town) -> list[str]:
    return sorted(item["kind"] for item in await found(town))


async def look_up(town: Town, clerk: Actor, number: str = NUMBER) -> Any:
    told = {"i": {"nationalId": number}}
    return await town.ask("identity", FIND, told, purpose="counter-lookup", actor=clerk, reason="at the counter")


async def run(town: Town, job: str) -> int:
    await town.entries()
    await town.integrate()
    return await town.rooms["privacy"].run_job(job)


async def test_a_look_up_of_which_nothing_came_within_a_day_is_found_and_one_with_a_matter_is_not(town: Town) -> None:
    await town.register()
    await town.register(phone="13900000002", number=sample_number(sequence=200))
    clerk = town.staff("registrar")
    await look_up(town, clerk)
    await look_up(town, clerk, sample_number(sequence=200))
    replace_phone = "mutation($i: ReplacePhoneInput!) { replacePhone(input: $i) { replaced } }"
    told = {"i": {"nationalId": sample_number(sequence=200), "newPhone": "13900000009"}}
    answer = await town.ask("identity", replace_phone, told, purpose="lost-phone", actor=clerk, reason="lost it")
    assert answer["data"]["replacePhone"]["replaced"] is True
    assert await run(town, findings.ODD) == 0  # a day has not passed
    town.clock.advance(dt.timedelta(days=1, minutes=1))
    assert await run(town, findings.ODD) > 0
    assert await kinds(town) == ["NO_BUSINESS"]
    assert await run(town, findings.ODD) == 0


async def test_who_comes_back_to_one_person_day_after_day_is_found(town: Town) -> None:
    await town.register()
    clerk, other = town.staff("registrar"), town.staff("registrar")
    for _ in range(3):
        await look_up(town, clerk)
        town.clock.advance(dt.timedelta(days=1))
        await town.integrate()
    await look_up(town, other)
    town.clock.advance(dt.timedelta(days=1, minutes=1))
    await run(town, findings.ODD)
    curious = [item for item in await found(town) if item["kind"] == "CURIOSITY"]
    assert [item["actor"] for item in curious] == [clerk.ref]


async def test_an_access_whose_consent_does_not_bear_it_out_is_found_when_judged_again(
    town: Town, administrator: Database
) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    assert await ask_adult(town, reference) is True
    town.clock.advance(dt.timedelta(minutes=1))
    assert await run(town, findings.GROUNDLESS) > 0
    assert await kinds(town) == []
    # A database administrator gave the bank a consent for the time of one question, and took it away again.
    await town.ask(
        "privacy",
        "mutation($i: WithdrawConsentInput!) { withdrawConsent(input: $i) { userErrors { code } } }",
        {"i": {"consentId": reference}},
        purpose="consent-management",
        actor=actor,
    )
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"
    copies = ("state", "scope", "forms", "revision_id", "hash", "number")
    async with administrator.writing() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        columns = "citizen_id, purpose, recipient, consent_id, notice_hash, bundle_version, made_by, made_at, previous"
        await session.execute(
            text(
                f"INSERT INTO consent.revision ({columns}, {', '.join(copies)}, keep_days, given) SELECT {columns}, "
                "'given', '{Citizen.isAdult}', '{DERIVED}', gen_random_uuid(), decode(repeat('ab', 32), 'hex'), "
                "3, 30, 3 "
                "FROM consent.revision WHERE number = 2"
            )
        )
        await session.execute(
            text(
                "UPDATE consent.standing AS s SET number = 3, state = 'given', scope = r.scope, forms = r.forms, "
                "revision_id = r.revision_id, head = r.hash, keep_days = 30, given = 3 "
                "FROM consent.revision AS r WHERE r.number = 3"
            )
        )
    assert await ask_adult(town, reference) is True
    async with administrator.writing() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text("DELETE FROM consent.revision WHERE number = 3"))
    town.clock.advance(dt.timedelta(minutes=1))
    await run(town, findings.GROUNDLESS)
    assert await kinds(town) == ["GROUNDLESS"]


async def test_a_document_that_asks_on_and_on_for_what_it_never_opens_is_found_once(town: Town) -> None:
    values = "'licence-review', 'Citizen.phone', 'counter', 'd1', current_date"
    async with town.database.writing() as session:
        await session.execute(text(f"INSERT INTO privacy.field_use VALUES ({values}, 20, 0, 0, 0, 0, now())"))
    town.clock.advance(dt.datetime.now(dt.UTC) - town.clock.now())
    assert await town.rooms["privacy"].run_job(findings.OVER_ASKING) == 1
    assert await town.rooms["privacy"].run_job(findings.OVER_ASKING) == 0
    (item,) = await found(town)
    assert (item["kind"], item["about"], item["entryId"]) == ("OVER_ASKING", "d1:Citizen.phone", None)


async def test_breaking_the_glass_opens_for_an_hour_is_told_and_reviewed_by_another_office(town: Town) -> None:
    actor = await town.register()
    supervisor = town.staff("supervisor")
    told = {"i": {"nationalId": NUMBER}}

    async def contact(who: Actor) -> Any:
        reason = "found unconscious"
        return await town.ask("identity", CONTACT, told, purpose="emergency-access", actor=who, reason=reason)

    assert (await contact(supervisor))["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    broken = await town.ask(
        "identity", BREAK, {"i": {**told["i"], "minutes": 600}}, purpose="break-glass", actor=supervisor, reason="x"
    )
    until = dt.datetime.fromisoformat(broken["data"]["a"]["until"])
    assert until - town.clock.now() == dt.timedelta(minutes=60)
    assert (await contact(supervisor))["data"]["citizenByNationalId"]["phone"] == "+8613900000001"
    # The relation is the supervisor's own, and it ends.
    assert (await contact(town.staff("supervisor")))["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    town.clock.advance(dt.timedelta(minutes=61))
    assert (await contact(supervisor))["errors"][0]["extensions"]["code"] == "NOT_FOUND"

    await town.settle()
    answer = await town.ask("identity", "{ messages { edges { node { text } } } }", purpose="own-account", actor=actor)
    assert any("In an emergency" in edge["node"]["text"] for edge in answer["data"]["messages"]["edges"])
    (item,) = [item for item in await found(town, open=True) if item["kind"] == "BREAK_GLASS"]
    assert item["actor"] == supervisor.ref
    assert item["dueAt"] is not None
    review = {"input": {"findingId": item["id"], "fault": False, "note": "the patient was found"}}

    async def reviewed(who: Actor, **more: Any) -> Any:
        values = {"input": {**review["input"], **more}}
        return (await town.ask("privacy", REVIEW, values, purpose="log-review", actor=who))["data"]["a"]

    beside = officer(town, office=supervisor.office or "")
    assert (await reviewed(beside))["userErrors"] == [{"code": "NOT_YOURS_TO_REVIEW"}]
    assert (await reviewed(officer(town), note=" "))["userErrors"] == [{"code": "NOTE_NEEDED"}]
    assert (await reviewed(officer(town)))["finding"]["review"] == {"fault": False, "note": "the patient was found"}
    assert (await reviewed(officer(town)))["userErrors"] == [{"code": "ALREADY_REVIEWED"}]
    assert [item for item in await found(town, open=True) if item["kind"] == "BREAK_GLASS"] == []


async def test_without_reason_role_or_budget_no_glass_is_broken(town: Town) -> None:
    await town.register()
    told = {"i": {"nationalId": NUMBER}}
    for who, reason, code in (
        (town.staff("supervisor"), None, "REASON_REQUIRED"),
        (town.staff("registrar"), "curious", "FORBIDDEN"),
    ):
        answer = await town.ask("identity", BREAK, told, purpose="break-glass", actor=who, reason=reason)
        assert answer["errors"][0]["extensions"]["code"] == code
    supervisor = town.staff("supervisor")
    codes = []
    for sequence in range(4):
        number = {"i": {"nationalId": sample_number(sequence=300 + sequence)}}
        answer = await town.ask("identity", BREAK, number, purpose="break-glass", actor=supervisor, reason="x")
        codes.append(answer["errors"][0]["extensions"]["code"])
    assert codes == ["NOT_FOUND"] * 3 + ["BUDGET_EXHAUSTED"]


async def test_the_database_lets_identity_break_glass_for_two_hours_and_no_other_room_at_all(town: Town) -> None:
    statement = (
        "INSERT INTO consent.relation VALUES "
        "(gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'break-glass', NULL, now(), {until})"
    )
    for room, until in (
        ("permits", "now() + interval '1 hour'"),
        ("identity", "NULL"),
        ("identity", "now() + interval '1 day'"),
    ):
        with pytest.raises(DBAPIError):
            async with town.rooms[room].services.discloser.database.writing() as session:
                await session.execute(text(statement.format(until=until)))


@given(
    st.sampled_from(("staff:1", "staff:2")), st.sampled_from((None, "north", "south")), st.sampled_from(("north", "x"))
)
def test_nobody_reviews_themselves_or_their_own_office(actor: str, office: str | None, reviewers: str) -> None:
    allowed = may_review(actor=actor, office=office, reviewer="staff:1", reviewers_office=reviewers)
    assert allowed == (actor != "staff:1" and office != reviewers)
