"""The register of breaches: what a notice says, the clocks, and the people whom the log names."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from bank_consents import ask_adult, give
from town import Town, sample_number

from gov_services.kit.actor import Actor
from gov_services.privacy.breaches import Grade, report_due_at

pytestmark = pytest.mark.untraced

STATE = "breach { id state people reportDueAt reportedAt toldAt notToldBecause }"
ENTER = f"mutation($i: EnterBreachInput!) {{ a: enterBreach(input: $i) {{ {STATE} userErrors {{ code }} }} }}"
REPORT = f"mutation($i: ReportBreachInput!) {{ a: reportBreach(input: $i) {{ {STATE} userErrors {{ code }} }} }}"
TELL = f"mutation($i: BreachInput!) {{ a: tellOfBreach(input: $i) {{ {STATE} userErrors {{ code }} }} }}"
WAIVE = (
    f"mutation($i: WaiveBreachNoticeInput!) {{ a: waiveBreachNotice(input: $i) {{ {STATE} userErrors {{ code }} }} }}"
)
CLOSE = f"mutation($i: BreachInput!) {{ a: closeBreach(input: $i) {{ {STATE} userErrors {{ code }} }} }}"
MESSAGES = "{ messages { edges { node { text } } } }"
NOTICE = {
    "kinds": "whether of age",
    "cause": "a stolen client key",
    "harm": "unwanted offers",
    "measures": "the key was withdrawn",
    "advice": "be wary of calls",
    "contact": "privacy@data.example-city.example",
}


def officer(town: Town) -> Actor:
    return town.staff("compliance-officer", client="compliance")


async def change(town: Town, document: str, **told: Any) -> Any:
    answer = await town.ask("privacy", document, {"i": told}, purpose="breach-register", actor=officer(town))
    return answer["data"]["a"]


async def enter(town: Town, **more: Any) -> Any:
    now = town.clock.now()
    told = {
        "grade": "RELATIVELY_MAJOR",
        **NOTICE,
        "actor": "client:riverside-bank",
        "since": (now - dt.timedelta(hours=1)).isoformat(),
        "until": now.isoformat(),
        "foundAt": now.isoformat(),
        **more,
    }
    return await change(town, ENTER, **told)


async def told(town: Town, actor: Actor) -> list[str]:
    await town.settle()
    answer = await town.ask("identity", MESSAGES, purpose="own-account", actor=actor)
    texts = [edge["node"]["text"] for edge in answer["data"]["messages"]["edges"]]
    return [text for text in texts if "may be in other hands" in text]


async def test_everybody_whom_the_log_names_is_told_all_that_the_law_asks_and_nobody_else(town: Town) -> None:
    read, unread = await town.register(), await town.register(phone="13900000002", number=sample_number(sequence=200))
    await ask_adult(town, (await give(town, read))["consent"]["id"])
    await give(town, unread)
    await town.entries()
    await town.settle()
    entered = await enter(town)
    breach_id = entered["breach"]["id"]
    done = await change(town, TELL, breachId=breach_id)
    assert done["breach"]["people"] == 1
    (text,) = await told(town, read)
    assert all(part in text for part in NOTICE.values())
    assert await told(town, unread) == []
    assert (await change(town, TELL, breachId=breach_id))["userErrors"] == [{"code": "BREACH_DONE"}]
    assert (await change(town, WAIVE, breachId=breach_id, because="x"))["userErrors"] == [{"code": "BREACH_DONE"}]


@pytest.mark.parametrize("part", list(NOTICE))
async def test_a_notice_that_lacks_a_part_is_not_entered(town: Town, part: str) -> None:
    assert (await enter(town, **{part: " "}))["userErrors"] == [{"code": "BREACH_NOT_COMPLETE"}]


async def test_a_breach_is_closed_when_it_was_reported_and_told_or_a_reason_not_to_stands(town: Town) -> None:
    breach_id = (await enter(town))["breach"]["id"]
    assert (await change(town, CLOSE, breachId=breach_id))["userErrors"] == [{"code": "BREACH_NOT_DONE"}]
    assert (await change(town, REPORT, breachId=breach_id, number=" "))["userErrors"][0][
        "code"
    ] == "BREACH_NOT_COMPLETE"
    assert (await change(town, REPORT, breachId=breach_id, number="2026-17"))["breach"]["reportedAt"]
    assert (await change(town, CLOSE, breachId=breach_id))["userErrors"] == [{"code": "BREACH_NOT_DONE"}]
    assert (await change(town, WAIVE, breachId=breach_id, because=""))["userErrors"][0]["code"] == "BREACH_NOT_COMPLETE"
    waived = await change(town, WAIVE, breachId=breach_id, because="the key never left the building")
    assert waived["breach"]["notToldBecause"] == "the key never left the building"
    assert (await change(town, CLOSE, breachId=breach_id))["breach"]["state"] == "CLOSED"
    assert (await change(town, CLOSE, breachId=breach_id))["userErrors"] == [{"code": "BREACH_DONE"}]


async def test_a_breach_that_is_not_reported_in_time_is_found(town: Town) -> None:
    await enter(town)
    privacy = town.rooms["privacy"]
    assert await privacy.run_job("breaches-not-reported") == 0
    town.clock.advance(dt.timedelta(hours=4, minutes=1))
    assert await privacy.run_job("breaches-not-reported") == 1
    assert await privacy.run_job("breaches-not-reported") == 0
    assert await town.value("SELECT kind FROM privacy.finding") == "overdue"


def test_the_clocks_are_those_of_the_rules() -> None:
    found = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    assert report_due_at(Grade.ORDINARY, found) - found == dt.timedelta(hours=72)
    for grade in set(Grade) - {Grade.ORDINARY}:
        assert report_due_at(grade, found) - found == dt.timedelta(hours=4)
