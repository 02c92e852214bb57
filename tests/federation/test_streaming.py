"""Events of subgraphs over real sockets, by stream and by socket, completed from other subgraphs as each comes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from raw_servers import request_of, serving
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from gov_services.federation import streaming
from gov_services.federation.engine import Engine
from gov_services.federation.http1 import HttpClient
from gov_services.federation.planning import Planning
from gov_services.federation.streaming import StreamingSubgraph, stream_client
from gov_services.federation.transports import SubgraphUnavailable

SUPERGRAPH = """
schema @link(url: "https://specs.apollo.dev/link/v1.0") @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION)
  { query: Query subscription: Subscription }
directive @link(url: String, as: String, for: String) repeatable on SCHEMA
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!, key: String) repeatable on OBJECT
directive @join__field(graph: join__Graph) repeatable on FIELD_DEFINITION
enum join__Graph {
  TRAFFIC @join__graph(name: "traffic", url: "http://127.0.0.1:1/")
  STREETS @join__graph(name: "streets", url: "http://127.0.0.1:2/")
}
type Query @join__type(graph: STREETS) @join__type(graph: TRAFFIC) { street: Street @join__field(graph: STREETS) }
type Subscription @join__type(graph: TRAFFIC) { jam(over: Int): Street }
type Street @join__type(graph: STREETS, key: "id") @join__type(graph: TRAFFIC, key: "id") {
  id: ID!
  cars: Int @join__field(graph: TRAFFIC)
  name: String @join__field(graph: STREETS)
}
"""
DOCUMENT = "subscription Jams($over: Int) { jam(over: $over) { cars name } }"
Writing = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


def jam(number: int) -> dict[str, Any]:
    return {"data": {"jam": {"__typename": "Street", "id": str(number), "cars": number * 10}}}


async def streets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
    """Names every street that it is asked of."""
    while True:
        asked = json.loads(await request_of(reader))
        named = [{"name": f"Street {item['id']}"} for item in asked["variables"]["representations"]]
        content = json.dumps({"data": {"_entities": named}}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(content), content)
        )


def streams(write: Writing, content_type: bytes = b"text/event-stream") -> Any:
    """A server that answers with a stream, written by `write`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        body = await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nconnection: close\r\n\r\n" % content_type)
        await write(writer, body)
        await writer.drain()

    return handle


@contextlib.asynccontextmanager
async def engine_over(traffic: str) -> AsyncIterator[Engine]:
    client, streams_client = HttpClient(), stream_client()
    async with serving(streets) as (server, _):
        transports = {
            "traffic": StreamingSubgraph("traffic", traffic, client, streams_client),
            "streets": StreamingSubgraph("streets", f"http://127.0.0.1:{server.port}/", client, streams_client),
        }
        yield Engine(Planning(SUPERGRAPH), transports=transports)
        await streams_client.aclose()
        await client.aclose()


async def told(engine: Engine, over: int = 5) -> list[Any]:
    """Everything that a subscription tells, completed."""
    prepared = engine.planning.prepare(DOCUMENT, None)
    inputs = engine.inputs(prepared, {"over": over})
    found = []
    async with contextlib.aclosing(engine.events(prepared, inputs=inputs)) as events:
        async for event in events:
            found.append((await engine.execute(prepared, inputs=inputs, event=event)).data)
    return found


COMPLETED = [{"jam": {"cars": 10, "name": "Street 1"}}, {"jam": {"cars": 20, "name": "Street 2"}}]


async def test_each_event_of_a_stream_is_completed_from_the_other_subgraph() -> None:
    asked: list[Any] = []

    async def write(writer: asyncio.StreamWriter, body: bytes) -> None:
        asked.append(json.loads(body))
        for number in (1, 2):
            writer.write(b":\n\nevent: next\ndata: %b\n\n" % json.dumps(jam(number)).encode())
        writer.write(b"event: complete\ndata:\n\n")

    async with serving(streams(write)) as (server, _), engine_over(f"http://127.0.0.1:{server.port}/") as engine:
        assert await told(engine) == COMPLETED
    assert asked[0]["variables"] == {"over": 5}
    assert asked[0]["query"].startswith("subscription")


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
async def test_lines_may_end_in_three_ways_and_come_in_any_pieces(ending: bytes) -> None:
    content = b"".join(
        b"event: next\ndata: " + json.dumps(jam(number), indent=1).encode().replace(b"\n", b"\ndata: ") + b"\n\n"
        for number in (1, 2)
    )
    content = (content + b"event: complete\ndata:\n\n").replace(b"\n", ending)

    async def write(writer: asyncio.StreamWriter, _: bytes) -> None:
        for at in range(0, len(content), 7):
            writer.write(content[at : at + 7])
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(streams(write)) as (server, _), engine_over(f"http://127.0.0.1:{server.port}/") as engine:
        assert await told(engine) == COMPLETED


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"event: next\ndata: %b\n\n" % json.dumps(jam(1)).encode(),
        b"event: next\ndata: nonsense\n\n",
        b"event: next\ndata: {}\n\n",
        b"event: next\ndata: " + b"x" * 3_000_000,
    ],
)
async def test_a_stream_that_is_cut_or_makes_no_sense_is_a_subgraph_that_is_away(content: bytes) -> None:
    async def write(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(content)

    async with serving(streams(write)) as (server, _), engine_over(f"http://127.0.0.1:{server.port}/") as engine:
        with pytest.raises(SubgraphUnavailable):
            await told(engine)


async def test_a_silent_stream_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SILENT_S", 0.1)

    async def write(writer: asyncio.StreamWriter, _: bytes) -> None:
        await writer.drain()
        await asyncio.sleep(5)

    async with serving(streams(write)) as (server, _), engine_over(f"http://127.0.0.1:{server.port}/") as engine:
        with pytest.raises(SubgraphUnavailable):
            await told(engine)


async def test_who_listens_no_more_closes_the_stream() -> None:
    gone = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        writer.write(b"event: next\ndata: %b\n\n" % json.dumps(jam(1)).encode())
        await reader.read()  # until the other side closes
        gone.set()

    async with serving(handle) as (server, _), engine_over(f"http://127.0.0.1:{server.port}/") as engine:
        prepared = engine.planning.prepare(DOCUMENT, None)
        async with contextlib.aclosing(engine.events(prepared, inputs=engine.inputs(prepared, {}))) as events:
            await anext(events)
        async with asyncio.timeout(2):
            await gone.wait()


@contextlib.asynccontextmanager
async def socket_server(handle: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    """The address of a server that has sockets and refuses to stream."""

    async def door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST"):
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        inner_writer.write(head)
        await asyncio.wait(
            {asyncio.create_task(pump(reader, inner_writer)), asyncio.create_task(pump(inner_reader, writer))},
            return_when=asyncio.FIRST_COMPLETED,
        )
        inner_writer.close()

    async with (
        serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol("graphql-transport-ws")]) as inner,
        serving(door) as (server, _),
    ):
        port = next(iter(inner.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{server.port}/"


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes until there are no more."""
    with contextlib.suppress(ConnectionError):
        while content := await reader.read(65_536):
            writer.write(content)
            await writer.drain()


async def hear(socket: ServerConnection) -> Any:
    return json.loads(await socket.recv())


async def say(socket: ServerConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def greet(socket: ServerConnection) -> Any:
    """Begin as the protocol says; what was subscribed to."""
    assert (await hear(socket))["type"] == "connection_init"
    await say(socket, type="ping")
    assert (await hear(socket))["type"] == "pong"
    await say(socket, type="connection_ack")
    return await hear(socket)


async def test_a_subgraph_without_streams_is_listened_to_by_socket() -> None:
    asked: list[Any] = []

    async def handle(socket: ServerConnection) -> None:
        asked.append(await greet(socket))
        for number in (1, 2):
            await say(socket, id="1", type="next", payload=jam(number))
        await say(socket, id="1", type="complete")

    async with socket_server(handle) as url, engine_over(url) as engine:
        assert await told(engine) == COMPLETED
    assert (asked[0]["type"], asked[0]["payload"]["variables"]) == ("subscribe", {"over": 5})


async def test_an_error_by_socket_is_the_only_answer() -> None:
    async def handle(socket: ServerConnection) -> None:
        await greet(socket)
        await say(socket, id="1", type="error", payload=[{"message": "no such road"}])

    async with socket_server(handle) as url, engine_over(url) as engine:
        prepared = engine.planning.prepare(DOCUMENT, None)
        inputs = engine.inputs(prepared, {})
        (event,) = [item async for item in engine.events(prepared, inputs=inputs)]
        result = await engine.execute(prepared, inputs=inputs, event=event)
    assert result.data == {"jam": None}
    assert [error["message"] for error in result.errors] == ["no such road"]


@pytest.mark.parametrize("last", ["close", "nonsense", "silence"])
async def test_a_socket_that_is_cut_or_makes_no_sense_is_a_subgraph_that_is_away(
    last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "CONNECT_S", 0.3)

    async def handle(socket: ServerConnection) -> None:
        if last == "silence":
            await asyncio.sleep(2)
        await greet(socket)
        if last == "nonsense":
            await socket.send("[]")
            await asyncio.sleep(1)

    async with socket_server(handle) as url, engine_over(url) as engine:
        with pytest.raises(SubgraphUnavailable):
            await told(engine)


async def test_what_a_subgraph_refuses_in_plain_is_the_answer() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await request_of(reader)
        content = b'{"errors":[{"message":"sign in first"}]}'
        head = b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(content) + content)

    async with serving(handle) as (server, _), engine_over(f"http://127.0.0.1:{server.port}/") as engine:
        prepared = engine.planning.prepare(DOCUMENT, None)
        (event,) = [item async for item in engine.events(prepared, inputs=engine.inputs(prepared, {}))]
    assert [error["message"] for error in event.errors] == ["sign in first"]


async def test_nobody_there_is_a_subgraph_that_is_away() -> None:
    async with engine_over("http://127.0.0.1:9/") as engine:
        with pytest.raises(SubgraphUnavailable):
            await told(engine)


async def test_a_plain_transport_brings_no_events() -> None:
    class Plain:
        async def fetch(self, request: Any, *, context: object) -> Any:
            raise AssertionError

    engine = Engine(Planning(SUPERGRAPH), transports={"traffic": Plain()})
    with pytest.raises(SubgraphUnavailable):
        await told(engine)


def test_a_client_for_streams_waits_for_as_long_as_streams_are_silent() -> None:
    assert stream_client().timeout == httpx.Timeout(5, read=120)
