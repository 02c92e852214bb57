"""GraphQL over HTTP, as one ASGI application: bytes to GraphQLRequest and back. It answers no question itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import orjson

from gov_services.gateway.errors import (
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestTooLarge,
    RequestTooSlow,
    UnsupportedMediaType,
)
from gov_services.gateway.event_stream import EVENT_STREAM, Streams
from gov_services.gateway.messages import GraphQLAnswer, GraphQLRequest
from gov_services.gateway.pipeline import Pipeline
from gov_services.gateway.subscriptions import Subscription, Subscriptions
from gov_services.kit.deadlines import Deadlines
from gov_services.kit.errors import ServiceError
from gov_services.kit.locales import negotiate_locale
from gov_services.kit.rates import caller_of

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
BODY_TIMEOUT_S = 10.0
_BASE_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"Accept, Accept-Language, Origin"),
)


class GraphQLEndpoint:
    """The ASGI application behind `/graphql`. With `asks_preflight`, a GET is one that no foreign page can cause."""

    def __init__(
        self,
        pipeline: Pipeline,
        subscriptions: Subscriptions,
        *,
        body_bytes: int,
        origins: frozenset[str],
        asks_preflight: bool = True,
    ) -> None:
        self._asks_preflight = asks_preflight
        self._pipeline = pipeline
        self._subscriptions = subscriptions
        self.streams = Streams()
        self._deadlines = Deadlines()
        self._body_bytes = body_bytes
        self._origins = origins

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        locale = negotiate_locale(headers.get("accept-language", ""))
        cors = self._cors(headers.get("origin"))
        if scope["method"] == "OPTIONS":
            await _send(send, 204, b"", [*cors, (b"access-control-max-age", b"600")])
            return
        media_type = JSON
        try:
            streams = EVENT_STREAM in headers.get("accept", "").lower()
            media_type = JSON if streams else negotiate_media_type(headers.get("accept", ""))
            request = await self._read(scope, receive, headers, locale)
            if streams:
                await self._stream(request, receive, send, cors)
                return
            answer = await self._pipeline.answer(request)
        except (BadRequest, RequestTooLarge) as refused:
            address = (scope.get("client") or ("", 0))[0]
            nothing = GraphQLRequest(document_id=None, headers=headers, address=address, locale=locale)
            answer = await self._pipeline.refuse(refused, nothing)
            await self._respond(send, answer.status, answer, media_type, cors)
            return
        await self._respond(send, http_status(answer, media_type), answer, media_type, cors)

    async def _stream(self, request: GraphQLRequest, receive: Any, send: Any, cors: list[tuple[bytes, bytes]]) -> None:
        """Answer with a stream; what is refused before anything ran is told as everywhere, by the status."""
        opened: GraphQLAnswer | Subscription
        try:
            actor, until = await self._pipeline.who(request)
            caller = caller_of(actor, request.address)
            self.streams.require_room(caller)
        except ServiceError as refused:
            opened = await self._pipeline.refuse(refused, request)
        else:
            opened = await self._subscriptions.open(request)
        if isinstance(opened, GraphQLAnswer) and "data" not in opened.body:
            await self._respond(send, opened.status, opened, JSON, cors)
            return
        left = until - self._pipeline.now() if until is not None else None
        await self.streams.carry(opened, receive, send, caller=caller, headers=[*_BASE_HEADERS, *cors], left=left)

    async def _read(self, scope: Any, receive: Any, headers: Mapping[str, str], locale: str) -> GraphQLRequest:
        address = (scope.get("client") or ("", 0))[0]
        if scope["method"] == "GET":
            if self._asks_preflight:
                require_preflight(headers)
            return parse_request(_of_query_string(scope["query_string"]), headers, locale, address, by_get=True)
        if scope["method"] != "POST":
            raise MethodNotAllowed(problem=scope["method"])
        if headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise UnsupportedMediaType(problem="Content-Type")
        body = await self._body(receive)
        try:
            raw = orjson.loads(body)
        except orjson.JSONDecodeError:
            raw = _read_again(body)
        if not isinstance(raw, dict):
            raise BadRequest(problem="JSON")  # no batches: one request, one purpose, one line in the log
        return parse_request(raw, headers, locale, address)

    async def _body(self, receive: Any) -> bytes:
        parts, size, more = [], 0, True
        try:
            with self._deadlines.within(BODY_TIMEOUT_S):
                while more:
                    message = await receive()
                    part = message.get("body", b"")
                    size += len(part)
                    if size > self._body_bytes:
                        raise RequestTooLarge
                    parts.append(part)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise RequestTooSlow(problem="timeout") from None
        return b"".join(parts)

    def _cors(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        if origin is None or origin not in self._origins:
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", b"Authorization, Content-Type, Accept-Language, Gov-Preflight"),
        ]

    async def _respond(
        self, send: Any, status: int, answer: GraphQLAnswer, media_type: str, headers: list[tuple[bytes, bytes]]
    ) -> None:
        extra = [(b"content-type", f"{media_type}; charset=utf-8".encode())]
        extra.append((b"gov-request-id", answer.request_id.encode()))
        if answer.retry_after_s is not None:
            extra.append((b"retry-after", str(answer.retry_after_s).encode()))
        if status == 401:
            extra.append((b"www-authenticate", b"Bearer"))
        if status == 405:
            extra.append((b"allow", b"GET, POST"))
        await _send(send, status, orjson.dumps(answer.body), [*extra, *headers])


def _read_again(body: bytes) -> Any:
    """What the faster reader refuses and JSON allows: half a character, which is refused for itself later on."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest(problem="JSON") from None


def before(path: str, endpoint: Any, app: Any) -> Any:
    """An ASGI application that takes `path` to `endpoint` at once, and all else to `app`, lifespan included."""

    async def front(scope: Any, receive: Any, send: Any) -> None:
        at_once = scope["type"] in ("http", "websocket") and scope["path"] == path
        await (endpoint if at_once else app)(scope, receive, send)

    return front


def either(http: Any, websocket: Any) -> Any:
    """An ASGI application that takes requests to one and sockets to the other."""

    async def both(scope: Any, receive: Any, send: Any) -> None:
        await (websocket if scope["type"] == "websocket" else http)(scope, receive, send)

    return both


async def _send(send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*_BASE_HEADERS, length, *headers]})
    await send({"type": "http.response.body", "body": body})


def http_status(answer: GraphQLAnswer, media_type: str) -> int:
    """GraphQL over HTTP §6.4: in application/json a well-formed request is answered 200, whatever the document did."""
    if media_type == GRAPHQL_RESPONSE or answer.status != 400 or answer.code == BadRequest.code:
        return answer.status
    return 200


@lru_cache(256)
def negotiate_media_type(accept: str) -> str:
    """The media type to answer in: the newer where it is asked for, else JSON. Raises NotAcceptable."""
    wanted = [item.partition(";")[0].strip().lower() for item in accept.split(",") if item.strip()]
    if GRAPHQL_RESPONSE in wanted:
        return GRAPHQL_RESPONSE
    if not wanted or JSON in wanted or "*/*" in wanted or "application/*" in wanted:
        return JSON
    raise NotAcceptable(problem="Accept")


def require_preflight(headers: Mapping[str, str]) -> None:
    """Refuse a GET that a page of another origin could have caused. Raises UnsupportedMediaType."""
    # Not by its Accept header: a page may set that to anything without asking first.
    if "authorization" not in headers and "gov-preflight" not in headers and headers.get("content-type") != JSON:
        raise UnsupportedMediaType(problem="Gov-Preflight")


def _of_query_string(query: bytes) -> dict[str, Any]:
    raw: dict[str, Any] = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    for name in ("variables", "extensions"):
        if name in raw:
            try:
                raw[name] = json.loads(raw[name])
            except (ValueError, RecursionError):
                raise BadRequest(problem=name) from None
    return raw


def parse_request(
    raw: Mapping[str, Any], headers: Mapping[str, str], locale: str, address: str, *, by_get: bool = False
) -> GraphQLRequest:
    """The request in `raw`, the object that every protocol sends. Raises BadRequest."""
    variables = {} if raw.get("variables") is None else raw["variables"]
    extensions = {} if raw.get("extensions") is None else raw["extensions"]
    if not isinstance(variables, dict):
        raise BadRequest(problem="variables")
    if not isinstance(extensions, dict):
        raise BadRequest(problem="extensions")
    text, name = raw.get("query"), raw.get("operationName")
    if not isinstance(text, str | None) or not isinstance(name, str | None):
        raise BadRequest(problem="query")
    return GraphQLRequest(
        document_id=_document_id(raw, extensions),
        text=text,
        operation_name=name,
        variables=variables,
        by_get=by_get,
        headers=headers,
        address=address,
        locale=locale,
    )


def _document_id(raw: Mapping[str, Any], extensions: Mapping[str, Any]) -> str | None:
    """`documentId`, or the hash of Apollo's persisted queries; both name the document by the SHA-256 of its text."""
    found = raw.get("documentId")
    if found is None:
        persisted = extensions.get("persistedQuery")
        if persisted is None:
            return None
        found = persisted.get("sha256Hash") if isinstance(persisted, dict) else persisted
    if not isinstance(found, str):
        raise BadRequest(problem="documentId")
    return found
