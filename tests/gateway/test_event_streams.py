"""graphql-sse against a gateway on a port: events, refusals by status, streams that are cut so that clients return."""

from __future__ import annotations

import asyncio
import datetime as dt

import httpx
import pytest
from front_door import FrontDoor, code_of
from sockets import Line, events_of, line_to, send_message
from town import Town

from gov_services.gateway import event_stream
from gov_services.kit.actor import ANONYMOUS, Actor
from gov_services.kit.clock import FrozenClock


async def test_a_message_is_told_as_it_comes(line: Line, graph_town: Town, citizen: Actor) -> None:
    async with line.stream("MessageReceived", actor=citizen) as response:
        await line.listens(1)
        for code in ("consent.changed", "bill.issued"):
            await send_message(graph_town, citizen, code)

        told = events_of(response)
        first, second = await anext(told), await anext(told)

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert [event for event, _ in (first, second)] == ["next", "next"]
    assert [data["data"]["messageReceived"]["code"] for _, data in (first, second)] == [
        "consent.changed",
        "bill.issued",
    ]
    await line.listens(0)  # the client has gone, and so has its subscription


async def test_a_question_is_answered_and_complete(line: Line, citizen: Actor) -> None:
    async with line.stream("Services", actor=citizen) as response:
        told = [event async for event in events_of(response)]

    assert [event for event, _ in told] == ["next", "complete"]
    assert told[0][1]["data"]["services"]


@pytest.mark.parametrize(
    ("name", "signed_in", "status", "code"),
    [
        ("MessageReceived", False, 401, "UNAUTHENTICATED"),
        ("ApplicationChanged", True, 400, "BAD_USER_INPUT"),
    ],
)
async def test_what_is_refused_is_told_by_the_status(
    line: Line, citizen: Actor, name: str, signed_in: bool, status: int, code: str
) -> None:
    async with line.stream(name, {"id": ["x"]}, actor=citizen if signed_in else ANONYMOUS) as response:
        await response.aread()

    assert response.status_code == status
    assert code_of(response) == code


async def test_without_a_stream_a_subscription_is_not_acceptable(door: FrontDoor, citizen: Actor) -> None:
    response = await door.ask("MessageReceived", actor=citizen)

    assert response.status_code == 406
    assert code_of(response) == "NOT_ACCEPTABLE"


async def test_a_stream_ends_with_its_token_and_is_not_complete(
    line: Line, citizen: Actor, graph_town: Town, clock: FrozenClock
) -> None:
    bearer = graph_town.bearer(citizen)
    clock.advance(dt.timedelta(minutes=9, seconds=59))
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {bearer}"}
    body = {"documentId": line.door.document("MessageReceived").id}
    async with (
        httpx.AsyncClient(trust_env=False, timeout=5) as client,
        client.stream("POST", f"{line.address}/graphql", json=body, headers=headers) as response,
    ):
        told = [event async for event in events_of(response)]

    assert response.status_code == 200
    assert told == []


async def test_an_event_after_the_token_ends_the_stream(
    line: Line, graph_town: Town, citizen: Actor, clock: FrozenClock
) -> None:
    async with line.stream("MessageReceived", actor=citizen) as response:
        await line.listens(1)
        clock.advance(dt.timedelta(minutes=16))
        await send_message(graph_town, citizen)

        assert [event async for event in events_of(response)] == []


async def test_a_silent_stream_says_that_it_is_there(
    line: Line, citizen: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.05)
    async with line.stream("MessageReceived", actor=citizen) as response:
        lines = response.aiter_lines()
        heard = [await anext(lines) for _ in range(6)]

    assert heard == [":", ""] * 3


async def test_when_changes_may_have_been_missed_the_stream_is_cut(
    line: Line, graph_town: Town, citizen: Actor
) -> None:
    async with line.stream("MessageReceived", actor=citizen) as response:
        await line.listens(1)
        await line.cut()

        assert [event async for event in events_of(response)] == []
    async with line.stream("MessageReceived", actor=citizen) as refused:
        await refused.aread()
    assert (refused.status_code, code_of(refused)) == (503, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize(
    ("most", "most_a_caller", "status", "code"),
    [(1, 10, 503, "SERVICE_UNAVAILABLE"), (10, 1, 429, "RATE_LIMITED")],
)
async def test_a_process_and_a_caller_have_so_many_streams(
    line: Line, citizen: Actor, most: int, most_a_caller: int, status: int, code: str
) -> None:
    streams = line.door.gateway.streams
    streams.most, streams.most_a_caller = most, most_a_caller
    async with line.stream("MessageReceived", actor=citizen):
        await line.listens(1)
        async with line.stream("MessageReceived", actor=citizen) as refused:
            await refused.aread()
    await line.listens(0)
    async with line.stream("Services", actor=citizen) as again:
        await again.aread()

    assert (refused.status_code, code_of(refused)) == (status, code)
    assert again.status_code == 200


async def test_the_end_of_the_process_cuts_streams_at_once(door: FrontDoor, citizen: Actor) -> None:
    async with line_to(door) as line:
        context = line.stream("MessageReceived", actor=citizen)
        response = await context.__aenter__()
        await line.listens(1)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 2
    with pytest.raises(httpx.HTTPError):
        [event async for event in events_of(response)]
