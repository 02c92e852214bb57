"""Wires all rooms into one process: subgraphs, gateway, routes, relay, jobs, integrator. It alone sees all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from litestar import Litestar, asgi
from redis.asyncio import Redis

from gov_services.audit.app import Audit, create_audit
from gov_services.cli.rooms import SUBGRAPHS, room_factory
from gov_services.gateway.app import Gateway, create_gateway, in_process
from gov_services.kit.clock import Clock, SystemClock
from gov_services.kit.database import Database, database_answers
from gov_services.kit.health import health
from gov_services.kit.manifest import Manifest
from gov_services.kit.settings import Settings
from gov_services.kit.valkey import create_client, valkey_answers
from gov_services.subgraph.announcing import Announcer
from gov_services.subgraph.composition import Room
from gov_services.subgraph.gateway_refusals import LogSink
from gov_services.subgraph.manifests import load_manifest, watch_manifest
from gov_services.subgraph.worker import Worker


class Site:
    """Every deployable in one process."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        rooms: Sequence[Room[Any]],
        gateway: Gateway,
        audit: Audit,
        valkey: Redis,
    ) -> None:
        self.settings = settings
        self.rooms = {room.name: room for room in rooms}
        self.gateway = gateway
        self.audit = audit
        self._valkey = valkey
        self._clock = clock
        self._stop = asyncio.Event()
        self._working: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._outbox = Database(settings.room_database_url("worker"), pool_size=2, application="gov-services worker")
        announcer = Announcer(valkey, clock)
        self._worker = Worker(self._outbox, rooms, clock, announce=announcer.receive)

    async def start(self, *, background: bool = True) -> None:
        """Start logging; with `background`, the relay, the jobs and the integrator too."""
        for room in self.rooms.values():
            await room.start()
        await self.gateway.start()
        watch = watch_manifest(self.settings, self.trust, clock=self._clock)
        self._watching = asyncio.get_running_loop().create_task(watch.run(), name="manifest")
        if background:
            await self.audit.start()
            self._working = asyncio.get_running_loop().create_task(self._worker.run(self._stop), name="worker")

    async def trust(self, manifest: Manifest) -> None:
        """Serve by a newer manifest: the gateway once its plans are made, the rooms a moment before it."""
        for room in self.rooms.values():
            room.subgraph.trust(manifest)
        await self.gateway.trust(manifest)

    async def close(self) -> None:
        """Stop what runs behind the requests, write what is queued for the log, let go of everything."""
        self._stop.set()
        if self._working is not None:
            await asyncio.gather(self._working, return_exceptions=True)
        if self._watching is not None:
            self._watching.cancel()
        await self.gateway.close()
        for room in self.rooms.values():
            await room.close()
        await self.audit.close()
        await self._outbox.close()
        await self._valkey.aclose()

    async def ready(self) -> dict[str, bool]:
        """Whether what we depend on answers."""
        database = await database_answers(self._outbox)
        return {
            **await self.audit.ready(),
            "database": database,
            "keys": database and all([await room.has_right_keys() for room in self.rooms.values()]),
            "valkey": await valkey_answers(self._valkey),
        }


async def create_site(settings: Settings, *, clock: Clock | None = None) -> Site:
    """Wire everything. Opens no connection yet."""
    clock = clock or SystemClock()
    valkey = create_client(settings.valkey_url)
    rooms = [await room_factory(name)(settings, clock=clock, valkey=valkey) for name in SUBGRAPHS]
    privacy = next(room for room in rooms if room.name == "privacy")
    gateway = create_gateway(
        settings,
        manifest=load_manifest(settings, now=clock.now()),
        transports=in_process({room.name: room.subgraph for room in rooms}),
        subgraphs=SUBGRAPHS,
        refusals=LogSink(privacy.services.discloser),
        clock=clock,
        valkey=valkey,
    )
    return Site(
        settings=settings,
        clock=clock,
        rooms=rooms,
        gateway=gateway,
        audit=create_audit(settings, clock=clock),
        valkey=valkey,
    )


def create_app(site: Site, *, background: bool = True) -> Litestar:
    """The ASGI application of a site."""

    @contextlib.asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        await site.start(background=background)
        try:
            yield
        finally:
            await site.close()

    graphql = asgi("/graphql", copy_scope=False)(site.gateway.endpoint)
    routes = [route.handler for room in site.rooms.values() for route in room.routes]
    return Litestar(
        route_handlers=[graphql, *health(site.ready), site.audit.router, *routes],
        lifespan=[running],
        openapi_config=None,
        logging_config=None,
    )
