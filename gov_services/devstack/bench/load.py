"""Asks a gateway the same question over so many connections for so long, and times each answer. It judges nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import orjson

from gov_services.devstack.bench.replay import take_message


class WrongAnswer(Exception):
    """A gateway answered something else than the others."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one gateway did in one round."""

    requests: int
    seconds: float
    latencies_ms: list[float]


class Load:
    """A request that is repeated."""

    def __init__(self, port: int, path: str, body: dict[str, Any], headers: dict[str, str]) -> None:
        content = orjson.dumps(body)
        lines = [
            f"POST {path} HTTP/1.1",
            f"host: 127.0.0.1:{port}",
            "content-type: application/json",
            "accept: application/json",
            *(f"{name}: {value}" for name, value in headers.items()),
            f"content-length: {len(content)}",
        ]
        self._port = port
        self._request = "\r\n".join(lines).encode() + b"\r\n\r\n" + content

    async def ask(self) -> dict[str, Any]:
        """One answer, parsed. Raises OSError, ValueError where it is none."""
        return orjson.loads(await self._body())  # type: ignore[no-any-return]

    async def size(self) -> int:
        """One answer's bytes. Raises OSError, ValueError where it is none."""
        return len(await self._body())

    async def _body(self) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(self._request)
            buffer = b""
            while (message := take_message(buffer)) is None:
                part = await reader.read(65536)
                if not part:
                    raise ValueError("the connection ended before the answer")
                buffer += part
            return message[1]
        finally:
            writer.close()

    async def run(self, *, connections: int, seconds: float, expected: int) -> Round:
        """Ask for so long. `expected` is the answer's size when it is right, in bytes. Raises WrongAnswer."""
        loop = asyncio.get_running_loop()
        deadline = time.perf_counter() + seconds
        made = [
            await loop.create_connection(lambda: _Asking(self._request, deadline, expected), "127.0.0.1", self._port)
            for _ in range(connections)
        ]
        begun = time.perf_counter()
        asking = [protocol for _, protocol in made]
        try:
            await asyncio.gather(*(protocol.begin() for protocol in asking))
        finally:
            for transport, _ in made:
                transport.close()
        taken = [latency for protocol in asking for latency in protocol.latencies]
        return Round(len(taken), time.perf_counter() - begun, [latency * 1000 for latency in taken])


class _Asking(asyncio.Protocol):
    """One connection: the next question as soon as the last is answered."""

    def __init__(self, request: bytes, deadline: float, expected: int) -> None:
        self._request, self._deadline, self._expected = request, deadline, expected
        self._buffer = b""
        self._asked_at = 0.0
        self._transport: Any = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def begin(self) -> asyncio.Future[None]:
        """Ask the first time; done when the time is over."""
        self._ask()
        return self._done

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        message = take_message(self._buffer)
        if message is None:
            return
        head, body, self._buffer = message
        now = time.perf_counter()
        self.latencies.append(now - self._asked_at)
        if b" 200 " not in head[:16] or len(body) != self._expected:
            self._fail(WrongAnswer(f"{head[:40]!r}, {len(body)} bytes instead of {self._expected}"))
        elif now >= self._deadline:
            self._done.set_result(None)
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("the gateway closed a connection"))

    def _fail(self, problem: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(problem)
