"""A room on a port of its own: fetches from the gateway, events and jobs from the worker, its public routes, health.

| path | who calls it | what proves that |
|---|---|---|
| `POST /graphql` | the gateway | an assertion, see subgraph.assertion |
| `GET /work`, `POST /events`, `POST /jobs/<name>` | the worker | a delivery, see crypto.delivery |
| `POST /refusals` (privacy) | the gateway | a delivery |
| the room's own routes | anyone | as each says |

Ingress routes the last kind and no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import structlog
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.params import FromPath
from redis.asyncio import Redis

from gov_services.crypto.delivery import GATEWAY, HEADER, WORKER, DeliveryRefused, verify_delivery
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.actor import Actor
from gov_services.kit.assertion import LIFETIME_S
from gov_services.kit.canonical import sha256
from gov_services.kit.clock import Clock
from gov_services.kit.database import database_answers
from gov_services.kit.errors import NotFound, ServiceError, Unavailable
from gov_services.kit.health import health
from gov_services.kit.manifest import Manifest
from gov_services.kit.reloading import Reloader
from gov_services.kit.valkey import ValkeyUnavailable, unavailable_when_away, valkey_answers
from gov_services.subgraph.assertion import AssertionRefused
from gov_services.subgraph.composition import Room
from gov_services.subgraph.entrances import EventUnknown, JobUnknown, refuse_at
from gov_services.subgraph.gateway_refusals import LogSink

FETCH_LIMIT_BYTES = 1_048_576
EVENT_LIMIT_BYTES = 65_536
LOGS_FOR_THE_GATEWAY = "privacy"
"""The room whose log takes the gateway's refusals."""

_MUTATION = b'{"query":"mutation'
"""How the gateway's body begins where a fetch changes something."""
_log = structlog.get_logger("gov_services.subgraph.http")
WatchManifest = Callable[[Callable[[Manifest], Awaitable[None]]], Reloader]
_Request = Request[Any, Any, Any]


class RoomDoor:
    """What stands between the network and a room, beside its own routes."""

    def __init__(
        self, room: Room[Any], *, worker_keys: VerifyKeys, gateway_keys: VerifyKeys, clock: Clock, valkey: Redis
    ) -> None:
        self.room = room
        self._keys = {WORKER: worker_keys, GATEWAY: gateway_keys}
        self._sink = LogSink(room.services.discloser)
        self._clock = clock
        self._valkey = valkey

    def handlers(self) -> list[Any]:
        """Litestar's, over this door."""
        shared = [self._graphql(), self._work(), self._events(), self._jobs(), *health(self.ready)]
        return [*shared, self._refusals()] if self.room.name == LOGS_FOR_THE_GATEWAY else shared

    async def ready(self) -> dict[str, bool]:
        """Whether what the room depends on answers."""
        database = await database_answers(self.room.services.discloser.database)
        return {
            "database": database,
            "keys": database and await self.room.has_right_keys(),
            "valkey": await valkey_answers(self._valkey),
        }

    async def _require(self, request: _Request, body: bytes, *, sender: str) -> None:
        """Raises AssertionRefused, logged, for what `sender` did not send here."""
        token = request.headers.get(HEADER, "")
        path, now = request.url.path, self._clock.now()
        try:
            verify_delivery(
                self._keys[sender], token, sender=sender, audience=self.room.name, path=path, body=body, now=now
            )
        except DeliveryRefused as reason:
            _log.warning("delivery refused", room=self.room.name, path=path, reason=str(reason))
            refused = AssertionRefused(str(reason))
            await refuse_at(self.room.services, "/" + path.split("/")[1], refused, now=now)
            raise refused from reason

    def _graphql(self) -> Any:
        @post("/graphql", status_code=200, request_max_body_size=FETCH_LIMIT_BYTES)
        async def graphql(request: _Request) -> Response[bytes]:
            scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
            body, assertion = await request.body(), request.headers.get("gov-assertion", "")
            await self._require_first(assertion, changes=body.startswith(_MUTATION))
            content = await self.room.subgraph.handle(
                body, assertion=assertion, access_token=bearer if scheme.lower() == "bearer" else None
            )
            return Response(content, media_type=MediaType.JSON)

        return graphql

    async def _require_first(self, assertion: str, *, changes: bool) -> None:
        """An assertion is good once, whichever replica it comes to: its own guard knows of one process alone.

        Without Valkey a change waits, and a read is guarded by each replica for itself. Raises AssertionRefused.
        """
        key = f"assertion:{{{self.room.name}}}:{sha256(assertion.encode()).hex()}"
        try:
            with unavailable_when_away():
                first = await self._valkey.set(key, b"1", nx=True, ex=2 * LIFETIME_S)
        except ValkeyUnavailable:
            if changes:
                raise
            return
        if not first:
            refused = AssertionRefused("replayed")
            await refuse_at(self.room.services, "/graphql", refused, now=self._clock.now())
            raise refused

    def _work(self) -> Any:
        @get("/work")
        async def work(request: _Request) -> dict[str, Any]:
            await self._require(request, b"", sender=WORKER)
            found = await self.room.work()
            return {"events": sorted(found.events), "jobs": dict(found.jobs)}

        return work

    def _events(self) -> Any:
        @post("/events", status_code=200, request_max_body_size=EVENT_LIMIT_BYTES)
        async def events(request: _Request) -> dict[str, bool]:
            body = await request.body()
            await self._require(request, body, sender=WORKER)
            try:
                return {"made": await self.room.receive(body)}
            except EventUnknown as unknown:
                raise NotFound from unknown

        return events

    def _jobs(self) -> Any:
        @post("/jobs/{name:str}", status_code=200)
        async def jobs(request: _Request, name: FromPath[str]) -> dict[str, int]:
            await self._require(request, await request.body(), sender=WORKER)
            try:
                return {"done": await self.room.run_job(name)}
            except JobUnknown as unknown:
                raise NotFound from unknown

        return jobs

    def _refusals(self) -> Any:
        @post("/refusals", status_code=204, request_max_body_size=EVENT_LIMIT_BYTES)
        async def refusals(request: _Request) -> None:
            body = await request.body()
            await self._require(request, body, sender=GATEWAY)
            told = orjson.loads(body)
            await self._sink.refused(
                code=told["code"],
                actor=Actor.parse(told["actor"]),
                document_id=told["document"],
                request_id=told["request"],
                now=dt.datetime.fromtimestamp(told["at"] / 1_000_000, dt.UTC),
            )

        return refusals


def create_room_app(door: RoomDoor, watch_manifest: WatchManifest) -> Litestar:
    """The ASGI application of a room alone. `watch_manifest`: that of subgraph.manifests, over the settings."""
    room = door.room

    async def trust(manifest: Manifest) -> None:
        room.subgraph.trust(manifest)

    @contextlib.asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        await room.start()
        watch = asyncio.create_task(watch_manifest(trust).run(), name="manifest")
        try:
            yield
        finally:
            watch.cancel()
            await room.close()

    return Litestar(
        route_handlers=[*door.handlers(), *(route.handler for route in room.routes)],
        lifespan=[running],
        exception_handlers={ServiceError: tell},
        openapi_config=None,
        logging_config=None,
    )


def tell(_: _Request, error: ServiceError) -> Response[dict[str, str]]:
    """A refusal to another process of ours: code and message."""
    status = 503 if isinstance(error, Unavailable) else 404 if isinstance(error, NotFound) else 403
    return Response({"code": error.code, "message": error.message("en")}, status_code=status)
