"""The HTTP/1.1 client against servers that misbehave, over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from raw_servers import Serve, request_of, serving

from gov_services.federation.http1 import Endpoint, HttpClient
from gov_services.federation.http1_connection import Cut, HttpAnswer, Malformed, TimedOut, TooLarge, Unreachable


async def ask(client: HttpClient, endpoint: Endpoint, *, is_safe: bool = True, deadline_s: float = 2) -> HttpAnswer:
    return await client.post(endpoint, b'{"a":1}', deadline_s=deadline_s, most_bytes=1000, is_safe=is_safe)


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient(connections=2, waiting=2)
    yield client
    await client.aclose()


def saying(*answers: bytes) -> Serve:
    """Answers one request after the other on each connection, then closes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        for answer in answers:
            await request_of(reader)
            writer.write(answer)
            await writer.drain()

    return serve


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"{}"),
        (
            b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{"a\r\n5;x=y\r\n":1} \r\n0\r\nt: v\r\n\r\n',
            b'{"a":1} ',
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"{}"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
    ],
)
async def test_an_answer_is_read_whole(client: HttpClient, answer: bytes, body: bytes) -> None:
    async with serving(saying(answer)) as (_, endpoint):
        assert (await ask(client, endpoint)).body == body


async def test_a_connection_is_used_again(client: HttpClient) -> None:
    async with serving(saying(*[OK] * 5)) as (server, endpoint):
        for _ in range(5):
            assert (await ask(client, endpoint)).content_type == "application/json"
        assert server.connections == 1


async def test_no_more_connections_than_allowed_and_the_rest_wait_their_turn(client: HttpClient) -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        while True:
            await request_of(reader)
            await asyncio.sleep(0.05)
            writer.write(OK)

    async with serving(slowly) as (server, endpoint):
        answers = await asyncio.gather(*(ask(client, endpoint) for _ in range(4)))
        assert [answer.status for answer in answers] == [200] * 4
        assert server.connections == 2
        found = await asyncio.gather(*(ask(client, endpoint) for _ in range(6)), return_exceptions=True)
        assert [type(item) for item in found].count(Unreachable) == 2, "two in use, two wait, the others are told"


async def test_a_read_goes_out_again_where_an_idle_connection_was_closed(client: HttpClient) -> None:
    async with serving(saying(OK)) as (server, endpoint):
        assert (await ask(client, endpoint)).status == 200
        assert (await ask(client, endpoint)).status == 200
        assert server.connections == 2


async def test_what_changes_something_is_not_sent_twice(client: HttpClient) -> None:
    got = []

    async def take_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        if number == 1:
            await request_of(reader)
            writer.write(OK)
        got.append(await request_of(reader))

    async with serving(take_and_close) as (_, endpoint):
        assert (await ask(client, endpoint, is_safe=False)).status == 200
        with pytest.raises(Cut) as cut:
            await ask(client, endpoint, is_safe=False)
        assert cut.value.acted
        assert len(got) == 1


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", Cut),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf", Cut),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n", TooLarge),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001, TooLarge),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 40_000 + b"\r\n\r\n", TooLarge),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", Malformed),
        (b"", Cut),
    ],
)
async def test_what_is_no_whole_answer_is_none(client: HttpClient, answer: bytes, problem: type[Exception]) -> None:
    async with serving(saying(answer)) as (server, endpoint):
        with pytest.raises(problem):
            await ask(client, endpoint)
        assert server.connections <= 2


async def test_bytes_that_nobody_asked_for_belong_to_no_request(client: HttpClient) -> None:
    async with serving(saying(OK + OK, OK)) as (server, endpoint):
        await ask(client, endpoint)
        await asyncio.sleep(0.05)
        await ask(client, endpoint)
        assert server.connections == 2


async def test_the_deadline_ends_what_hangs_and_frees_its_connection(client: HttpClient) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await request_of(reader)
        await asyncio.sleep(5)

    async with serving(hang) as (_, endpoint):
        begun = time.monotonic()
        found = await asyncio.gather(*(ask(client, endpoint, deadline_s=0.2) for _ in range(4)), return_exceptions=True)
        assert [type(item) for item in found] == [TimedOut] * 4
        assert time.monotonic() - begun < 2


async def test_a_cancelled_request_leaves_no_half_read_connection(client: HttpClient) -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request_of(reader)
        if number == 1:
            await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % number)
        await asyncio.sleep(0.2)

    async with serving(late) as (_, endpoint):
        task = asyncio.create_task(ask(client, endpoint))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await ask(client, endpoint)).body == b"2"


async def test_nobody_there(client: HttpClient) -> None:
    async with serving(saying()) as (_, endpoint):
        pass
    with pytest.raises(Unreachable) as refused:
        await ask(client, endpoint)
    assert not refused.value.acted


def test_a_header_stays_one_header() -> None:
    endpoint = Endpoint("http://[::1]:8000/x", accept="*/*")
    assert b"Host: [::1]:8000\r\n" in endpoint.request((), b"")
    for value in (b"a\r\nEvil: 1", b"a\nb", b"a\rb", b"a\0b"):
        with pytest.raises(ValueError, match="line break"):
            endpoint.request(((b"X", value),), b"")
    with pytest.raises(ValueError, match="no http"):
        Endpoint("ftp://somewhere/", accept="*/*")
