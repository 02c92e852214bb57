"""What a law had kept after an erasure ends with its term, by itself: nothing of it opens from then on, for anybody."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from permit_office import Office
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town

from gov_services.crypto.keys import DataClass
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id
from gov_services.privacy.holds import HOLDS, terms_of
from gov_services.privacy.service.terms import TERMS
from gov_services.subgraph.events import Event

pytestmark = pytest.mark.untraced

ERASE = """mutation($input: RequestErasureInput!) { requestErasure(input: $input) { kept { dataClass until } } }"""
STANDING = "SELECT data_class FROM keys.data_key WHERE wrapped IS NOT NULL AND citizen_id = :citizen ORDER BY 1"
YEAR = dt.timedelta(days=366)
moments = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2090, 1, 1), timezones=st.just(dt.UTC))


@given(st.dictionaries(st.sampled_from([DataClass.PERMITS, DataClass.PAYMENTS]), moments), moments)
def test_the_record_of_accesses_outlives_what_can_be_accessed(facts: dict[DataClass, dt.datetime], now: Any) -> None:
    terms = terms_of({**facts, DataClass.AUDIT: now})

    assert terms.keys() == {*facts, DataClass.AUDIT}
    for data_class, since in facts.items():
        assert terms[data_class] == HOLDS[data_class].ends_at(since)
        assert terms[DataClass.AUDIT] >= HOLDS[DataClass.AUDIT].ends_at(terms[data_class])
    assert terms[DataClass.AUDIT] >= HOLDS[DataClass.AUDIT].ends_at(now)


def test_the_database_counts_the_same_years() -> None:
    migration = importlib.import_module("migrations.versions.0023_terms")
    counted = re.findall(r"WHEN '(\w+)' THEN interval '(\d+) years'", migration.OVER)
    assert dict(counted) == {kind.value: str(HOLDS[kind].years) for kind in (DataClass.PERMITS, DataClass.PAYMENTS)}


async def told(town: Town, source: str, kind: str, citizen_id: UUID | None, at: dt.datetime) -> None:
    """A fact of another room, as its event brings it."""
    assert await town.rooms["privacy"].receive(Event(new_id(at), source, kind, citizen_id, {}, at).encode())


async def erased(town: Town) -> UUID:
    """A citizen with a file and a voucher, erased."""
    citizen = await town.register()
    assert citizen.id is not None
    now = town.clock.now()
    await told(town, "permits", "permits.application_submitted", citizen.id, now)
    await told(town, "payments", "payments.bill_settled", citizen.id, now)
    await town.ask("privacy", ERASE, {"input": {"confirm": True}}, purpose="erasure", actor=citizen)
    await town.settle()
    return citizen.id


async def standing(town: Town, citizen_id: UUID) -> list[str]:
    return [row["data_class"] for row in await town.rows(STANDING, citizen=citizen_id)]


async def run(town: Town) -> int:
    done = await town.rooms["privacy"].run_job(TERMS)
    await town.settle()
    return done


async def test_each_class_goes_when_its_own_term_is_over_and_the_log_last(town: Town) -> None:
    citizen_id = await erased(town)
    start = town.clock.now()
    assert await standing(town, citizen_id) == ["audit", "payments", "permits"]

    left = []
    for years in (0, 3, 9, 10, 29, 30, 32, 33):
        town.clock.advance(start.replace(year=start.year + years) + dt.timedelta(days=1) - town.clock.now())
        await run(town)
        left.append((years, await standing(town, citizen_id)))

    held = ["audit", "payments", "permits"]
    assert left == [
        *((years, held) for years in (0, 3, 9)),
        *((years, ["audit", "payments"]) for years in (10, 29)),
        *((years, ["audit"]) for years in (30, 32)),
        (33, []),
    ]
    reasons = await town.rows("SELECT data_class, reason FROM keys.data_key WHERE destroyed_at IS NOT NULL ORDER BY 1")
    assert {row["data_class"]: row["reason"] for row in reasons} == {
        **dict.fromkeys(["audit", "payments", "permits"], "term over"),
        **dict.fromkeys(["health", "identity"], "erasure"),
    }
    over = [entry for entry in await town.entries() if entry.action == "term.over"]
    assert [entry.object for entry in over] == ["class:permits", "class:payments", "class:audit"]
    assert len({entry.subject_tag for entry in over}) == 1
    assert over[0].subject_tag is not None
    assert await town.rows("SELECT * FROM privacy.subject") == []
    assert await run(town) == 0


async def test_what_was_sealed_in_a_file_opens_until_its_term_is_over_and_never_after(town: Town) -> None:
    office = await Office.open(town)
    application = await office.submitted()
    await office.step("withdrawApplication", {"applicationId": application})
    citizen_id = office.applicant.id
    assert citizen_id is not None
    permits = town.rooms["permits"].services.discloser

    async def opens() -> bool:
        async with permits.database.reading() as session:
            keys = await permits.keys.load(
                session, citizen_ids=[citizen_id], data_class=DataClass.PERMITS, now=town.clock.now()
            )
        return citizen_id in keys

    await town.settle()
    await town.ask("privacy", ERASE, {"input": {"confirm": True}}, purpose="erasure", actor=office.applicant)
    await town.settle()
    town.clock.advance(9 * YEAR)
    await run(town)
    assert await opens()  # it is remembered now, and must not open from memory either
    town.clock.advance(2 * YEAR)
    await run(town)

    assert not await opens()
    assert await town.value("SELECT count(*) FROM permits.application") == 1


async def test_a_later_fact_moves_the_term_on_and_an_open_case_lets_none_end(town: Town) -> None:
    citizen_id = await erased(town)
    town.clock.advance(5 * YEAR)
    await told(town, "permits", "permits.application_submitted", citizen_id, town.clock.now())
    town.clock.advance(6 * YEAR)

    assert await run(town) == 1
    assert await standing(town, citizen_id) == ["audit", "payments", "permits"]
    assert [entry.object for entry in await town.entries() if entry.action == "term.moved-on"] == ["class:permits"]
    town.clock.advance(5 * YEAR)
    await run(town)
    assert await standing(town, citizen_id) == ["audit", "payments"]


async def test_ended_in_the_middle_it_goes_on_and_two_at_once_do_each_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await erased(town)
    second = (await town.register(number="11010519491231002X", phone="13900000002")).id
    assert second is not None
    await town.ask("privacy", ERASE, {"input": {"confirm": True}}, purpose="erasure", actor=town.citizen(second))
    await town.settle()
    town.clock.advance(40 * YEAR)
    keys = town.rooms["privacy"].services.discloser.keys
    shred, calls = keys.shred, []

    async def failing(*args: Any, **named: Any) -> None:
        calls.append(named["data_class"])
        if len(calls) == 3:
            raise RuntimeError("the process is killed here")
        await shred(*args, **named)

    monkeypatch.setattr(keys, "shred", failing)
    with pytest.raises(RuntimeError):
        await run(town)
    assert await standing(town, first) == ["audit", "payments", "permits"]
    monkeypatch.undo()

    await asyncio.gather(run(town), run(town))
    assert await standing(town, first) == ["audit"]  # late as it was, the file could be read until now
    assert await standing(town, second) == []
    town.clock.advance(4 * YEAR)
    await run(town)
    assert await standing(town, first) == await standing(town, second) == []
    actions = [(entry.action, entry.object) for entry in await town.entries() if entry.action == "term.over"]
    expected = ("audit", "audit", "payments", "permits")
    assert sorted(actions) == [("term.over", f"class:{name}") for name in expected]


async def test_after_a_restore_of_an_older_backup_the_same_keys_are_destroyed_again(
    town: Town, administrator: Database
) -> None:
    citizen_id = await erased(town)
    older = await town.rows("SELECT data_class, wrapped FROM keys.data_key WHERE wrapped IS NOT NULL")
    town.clock.advance(11 * YEAR)
    await run(town)
    # What docs/operations.md puts by, off the database.
    register = await town.rows(
        "SELECT citizen_id, data_class, destroyed_at, reason FROM keys.data_key WHERE destroyed_at IS NOT NULL"
    )
    assert ("permits", "term over") in [(row["data_class"], row["reason"]) for row in register]
    async with administrator.writing() as session:  # the database is as it was then
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        back = "UPDATE keys.data_key SET wrapped = :w, destroyed_at = NULL, reason = NULL WHERE data_class = 'permits'"
        wrapped = next(row["wrapped"] for row in older if row["data_class"] == "permits")
        await session.execute(text(back), {"w": wrapped})
        await session.execute(text("UPDATE privacy.kept_class SET ended_at = NULL"))
    assert await standing(town, citizen_id) == ["audit", "payments", "permits"]

    await run(town)

    assert await standing(town, citizen_id) == ["audit", "payments"]


async def test_the_database_itself_keeps_what_a_law_keeps(
    town: Town, room_database: Callable[[str], Database], administrator: Database
) -> None:
    citizen_id = await erased(town)
    now = town.clock.now()
    privacy = room_database("privacy")

    async def destroy(data_class: str, at: dt.datetime) -> int:
        async with privacy.writing() as session:
            done = await session.execute(
                text(
                    "UPDATE keys.data_key SET wrapped = NULL, destroyed_at = :at, reason = 'r' "
                    "WHERE citizen_id = :citizen AND data_class = :kind RETURNING version"
                ),
                {"citizen": citizen_id, "kind": data_class, "at": at},
            )
            return len(done.all())

    for data_class, years in (("permits", 9), ("payments", 29), ("audit", 32)):
        with pytest.raises(DBAPIError, match="row-level security"):
            await destroy(data_class, now.replace(year=now.year + years))
    with pytest.raises(DBAPIError, match="a term moves on and ends once"):
        async with privacy.writing() as session:
            await session.execute(text("UPDATE privacy.kept_class SET until = until - interval '1 day'"))
    with pytest.raises(DBAPIError):
        async with privacy.writing() as session:
            await session.execute(text("DELETE FROM privacy.kept_class"))
    # A later file counts though the term was never moved on.
    await told(town, "permits", "permits.application_submitted", citizen_id, now.replace(year=now.year + 5))
    with pytest.raises(DBAPIError, match="row-level security"):
        await destroy("permits", now.replace(year=now.year + 11))
    assert await destroy("permits", now.replace(year=now.year + 16)) == 1
    stranger = (await town.register(number="11010519491231002X", phone="13900000002")).id
    seen = "SELECT count(*) FROM keys.data_key WHERE citizen_id = :citizen AND data_class = 'permits'"
    async with privacy.reading() as session:
        assert (await session.execute(text(seen), {"citizen": citizen_id})).scalar() == 1
    assert stranger is not None
