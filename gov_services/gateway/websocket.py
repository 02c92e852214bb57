"""GraphQL over WebSocket: the protocol graphql-transport-ws, its messages and close codes. It decides no request.

Source: the protocol's text in the repository enisdenjo/graphql-ws (PROTOCOL.md); RFC 6455 §7.4 for codes below 4000.
Questions and subscriptions only: what changes something comes over HTTP, where its answer does not end with a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import structlog

from gov_services.gateway.errors import BadRequest, TooComplex
from gov_services.gateway.events import LiveUnavailable
from gov_services.gateway.http import parse_request
from gov_services.gateway.messages import GraphQLAnswer, GraphQLRequest
from gov_services.gateway.pipeline import Pipeline
from gov_services.gateway.subscriptions import Ended, Subscription, Subscriptions
from gov_services.kit.actor import ActorKind
from gov_services.kit.errors import ServiceError, Unauthenticated
from gov_services.kit.locales import negotiate_locale
from gov_services.kit.rates import caller_of
from gov_services.kit.tasks import end_tasks

PROTOCOL = "graphql-transport-ws"
TOO_BIG, TRY_LATER = 1009, 1013
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_ACCEPTABLE = 4400, 4401, 4403, 4406
NO_INIT, SUBSCRIBER_EXISTS, TOO_MANY, INTERNAL = 4408, 4409, 4429, 4500

INIT_WITHIN_S = 5.0
MOST_ID = 200
_PAYLOAD_HEADERS = frozenset({"authorization", "accept-language", "gov-purpose", "gov-case", "gov-reason"})
_log = structlog.get_logger("gov_services.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """The most that sockets may be."""

    sockets: int = 2_000
    """Of this process."""
    sockets_a_caller: int = 10
    operations: int = 20
    """At once, on one socket."""
    message_bytes: int = 64 * 1024


class Closing(Exception):
    """The socket is to be closed, with a code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class WebSocketEndpoint:
    """The ASGI application behind `/graphql` for sockets. With `needs_token` nobody is served who has not signed in."""

    def __init__(
        self,
        pipeline: Pipeline,
        subscriptions: Subscriptions,
        *,
        limits: SocketLimits | None = None,
        origins: frozenset[str] | None = frozenset(),
        needs_token: bool = True,
    ) -> None:
        """`origins`: pages that may open one beside our own; None: any."""
        self.pipeline = pipeline
        self.subscriptions = subscriptions
        self.limits = limits or SocketLimits()
        self.needs_token = needs_token
        self.open = 0
        self.callers: Counter[str] = Counter()
        self._origins = origins

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not self._may_open(headers):
            await send({"type": "websocket.close", "code": FORBIDDEN})  # before it is accepted: HTTP 403
            return
        speaks = PROTOCOL in scope.get("subprotocols", ())
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL if speaks else None})
        self.open += 1
        socket = _Socket(self, headers, (scope.get("client") or ("", 0))[0], receive, send)
        try:
            if not speaks:
                raise Closing(NOT_ACCEPTABLE, "Subprotocol not acceptable")
            if self.open > self.limits.sockets:
                raise Closing(TRY_LATER, "Too many connections")
            await socket.run()
        except Closing as closing:
            await _close(send, closing)
        except Exception:  # noqa: BLE001  whatever it was, the client is told in the protocol's words
            _log.exception("a socket failed")
            await _close(send, Closing(INTERNAL, "Internal server error"))
        finally:
            self.open -= 1

    def _may_open(self, headers: Mapping[str, str]) -> bool:
        """Whether the page, if one asks, is ours or known: browsers let any page open a socket to anywhere."""
        origin = headers.get("origin")
        if origin is None or self._origins is None:
            return True
        return origin in self._origins or origin.partition("://")[2] == headers.get("host")


async def _close(send: Any, closing: Closing) -> None:
    with contextlib.suppress(Exception):  # it may be closed already, from either side
        await send({"type": "websocket.close", "code": closing.code, "reason": closing.reason})


class _Socket:
    """One client's socket."""

    def __init__(
        self, endpoint: WebSocketEndpoint, headers: Mapping[str, str], address: str, receive: Any, send: Any
    ) -> None:
        self._endpoint = endpoint
        self._headers = dict(headers)
        self._address = address
        self._receive, self._send = receive, send
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        """What sees to it that operations end that the client wants no more of."""
        self._caller: str | None = None
        self._closing: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        """What an operation, or the end of the token, closes the whole socket with."""

    async def run(self) -> None:
        """Serve it until the client goes. Raises Closing."""
        expiry = None
        try:
            try:
                async with asyncio.timeout(INIT_WITHIN_S):
                    expiry = await self._initialise()
            except TimeoutError:
                raise Closing(NO_INIT, "Connection initialisation timeout") from None
            await self._serve()
        except _Gone:
            return
        finally:
            if expiry is not None:
                expiry.cancel()
            await end_tasks([*self._operations.values(), *self._ending])
            if self._caller is not None:
                self._endpoint.callers[self._caller] -= 1
                if self._endpoint.callers[self._caller] == 0:
                    del self._endpoint.callers[self._caller]

    # The protocol

    async def _initialise(self) -> asyncio.TimerHandle | None:
        """Take `connection_init`. Returns what closes the socket when the token ends; None for no such end."""
        while True:
            message = await self._message()
            match message["type"]:
                case "connection_init":
                    break
                case "ping":
                    await self._pong(message)
                case "pong":
                    pass
                case "subscribe":
                    raise Closing(UNAUTHORIZED, "Unauthorized")
                case _:
                    raise Closing(BAD_REQUEST, "Invalid message")
        payload = message.get("payload") or {}
        if not isinstance(payload, dict):
            raise Closing(BAD_REQUEST, "Invalid message")
        # A page cannot set headers on a socket: what it would say there, it says here.
        self._headers |= {
            name.lower(): value
            for name, value in payload.items()
            if name.lower() in _PAYLOAD_HEADERS and isinstance(value, str) and value.isprintable()
        }
        expiry = await self._sign_in()
        await self._say({"type": "connection_ack"})
        return expiry

    async def _sign_in(self) -> asyncio.TimerHandle | None:
        request = GraphQLRequest(
            document_id=None, headers=self._headers, address=self._address, locale=self._locale(), by_socket=True
        )
        try:
            actor, until = await self._endpoint.pipeline.who(request)
            if self._endpoint.needs_token and actor.kind is ActorKind.ANONYMOUS:
                raise Unauthenticated
        except ServiceError as refused:
            await self._endpoint.pipeline.refuse(refused, request)
            raise Closing(FORBIDDEN, "Forbidden") from None
        caller = caller_of(actor, self._address)
        if self._endpoint.callers[caller] >= self._endpoint.limits.sockets_a_caller:
            raise Closing(TOO_MANY, "Too many connections")
        self._endpoint.callers[caller] += 1
        self._caller = caller
        if until is None:
            return None
        left_s = (until - self._endpoint.pipeline.now()).total_seconds()
        return asyncio.get_running_loop().call_later(
            max(0.0, left_s), self._end_with, Closing(FORBIDDEN, "The token has expired")
        )

    async def _serve(self) -> None:
        reading: asyncio.Future[Any] = asyncio.ensure_future(self._message())
        try:
            while True:
                await asyncio.wait({reading, self._closing}, return_when=asyncio.FIRST_COMPLETED)
                if self._closing.done():
                    raise self._closing.result()
                message = reading.result()
                reading = asyncio.ensure_future(self._message())
                await self._take(message)
        finally:
            await end_tasks([reading])
            if not reading.cancelled():
                reading.exception()  # looked at: what the client said last matters no more

    async def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "ping":
                await self._pong(message)
            case "pong":
                pass
            case "connection_init":
                raise Closing(TOO_MANY, "Too many initialisation requests")
            case "subscribe":
                await self._subscribe(self._id_of(message), message.get("payload"))
            case "complete":
                task = self._operations.pop(self._id_of(message), None)
                if task is not None:
                    ending = asyncio.create_task(end_tasks([task]))
                    self._ending.add(ending)
                    ending.add_done_callback(self._ending.discard)
            case _:
                raise Closing(BAD_REQUEST, "Invalid message")

    async def _subscribe(self, id: str, payload: Any) -> None:
        if id in self._operations:
            raise Closing(SUBSCRIBER_EXISTS, f"Subscriber for {id} already exists")
        try:
            if not isinstance(payload, dict):
                raise BadRequest(problem="payload")
            request = parse_request(payload, self._headers, self._locale(), self._address)
        except BadRequest:
            raise Closing(BAD_REQUEST, "Invalid message") from None
        if len(self._operations) >= self._endpoint.limits.operations:
            most = self._endpoint.limits.operations
            refused = TooComplex(measure="operations", found=most + 1, most=most)
            answer = await self._endpoint.pipeline.refuse(refused, request)
            await self._say({"id": id, "type": "error", "payload": answer.body["errors"]})
            return
        task = asyncio.create_task(self._operate(id, replace(request, by_socket=True)), name=f"operation {id[:20]}")
        self._operations[id] = task

    async def _operate(self, id: str, request: GraphQLRequest) -> None:
        """One operation, to its end."""
        try:
            opened = await self._endpoint.subscriptions.open(request)
            if isinstance(opened, GraphQLAnswer):
                await self._answer_once(id, opened)
                return
            try:
                await self._tell(id, opened)
            finally:
                await opened.aclose()
        except _Gone:
            pass
        except LiveUnavailable:
            self._end_with(Closing(TRY_LATER, "Changes may have been missed"))
        except Exception:  # noqa: BLE001  as above
            _log.exception("an operation of a socket failed")
            self._end_with(Closing(INTERNAL, "Internal server error"))
        finally:
            if self._operations.get(id) is asyncio.current_task():
                del self._operations[id]

    async def _tell(self, id: str, subscription: Subscription) -> None:
        try:
            while (answer := await subscription.next()) is not None:
                await self._say({"id": id, "type": "next", "payload": answer.body})
        except Ended as ended:
            await self._answer_once(id, ended.answer)
            return
        await self._complete(id)

    async def _answer_once(self, id: str, answer: GraphQLAnswer) -> None:
        """An operation's only answer, or why there is none: what has no data was refused before it ran."""
        if "data" in answer.body:
            await self._say({"id": id, "type": "next", "payload": answer.body})
            await self._complete(id)
        elif answer.code == Unauthenticated.code:
            self._end_with(Closing(FORBIDDEN, "Forbidden"))
        else:
            self._operations.pop(id, None)
            await self._say({"id": id, "type": "error", "payload": answer.body["errors"]})

    async def _complete(self, id: str) -> None:
        # The id is free as soon as the client knows that it is: it may come again before we go on.
        self._operations.pop(id, None)
        await self._say({"id": id, "type": "complete"})

    # Messages

    async def _message(self) -> dict[str, Any]:
        """The next message. Raises Closing for what is none, _Gone at the end."""
        received = await self._receive()
        if received["type"] == "websocket.disconnect":
            raise _Gone
        text = received.get("text")
        if text is None:
            raise Closing(BAD_REQUEST, "Invalid message")
        if len(text) > self._endpoint.limits.message_bytes:
            raise Closing(TOO_BIG, "Message too big")
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise Closing(BAD_REQUEST, "Invalid message") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise Closing(BAD_REQUEST, "Invalid message")
        return message

    async def _say(self, message: dict[str, Any]) -> None:
        """Send one, once the client has taken those before. Raises _Gone."""
        try:
            await self._send({"type": "websocket.send", "text": orjson.dumps(message).decode()})
        except Exception as gone:
            raise _Gone from gone  # servers say in different ways that the client left

    async def _pong(self, message: dict[str, Any]) -> None:
        payload = message.get("payload")
        await self._say({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})

    def _id_of(self, message: dict[str, Any]) -> str:
        found = message.get("id")
        if not isinstance(found, str) or not 0 < len(found) <= MOST_ID:
            raise Closing(BAD_REQUEST, "Invalid message")
        return found

    def _locale(self) -> str:
        return negotiate_locale(self._headers.get("accept-language", ""))

    def _end_with(self, closing: Closing) -> None:
        if not self._closing.done():
            self._closing.set_result(closing)


class _Gone(Exception):
    """The client has left."""
