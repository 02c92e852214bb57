"""An erasure is complete within the promised days, against dumps of the database that were made before it as well."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
from postgres_tools import dump_database, restore_database
from redis.asyncio import Redis
from town import CITY_URL, Town, found_town, sample_number
from what_opens import Dump, take_dump

from gov_services.cli import key_calendar
from gov_services.cli.key_calendar import Kept
from gov_services.crypto.calendar import HOLDERS
from gov_services.crypto.data_keys import DataKeys
from gov_services.crypto.keys import DataClass, LocalKeyProvider
from gov_services.kit.actor import Actor
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.settings import Settings

pytestmark = pytest.mark.untraced

DAY = dt.timedelta(days=1)
ERASE = "mutation($input: RequestErasureInput!) { requestErasure(input: $input) { destroyed userErrors { code } } }"
QUIET = range(2, 28)
"""Days on which the calendar would find nothing to do: leaving them out takes a third of the time."""
ERASED = (DataClass.IDENTITY, DataClass.PERMITS, DataClass.PAYMENTS, DataClass.HEALTH)


@dataclasses.dataclass
class Years:
    """A city whose rooms are started anew whenever a key was made, and whose calendar is kept once a day."""

    settings: Settings
    clock: FrozenClock
    database: Database
    valkey: Redis
    town: Town

    async def next_day(self, *, restart: bool = True, keep: bool = True) -> list[Kept]:
        """A day passes, and the calendar is kept. A key that was made is placed, and the rooms start anew."""
        self.clock.advance(DAY)
        if not keep:
            return []
        kept = await key_calendar.keep(self.settings, clock=self.clock, tell=lambda *_: None)
        if restart and any(one.made for one in kept):
            await self.restart()
        return kept

    async def restart(self) -> None:
        """Every room starts anew and says by which keys it wraps; payments, which this town lacks, says so too."""
        await self.town.close()
        self.town = await found_town(self.settings, clock=self.clock, database=self.database, valkey=self.valkey)
        for room in self.town.rooms.values():
            await room.require_right_keys()
        payments = DataKeys(LocalKeyProvider(self.settings.secrets_directory, [DataClass.PAYMENTS, DataClass.AUDIT]))
        async with self.database.writing() as session:
            await payments.state_holding(session, holder="payments", now=self.clock.now())

    async def name_of(self, citizen: Actor) -> str | None:
        """What the citizen reads as their own name."""
        actor = self.town.citizen(citizen.id)  # type: ignore[arg-type]
        answer = await self.town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)
        return (answer.get("data") or {}).get("me") and answer["data"]["me"]["name"]

    def opens(self, dump: Dump, citizen: Actor, classes: tuple[DataClass, ...] = tuple(DataClass)) -> list[bytes]:
        """What somebody opens who has that dump and the key files of today."""
        keys = [key for key in dump.keys(self.settings.secrets_directory, classes) if key.citizen_id == citizen.id]
        return dump.opened(keys, of=classes)

    def unwraps(self, dump: Dump, citizen_id: UUID | None = None) -> set[str]:
        """Classes of which the key files of today unwrap a data key out of that dump."""
        keys = dump.keys(self.settings.secrets_directory, DataClass)
        return {key.data_class.value for key in keys if citizen_id in (None, key.citizen_id)}


@pytest.fixture
async def years(
    settings: Settings, clock: FrozenClock, database: Database, valkey: Redis, tmp_path: Path
) -> AsyncIterator[Years]:
    """The city on the day when it begins, with key files of its own; its calendar was kept for the first time."""
    shutil.copytree(settings.secrets_directory, tmp_path / "own-secrets")
    settings = dataclasses.replace(
        settings,
        secrets_directory=tmp_path / "own-secrets",
        graph_directory=tmp_path / "graph",
        public_url=CITY_URL,
        sms_url="http://providers.test/sms",
        population_register_url="http://providers.test/population-register/match",
    )
    town = await found_town(settings, clock=clock, database=database, valkey=valkey)
    made = Years(settings, clock, database, valkey, town)
    await made.restart()
    await made.next_day()
    yield made
    await made.town.close()


async def restored(database_url: str, file: Path, name: str) -> Dump:
    """What is in a dump, once it is restored into a database of its own."""
    url = urlsplit(database_url)._replace(path=f"/{name}").geturl()
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        await asyncio.to_thread(restore_database, url, file)
        found = await take_dump(url)
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()
    return found


async def test_after_the_promised_days_a_dump_from_before_an_erasure_opens_nothing_of_the_citizen(
    years: Years, database_url: str, tmp_path: Path
) -> None:
    stays = await years.town.register()
    erased = await years.town.register(
        name="测试乙", number=sample_number(sequence=200), phone="13900000002", address="示例市西区二号"
    )
    await asyncio.to_thread(dump_database, database_url, tmp_path / "before.dump")
    answer = await years.town.ask("privacy", ERASE, {"input": {"confirm": True}}, purpose="erasure", actor=erased)
    assert answer["data"]["requestErasure"] == {"destroyed": [c.value.upper() for c in ERASED], "userErrors": []}
    await years.town.settle()
    promised = key_calendar.terms_of(years.settings).complete_after
    assert promised == 41 * DAY, "docs/operations.md says 41"

    dump = await restored(database_url, tmp_path / "before.dump", f"{urlsplit(database_url).path[1:]}_restored")
    # On the day itself the dump and the keys open everything: what this test sees end.
    assert "测试乙".encode() in years.opens(dump, erased)
    assert years.unwraps(dump, erased.id) == {item.value for item in DataClass}

    for day in range(1, promised // DAY + 1):
        kept = await years.next_day(keep=day not in QUIET)
        assert [one.problem for one in kept if one.problem] == []
        if day == promised // DAY - 4:
            assert years.unwraps(dump, erased.id) == {item.value for item in DataClass}, "not long before it opened"

    assert years.unwraps(dump) == set()
    assert years.opens(dump, erased) == years.opens(dump, stays) == []
    # Who stays reads on, under keys that were wrapped anew; a dump of today opens theirs, and nothing of the erased.
    assert await years.name_of(stays) == "测试甲"
    assert await years.name_of(erased) is None
    today = await take_dump(database_url)
    assert "测试甲".encode() in years.opens(today, stays)
    assert years.opens(today, erased) == []
    held = sorted(path.stem for path in (years.settings.secrets_directory / "kek").rglob("*.key"))
    assert held == ["0002"] * len(DataClass)


async def test_a_room_that_was_not_started_anew_holds_the_calendar_up_and_it_says_so(
    years: Years, tmp_path: Path
) -> None:
    citizen = await years.town.register()
    for day in range(1, years.settings.kek_epoch_days + 1):
        kept = await years.next_day(restart=False, keep=day not in QUIET)
    assert [one.made for one in kept] == [True] * len(DataClass)
    assert {one.data_class: one.waits_for for one in kept} == {kind.value: list(HOLDERS[kind]) for kind in DataClass}

    kept = await years.next_day(restart=False)
    assert [(one.made, one.rewrapped, one.left, one.problem) for one in kept] == [(False, 0, [], "")] * 5
    kept = await years.next_day(restart=False)

    assert kept[3].problem == ("healthcode and identity do not wrap by health/0002: keys export, keys place, restart")
    assert all(one.rewrapped == 0 and one.left == [] for one in kept)
    assert await years.name_of(citizen) == "测试甲", "the rooms open what they opened, since nothing was wrapped anew"

    await years.restart()
    kept = await years.next_day()
    assert {one.data_class: (one.rewrapped, one.left, one.problem) for one in kept} == {
        kind.value: (1, [f"{kind.value}/0001"], "") for kind in DataClass
    }
    assert await years.name_of(citizen) == "测试甲"
    # Kept twice on one day, it finds nothing to do.
    again = await key_calendar.keep(years.settings, clock=years.clock, tell=lambda *_: None)
    assert all((one.made, one.rewrapped, one.left, one.destroyed) == (False, 0, [], []) for one in again)


async def test_what_the_calendar_did_stands_in_the_log(years: Years) -> None:
    await years.town.register()
    for day in range(1, 41):
        await years.next_day(keep=day not in QUIET)

    actions = [
        (entry.action, entry.object)
        for entry in await years.town.entries()
        if entry.kind.value == "key" and entry.object and "kek:health" in entry.object
    ]
    assert actions == [
        ("kek.newest", "kek:health/0001"),
        ("kek.newest", "kek:health/0002"),
        ("kek.rewrapped", "kek:health/0002"),
        ("kek.retired", "kek:health/0001"),
        ("kek.destroyed", "kek:health/0001"),
    ]
