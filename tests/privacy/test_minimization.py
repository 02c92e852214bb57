"""Minimization from the trail: what it suggests, what a step would have refused, and the order of steps."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from bank_consents import ask_adult, give
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from town import Town, sample_number

from gov_services.audit.entry import Entry, EntryKind
from gov_services.cli.documents import seed_bundle
from gov_services.consent.purposes import Form
from gov_services.kit.actor import Actor
from gov_services.kit.ids import new_id
from gov_services.privacy.counting import count, told_of
from gov_services.privacy.minimization import RARE, USUAL, WARNED_FOR, Step, Use, Why, may_take, suggest, window_of
from gov_services.privacy.service import evidence

pytestmark = pytest.mark.untraced

NOW = dt.datetime(2026, 11, 2, 4, 0, tzinfo=dt.UTC)
SEED = seed_bundle()
REVIEW = SEED.purposes["licence-review"]
LONG_AGO = {name: NOW - 2 * RARE for name in REVIEW.grants}
MASKABLE = {"Citizen.name", "Citizen.nationalId", "Citizen.phone", "Application.applicantName"}

PROPOSE = """mutation($input: ProposeNarrowingInput!) { a: proposeNarrowing(input: $input) {
  narrowing { id state step refuses urgent declared opened } userErrors { code message } } }"""
DECIDE = """mutation($input: DecideNarrowingInput!) { a: decideNarrowing(input: $input) {
  narrowing { id state bundleVersion } userErrors { code } } }"""
SUGGEST = "{ narrowingSuggestions { purpose coordinate step why declared opened used } }"
REPLAY = (
    """query($id: ID!) { narrowingReplay(narrowingId: $id) { refuses accesses { client refused shown } samples } }"""
)
FIND = "query($i: FindCitizenInput!) { citizenByNationalId(input: $i) { id name } }"
NOTE = "mutation($i: NoteFieldUseInput!) { a: noteFieldUse(input: $i) { noted userErrors { code } } }"
ADULT = "Citizen.isAdult"


def use(coordinate: str, client: str = "counter", **counts: int) -> Use:
    values = {"declared": 0, "masked": 0, "opened": 0, "used": 0, "withheld": 0, **counts}
    return Use(client=client, document="d", coordinate=coordinate, last_at=NOW, **values)


def suggested(*uses: Use, **changes: Any) -> dict[str, tuple[Step, Why]]:
    purpose = replace(REVIEW, **changes)
    found = suggest(purpose, uses, since=NOW - USUAL, granted_since=LONG_AGO, maskable=MASKABLE)
    return {item.coordinate: (item.step, item.why) for item in found}


def test_what_nobody_asked_for_or_opened_may_go_at_once() -> None:
    busy = [use(name, declared=50, opened=50, used=50) for name in REVIEW.grants if name != "Citizen.phone"]
    assert suggested(*busy) == {"Citizen.phone": (Step.DENY, Why.UNASKED)}
    assert suggested(*busy, use("Citizen.phone", declared=50)) == {"Citizen.phone": (Step.DENY, Why.UNOPENED)}
    assert suggested(*busy, use("Citizen.phone", declared=50, opened=1, used=1)) == {}


def test_over_selecting_saves_no_grant_where_a_client_tells_what_it_shows() -> None:
    told = [use(name, declared=50, opened=50, used=50) for name in REVIEW.grants if name != "Citizen.name"]
    unshown = use("Citizen.name", declared=50, opened=50)
    assert suggested(*told, unshown) == {"Citizen.name": (Step.WARN, Why.UNSHOWN)}
    assert suggested(*told, unshown, warned=frozenset({"Citizen.name"})) == {"Citizen.name": (Step.MASK, Why.UNSHOWN)}
    # A client that tells nothing may show everything: that it opened is all we know, and it speaks for the grant.
    assert suggested(*told, replace(unshown, client="silent")) == {}


def test_what_is_young_or_never_used_at_all_is_not_judged() -> None:
    young = {**LONG_AGO, "Citizen.phone": NOW - USUAL + dt.timedelta(days=1)}
    busy = [use(name, declared=5, opened=5, used=5) for name in REVIEW.grants if name != "Citizen.phone"]
    assert suggest(REVIEW, busy, since=NOW - USUAL, granted_since=young, maskable=MASKABLE) == []
    assert suggested() == {}


def test_a_purpose_used_rarely_is_judged_over_thirteen_months() -> None:
    assert window_of(days_used=9, now=NOW) == NOW - RARE
    assert window_of(days_used=10, now=NOW) == NOW - USUAL
    assert dt.timedelta(days=395) <= RARE


@given(
    step=st.sampled_from(Step),
    granted=st.sampled_from((Form.PLAIN, Form.MASKED, Form.DERIVED)),
    refuses=st.integers(0, 3),
    maskable=st.booleans(),
    days=st.none() | st.integers(0, 14),
)
def test_nothing_that_somebody_opens_goes_unwarned_or_skips_the_mask(
    step: Step, granted: Form, refuses: int, maskable: bool, days: int | None
) -> None:
    since = NOW - dt.timedelta(days=days) if days is not None else None
    allowed = may_take(step, granted=granted, refuses=refuses, maskable=maskable, warned_since=since, now=NOW)
    if step in (Step.WARN, Step.RESTORE) or refuses == 0:
        assert allowed
    else:
        warned = days is not None and days >= WARNED_FOR.days
        assert allowed == (warned and not (step is Step.DENY and granted is Form.PLAIN and maskable))


def an_entry(kind: EntryKind, *coordinates: tuple[str, str], **more: Any) -> Entry:
    values: dict[str, Any] = {
        "id": new_id(NOW),
        "at": NOW,
        "room": "identity",
        "kind": kind,
        "action": "disclosure",
        "actor": "staff:1",
        "actor_tag": None,
        "client": "counter",
        "purpose": "licence-review",
        "entrance": "document:D",
        "document": "d1",
        "subject_tag": None,
        "coordinates": coordinates,
        "outcome": "allowed",
        "request": "r",
        **more,
    }
    return Entry(**values)


def test_entries_are_counted_by_day_where_the_city_is_and_by_document() -> None:
    late = dt.datetime(2026, 11, 1, 16, 30, tzinfo=dt.UTC)  # past midnight in the city
    counted = count(
        [
            an_entry(EntryKind.READ, ("Citizen.name", "PLAIN"), ("Citizen.phone", "MASKED"), at=late),
            an_entry(EntryKind.USE, ("Citizen.name", "OPENED"), at=late),
            an_entry(EntryKind.READ, ("Citizen.name", "PURPOSE_NARROWED")),
            an_entry(EntryKind.REFUSAL, ("Citizen.name", "CONSENT_REQUIRED"), outcome="refused", code="X"),
            an_entry(EntryKind.CHANGE, ("Citizen.name", "COLLECT")),
            an_entry(
                EntryKind.USE,
                ("Citizen.name", "USED"),
                action="fields.used",
                purpose="use-report",
                document="d9",
                object=told_of("licence-review", "d1"),
            ),
        ]
    )
    rows = {
        (key.coordinate, key.document): (value.declared, value.masked, value.opened, value.used, value.withheld)
        for key, value in counted.items()
    }
    assert rows == {("Citizen.name", "d1"): (1, 0, 1, 1, 2), ("Citizen.phone", "d1"): (1, 1, 0, 0, 0)}
    assert {key.day for key in counted} == {dt.date(2026, 11, 2)}
    assert {key.purpose for key in counted} == {"licence-review"}


async def test_counts_are_the_same_from_the_table_the_tail_and_the_log_again(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    for _ in range(3):
        assert await ask_adult(town, reference) is True
    await town.entries()
    await town.integrate()
    privacy = town.rooms["privacy"]

    async def counted() -> list[tuple[str, int, int]]:
        async with privacy.services.discloser.database.reading() as session:
            uses = await evidence.uses_since(session, purpose="adult-check", since=town.clock.now() - USUAL)
        return [(item.coordinate, item.declared, item.opened) for item in uses]

    assert await counted() == [(ADULT, 3, 3)]  # all of it from the log
    assert await privacy.run_job("count-uses") > 0
    assert await privacy.run_job("count-uses") == 0
    assert await counted() == [(ADULT, 3, 3)]  # all of it from the table
    assert await ask_adult(town, reference) is True
    await town.entries()
    assert await counted() == [(ADULT, 4, 4)]  # and both together
    async with town.database.writing() as session:
        await session.execute(text("DELETE FROM privacy.field_use"))
        await session.execute(text("UPDATE privacy.watermark SET seq = -1 WHERE job = 'count-uses'"))
    assert await privacy.run_job("count-uses") > 0
    assert await counted() == [(ADULT, 4, 4)]


def officer(town: Town) -> Actor:
    return town.staff("compliance-officer", client="compliance")


async def review(town: Town, actor: Actor, document: str, **told: Any) -> Any:
    answer = await town.ask("privacy", document, {"input": told}, purpose="purpose-review", actor=actor)
    return answer["data"]["a"]


async def taken(town: Town, step: str, **more: Any) -> Any:
    """A step proposed by one officer and approved by another; the answer to whichever failed."""
    told = {"purpose": "adult-check", "coordinate": ADULT, "note": "nobody needs it", "step": step, **more}
    proposed = await review(town, officer(town), PROPOSE, **told)
    if proposed["userErrors"]:
        return [error["code"] for error in proposed["userErrors"]]
    decided = await review(town, officer(town), DECIDE, narrowingId=proposed["narrowing"]["id"])
    return decided["narrowing"]["bundleVersion"] if not decided["userErrors"] else decided["userErrors"]


async def test_a_field_in_use_is_warned_of_before_it_goes_and_comes_back_by_two_officers(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    assert await ask_adult(town, reference) is True
    await town.entries()
    assert await taken(town, "DENY") == ["WARN_FIRST"]
    assert await taken(town, "WARN") == 2
    assert await taken(town, "WARN") == ["NOTHING_TO_NARROW"]
    assert await taken(town, "DENY") == ["WARN_FIRST"]  # warned, and not for long
    town.clock.advance(WARNED_FOR)
    await town.integrate()
    assert await taken(town, "DENY") == 3
    assert await ask_adult(town, reference) == "DISCLOSURE_REFUSED"  # ad hoc: refused whole
    assert await taken(town, "RESTORE") == 4
    assert await ask_adult(town, reference) is True
    assert await taken(town, "RESTORE") == ["NOTHING_TO_NARROW"]


async def test_an_emergency_goes_without_a_warning_and_the_log_says_so(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    assert await ask_adult(town, reference) is True
    await town.entries()
    assert await taken(town, "DENY", urgent=True, note="the bank's keys were stolen") == 2
    assert await ask_adult(town, reference) == "DISCLOSURE_REFUSED"  # ad hoc: refused whole
    actions = [entry.action for entry in await town.entries()]
    assert "narrowing.proposed-urgent" in actions


async def test_whoever_gets_a_field_that_goes_is_told_beside_the_answer(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    document = """query($representations: [_Any!]!) { _entities(representations: $representations) {
      ... on Citizen { isAdult } } }"""

    async def answer() -> dict[str, Any]:
        variables = {"representations": [{"__typename": "Citizen", "id": str(actor.id)}]}
        bank = town.party("riverside-bank")
        return await town.ask("identity", document, variables, purpose="adult-check", actor=bank)

    assert await ask_adult(town, reference) is True
    assert "extensions" not in await answer()
    await town.entries()
    assert await taken(town, "WARN") == 2
    told = await answer()
    assert told["data"]["_entities"][0]["isAdult"] is True
    (warning,) = told["extensions"]["warnings"]
    assert (warning["code"], warning["coordinate"]) == ("FIELD_GOES", ADULT)
    assert "taken away" in warning["message"]


async def test_a_replay_says_which_accesses_a_step_would_have_refused(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    for _ in range(3):
        assert await ask_adult(town, reference) is True
    await town.entries()
    told = {"purpose": "adult-check", "coordinate": ADULT, "note": "x", "step": "WARN"}
    proposed = await review(town, officer(town), PROPOSE, **told)
    assert proposed["narrowing"]["refuses"] == 3
    answer = await town.ask(
        "privacy", REPLAY, {"id": proposed["narrowing"]["id"]}, purpose="purpose-review", actor=officer(town)
    )
    replayed = answer["data"]["narrowingReplay"]
    assert replayed["refuses"] == 3
    assert replayed["accesses"] == [{"client": "riverside-bank", "refused": 3, "shown": 0}]
    assert len(replayed["samples"]) == 3
    ids = {str(entry.id) for entry in await town.entries() if entry.kind is EntryKind.USE}
    assert set(replayed["samples"]) <= ids


async def test_a_client_tells_what_it_showed_of_what_it_opened_and_of_nothing_else(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    assert await ask_adult(town, reference) is True
    opened = [entry for entry in await town.entries() if entry.kind is EntryKind.USE]
    bank = town.party("riverside-bank")

    async def note(request: str, *coordinates: str, actor: Actor = bank) -> Any:
        told = {"i": {"requestId": request, "coordinates": list(coordinates)}}
        answer = await town.ask("privacy", NOTE, told, purpose="use-report", actor=actor)
        return answer["data"]["a"]["noted"] if "errors" not in answer else answer["errors"][0]["extensions"]["code"]

    request = opened[-1].request
    assert await note(request, "Citizen.name") == "NOT_FOUND"
    assert await note("another", ADULT) == "NOT_FOUND"
    assert await note("\x00", ADULT) == "NOT_FOUND", "which PostgreSQL's text does not hold"
    assert await note(request, ADULT, actor=town.party("night-market")) == "NOT_FOUND"
    assert await note(request, ADULT, "Citizen.name") == 1
    await town.integrate()
    await town.rooms["privacy"].run_job("count-uses")
    assert await town.value("SELECT used FROM privacy.field_use WHERE used > 0") == 1
    town.clock.advance(dt.timedelta(hours=2))
    assert await note(request, ADULT) == "NOT_FOUND"


async def test_the_trail_suggests_what_nobody_opens_once_the_grant_is_old_enough(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor, days=365))["consent"]["id"]
    await ask_adult(town, reference)
    await town.integrate()

    async def suggestions() -> list[dict[str, Any]]:
        answer = await town.ask("privacy", SUGGEST, purpose="purpose-review", actor=officer(town))
        found: list[dict[str, Any]] = answer["data"]["narrowingSuggestions"]
        return found

    assert await suggestions() == []  # every grant is as young as the city
    town.clock.advance(RARE + dt.timedelta(days=1))
    await town.register(phone="13900000002", number=sample_number(sequence=200))
    await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)
    await town.entries()
    await town.integrate()
    found = {(item["purpose"], item["coordinate"]): (item["step"], item["why"]) for item in await suggestions()}
    assert found["own-account", "Citizen.address"] == ("DENY", "UNASKED")
    assert ("own-account", "Citizen.name") not in found
    assert not any(purpose == "licence-review" for purpose, _ in found)  # nobody acts under it at all
