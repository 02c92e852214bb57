"""Events of a subgraph elsewhere, by a stream over HTTP (graphql-sse) or a socket (graphql-transport-ws). No planning.

Sources: PROTOCOL.md of enisdenjo/graphql-sse ("distinct connections mode") and of enisdenjo/graphql-ws; how a stream is
cut into events: the HTML standard §9.2.6. A subgraph is asked for a stream first; one that has none is asked by socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from gov_services.federation.http1 import HttpClient
from gov_services.federation.remote import Headers, RemoteSubgraph, read_answer
from gov_services.federation.transports import SubgraphRequest, SubgraphResponse, SubgraphUnavailable

EVENT_STREAM = "text/event-stream"
PROTOCOL = "graphql-transport-ws"
CONNECT_S = 5.0
SILENT_S = 120.0
"""Servers say something every few seconds, if only a comment; one that is silent for so long is gone."""
MOST_BYTES = 1024 * 1024
"""Of one event."""


class StreamingSubgraph(RemoteSubgraph):
    """A subgraph over HTTP that is listened to, too. `streams` is for streams alone: each holds a connection."""

    def __init__(self, name: str, url: str, client: HttpClient, streams: httpx.AsyncClient, **options: Any) -> None:
        super().__init__(name, url, client, **options)
        self._url = url
        self._streams = streams

    async def subscribe(self, request: SubgraphRequest, *, context: object) -> AsyncGenerator[SubgraphResponse]:
        """See federation.transports.Streams. Raises SubgraphUnavailable."""
        headers = self._headers(context, request)
        try:
            async with self._streams.stream(
                "POST", self._url, content=request.body, headers=_stream_headers(headers)
            ) as answer:
                if answer.headers.get("content-type", "").partition(";")[0].strip().lower() == EVENT_STREAM:
                    async for response in self._told_by_stream(answer):
                        yield response
                    return
                refusal = await answer.aread() if _is_small(answer) else b""
            async for response in self._told_by_socket(request, headers, refusal):
                yield response
        except (httpx.HTTPError, WebSocketException, OSError, TimeoutError) as failed:
            raise SubgraphUnavailable(self._name) from failed

    async def _told_by_stream(self, answer: httpx.Response) -> AsyncIterator[SubgraphResponse]:
        async for event, data in _events(answer.aiter_bytes()):
            if event == "complete":
                return
            if event == "next":
                yield read_answer(self._name, data)
        raise SubgraphUnavailable(self._name)  # cut before it was complete

    async def _told_by_socket(
        self, request: SubgraphRequest, headers: Headers, refusal: bytes
    ) -> AsyncIterator[SubgraphResponse]:
        """By socket; where that is no way either, what was said when a stream was asked for is the answer."""
        try:
            socket = await connect(
                self._url.replace("http", "ws", 1),
                subprotocols=[PROTOCOL],  # type: ignore[list-item]  # a NewType of theirs
                additional_headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers],
                open_timeout=CONNECT_S,
                max_size=MOST_BYTES,
                proxy=None,
            )
        except (WebSocketException, OSError, TimeoutError):
            yield read_answer(self._name, refusal)
            return
        async with socket:
            await _say(socket, {"type": "connection_init"})
            async with asyncio.timeout(CONNECT_S):
                await self._heard(socket, "connection_ack")
            payload = {"query": request.document, "variables": dict(request.variables)}
            await _say(socket, {"id": "1", "type": "subscribe", "payload": payload})
            while True:
                message = await self._heard(socket, "next", "error", "complete")
                if message["type"] == "complete":
                    return
                if message["type"] == "error":
                    yield read_answer(self._name, orjson.dumps({"data": None, "errors": message.get("payload")}))
                    return
                yield read_answer(self._name, orjson.dumps(message.get("payload")))

    async def _heard(self, socket: ClientConnection, *types: str) -> dict[str, Any]:
        """The next message of one of these types. Raises SubgraphUnavailable for what is no message."""
        async for content in socket:
            try:
                message = orjson.loads(content)
                kind = message["type"]
            except (orjson.JSONDecodeError, KeyError, TypeError):
                raise SubgraphUnavailable(self._name) from None
            if kind == "ping":
                await _say(socket, {"type": "pong"})
            elif kind in types:
                found: dict[str, Any] = message
                return found
        raise SubgraphUnavailable(self._name)  # closed before it was complete


async def _say(socket: ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(orjson.dumps(message).decode())


def stream_client() -> httpx.AsyncClient:
    """A client for streams. Close it when done."""
    timeout = httpx.Timeout(CONNECT_S, read=SILENT_S)
    return httpx.AsyncClient(timeout=timeout, limits=httpx.Limits(max_connections=None), trust_env=False)


def _stream_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json"), (b"accept", EVENT_STREAM.encode()), *headers]


def _is_small(answer: httpx.Response) -> bool:
    return int(answer.headers.get("content-length", MOST_BYTES)) < MOST_BYTES


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, bytes]]:
    """(event, data) of a stream. Raises httpx.DecodingError for one that is too long."""
    event, data, size = "message", list[bytes](), 0
    async for line in _lines(chunks):
        size += len(line)
        if size > MOST_BYTES:
            raise httpx.DecodingError("an event is too long")
        name, _, value = line.partition(b":")
        if not line:
            if data:
                yield event, b"\n".join(data)
            event, data, size = "message", [], 0
        elif name == b"event":
            event = value.removeprefix(b" ").decode("utf-8", "replace")
        elif name == b"data":
            data.append(value.removeprefix(b" "))


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines, which end with CR, LF or both. Raises httpx.DecodingError for one that does not end."""
    rest, ended_with_cr = b"", False
    async for chunk in chunks:
        if ended_with_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        ended_with_cr = chunk.endswith(b"\r") if chunk else ended_with_cr
        *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if len(rest) > MOST_BYTES:
            raise httpx.DecodingError("a line is too long")
        for line in lines:
            yield line
