"""Wires all rooms into one process: subgraphs, gateway, routes, relay, jobs, integrator. It alone sees all of them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog
from litestar import Litestar, Response, asgi, get
from redis.asyncio import Redis
from sqlalchemy import text

from gov_services.audit.app import Audit, create_audit
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.log import AuditLog
from gov_services.cli.rooms import SUBGRAPHS, room_factory
from gov_services.gateway.app import Gateway, create_gateway, in_process
from gov_services.kit.actor import Actor
from gov_services.kit.clock import Clock, SystemClock
from gov_services.kit.database import Database
from gov_services.kit.errors import ServiceError
from gov_services.kit.ids import new_id
from gov_services.kit.settings import Settings
from gov_services.kit.valkey import create_client
from gov_services.subgraph.composition import Room, load_manifest
from gov_services.subgraph.entrances import Job
from gov_services.subgraph.relay import Receive, Relay

_log = structlog.get_logger("gov_services.serve")


class LogSink:
    """Takes the gateway's refusals into the log, which the gateway itself has no way to."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    async def refused(
        self, *, code: str, actor: Actor, document_id: str | None, request_id: str, now: dt.datetime
    ) -> None:
        """See gateway.refusals.RefusalSink."""
        entry = Entry(
            id=new_id(now),
            at=now,
            room=self._audit.room,
            kind=EntryKind.REFUSAL,
            action="gateway.refused",
            actor=actor.ref,
            actor_tag=None,
            client=actor.client_id,
            roles=tuple(sorted(actor.roles)),
            purpose="",
            entrance="route:/graphql",
            document=document_id[:64] if document_id else None,
            subject_tag=None,
            outcome="refused",
            code=code,
            request=request_id,
        )
        await self._audit.refuse(entry)


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
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._outbox = Database(settings.room_database_url("worker"), pool_size=2, application="gov-services worker")
        self.relay = Relay(self._outbox, receivers_of(rooms), clock)

    async def start(self, *, background: bool = True) -> None:
        """Start logging; with `background`, the relay, the jobs and the integrator too."""
        for room in self.rooms.values():
            await room.start()
        if background:
            await self.audit.start()
            self._spawn(self.relay.run(self._stop))
            for room in self.rooms.values():
                for job in room.jobs:
                    self._spawn(self._run_job(room, job))

    async def close(self) -> None:
        """Stop what runs behind the requests, write what is queued for the log, let go of everything."""
        self._stop.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for room in self.rooms.values():
            await room.close()
        await self.audit.close()
        await self._outbox.close()
        await self._valkey.aclose()

    async def ready(self) -> dict[str, bool]:
        """Whether what we depend on answers."""
        answers = {"database": True, "valkey": True}
        try:
            async with self._outbox.reading() as session:
                await session.execute(text("SELECT 1"))
        except ServiceError:
            answers["database"] = False
        try:
            await self._valkey.ping()
        except Exception:  # noqa: BLE001  whatever it is, Valkey is not ready
            answers["valkey"] = False
        return answers

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _run_job(self, room: Room[Any], job: Job) -> None:
        while not self._stop.is_set():
            try:
                await room.run_job(job)
            except ServiceError as unavailable:
                _log.warning("a job waits", job=job.name, code=unavailable.code)
            except Exception:  # noqa: BLE001  a job that fails is told of, and runs again
                _log.exception("a job failed", job=job.name)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), job.every_s)


def receivers_of(rooms: Sequence[Room[Any]]) -> dict[str, list[Receive]]:
    """Event type → the rooms that handle it."""
    receivers: dict[str, list[Receive]] = {}
    for room in rooms:
        for event_type in room.handlers:
            receivers.setdefault(event_type, []).append(room.receive)
    return receivers


async def create_site(settings: Settings, *, clock: Clock | None = None) -> Site:
    """Wire everything. Opens no connection yet."""
    clock = clock or SystemClock()
    valkey = create_client(settings.valkey_url)
    rooms = [await room_factory(name)(settings, clock=clock, valkey=valkey) for name in SUBGRAPHS]
    privacy = next(room for room in rooms if room.name == "privacy")
    gateway = create_gateway(
        settings,
        manifest=load_manifest(settings),
        transports=in_process({room.name: room.subgraph for room in rooms}),
        subgraphs=SUBGRAPHS,
        refusals=LogSink(privacy.services.discloser.audit),
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

    @get("/healthz", media_type="text/plain", sync_to_thread=False)
    def healthz() -> str:
        return "ok\n"

    @get("/readyz")
    async def readyz() -> Response[dict[str, bool]]:
        answers = await site.ready()
        # Without Valkey signed-in reads go on: it is told, and takes nobody out of service.
        return Response(answers, status_code=200 if answers["database"] else 503)

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
        route_handlers=[graphql, healthz, readyz, site.audit.router, *routes],
        lifespan=[running],
        openapi_config=None,
        logging_config=None,
    )
