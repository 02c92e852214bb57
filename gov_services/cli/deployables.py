"""Wires each deployable by itself: gateway, a room, the log, the worker. `serve.py` wires them into one process.

Each is an ASGI application, the worker too: what runs behind it answers `/healthz` and `/readyz`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

import httpx
from litestar import Litestar, asgi

from gov_services.audit.app import create_app as create_audit_app
from gov_services.cli.installation import NotInstalled, require_valkey
from gov_services.cli.rooms import SUBGRAPHS, room_factory
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.federation.http1 import HttpClient
from gov_services.gateway.app import create_gateway, over_http
from gov_services.gateway.metrics import GatewayMetrics
from gov_services.gateway.refusals import HttpRefusalSink
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database, database_answers
from gov_services.kit.health import health
from gov_services.kit.manifest import Manifest
from gov_services.kit.settings import Settings
from gov_services.kit.valkey import create_client, valkey_answers
from gov_services.subgraph.announcing import Announcer
from gov_services.subgraph.http import LOGS_FOR_THE_GATEWAY, RoomDoor, create_room_app
from gov_services.subgraph.manifests import load_manifest, watch_manifest
from gov_services.subgraph.remote import RemoteRoom
from gov_services.subgraph.worker import Worker

AFTER_ROOMS_S = 30.0
"""A gateway serves by a new manifest so long after it saw it: by then the rooms know it too."""
ROOM_TIMEOUT_S = 10.0
"""A fetch, an event or a job may take so long."""
CONNECT_TIMEOUT_S = 0.5
CONNECTIONS = 64

PUBLIC_PATHS: Mapping[str, str] = {
    "/graphql": "gateway",
    "/oauth/token": "identity",
    "/.well-known/jwks.json": "identity",
    "/uploads/": "permits",
    "/downloads/": "permits",
    "/licences/": "permits",
    "/.well-known/licence-keys.json": "permits",
    "/webhooks/payments/": "payments",
    "/.well-known/health-code-keys.json": "healthcode",
    "/.well-known/consent-receipt-keys.json": "privacy",
    "/v2/": "privacy",
    "/fhir/": "privacy",
    "/consent-bb/": "privacy",
    "/log/": "log",
}
"""What is routed from outside, and to which deployable; a path that ends with a slash stands for all below it."""


def create_gateway_app(settings: Settings, metrics: GatewayMetrics) -> Litestar:
    """The gateway alone. Raises SettingsRefused, NotInstalled."""
    require_valkey(settings)
    clock, valkey = SystemClock(), create_client(settings.valkey_url)
    rooms = _addresses_of_rooms(settings)
    client, subgraphs = _client(), HttpClient()
    key = SigningKey.load(settings.secrets_directory, "assertion")
    gateway = create_gateway(
        settings,
        manifest=load_manifest(settings, now=clock.now()),
        transports=over_http(rooms, subgraphs),
        subgraphs=SUBGRAPHS,
        refusals=HttpRefusalSink(
            LOGS_FOR_THE_GATEWAY, rooms[LOGS_FOR_THE_GATEWAY], key=key, clock=clock, client=client
        ),
        clock=clock,
        valkey=valkey,
        metrics=metrics,
    )

    async def trust(manifest: Manifest) -> None:
        await asyncio.sleep(AFTER_ROOMS_S)
        await gateway.trust(manifest)

    async def ready() -> dict[str, bool]:
        return {"valkey": await valkey_answers(valkey)}

    @contextlib.asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        await gateway.start()
        watch = asyncio.create_task(watch_manifest(settings, trust, clock=clock).run(), name="manifest")
        yield
        watch.cancel()
        await gateway.close()
        await subgraphs.aclose()
        await client.aclose()
        await valkey.aclose()

    graphql = asgi("/graphql", copy_scope=False)(gateway.endpoint)
    return _app([graphql, *health(ready)], running)


async def create_subgraph_app(settings: Settings, name: str) -> Litestar:
    """One room alone. Raises SettingsRefused, NotInstalled."""
    require_valkey(settings)
    clock, valkey = SystemClock(), create_client(settings.valkey_url)
    room = await room_factory(name)(settings, clock=clock, valkey=valkey)
    door = RoomDoor(
        room,
        worker_keys=VerifyKeys.load(settings.secrets_directory, "worker"),
        gateway_keys=VerifyKeys.load(settings.secrets_directory, "assertion"),
        clock=clock,
        valkey=valkey,
    )
    return create_room_app(door, partial(watch_manifest, settings, clock=clock))


def create_log_app(settings: Settings) -> Litestar:
    """The integrator and the public log."""
    return create_audit_app(settings)


def create_worker_app(settings: Settings) -> Litestar:
    """The relay and the due jobs of every room. Raises SettingsRefused, NotInstalled."""
    require_valkey(settings)
    clock, client, stop = SystemClock(), _client(), asyncio.Event()
    valkey = create_client(settings.valkey_url, pool_size=2)
    key = SigningKey.load(settings.secrets_directory, "worker")
    database = Database(settings.room_database_url("worker"), pool_size=2, application="gov-services worker")
    addresses = _addresses_of_rooms(settings)
    rooms = [RemoteRoom(name, url, key=key, clock=clock, client=client) for name, url in addresses.items()]
    worker = Worker(database, rooms, clock, announce=Announcer(valkey, clock).receive)

    async def ready() -> dict[str, bool]:
        return {"database": await database_answers(database), "started": worker.started}

    @contextlib.asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        task = asyncio.create_task(worker.run(stop), name="worker")
        yield
        stop.set()
        await task
        await client.aclose()
        await valkey.aclose()
        await database.close()

    return _app(health(ready), running)


def _app(handlers: list[Any], lifespan: Callable[[Litestar], Any]) -> Litestar:
    return Litestar(route_handlers=handlers, lifespan=[lifespan], openapi_config=None, logging_config=None)


def _client() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    # Addresses of our own processes: no proxy of the environment's stands between them.
    return httpx.AsyncClient(
        timeout=httpx.Timeout(ROOM_TIMEOUT_S, connect=CONNECT_TIMEOUT_S), limits=limits, trust_env=False
    )


def _addresses_of_rooms(settings: Settings) -> dict[str, str]:
    found = settings.addresses_of_rooms()
    missing = [name for name in SUBGRAPHS if name not in found]
    if missing:
        raise NotInstalled(f"GOV_ROOM_URLS does not say where {', '.join(missing)} is")
    return {name: found[name] for name in SUBGRAPHS}
