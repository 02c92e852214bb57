"""graphql-transport-ws against a gateway on a port: each event decided anew, and each way for a socket to end."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt

import pytest
import websockets
from front_door import FrontDoor
from permit_office import Office
from sockets import Line, Socket, line_to, send_message
from town import Town

from gov_services.audit.entry import EntryKind
from gov_services.gateway import websocket
from gov_services.kit.actor import Actor
from gov_services.kit.clock import FrozenClock
from gov_services.kit.ids import new_id
from gov_services.subgraph.announcing import STALE_AFTER
from gov_services.subgraph.events import Event


async def init(socket: Socket, line: Line, actor: Actor) -> None:
    """Sign in."""
    await socket.say({"type": "connection_init", "payload": line.payload(actor)})
    assert await socket.hear() == {"type": "connection_ack"}


# What is told


async def test_a_message_is_told_as_it_comes(line: Line, graph_town: Town, citizen: Actor) -> None:
    async with line.signed_in(citizen) as socket:
        await line.subscribe(socket, "MessageReceived")

        await send_message(graph_town, citizen)

        told = await socket.hear()
        message = told["payload"]["data"]["messageReceived"]
        assert (told["type"], told["id"]) == ("next", "1")
        assert (message["code"], message["text"]) == ("consent.changed", "One of your consents has changed.")


async def test_each_event_is_decided_and_logged_anew(line: Line, graph_town: Town) -> None:
    office = await Office.open(graph_town)
    application_id = await office.draft()
    await graph_town.settle()
    async with line.signed_in(office.applicant) as socket:
        await line.subscribe(socket, "ApplicationChanged")
        await office.link(application_id)
        await graph_town.settle()
        await socket.hear()
        await office.step("withdrawApplication", {"applicationId": application_id})
        await graph_town.settle()
        await socket.hear()
    await office.close()
    await graph_town.integrate()

    entries = await graph_town.entries()
    read = [
        (entry.kind, entry.purpose, entry.object)
        for entry in entries
        if entry.entrance == "document:ApplicationChanged"
    ]
    assert read == [(EntryKind.READ, "licence-application", f"application:{application_id}")] * 2


async def test_an_application_is_told_as_it_is_now_and_only_the_one_that_was_asked_for(
    line: Line, graph_town: Town
) -> None:
    office = await Office.open(graph_town)
    mine, other = await office.draft(), await office.draft()
    await graph_town.settle()
    async with line.signed_in(office.applicant) as socket:
        await line.subscribe(socket, "ApplicationChanged", {"id": mine})

        for application_id in (other, mine):
            await office.step("withdrawApplication", {"applicationId": application_id})
            await graph_town.settle()

        told = (await socket.hear())["payload"]["data"]["applicationChanged"]
        assert (told["id"], told["state"]) == (mine, "WITHDRAWN")
        assert await socket.is_silent()
    await office.close()


async def test_what_changes_of_others_is_not_told(line: Line, graph_town: Town, citizen: Actor) -> None:
    other = await graph_town.register(number="110101199003071110", phone="13900000002")
    async with line.signed_in(citizen) as socket:
        await line.subscribe(socket, "MessageReceived")

        await send_message(graph_town, other)

        assert await socket.is_silent()


async def test_an_event_that_somebody_made_up_in_valkey_tells_nothing_of_others(line: Line, graph_town: Town) -> None:
    office = await Office.open(graph_town)
    citizen = await graph_town.register(number="110101199003071110", phone="13900000002")
    application_id = await office.draft()
    async with line.signed_in(citizen) as socket:
        await line.subscribe(socket, "ApplicationChanged")

        for content in (
            b"",
            b"[]",
            b'{"field":"applicationChanged"}',
            b'{"field":"applicationChanged","object":"%b"}' % application_id.encode(),
        ):
            await graph_town.valkey.publish(f"live:{{{citizen.id}}}", content)

        told = (await socket.hear())["payload"]
        assert told["data"] == {"applicationChanged": None}
        assert [error["extensions"]["code"] for error in told["errors"]] == ["NOT_FOUND"]
        assert await socket.is_silent()
    await office.close()


async def test_what_was_announced_too_long_ago_is_not_told(
    line: Line, graph_town: Town, citizen: Actor, clock: FrozenClock
) -> None:
    event = Event(new_id(clock.now()), "privacy", "message.requested", citizen.id, {"code": "x"}, clock.now())
    await graph_town.rooms["identity"].receive(event.encode())
    clock.advance(STALE_AFTER + dt.timedelta(seconds=1))
    async with line.signed_in(citizen) as socket:
        await line.subscribe(socket, "MessageReceived")

        await graph_town.settle()

        assert await socket.is_silent()


async def test_a_client_that_does_not_read_gets_each_change_once(line: Line, graph_town: Town, citizen: Actor) -> None:
    async with line.signed_in(citizen) as socket:
        await line.subscribe(socket, "ApplicationChanged")
        (waiting,) = line.door.gateway.live._channels[f"live:{{{citizen.id}}}"]
        about = [new_id(graph_town.clock.now()) for _ in range(3)]

        for one in [*about, *about, *about]:
            waiting.tell(one)

        assert len(waiting._pending) == 3


async def test_who_is_too_far_behind_is_told_to_ask_anew(line: Line, graph_town: Town, citizen: Actor) -> None:
    async with line.signed_in(citizen) as socket:
        await line.subscribe(socket, "ApplicationChanged")
        (waiting,) = line.door.gateway.live._channels[f"live:{{{citizen.id}}}"]

        for _ in range(101):
            waiting.tell(new_id(graph_town.clock.now()))

        assert await socket.closed() == (1013, "Changes may have been missed")
    await line.listens(0)


async def test_a_question_is_answered_and_a_change_is_refused(line: Line, citizen: Actor) -> None:
    async with line.signed_in(citizen) as socket:
        for id, name, variables in (("q", "Services", {}), ("m", "SignOut", {})):
            payload = {"documentId": line.door.document(name).id, "variables": variables}
            await socket.say({"type": "subscribe", "id": id, "payload": payload})

        heard = {(message["id"], message["type"]): message for message in [await socket.hear() for _ in range(3)]}

        assert heard["q", "next"]["payload"]["data"]["services"]
        assert ("q", "complete") in heard
        assert heard["m", "error"]["payload"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


async def test_what_is_refused_is_told_by_an_error_with_its_code(line: Line, citizen: Actor) -> None:
    async with line.signed_in(citizen) as socket:
        await socket.say({"type": "subscribe", "id": "1", "payload": {"documentId": "0" * 64}})

        told = await socket.hear()

        assert (told["type"], told["id"]) == ("error", "1")
        assert told["payload"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
        assert told["payload"][0]["message"] == "This operation is not registered."


async def test_staff_have_nothing_to_listen_to(line: Line, graph_town: Town) -> None:
    async with line.signed_in(graph_town.staff("permit-officer")) as socket:
        payload = {"documentId": line.door.document("MessageReceived").id}
        await socket.say({"type": "subscribe", "id": "1", "payload": payload})

        assert (await socket.hear())["payload"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"


# The protocol


async def test_complete_ends_a_subscription_and_frees_its_id(line: Line, graph_town: Town, citizen: Actor) -> None:
    async with line.signed_in(citizen) as socket:
        await line.subscribe(socket, "MessageReceived")
        await socket.say({"type": "complete", "id": "1"})
        await line.listens(0)
        await send_message(graph_town, citizen)
        assert await socket.is_silent()

        await line.subscribe(socket, "MessageReceived")
        await send_message(graph_town, citizen)

        assert (await socket.hear())["id"] == "1"


async def test_pings_are_answered_before_and_after_signing_in(line: Line, citizen: Actor) -> None:
    async with line.socket() as socket:
        await socket.say({"type": "ping"})
        assert await socket.hear() == {"type": "pong"}
        await init(socket, line, citizen)
        await socket.say({"type": "ping", "payload": {"sent": 1}})
        assert await socket.hear() == {"type": "pong", "payload": {"sent": 1}}
        await socket.say({"type": "pong"})
        await socket.say({"type": "ping"})
        assert await socket.hear() == {"type": "pong"}


SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": "subscription { messageReceived { id } }"}}
INIT = {"type": "connection_init"}


@pytest.mark.parametrize(
    ("before", "message", "code", "reason"),
    [
        (False, SUBSCRIBE, 4401, "Unauthorized"),
        (False, INIT, 4403, "Forbidden"),
        (False, {**INIT, "payload": {"Authorization": "Bearer nobody's"}}, 4403, "Forbidden"),
        (False, {**INIT, "payload": {"Authorization": "Basic eDp5"}}, 4403, "Forbidden"),
        (False, {**INIT, "payload": ["Authorization"]}, 4400, "Invalid message"),
        (False, {"type": "complete", "id": "1"}, 4400, "Invalid message"),
        (True, INIT, 4429, "Too many initialisation requests"),
        (True, "{", 4400, "Invalid message"),
        (True, "[]", 4400, "Invalid message"),
        (True, '"subscribe"', 4400, "Invalid message"),
        (True, b"\x00", 4400, "Invalid message"),
        (True, {"type": "next", "id": "1"}, 4400, "Invalid message"),
        (True, {"type": 1}, 4400, "Invalid message"),
        (True, {"type": "subscribe"}, 4400, "Invalid message"),
        (True, {"type": "subscribe", "id": ""}, 4400, "Invalid message"),
        (True, {"type": "subscribe", "id": "x" * 201, "payload": {}}, 4400, "Invalid message"),
        (True, {"type": "subscribe", "id": 1, "payload": {}}, 4400, "Invalid message"),
        (True, {"type": "subscribe", "id": "1"}, 4400, "Invalid message"),
        (True, {"type": "subscribe", "id": "1", "payload": {"query": 1}}, 4400, "Invalid message"),
        (True, {"type": "complete"}, 4400, "Invalid message"),
        (True, {"type": "ping", "payload": {"x": "y" * 70_000}}, 1009, "Message too big"),
    ],
)
async def test_a_socket_is_closed_with_the_code_of_the_protocol(
    line: Line, citizen: Actor, before: bool, message: object, code: int, reason: str
) -> None:
    async with line.socket() as socket:
        if before:
            await init(socket, line, citizen)

        await socket.say(message)  # type: ignore[arg-type]

        assert await socket.closed() == (code, reason)


async def test_two_subscriptions_of_one_id_close_the_socket(line: Line, citizen: Actor) -> None:
    async with line.signed_in(citizen) as socket:
        for _ in range(2):
            payload = {"documentId": line.door.document("MessageReceived").id}
            await socket.say({"type": "subscribe", "id": "one", "payload": payload})

        assert await socket.closed() == (4409, "Subscriber for one already exists")
    await line.listens(0)


async def test_another_protocol_is_told_which_is_spoken(line: Line) -> None:
    for protocol in (None, "graphql-ws"):
        try:
            async with line.socket(protocol=protocol) as socket:
                assert await socket.closed() == (4406, "Subprotocol not acceptable")
        except websockets.exceptions.NegotiationError:
            assert protocol is not None  # this client minds before it looks at the code


async def test_who_says_nothing_is_closed(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INIT_WITHIN_S", 0.1)
    async with line.socket() as socket:
        assert await socket.closed() == (4408, "Connection initialisation timeout")


async def test_a_page_of_elsewhere_opens_no_socket(graph_town: Town) -> None:
    async with line_to(FrontDoor(graph_town, production=True, cors="https://app.city.test")) as line:
        own = line.address
        for origin, opens in ((own, True), ("https://app.city.test", True), ("https://elsewhere.test", False)):
            if opens:
                async with line.socket(Origin=origin) as socket:
                    await socket.say({"type": "ping"})
                    assert await socket.hear() == {"type": "pong"}
                continue
            with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
                async with line.socket(Origin=origin):
                    pass
            assert refused.value.response.status_code == 403


async def test_a_token_in_the_header_signs_in_too(line: Line, graph_town: Town, citizen: Actor) -> None:
    async with line.socket(Authorization=f"Bearer {graph_town.bearer(citizen)}") as socket:
        await socket.say(INIT)

        assert await socket.hear() == {"type": "connection_ack"}


# How a socket ends


async def test_a_socket_ends_with_its_token(line: Line, graph_town: Town, citizen: Actor, clock: FrozenClock) -> None:
    payload = line.payload(citizen)
    clock.advance(dt.timedelta(minutes=9, seconds=59))
    async with line.socket() as socket:
        await socket.say({"type": "connection_init", "payload": payload})
        assert await socket.hear() == {"type": "connection_ack"}

        assert await socket.closed() == (4403, "The token has expired")


async def test_an_event_after_the_token_is_not_told(
    line: Line, graph_town: Town, citizen: Actor, clock: FrozenClock
) -> None:
    async with line.signed_in(citizen) as socket:
        await line.subscribe(socket, "MessageReceived")
        clock.advance(dt.timedelta(minutes=16))

        await send_message(graph_town, citizen)

        assert await socket.closed() == (4403, "Forbidden")


async def test_refused_sockets_are_in_the_log(line: Line, graph_town: Town) -> None:
    async with line.socket() as socket:
        await socket.say(INIT)
        await socket.closed()

    await graph_town.settle()
    (entry,) = [entry for entry in await graph_town.entries() if entry.kind is EntryKind.REFUSAL]
    assert (entry.kind, entry.code, entry.actor) == (EntryKind.REFUSAL, "UNAUTHENTICATED", "anonymous")


async def test_one_caller_has_so_many_sockets_and_one_socket_so_many_operations(
    graph_town: Town, citizen: Actor
) -> None:
    door = FrontDoor(graph_town)
    limits = websocket.SocketLimits(sockets_a_caller=1, operations=1)
    async with line_to(door) as line:
        _sockets_of(line).limits = limits
        async with line.signed_in(citizen) as socket:
            async with line.socket() as second:
                await second.say({"type": "connection_init", "payload": line.payload(citizen)})
                assert await second.closed() == (4429, "Too many connections")
            await line.subscribe(socket, "MessageReceived")
            payload = {"documentId": line.door.document("MessageReceived").id}
            await socket.say({"type": "subscribe", "id": "2", "payload": payload})
            told = await socket.hear()
            assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "TOO_COMPLEX")
        await line.listens(0)
        async with line.signed_in(citizen):
            pass


async def test_a_process_has_so_many_sockets(line: Line) -> None:
    _sockets_of(line).limits = dataclasses.replace(_sockets_of(line).limits, sockets=1)
    async with line.socket(), line.socket() as second:
        assert await second.closed() == (1013, "Too many connections")


async def test_the_end_of_the_process_is_told_as_a_restart(door: FrontDoor, citizen: Actor) -> None:
    async with line_to(door) as line:
        context = line.signed_in(citizen)
        socket = await context.__aenter__()
        await line.subscribe(socket, "MessageReceived")
    assert (await socket.closed())[0] == 1012


async def test_when_valkey_goes_away_who_listens_is_told_to_come_again(
    line: Line, graph_town: Town, citizen: Actor
) -> None:
    async with line.signed_in(citizen) as socket:
        await line.subscribe(socket, "MessageReceived")

        await line.cut()

        assert await socket.closed() == (1013, "Changes may have been missed")
    async with line.signed_in(citizen) as again:
        for _ in range(50):
            if line.door.gateway.live._is_connected:
                break
            await asyncio.sleep(0.05)
        await line.subscribe(again, "MessageReceived")
        await send_message(graph_town, citizen)
        assert (await again.hear())["type"] == "next"


def _sockets_of(line: Line) -> websocket.WebSocketEndpoint:
    return line.door.gateway.sockets
