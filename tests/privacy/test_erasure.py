"""Erasure: what no law has kept is destroyed, what stays is named until when, and asking again changes nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
from permit_office import Office
from town import Town

from gov_services.crypto.keys import DataClass
from gov_services.kit.actor import Actor
from gov_services.kit.ids import new_id
from gov_services.privacy.holds import HOLDS, held_since
from gov_services.subgraph.events import Event

pytestmark = pytest.mark.untraced

VERIFY = "{ verifyLog { sound } }"
ERASE = """mutation($input: RequestErasureInput!) { requestErasure(input: $input) {
  destroyed kept { dataClass law years until } userErrors { code } } }"""
NOW = dt.datetime(2026, 3, 2, 1, 0, tzinfo=dt.UTC)
EARLIER = NOW - dt.timedelta(days=9)
DESTROYED = "SELECT data_class FROM keys.data_key WHERE wrapped IS NULL ORDER BY 1"


def officer(town: Town) -> Actor:
    return town.staff("compliance-officer", client="compliance")


async def erase(town: Town, citizen: Actor) -> Any:
    answer = await town.ask("privacy", ERASE, {"input": {"confirm": True}}, purpose="erasure", actor=citizen)
    return answer["data"]["requestErasure"]


async def destroyed(town: Town) -> list[str]:
    return [row["data_class"] for row in await town.rows(DESTROYED)]


@pytest.mark.parametrize(
    ("facts", "latest_case", "is_case_open", "held"),
    [
        ({}, None, False, {DataClass.AUDIT: NOW}),
        ({DataClass.PERMITS: EARLIER}, None, False, {DataClass.PERMITS: EARLIER, DataClass.AUDIT: NOW}),
        ({}, EARLIER, False, {DataClass.PERMITS: EARLIER, DataClass.AUDIT: NOW}),
        ({DataClass.PERMITS: EARLIER}, NOW, False, {DataClass.PERMITS: NOW, DataClass.AUDIT: NOW}),
        ({DataClass.PAYMENTS: EARLIER}, None, False, {DataClass.PAYMENTS: EARLIER, DataClass.AUDIT: NOW}),
        ({}, EARLIER, True, {DataClass.PERMITS: NOW, DataClass.PAYMENTS: NOW, DataClass.AUDIT: NOW}),
    ],
)
def test_a_class_is_held_as_far_as_there_is_something_to_keep(
    facts: dict[DataClass, dt.datetime],
    latest_case: dt.datetime | None,
    is_case_open: bool,
    held: dict[DataClass, dt.datetime],
) -> None:
    assert held_since(facts, latest_case=latest_case, is_case_open=is_case_open, now=NOW) == held


def test_a_term_that_began_on_a_leap_day_ends_on_the_first_of_march() -> None:
    leap_day = dt.datetime(2028, 2, 29, tzinfo=dt.UTC)
    assert HOLDS[DataClass.AUDIT].ends_at(leap_day) == dt.datetime(2031, 3, 1, tzinfo=dt.UTC)
    assert HOLDS[DataClass.PERMITS].ends_at(NOW) == NOW.replace(year=2036)


async def test_what_was_submitted_or_paid_is_kept_until_its_term_is_over(town: Town) -> None:
    citizen = await town.register()
    privacy = town.rooms["privacy"]
    for source, kind, day in (
        ("permits", "permits.application_submitted", 3),
        ("payments", "payments.bill_settled", 5),
        ("payments", "payments.bill_settled", 4),
    ):
        at = town.clock.now().replace(day=day)
        assert await privacy.receive(Event(new_id(at), source, kind, citizen.id, {}, at).encode())

    payload = await erase(town, citizen)

    await town.settle()
    assert await town.rows("SELECT * FROM consent.attestation") == []
    assert payload["destroyed"] == ["IDENTITY", "HEALTH"]
    assert [(item["dataClass"], item["until"]) for item in payload["kept"]] == [
        ("PERMITS", "2036-03-03"),
        ("PAYMENTS", "2056-03-05"),
        ("AUDIT", "2059-03-05"),
    ]
    assert await destroyed(town) == ["health", "identity"]


async def test_an_open_case_keeps_what_it_is_made_of_and_what_it_may_yet_cost(town: Town) -> None:
    office = await Office.open(town)
    await office.submitted()
    # The events are still on their way: the relation of the case's officer stands already.
    payload = await erase(town, office.applicant)
    assert payload["destroyed"] == ["IDENTITY", "HEALTH"]
    assert [item["dataClass"] for item in payload["kept"]] == ["PERMITS", "PAYMENTS", "AUDIT"]


async def test_a_submitted_application_is_known_to_privacy(town: Town) -> None:
    office = await Office.open(town)
    await office.submitted()
    await town.settle()
    held = await town.rows("SELECT citizen_id, data_class FROM privacy.held_class")
    assert held == [{"citizen_id": office.applicant.id, "data_class": "permits"}]


async def test_asking_again_answers_what_the_first_time_came_to(town: Town) -> None:
    citizen = await town.register()
    first = await erase(town, citizen)
    town.clock.advance(dt.timedelta(days=3))
    await town.integrate()

    assert citizen.id is not None
    again = await erase(town, town.citizen(citizen.id))

    assert again == first
    assert await town.value("SELECT count(*) FROM privacy.erasure") == 1
    actions = [entry.action for entry in await town.entries()]
    assert (actions.count("citizen.erased"), actions.count("erasure.repeated")) == (1, 1)


async def test_of_requests_at_once_one_erases(town: Town) -> None:
    citizen = await town.register()
    answers = await asyncio.gather(*(erase(town, citizen) for _ in range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert await town.value("SELECT count(*) FROM privacy.erasure") == 1


async def test_the_citizen_is_told_that_it_is_done(town: Town) -> None:
    citizen = await town.register()
    await erase(town, citizen)
    await town.settle()
    told = await town.rows("SELECT citizen_id, code FROM identity.message")
    assert told == [{"citizen_id": citizen.id, "code": "erasure.done"}]


async def test_erasure_destroys_keys_and_names_what_stays_and_the_log_still_verifies(town: Town) -> None:
    citizen = await town.register()
    answer = await town.ask("privacy", ERASE, {"input": {"confirm": True}}, purpose="erasure", actor=citizen)
    payload = answer["data"]["requestErasure"]
    assert payload["destroyed"] == ["IDENTITY", "PERMITS", "PAYMENTS", "HEALTH"]
    assert payload["kept"] == [
        {"dataClass": "AUDIT", "law": "中华人民共和国网络安全法", "years": 3, "until": "2029-03-02"}
    ]
    await town.settle()

    gone = await town.ask("identity", "{ me { name } }", purpose="own-account", actor=citizen)
    assert gone["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert await town.value("SELECT count(*) FROM identity.directory") == 0
    assert await town.value("SELECT count(*) FROM keys.data_key WHERE wrapped IS NULL") == 4
    await town.integrate()
    report = await town.ask("privacy", VERIFY, purpose="log-review", actor=officer(town))
    assert report["data"]["verifyLog"]["sound"] is True


async def test_erasure_is_confirmed_and_asks_for_a_verified_person(town: Town) -> None:
    citizen = await town.register()
    answer = await town.ask("privacy", ERASE, {"input": {"confirm": False}}, purpose="erasure", actor=citizen)
    assert answer["data"]["requestErasure"]["userErrors"] == [{"code": "NOT_CONFIRMED"}]
    assert citizen.id is not None
    low = town.citizen(citizen.id, assurance=2)
    refused = await town.ask("privacy", ERASE, {"input": {"confirm": True}}, purpose="erasure", actor=low)
    assert refused["errors"][0]["extensions"]["code"] == "ASSURANCE_TOO_LOW"
    assert await town.value("SELECT count(*) FROM keys.data_key WHERE wrapped IS NULL") == 0
