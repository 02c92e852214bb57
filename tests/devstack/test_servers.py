"""The launcher: what it starts answers to us alone, keeps what it was told, and never outlives its owner."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from gov_services.devstack import processes
from gov_services.devstack.postgres import PostgresServer
from gov_services.devstack.processes import Account, ServerNotStarted
from gov_services.devstack.servers import servers, template_directory
from gov_services.devstack.valkey import ValkeyServer

OWNER = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started with it ignored
from pathlib import Path
from gov_services.devstack.servers import DevelopmentServers, servers
stack = servers(Path(sys.argv[1]), throw_away=True)
with stack:
    held = [stack._postgres.process, stack._valkey.process]
    print(*(number for one in held for number in (one.pid, one._watcher.pid)), flush=True)
    if sys.argv[2:] == ["fork"] and os.fork() == 0:
        time.sleep(5)
        os._exit(0)
    time.sleep(60)
"""
PATIENCE_S = 10.0


def is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter where it ends while it is read
        return False
    return state != "Z"


def command_lines() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace"))
    return "\n".join(found)


def left_of(process_ids: list[int]) -> list[int]:
    deadline = time.monotonic() + PATIENCE_S
    while (left := [number for number in process_ids if is_running(number)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def start_owner(directory: Path, *arguments: str) -> tuple[subprocess.Popen[str], list[int]]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(directory), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert owner.stdout is not None
    return owner, [int(number) for number in owner.stdout.readline().split()]


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(tmp_path / "postgres", template=template_directory())
    yield server
    server.stop()


async def test_a_long_path_with_a_space_serves_and_nothing_is_left_of_what_is_thrown_away(tmp_path: Path) -> None:
    data = tmp_path / ("a directory " + "of a long name " * 8)
    started = time.monotonic()
    async with servers(data, throw_away=True) as addresses:
        assert time.monotonic() - started < 10
        connection = await asyncpg.connect(addresses.database_url)
        role = await connection.fetchrow(
            "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        )
        assert tuple(role) == ("migrator", False, True, True)
        assert await connection.fetchval("SELECT current_setting('server_version')::numeric") >= 18
        await connection.close()
        async with Redis.from_url(addresses.valkey_url) as client:
            assert await client.incr("n") == 1
    assert not data.exists()


async def test_without_the_password_neither_server_answers(tmp_path: Path) -> None:
    with servers(tmp_path / "data", throw_away=True) as addresses:
        password = addresses.database_url.split(":")[2].split("@")[0]
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(addresses.database_url.replace(password, "guess"))
        password = addresses.valkey_url.split(":")[2].split("@")[0]
        async with Redis.from_url(addresses.valkey_url.replace(password, "guess")) as client:
            with pytest.raises(AuthenticationError):
                await client.ping()
        assert password not in command_lines()


async def test_durable_servers_keep_their_data_over_a_stop_and_over_a_crash(tmp_path: Path) -> None:
    postgres, valkey = PostgresServer(tmp_path / "postgres"), ValkeyServer(tmp_path / "valkey")
    postgres.start()
    valkey.start()
    try:
        url, valkey_url = postgres.url, valkey.url
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE kept (number integer); INSERT INTO kept VALUES (1)")
        await connection.close()
        async with Redis.from_url(valkey_url) as client:
            await client.set("kept", 1)
        postgres.stop()
        valkey.stop()
        postgres.start()
        valkey.start()
        assert (postgres.url, valkey.url) == (url, valkey_url)
        connection = await asyncpg.connect(url)
        await connection.execute("INSERT INTO kept VALUES (2)")
        await connection.close()
        process = postgres.process
        postgres.crash()
        assert not process.running()
        with pytest.raises(ConnectionRefusedError):
            await asyncpg.connect(url)
        postgres.start()
        connection = await asyncpg.connect(url)
        assert [row[0] for row in await connection.fetch("SELECT number FROM kept ORDER BY 1")] == [1, 2]
        await connection.close()
        async with Redis.from_url(valkey_url) as client:
            assert await client.get("kept") == b"1"
    finally:
        postgres.stop()
        valkey.stop()


def test_addresses_that_are_given_are_used_and_nothing_is_started(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with servers(data, database_url="postgresql://a@db/gov", valkey_url="redis://cache/0") as addresses:
        assert (addresses.database_url, addresses.valkey_url) == ("postgresql://a@db/gov", "redis://cache/0")
    assert not data.exists()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_an_owner_that_is_ended(tmp_path: Path, end: signal.Signals) -> None:
    owner, process_ids = start_owner(tmp_path / "data")
    with owner:
        assert len(process_ids) == 4
        assert all(map(is_running, process_ids))
        # As a terminal's Ctrl-C does: the whole group, not the owner alone.
        os.killpg(owner.pid, end)
        assert left_of(process_ids) == []
    assert not (tmp_path / "data").exists()


def test_nothing_outlives_an_owner_whose_forked_child_lives_on(tmp_path: Path) -> None:
    owner, process_ids = start_owner(tmp_path / "data", "fork")
    with owner:
        owner.kill()
        assert left_of(process_ids) == []
        os.killpg(owner.pid, signal.SIGKILL)


def test_a_server_ends_with_its_watcher(tmp_path: Path) -> None:
    owner, (postgres, postgres_watcher, valkey, valkey_watcher) = start_owner(tmp_path / "data")
    with owner:
        os.kill(postgres_watcher, signal.SIGKILL)
        os.kill(valkey_watcher, signal.SIGKILL)
        assert left_of([postgres, valkey]) == []
        owner.kill()


def test_a_directory_has_one_owner_at_a_time(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.start()
    monkeypatch.setattr(processes, "LOCK_PATIENCE_S", 0.1)
    second = PostgresServer(tmp_path / "postgres", template=template_directory())
    with pytest.raises(ServerNotStarted, match="is in use by another `gov-services` command"):
        second.start()
    assert postgres.process.running()


def test_a_port_taken_meanwhile_costs_one_more_attempt(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey = ValkeyServer(tmp_path / "valkey", throw_away=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for module in ("gov_services.devstack.postgres", "gov_services.devstack.valkey"):
            ports = iter([taken.getsockname()[1], processes.free_port()])
            monkeypatch.setattr(f"{module}.free_port", lambda ports=ports: next(ports))
        for server in (postgres, valkey):
            server.start()
            assert f":{taken.getsockname()[1]}/" not in server.url
        valkey.stop()


def test_a_cluster_of_another_version_is_refused_and_untouched(tmp_path: Path, postgres: PostgresServer) -> None:
    postgres.start()
    data = tmp_path / "older" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    older = PostgresServer(tmp_path / "older")
    with pytest.raises(ServerNotStarted, match=r"was made by PostgreSQL 17; this is PostgreSQL 18"):
        older.start()
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_what_postgres_complains_of_is_told_in_one_line(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules["gov_services.devstack.postgres"].SETTINGS, "shared_buffers", "plenty")
    with pytest.raises(ServerNotStarted, match="shared_buffers"):
        postgres.start()
    with pytest.raises(ServerNotStarted, match="has not been started"):
        assert postgres.process


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_root_without_user_namespaces_runs_postgres_as_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest's own directory is closed to others, as a home directory is.
    nobody = Account("user", 65534, 65534)
    monkeypatch.setattr("gov_services.devstack.postgres.ELSEWHERE", Path("/var/lib/gov-services-tests"))
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "of somebody's").touch()
    server = PostgresServer(home / "postgres", template=template_directory(), account=nobody)
    for _ in range(2):
        server.start()
        elsewhere = (home / "postgres" / "data").readlink()
        assert Path(f"/proc/{server.process.pid}").stat().st_uid == 65534
        assert elsewhere.stat().st_uid == 65534
        server.stop()
        assert not elsewhere.exists()
        assert not elsewhere.parent.exists()
    assert home.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in home.iterdir()] == ["of somebody's"]
    elsewhere.parent.parent.rmdir()
