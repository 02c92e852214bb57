"""What the tests of the command share: running it as a shell does, on this test's database. It decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from gov_services.audit.integrate import Integrator
from gov_services.cli.main import main
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database
from gov_services.kit.settings import PROJECT_ROOT, Settings


@dataclass(frozen=True, slots=True)
class Done:
    """What a run of the command came to."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that says what went wrong."""
        assert self.status == 1, self
        (line,) = self.err.splitlines()
        return line.removeprefix("gov-services: ")


Command = Callable[..., Done]


def run_main(*arguments: str, typed: str = "") -> Done:
    """`gov-services` with these arguments, in a thread of its own because commands run event loops of their own."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    given, sys.argv = sys.argv, ["gov-services", *arguments]
    stdin, sys.stdin = sys.stdin, io.StringIO(typed)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), ThreadPoolExecutor(1) as thread:
            try:
                thread.submit(main).result()
            except SystemExit as ended:
                status = int(ended.code or 0)
    finally:
        sys.argv, sys.stdin = given, stdin
    return Done(status, out.getvalue(), err.getvalue())


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment that says where to keep things, and no server."""
    for name in ("DATABASE_URL", "VALKEY_URL", "GOV_ENV", "GOV_POOL_SIZE", "GOV_GRAPH_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOV_LOG_LEVEL", "error")
    monkeypatch.setenv("GOV_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("GOV_SECRETS_DIR", str(tmp_path / "secrets"))
    return monkeypatch


@pytest.fixture
def alone(nothing_set: pytest.MonkeyPatch) -> Command:
    """The command with nothing around it."""
    return run_main


@pytest.fixture
def graph_copy(nothing_set: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The committed graph, copied; the command works on it."""
    copy = tmp_path / "graph"
    shutil.copytree(PROJECT_ROOT / "graphql", copy, ignore=shutil.ignore_patterns("node_modules"))
    nothing_set.setenv("GOV_GRAPH_DIR", str(copy))
    return copy


@pytest.fixture
def installed(nothing_set: pytest.MonkeyPatch, settings: Settings) -> Command:
    """The command on an installation with keys, a migrated database and Valkey."""
    for name, value in {
        "DATABASE_URL": settings.database_url,
        "VALKEY_URL": settings.valkey_url,
        "GOV_SECRETS_DIR": str(settings.secrets_directory),
        "GOV_RUNTIME_DIR": str(settings.runtime_directory),
        "GOV_ROLE_PREFIX": settings.role_prefix,
        "GOV_ENV": "development",
    }.items():
        nothing_set.setenv(name, value)
    return run_main


@pytest.fixture
def sign_documents(nothing_set: pytest.MonkeyPatch) -> Callable[[], None]:
    """Sign the manifest as its author, and as a compliance officer who says yes to what is shown."""

    def sign() -> None:
        with nothing_set.context() as development:
            development.setenv("GOV_ENV", "development")
            for office, typed in (("author", ""), ("officer", "y\n")):
                signed = run_main("documents", "sign", "--as", office, typed=typed)
                assert signed.status == 0, signed

    return sign


@pytest.fixture
def governed(installed: Command, sign_documents: Callable[[], None]) -> Command:
    """The same with a signed manifest and the reviewed purposes in force."""
    sign_documents()
    assert installed("purposes", "publish").status == 0
    return installed


@pytest.fixture
def integrate(settings: Settings) -> Callable[[], None]:
    """Number what waits in the log, and sign."""

    async def go() -> None:
        database = Database(settings.room_database_url("audit"), pool_size=2)
        key = SigningKey.load(settings.secrets_directory, "log")
        keys = VerifyKeys.load(settings.secrets_directory, "log")
        try:
            await Integrator(database, key, SystemClock(), keys=keys, origin=settings.log_origin).run_once()
        finally:
            await database.close()

    return lambda: asyncio.run(go())
