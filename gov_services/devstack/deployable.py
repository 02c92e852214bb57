"""One deployable in a process of its own, as a cluster runs it: its settings and its key files, nothing else's."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from gov_services.devstack.processes import Order, ServerProcess, await_ready, free_port, ourselves
from gov_services.kit.settings import PROJECT_ROOT

READY_TIMEOUT_S = 60.0
_COMMAND = "import sys; sys.argv[0] = 'gov-services'; from gov_services.cli.main import main; main()"


class DeployableProcess:
    """Starts and stops it. `settings` are environment variables and hold no secret: anyone may read a command line."""

    def __init__(self, arguments: tuple[str, ...], *, directory: Path, settings: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._directory = directory
        self._settings = settings
        self._port = free_port()
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self._port}"

    def spawn(self) -> None:
        """Start it, and do not wait."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whatever this process was given in its own environment is not the deployable's.
        environment = [f"{name}={value}" for name, value in self._settings.items()]
        command = ("/usr/bin/env", "-i", *environment, sys.executable, "-c", _COMMAND, *self._arguments)
        self._process = ServerProcess(
            Order(
                command=(*command, "--port", str(self._port)),
                directory=PROJECT_ROOT,
                log=self._directory / "output",
                account=ourselves(),
                patience_s=20.0,
            )
        )

    def await_ready(self) -> None:
        """Return when `/readyz` says so. Raises ServerNotStarted with the last line that it wrote."""
        assert self._process is not None
        await_ready(self._process, self._answers(), timeout_s=READY_TIMEOUT_S)

    def stop(self) -> None:
        """Stop it as a cluster does. Stopping twice is harmless."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End it as a crash does."""
        assert self._process is not None
        self._process.kill()
        self._process = None

    def _answers(self) -> Iterator[bool]:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
            try:
                connection.request("GET", "/readyz")
                yield connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                yield False
            finally:
                connection.close()
