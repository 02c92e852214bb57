"""Sandbox providers in a process of their own: text messages and the population register. Development only.

python -m gov_services.devstack.providers --port 9200

A message that was handed over is shown at `/sms/<number>`; the register knows whom it was told of at `/people`.
"""

from __future__ import annotations

import argparse
import http.client
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar, get, post
from litestar.params import FromPath, JSONBody

from gov_services.devstack.processes import Order, ServerProcess, await_ready, free_port, ourselves

READY_TIMEOUT_S = 15.0


def create_providers() -> Litestar:
    """The providers as an ASGI application, with nothing in them."""
    sent: dict[str, list[str]] = defaultdict(list)
    people: set[tuple[str, str]] = set()

    @post("/sms", status_code=202, sync_to_thread=False)
    def take_message(data: JSONBody[dict[str, str]]) -> None:
        """A message for a phone."""
        sent[data["to"]].append(data["text"])

    @get("/sms/{number:str}", sync_to_thread=False)
    def show_messages(number: FromPath[str]) -> list[str]:
        """What the phone has received; what a person would read off its screen."""
        return sent[number]

    @post("/people", status_code=201, sync_to_thread=False)
    def enrol(data: JSONBody[dict[str, str]]) -> None:
        """Somebody who was born, or has moved here."""
        people.add((data["name"], data["number"]))

    @post("/population-register/match", status_code=200, sync_to_thread=False)
    def match(data: JSONBody[dict[str, str]]) -> dict[str, bool]:
        """Yes or no, and nothing else."""
        return {"match": (data["name"], data["number"]) in people}

    @get("/healthz", media_type="text/plain", sync_to_thread=False)
    def healthz() -> str:
        return "ok\n"

    handlers: list[Any] = [take_message, show_messages, enrol, match, healthz]
    return Litestar(route_handlers=handlers, openapi_config=None)


class ProvidersServer:
    """Starts and stops the process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = 0
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Where it answers, once started."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and return when it answers. Raises ServerNotStarted."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        command = (sys.executable, "-m", "gov_services.devstack.providers", "--port", str(self._port))
        process = ServerProcess(
            Order(
                command=command,
                directory=Path(__file__).resolve().parents[2],
                log=self._directory / "log",
                account=ourselves(),
                patience_s=5.0,
            )
        )
        await_ready(process, self._answers(), timeout_s=READY_TIMEOUT_S)
        self._process = process

    def stop(self) -> None:
        """Stop it. Stopping twice is harmless."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _answers(self) -> Iterator[bool]:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
            try:
                connection.request("GET", "/healthz")
                yield connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                yield False
            finally:
                connection.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args(arguments)
    uvicorn.run(create_providers(), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
