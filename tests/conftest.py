"""What every test may ask for: servers, a migrated database of its own, keys, a clock. It holds no test and no data.

One PostgreSQL and one Valkey serve a whole session: with xdist the controller owns them and tells the workers where
they are. Migrations run once, into a template; each test that asks for a database gets a copy. With DATABASE_URL or
VALKEY_URL set, those servers are used; only databases and roles that this session made are touched there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import hypothesis
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from redis.asyncio import Redis
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine
from town import CITY_URL, Town, found_town

from gov_services.cli.database import set_room_passwords, upgrade
from gov_services.crypto.keys import init_keys
from gov_services.devstack.servers import servers
from gov_services.devstack.valkey import ValkeyServer
from gov_services.identity import passwords
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.logging import configure_logging
from gov_services.kit.settings import ROOMS, Settings, load_settings
from gov_services.kit.valkey import create_client

T = TypeVar("T")
_MIGRATING = 0x676F76
"""The advisory lock under which one worker makes the template while the others wait."""
_MEMORY_WANTED_BYTES = 1 << 30
_copies = itertools.count()

configure_logging("error")

# Hashing that is meant to be dear costs as much as the rest of a test: here it costs little.
passwords._hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=1024, parallelism=1),))
passwords._NOBODYS = passwords._hasher.hash("a password that nobody has")

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("gov-services", deadline=None)
hypothesis.settings.load_profile("gov-services")


@dataclass(frozen=True, slots=True)
class Stack:
    """What one session shares."""

    run: str
    """Eight hexadecimal digits, in the name of everything that this session makes."""
    maintenance_url: str
    """A database from which others are made; nothing is written to it."""
    superuser_url: str
    """The same server as its superuser, where it is ours."""
    valkey_url: str
    secrets_directory: str

    @property
    def template(self) -> str:
        """Name of the migrated database that tests get copies of."""
        return f"test_{self.run}"

    @property
    def role_prefix(self) -> str:
        """Roles belong to the cluster, so this session's are its own."""
        return f"t{self.run}"


def pytest_configure_node(node: Any) -> None:
    """The controller starts the servers before its first worker, and tells each worker (a hook of xdist)."""
    node.workerinput["stack"] = asdict(_owned_stack(node.config))


pytest_configure_node = pytest.hookimpl(optionalhook=True)(pytest_configure_node)
_STACK = pytest.StashKey[Stack]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Leave the tracer off for tests that say so: the lines they come through are counted with others."""
    plugin = item.config.pluginmanager.getplugin("_cov")
    controller = getattr(plugin, "cov_controller", None)
    if controller is None or item.get_closest_marker("untraced") is None:
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()


def _owned_stack(config: pytest.Config) -> Stack:
    """The session's servers, started at the first call and stopped when pytest ends, interrupted or not."""
    if _STACK not in config.stash:
        given = load_settings()
        data = Path(tempfile.mkdtemp(prefix="gov-services-tests-", dir=_fast_directory()))
        config.add_cleanup(lambda: shutil.rmtree(data, ignore_errors=True))
        stack = servers(data, database_url=given.database_url, valkey_url=given.valkey_url, throw_away=True)
        addresses = stack.start()
        config.add_cleanup(stack.stop)
        config.stash[_STACK] = made = Stack(
            run=secrets.token_hex(4),
            maintenance_url=addresses.database_url,
            superuser_url=addresses.superuser_url,
            valkey_url=addresses.valkey_url,
            secrets_directory=str(data / "secrets"),
        )
        if given.database_url:
            config.add_cleanup(lambda: _apart(lambda: asyncio.run(_leave_as_found(made))))
    return config.stash[_STACK]


def _fast_directory() -> Path | None:
    """Memory rather than disk where there is enough of it: a copy of a database is three hundred small files."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _MEMORY_WANTED_BYTES:
        return memory
    return None


def _apart(work: Callable[[], T]) -> T:
    """Do something that runs an event loop of its own where no other runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


async def _leave_as_found(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.maintenance_url)
    try:
        for row in await connection.fetch(
            "SELECT datname FROM pg_database WHERE datname LIKE $1", stack.template.replace("_", r"\_") + "%"
        ):
            await connection.execute(f'DROP DATABASE "{row[0]}" WITH (FORCE)')
        for room in ROOMS:
            await connection.execute(f'DROP ROLE IF EXISTS "{stack.role_prefix}_{room}"')
    finally:
        await connection.close()


def _database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Stack:
    """The session's servers; a worker is told of them by the controller."""
    told = getattr(request.config, "workerinput", None)
    return Stack(**told["stack"]) if told else _owned_stack(request.config)


@pytest.fixture(scope="session")
def secrets_directory(stack: Stack) -> Path:
    """Key files and database passwords as `keys init` makes them, one set a session."""
    _apart(lambda: asyncio.run(_under_lock(stack, _make_secrets)))
    return Path(stack.secrets_directory)


@pytest.fixture(scope="session")
def template_database(stack: Stack, secrets_directory: Path) -> str:
    """Name of the migrated database; made by the first that asks."""
    _apart(lambda: asyncio.run(_under_lock(stack, _make_template)))
    return stack.template


async def _under_lock(stack: Stack, make: Callable[[Stack, asyncpg.Connection], Coroutine[None, None, None]]) -> None:
    connection = await asyncpg.connect(stack.maintenance_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATING)
        await make(stack, connection)
    finally:
        await connection.close()


async def _make_secrets(stack: Stack, _: asyncpg.Connection) -> None:
    await asyncio.to_thread(init_keys, Path(stack.secrets_directory))


async def _make_template(stack: Stack, connection: asyncpg.Connection) -> None:
    if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", stack.template):
        return
    unfinished = f"{stack.template}_unfinished"
    await connection.execute(f'DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)')
    await connection.execute(f'CREATE DATABASE "{unfinished}" TEMPLATE template0')
    url = _database(stack.maintenance_url, unfinished)
    await asyncio.to_thread(upgrade, url, role_prefix=stack.role_prefix)
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
    async with engine.begin() as migrator:
        passwords = Path(stack.secrets_directory) / "db"
        await set_room_passwords(migrator, role_prefix=stack.role_prefix, directory=passwords)
        if not stack.superuser_url:
            # Up to PostgreSQL 15 who made a role is no member of it, and may not end its connections: tests do.
            for room in ROOMS:
                await migrator.execute(text(f'GRANT "{stack.role_prefix}_{room}" TO CURRENT_USER'))
    await engine.dispose()
    await connection.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{stack.template}"')


@pytest.fixture
async def database_url(stack: Stack, template_database: str, worker: str) -> AsyncIterator[str]:
    """A migrated database for this test alone, as the migrator."""
    name = f"{template_database}_{worker}_{next(_copies)}"
    connection = await asyncpg.connect(stack.maintenance_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}" STRATEGY FILE_COPY')
        yield _database(stack.maintenance_url, name)
        await _drop(connection, name)
    finally:
        await connection.close()


async def _drop(connection: asyncpg.Connection, name: str) -> None:
    """Remove a database. A vacuum of the server's own that is at work there may be ended by a superuser only."""
    for _ in range(20):
        try:
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        except asyncpg.InsufficientPrivilegeError:
            await asyncio.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{name} is still in use")


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    """Which of xdist's workers this is: `gw0`, `gw1`, …; `gw0` too where there are none."""
    told = getattr(request.config, "workerinput", None)
    return str(told["workerid"]) if told else "gw0"


@pytest.fixture(scope="session")
def worker_valkey_url(stack: Stack, worker: str) -> str:
    """A numbered database of Valkey for this worker alone, which had nothing in it when the session began."""
    number = 15 - int(worker.removeprefix("gw"))
    url = urlunsplit(urlsplit(stack.valkey_url)._replace(path=f"/{number}"))

    async def count_keys() -> int:
        async with Redis.from_url(url) as client:
            return int(await client.dbsize())

    if _apart(lambda: asyncio.run(count_keys())):
        pytest.exit(f"database {number} of the Valkey at VALKEY_URL is not empty; tests would empty it")
    return url


@pytest.fixture
async def valkey_url(worker_valkey_url: str) -> AsyncIterator[str]:
    """Valkey, empty."""
    yield worker_valkey_url
    async with Redis.from_url(worker_valkey_url) as client:
        await client.flushdb()


@pytest.fixture
async def valkey(valkey_url: str) -> AsyncIterator[Redis]:
    """A client of Valkey as the product makes it."""
    client = create_client(valkey_url)
    yield client
    await client.aclose()


@pytest.fixture
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A Valkey for this test alone, to be stopped, killed and started again."""
    server = ValkeyServer(tmp_path_factory.mktemp("own") / "valkey", throw_away=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(database_url: str, valkey_url: str, secrets_directory: Path, stack: Stack, tmp_path: Path) -> Settings:
    """Settings of an installation that consists of this test's database, keys and Valkey."""
    return Settings(
        environment="development",
        database_url=database_url,
        valkey_url=valkey_url,
        runtime_directory=tmp_path / "runtime",
        secrets_directory=secrets_directory,
        role_prefix=stack.role_prefix,
        pool_size=2,
    )


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """This test's database as the migrator, who owns everything."""
    database = Database(database_url, pool_size=2, application="tests")
    yield database
    await database.close()


@pytest.fixture
async def administrator(stack: Stack, database_url: str) -> AsyncIterator[Database]:
    """This test's database as a superuser, who may turn triggers off: for what the log must find out afterwards."""
    if not stack.superuser_url:
        pytest.skip("the server at DATABASE_URL has not told us its superuser")
    name = urlsplit(database_url).path.removeprefix("/")
    database = Database(_database(stack.superuser_url, name), pool_size=2, application="administrator")
    yield database
    await database.close()


@pytest.fixture
async def room_database(settings: Settings) -> AsyncIterator[Callable[[str], Database]]:
    """`room_database("permits")`: this test's database under that room's role, with its rights and no others."""
    made: dict[str, Database] = {}

    def of_room(room: str) -> Database:
        if room not in made:
            made[room] = Database(settings.room_database_url(room), pool_size=2, application=room)
        return made[room]

    yield of_room
    for database in made.values():
        await database.close()


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that stands at nine in the morning in Beijing on 2 March 2026, and moves when told."""
    return FrozenClock(dt.datetime(2026, 3, 2, 1, 0, tzinfo=dt.UTC))


@pytest.fixture
async def town(
    settings: Settings, clock: FrozenClock, database: Database, valkey: Redis, tmp_path: Path
) -> AsyncIterator[Town]:
    """Identity and privacy on this test's database, asked as the gateway asks them."""
    settings = dataclasses.replace(
        settings,
        graph_directory=tmp_path / "graph",
        public_url=CITY_URL,
        sms_url="http://providers.test/sms",
        population_register_url="http://providers.test/population-register/match",
    )
    founded = await found_town(settings, clock=clock, database=database, valkey=valkey)
    yield founded
    await founded.close()
