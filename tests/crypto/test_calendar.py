"""The calendar of key-encryption keys: whatever the days on which it is kept, an erasure is complete in time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from gov_services.cli.key_sets import KEY_SETS
from gov_services.crypto import calendar, store
from gov_services.crypto.calendar import BETWEEN_RUNS, HOLDERS, PLACING, SETTLED, Terms
from gov_services.crypto.keys import DataClass
from gov_services.crypto.models import HolderRow
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database

START = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
NEWEST = "health/0002"


def said(holder: str, kek_id: str, since: dt.datetime = START) -> HolderRow:
    return HolderRow(holder=holder, data_class="health", kek_id=kek_id, since=since)


@given(
    epoch=st.integers(1, 90),
    grace=st.integers(0, 30),
    gaps=st.lists(st.floats(3600, BETWEEN_RUNS.total_seconds()), min_size=1, max_size=20),
    placing=st.floats(0, (PLACING - SETTLED).total_seconds()),
)
def test_a_key_is_gone_within_the_promised_time_whenever_in_the_day_the_calendar_is_kept(
    epoch: int, grace: int, gaps: list[float], placing: float
) -> None:
    terms = Terms(epoch=dt.timedelta(days=epoch), grace=dt.timedelta(days=grace))
    now, made, retired, run = START, None, {}, 0
    # As `keys rotate --due` goes through it: the older key was the newest from START on.
    while not (retired and calendar.may_go(terms, retired, retired, now=now)):
        now += dt.timedelta(seconds=gaps[run % len(gaps)])
        run += 1
        if made is None and calendar.is_next_due(terms, since=START, now=now):
            made = now
        if made is None or retired:
            continue
        placed = [said(room, NEWEST, made + dt.timedelta(seconds=placing)) for room in HOLDERS[DataClass.HEALTH]]
        placed = [row for row in placed if row.since <= now]
        waits_for = calendar.lacking(DataClass.HEALTH, NEWEST, placed, now=now)
        assert not calendar.is_late(waits_for, since=made, now=now)
        if not waits_for:
            retired = {"health/0001": now}

    assert made is not None
    assert terms.epoch + terms.grace <= now - START <= terms.complete_after


def test_every_room_that_needs_a_key_must_say_that_it_has_it_for_an_hour() -> None:
    def lacking(*rows: HolderRow, newest: str = NEWEST, after: dt.timedelta = SETTLED) -> list[str]:
        return calendar.lacking(DataClass.HEALTH, newest, rows, now=START + after)

    assert lacking() == ["healthcode", "identity"]
    assert lacking(said("identity", NEWEST), said("permits", NEWEST)) == ["healthcode"]
    assert lacking(said("identity", NEWEST), said("healthcode", "health/0001")) == ["healthcode"]
    both = (said("identity", NEWEST), said("healthcode", NEWEST))
    assert lacking(*both) == []
    assert lacking(*both, after=SETTLED - dt.timedelta(seconds=1)) == ["healthcode", "identity"]
    # A key that was added in Vault is seen there by who wraps there; who does not yet could not unwrap it.
    theirs = (said("identity", "health/0002.vault"), said("healthcode", "health/0001"))
    assert lacking(*theirs, newest="health/0003.vault") == ["healthcode"]


def test_the_rooms_that_are_waited_for_are_those_that_get_the_keys() -> None:
    for room in ("identity", "permits", "payments", "healthcode", "privacy"):
        given_to = {item for item in DataClass if any(f"kek/{item.value}/" in one for one in KEY_SETS[room])}
        assert {item for item in DataClass if room in HOLDERS[item]} == given_to, room


async def test_a_room_speaks_for_itself_and_its_first_word_counts(
    room_database: Callable[[str], Database], clock: FrozenClock
) -> None:
    async def state(room: str, holder: str, kek_id: str) -> None:
        async with room_database(room).writing() as session:
            await store.state_holding(session, holder=holder, data_class="health", kek_id=kek_id, now=clock.now())

    began = clock.now()
    await state("healthcode", "healthcode", "health/0001")
    clock.advance(dt.timedelta(days=1))
    await state("healthcode", "healthcode", "health/0001")
    async with room_database("healthcode").reading() as session:
        (row,) = await store.holders(session, data_class="health")
    assert (row.kek_id, row.since) == ("health/0001", began)

    await state("healthcode", "healthcode", "health/0002")
    async with room_database("healthcode").reading() as session:
        (row,) = await store.holders(session, data_class="health")
    assert (row.kek_id, row.since) == ("health/0002", clock.now())
    with pytest.raises(DBAPIError, match="row-level security"):
        await state("healthcode", "identity", "health/0002")
    with pytest.raises(DBAPIError, match="permission denied"):
        await state("worker", "worker", "health/0002")
