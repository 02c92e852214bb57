"""A gateway on a port of its own, and clients of its sockets and streams that say just what a test tells them to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import httpx
from front_door import FrontDoor
from town import Town
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gov_services.cli.listening import listen, served
from gov_services.gateway.websocket import PROTOCOL
from gov_services.kit.actor import ANONYMOUS, Actor
from gov_services.kit.ids import new_id
from gov_services.subgraph.events import Event

WITHIN_S = 5.0


class Socket:
    """One client of graphql-transport-ws."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, message: Mapping[str, Any] | str | bytes) -> None:
        """Send a message, or whatever else is in its place."""
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(WITHIN_S):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def is_silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.connection.recv()
        except TimeoutError:
            return True
        return False

    async def closed(self) -> tuple[int, str]:
        """Code and reason that the gateway closed it with; messages before are passed over."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(WITHIN_S):
                while True:
                    await self.connection.recv()
        return self.connection.close_code or 0, self.connection.close_reason or ""


class Line:
    """A gateway that listens."""

    def __init__(self, door: FrontDoor, address: str) -> None:
        self.door = door
        self.address = address
        self.name = f"listener-{uuid4()}"

    async def cut(self) -> None:
        """Have Valkey close the connection on which the gateway listens."""
        clients = await self.door.town.valkey.client_list(_type="pubsub")
        (mine,) = [client["id"] for client in clients if client["name"] == self.name]
        await self.door.town.valkey.client_kill_filter(_id=mine)

    @contextlib.asynccontextmanager
    async def socket(self, *, protocol: str | None = PROTOCOL, **headers: str) -> AsyncIterator[Socket]:
        """A socket on which nothing was said yet."""
        url = self.address.replace("http://", "ws://") + "/graphql"
        protocols: Any = [protocol] if protocol else None
        async with connect(url, subprotocols=protocols, additional_headers=headers, proxy=None) as connection:
            yield Socket(connection)

    @contextlib.asynccontextmanager
    async def signed_in(self, actor: Actor) -> AsyncIterator[Socket]:
        """A socket whose client has signed in."""
        async with self.socket() as socket:
            await socket.say({"type": "connection_init", "payload": self.payload(actor)})
            assert await socket.hear() == {"type": "connection_ack"}
            yield socket

    def payload(self, actor: Actor) -> dict[str, str]:
        """What a client says of itself, where it has no headers."""
        return {"Authorization": f"Bearer {self.door.town.bearer(actor)}", "Accept-Language": "en"}

    async def subscribe(
        self, socket: Socket, name: str, variables: Mapping[str, Any] | None = None, *, id: str = "1"
    ) -> None:
        """Subscribe by a trusted document, and return once the gateway listens."""
        before = self.door.gateway.live.listeners
        payload = {"documentId": self.door.document(name).id, "variables": dict(variables or {})}
        await socket.say({"type": "subscribe", "id": id, "payload": payload})
        await self.listens(before + 1)

    async def listens(self, subscriptions: int) -> None:
        """Return once so many subscriptions wait for changes."""
        live = self.door.gateway.live
        async with asyncio.timeout(WITHIN_S):
            while (  # noqa: ASYNC110  it tells nobody when it does
                live.listeners != subscriptions or not all(known.done() for known in live._confirmed.values())
            ):
                await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def stream(
        self, name: str, variables: Mapping[str, Any] | None = None, *, actor: Actor = ANONYMOUS
    ) -> AsyncIterator[httpx.Response]:
        """The answer to a subscription that was asked for as an event stream."""
        headers = {"accept": "text/event-stream", "accept-language": "en"}
        bearer = self.door.town.bearer(actor)
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        body = {"documentId": self.door.document(name).id, "variables": dict(variables or {})}
        async with (
            httpx.AsyncClient(trust_env=False, timeout=WITHIN_S) as client,
            client.stream("POST", f"{self.address}/graphql", json=body, headers=headers) as response,
        ):
            yield response


@contextlib.asynccontextmanager
async def line_to(door: FrontDoor) -> AsyncIterator[Line]:
    """Serve the gateway of `door` on a port."""
    listener, address = listen("127.0.0.1", 0)
    line = Line(door, address)
    # By this name its connection is told from those of the tests beside it, on the one Valkey of all.
    door.gateway.live._valkey.connection_pool.connection_kwargs["client_name"] = line.name
    await door.gateway.live.start()
    try:
        async with served(door.gateway.endpoint, listener, lifespan="off"):
            yield line
    finally:
        await door.gateway.live.close()


async def events_of(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """(event, data) of a stream, comments left out."""
    event = ""
    async for line in response.aiter_lines():
        name, _, value = line.partition(":")
        value = value.strip()
        if name == "event":
            event = value
        elif name == "data":
            yield event, json.loads(value) if value else None


async def send_message(town: Town, citizen: Actor, code: str = "consent.changed") -> None:
    """Have a message put into a citizen's box, and what follows from it done."""
    event = Event(
        new_id(town.clock.now()), "privacy", "message.requested", citizen.id, {"code": code}, town.clock.now()
    )
    await town.rooms["identity"].receive(event.encode())
    await town.settle()
