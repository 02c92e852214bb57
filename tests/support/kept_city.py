"""An installation that is kept and restored by the commands of docs/operations.md, and a city on it. No test here."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
from postgres_tools import postgres_programs

from gov_services.audit.checkpoint import Checkpoint, open_checkpoint
from gov_services.cli.running import system
from gov_services.crypto.signing import VerifyKeys
from gov_services.devstack.journey.town import Town, invent_person
from gov_services.devstack.postgres import PostgresServer
from gov_services.kit.settings import PROJECT_ROOT, Settings

PAGE = PROJECT_ROOT / "docs" / "operations.md"


@dataclass
class Place:
    """One installation: a PostgreSQL, keys and files. `kept` is where its backups are."""

    settings: Settings
    postgres: PostgresServer
    kept: Path

    def follow(self, block: str) -> str:
        """Run a block of commands of the page in a shell, as an operator does; what was printed. They must succeed."""
        done = self.try_to_follow(commands(block))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def try_to_follow(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run commands in a shell, with the environment of this installation."""
        url = urlsplit(self.settings.database_url)
        return subprocess.run(
            ["/bin/sh", "-eu", "-c", text],
            capture_output=True,
            text=True,
            timeout=60,
            env={
                "PATH": os.pathsep.join(
                    (str(postgres_programs()), str(Path(sys.executable).parent), os.environ["PATH"])
                ),
                "DATABASE_URL": self.settings.database_url,
                "VALKEY_URL": self.settings.valkey_url,
                "GOV_RUNTIME_DIR": str(self.settings.runtime_directory),
                "GOV_SECRETS_DIR": str(self.settings.secrets_directory),
                "PGHOST": str(url.hostname),
                "PGPORT": str(url.port),
                "PGUSER": str(url.username),
                "PGPASSWORD": str(url.password),
                "PGDATABASE": url.path.removeprefix("/"),
                "BACKUP": str(self.kept / "backup"),
                "KEY_BACKUP": str(self.kept / "keys"),
                "DATA_KEY_BACKUP": str(self.kept / "data-keys"),
            },
        )


def commands(block: str) -> str:
    """The commands that the page marks as tried under this name."""
    found = re.search(rf"<!-- tried: {block} -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None, f"the page has no block {block}"
    return found[1]


@contextmanager
def installed(directory: Path, beginning: Settings, kept: Path) -> Iterator[Place]:
    """A PostgreSQL with an empty database, and names for directories that are not there yet."""
    postgres = PostgresServer(directory / "postgres")
    postgres.start()
    try:
        settings = dataclasses.replace(
            beginning,
            database_url=postgres.url,
            runtime_directory=directory / "run",
            secrets_directory=directory / "secrets",
        )
        yield Place(settings, postgres, kept)
    finally:
        postgres.stop()


@asynccontextmanager
async def city(place: Place, *towns: Town) -> AsyncIterator[Callable[[str], Town]]:
    """The city runs on what is in place; `towns` reach it again. Yields what makes the town of a new citizen."""
    async with AsyncExitStack() as stack:
        port = urlsplit(place.settings.public_url).port or 0
        running = await stack.enter_async_context(system(place.settings, port=port))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=running.url, timeout=15))
        around = running.sandboxes
        for town in towns:
            town.http, town.providers_url, town.channel_url = http, around.providers_url, around.channel_url

        def of(name: str) -> Town:
            accounts = running.accounts
            addresses = (around.providers_url, around.channel_url)
            return Town(http, running.manifest, accounts.staff, accounts.clients, *addresses, invent_person(name))

        yield of


async def until_signed(place: Place) -> int:
    """Wait until a published checkpoint covers all that is logged; its size."""
    connection = await asyncpg.connect(place.settings.database_url)
    try:
        for _ in range(100):
            size = published(place).size
            if size == await connection.fetchval(
                "SELECT next FROM audit.head WHERE NOT EXISTS (SELECT FROM audit.pending)"
            ):
                return size
            await asyncio.sleep(0.05)
    finally:
        await connection.close()
    raise AssertionError("the log was not signed within five seconds")


def note(place: Place) -> str:
    """The checkpoint that was published last."""
    return "".join(path.read_text() for path in (place.settings.runtime_directory / "log").glob("*.checkpoint"))


def published(place: Place) -> Checkpoint:
    """What it says."""
    keys = VerifyKeys.load(place.settings.secrets_directory, "log")
    return (
        open_checkpoint(note(place), keys, origin=place.settings.log_origin) if note(place) else Checkpoint("", -1, b"")
    )
