"""A server that answers each request body as it answered it first, from memory. It is no part of what is measured."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from gov_services.devstack.bench.scenario import SUBGRAPHS, Subgraph


class Replay:
    """The four subgraphs under one address, and how many requests each answered."""

    def __init__(self) -> None:
        self._subgraphs = {f"/{name}": Subgraph(name) for name in SUBGRAPHS}
        self._known: dict[tuple[str, bytes], bytes] = {}
        self.asked = 0

    def answer(self, path: str, body: bytes) -> bytes:
        """The whole HTTP response."""
        self.asked += 1
        known = self._known.get((path, body))
        if known is None:
            content = self._subgraphs[path].answer(body)
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
            known = self._known[path, body] = head.encode() + content
        return known

    async def serve(self, listener: socket.socket) -> asyncio.Server:
        """Serve on a socket."""
        return await asyncio.get_running_loop().create_server(lambda: _Connection(self), sock=listener)


class _Connection(asyncio.Protocol):
    """HTTP/1.1 as far as gateways speak it to subgraphs: POST, keep-alive, with a length or in chunks."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._transport: Any = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while (request := take_message(self._buffer)) is not None:
            head, body, self._buffer = request
            path = head.split(b" ", 2)[1].decode()
            self._transport.write(self._replay.answer(path, body))


def take_message(buffer: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Head, body and what follows of the first HTTP message; None while it is not whole."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = buffer[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        line = head.find(b"\r\n", at + 2)
        length = int(head[at + 17 : line if line > 0 else None])
        whole = end + 4 + length
        return (buffer[:end], buffer[end + 4 : whole], buffer[whole:]) if len(buffer) >= whole else None
    if b"transfer-encoding: chunked" not in head:
        return buffer[:end], b"", buffer[end + 4 :]
    return _take_chunks(buffer, end)


def _take_chunks(buffer: bytes, end: int) -> tuple[bytes, bytes, bytes] | None:
    body, at = b"", end + 4
    while True:
        line = buffer.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(buffer[at:line].split(b";")[0], 16)
        if len(buffer) < line + 2 + size + 2:
            return None
        body += buffer[line + 2 : line + 2 + size]
        at = line + 2 + size + 2
        if size == 0:
            return buffer[:end], body, buffer[at:]
