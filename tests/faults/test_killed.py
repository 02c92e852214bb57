"""Writers, the log's process and PostgreSQL are killed under load: what was acknowledged is there, without a gap.

Twenty times in `make test-all`; five, one of each, where minutes count.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from log_processes import sign, write
from sqlalchemy import text

from gov_services.audit.verify import Report, Trust, verify_log
from gov_services.cli.installation import migrate
from gov_services.crypto.keys import init_keys
from gov_services.devstack.postgres import PostgresServer
from gov_services.kit.database import Database
from gov_services.kit.settings import Settings, load_settings

ROOMS = ("permits", "payments", "healthcode")
VICTIMS = (*ROOMS, "postgres", "integrator")
SETTLES_WITHIN_S = 60
WAITING = """
  SELECT (SELECT count(*) FROM audit.pending)
       + (SELECT count(*) FROM audit.described
           WHERE subject_tag IS NOT NULL AND seq >= (SELECT upto FROM audit.subject_map))
"""

context = multiprocessing.get_context("spawn")


class City:
    """A PostgreSQL that syncs to disk, three writers, one integrator: each started, and killed, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = PostgresServer(folder / "postgres")
        self.postgres.start()
        self.settings: Settings = dataclasses.replace(
            load_settings({}),
            database_url=self.postgres.url,
            secrets_directory=folder / "secrets",
            runtime_directory=folder / "runtime",
        )
        self.stop = folder / "stop"
        self.processes: dict[str, BaseProcess] = {}

    def start(self, name: str) -> None:
        target, args = (sign, (self.settings, str(self.stop)))
        if name in ROOMS:
            target, args = write, (self.settings, name, str(self.folder / f"{name}.answered"))
        process = context.Process(target=target, args=args, daemon=True)
        process.start()
        self.processes[name] = process

    def kill(self, name: str) -> None:
        """As SIGKILL does it: nothing is said and nothing is finished."""
        if name == "postgres":
            self.postgres.crash()
            self.postgres.start()
            return
        process = self.processes.pop(name)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        self.start(name)

    def answers(self) -> dict[str, int]:
        """What was acknowledged: entry by id, with its number; -1 for a change."""
        found = {}
        for room in ROOMS:
            lines = (self.folder / f"{room}.answered").read_text().splitlines(keepends=True)
            # One that was killed while it wrote has not said its last line.
            found |= {line.split()[0]: int(line.split()[1]) for line in lines if line.endswith("\n")}
        return found

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.join()
        self.postgres.stop()


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    tmp_path.chmod(0o711)
    city = City(tmp_path)
    try:
        init_keys(city.settings.secrets_directory)
        asyncio.run(migrate(city.settings))
        for name in (*ROOMS, "integrator"):
            city.start(name)
        yield city
    finally:
        city.close()


def until(what: str, holds: Any) -> None:
    ends = time.monotonic() + SETTLES_WITHIN_S
    while not holds():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


async def looked_at(city: City) -> tuple[Report, dict[str, int], int]:
    """Verification; every entry that has a number; how many wait for one, or to be mapped."""
    database = Database(city.settings.room_database_url("privacy"), pool_size=1)
    trust = Trust.load(city.settings.secrets_directory, city.settings.log_origin)
    try:
        async with database.reading() as session:
            await session.execute(text("SET LOCAL statement_timeout = '60s'"))
            report = await verify_log(session, trust)
            rows = await session.execute(text("SELECT id, seq FROM audit.entry"))
            there = {str(row.id): row.seq for row in rows}
            waiting = (await session.execute(text(WAITING))).scalar_one()
            roots = (
                await session.execute(text("SELECT count(*) FROM audit.described WHERE kind = 'map'"))
            ).scalar_one()
            assert roots or waiting, "nothing was mapped"
            return report, there, waiting
    finally:
        await database.close()


def kill_and_look(city: City, times: int) -> None:
    until("nothing is acknowledged", lambda: all((city.folder / f"{room}.answered").exists() for room in ROOMS))
    chance = random.Random(20)
    for victim in itertools.islice(itertools.cycle(VICTIMS), times):
        before = len(city.answers())
        time.sleep(chance.uniform(0.1, 0.5))
        city.kill(victim)
        # Work resumes by itself.
        until(f"nothing is acknowledged after {victim} was killed", lambda n=before: len(city.answers()) > n + 20)
    for room in ROOMS:
        process = city.processes.pop(room)
        process.kill()
        process.join()
    found = asyncio.run(looked_at(city))
    ends = time.monotonic() + SETTLES_WITHIN_S
    while found[2] and time.monotonic() < ends:
        time.sleep(0.2)
        found = asyncio.run(looked_at(city))
    city.stop.touch()
    city.processes.pop("integrator").join(SETTLES_WITHIN_S)
    report, there, waiting = asyncio.run(looked_at(city))
    answers = city.answers()

    assert report.sound, report.findings
    assert waiting == 0
    assert len(answers) > times * 20
    assert sorted(there.values()) == list(range(len(there))), "numbers have gaps"
    assert [one for one in answers if one not in there] == [], "acknowledged, and not there"
    assert [one for one, seq in answers.items() if seq not in (-1, there[one])] == [], "acknowledged as another number"
    assert report.covered == len(there)


def test_each_is_killed_once(city: City) -> None:
    kill_and_look(city, len(VICTIMS))


@pytest.mark.slow
def test_they_are_killed_twenty_times(city: City) -> None:
    kill_and_look(city, 20)
