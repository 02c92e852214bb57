"""Budgets: so many people an hour, whichever hour, for an actor and their office, and after the counters are lost."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

from town import Town, sample_number

from gov_services.cli.documents import seed_bundle
from gov_services.consent.budgets import OFFICE_SHARE, BudgetExhausted
from gov_services.kit.actor import Actor

FIND = "query($i: FindCitizenInput!) { citizenByNationalId(input: $i) { id } }"
IS_ADULT = """query($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on Citizen { isAdult } } }"""
LOOK_UP = seed_bundle().purposes["counter-lookup"]
MOST = LOOK_UP.budget_hour
DAY = dt.timedelta(days=1)
DAY_S = 24 * 3600
HOUR = dt.timedelta(hours=1)


async def reserve(town: Town, actor: Actor, subjects: Sequence[str]) -> bool:
    """Whether the budget had room for them."""
    budgets = town.rooms["identity"].services.discloser.budgets
    try:
        await budgets.reserve(LOOK_UP, actor, subjects, now=town.clock.now())
    except BudgetExhausted:
        return False
    return True


async def find(town: Town, actor: Actor, sequence: int) -> str:
    """Look somebody up at the counter; the code of the refusal."""
    number = {"i": {"nationalId": sample_number(sequence=sequence)}}
    answer = await town.ask("identity", FIND, number, purpose="counter-lookup", actor=actor, reason="at the counter")
    return str(answer["errors"][0]["extensions"]["code"]) if "errors" in answer else ""


async def test_no_hour_holds_more_than_the_budget_wherever_it_begins(town: Town) -> None:
    clerk = town.staff("registrar")
    town.clock.advance(dt.timedelta(minutes=50))
    assert await reserve(town, clerk, [f"a{number}" for number in range(MOST - 1)])
    town.clock.advance(dt.timedelta(minutes=5))
    assert await reserve(town, clerk, ["b"])
    assert await reserve(town, clerk, ["b", "a1"])  # the same again counts once
    town.clock.advance(dt.timedelta(minutes=10))  # another hour of the clock, and not an hour later
    assert not await reserve(town, clerk, ["c"])
    town.clock.advance(dt.timedelta(minutes=45, seconds=1))  # all but the last two are an hour ago
    assert await reserve(town, clerk, [f"d{number}" for number in range(MOST - 2)])
    # Of what does not fit, nothing is taken.
    assert not await reserve(town, clerk, ["e"])
    town.clock.advance(HOUR)
    assert await reserve(town, clerk, [f"f{number}" for number in range(MOST)])
    key = (await town.valkey.keys("budget:*"))[0]
    assert 30 * DAY_S <= await town.valkey.ttl(key) <= 60 * DAY_S


async def test_a_day_and_a_month_have_budgets_of_their_own(town: Town) -> None:
    clerk = town.staff("registrar")
    asked = 0
    while await reserve(town, clerk, [f"a{asked}"]):
        asked += 1
        town.clock.advance(dt.timedelta(minutes=6))  # ten in an hour, where twelve are allowed
    assert asked == LOOK_UP.budget_day
    assert await reserve(town, clerk, [f"a{asked - 1}"])  # who was asked about already counts once a day
    day, month = asked, 1
    while day == LOOK_UP.budget_day and month < 40:
        town.clock.advance(DAY)
        day = 0
        while day < LOOK_UP.budget_day and await reserve(town, clerk, [f"{month}-{day}"]):
            day += 1
            asked += 1
            town.clock.advance(dt.timedelta(minutes=6))
        month += 1
    assert asked == LOOK_UP.budget_month


async def test_an_office_has_a_budget_beyond_those_of_its_members(town: Town) -> None:
    def clerk(office: str | None) -> Actor:
        return dataclasses.replace(town.staff("registrar"), office=office)

    for member in range(OFFICE_SHARE):
        assert await reserve(town, clerk("north"), [f"{member}-{number}" for number in range(MOST)])
    late = clerk("north")
    assert not await reserve(town, late, ["one more"])
    assert await reserve(town, late, ["0-0"])  # whom the office has asked about is none more
    assert await reserve(town, clerk("south"), ["one more"])
    assert await reserve(town, clerk(None), ["one more"])
    # What the office refused was not taken from the actor either.
    moved = dataclasses.replace(late, office="south")
    assert await reserve(town, moved, [f"{number}" for number in range(MOST)])


async def test_counters_that_were_lost_are_counted_anew_from_the_log(town: Town) -> None:
    clerk = town.staff("registrar")
    await town.register()
    town.clock.advance(dt.timedelta(minutes=1))
    assert await find(town, clerk, 100) == ""  # a hit is one, with what is disclosed of it
    for sequence in range(1, MOST - 2):
        assert await find(town, clerk, 200 + sequence) == "NOT_FOUND"
    town.clock.advance(dt.timedelta(minutes=30))
    assert await find(town, clerk, 300) == "NOT_FOUND"
    assert await find(town, clerk, 301) == "NOT_FOUND"
    await town.valkey.flushdb()

    assert await find(town, clerk, 302) == "BUDGET_EXHAUSTED"
    assert [await town.valkey.zcard(key) for key in await town.valkey.keys("budget:*")] == [MOST, MOST]
    assert await find(town, town.staff("registrar"), 303) == "NOT_FOUND"
    # An hour after they were asked about, not an hour after the loss.
    town.clock.advance(dt.timedelta(minutes=31))
    await town.integrate()
    assert await find(town, clerk, 304) == "NOT_FOUND"


async def test_a_partys_lost_counter_counts_each_citizen_once(town: Town) -> None:
    actor = await town.register()
    bank = town.party("riverside-bank")
    values = {"representations": [{"__typename": "Citizen", "id": str(actor.id)}]}
    for _ in range(3):
        await town.ask("identity", IS_ADULT, values, purpose="adult-check", actor=bank)
    asked = await town.value(
        "SELECT cardinality(audit.asked('client:riverside-bank', NULL, 'adult-check', :since))",
        since=town.clock.now() - HOUR,
    )
    assert asked == 1
