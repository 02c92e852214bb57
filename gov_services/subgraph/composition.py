"""What every room's composition root wires alike. It reads settings for `*/app.py` and knows no domain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import structlog
from redis.asyncio import Redis

from gov_services.audit.log import AuditLog
from gov_services.consent.budgets import ValkeyBudgets
from gov_services.consent.bundles import Bundles
from gov_services.consent.disclosures import Discloser
from gov_services.crypto.data_keys import DataKeys
from gov_services.crypto.key_ring import KeyPlaces, open_ring
from gov_services.crypto.keys import DataClass, KekKeeper, KeyRefused, KeysUnavailable
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import Clock
from gov_services.kit.database import Database, create_engine
from gov_services.kit.settings import Settings
from gov_services.subgraph.app import Subgraph
from gov_services.subgraph.assertion import AssertionVerifier
from gov_services.subgraph.context import RoomServices
from gov_services.subgraph.entrances import Job, JobUnknown, Route, job_context, receive_event
from gov_services.subgraph.events import Handler
from gov_services.subgraph.manifests import load_manifest
from gov_services.subgraph.schema import Schema
from gov_services.subgraph.worker import Work

Ports = TypeVar("Ports")

AUDIT_POOL_SIZE = 2
_log = structlog.get_logger("gov_services.room")


class Room(Generic[Ports]):
    """A room, wired: its subgraph, event handlers, routes and jobs."""

    def __init__(
        self,
        *,
        subgraph: Subgraph[Ports],
        services: RoomServices[Ports],
        clock: Clock,
        handlers: Mapping[str, Handler],
        routes: Sequence[Route],
        jobs: Sequence[Job],
        closing: Sequence[Callable[[], Awaitable[None]]],
    ) -> None:
        self.name = subgraph.name
        self.subgraph = subgraph
        self.services = services
        self.handlers = dict(handlers)
        self.routes = tuple(routes)
        self.jobs = {job.name: job for job in jobs}
        self._clock = clock
        self._closing = tuple(closing)
        self._stated = False

    async def start(self) -> None:
        """Begin to log; nothing is disclosed before."""
        await self.services.discloser.audit.start()

    async def require_right_keys(self) -> None:
        """Raises KeyRefused for keys that the database was not written under; KeysUnavailable, DatabaseUnavailable.

        Keys that are right are stated, once: no key is destroyed that a room which runs still wraps by.
        """
        discloser, now = self.services.discloser, self._clock.now()
        try:
            async with discloser.database.reading() as session:
                await discloser.keys.require_right_files(session, now=now)
            if not self._stated:
                async with discloser.database.writing() as writing:
                    await discloser.keys.state_holding(writing, holder=self.name, now=now)
                self._stated = True
        except KeyRefused as wrong:
            _log.critical("the key files are not those of this database", room=self.name, reason=str(wrong))
            raise
        except KeysUnavailable:
            _log.error("what holds the key-encryption keys does not answer", room=self.name)
            raise

    async def has_right_keys(self) -> bool:
        """Whether the keys answer and are those that the database was written under. Raises DatabaseUnavailable."""
        try:
            await self.require_right_keys()
        except (KeyRefused, KeysUnavailable):
            return False
        return True

    async def close(self) -> None:
        """Let what is queued for the log be written, then let go of everything, newest first."""
        for close in self._closing:
            await close()
        await self.services.discloser.audit.close()
        await self.services.discloser.database.close()

    async def receive(self, content: bytes) -> bool:
        """Take an event from the worker; see `entrances.receive_event`."""
        return await receive_event(self.services, self.handlers, content, now=self._clock.now())

    async def run_job(self, name: str) -> int:
        """Run one of the room's jobs now. Raises JobUnknown."""
        job = self.jobs.get(name)
        if job is None:
            raise JobUnknown(name)
        context = job_context(self.services, job, now=self._clock.now())
        try:
            return await job.run(context)
        finally:
            context.disclosures.close()

    async def work(self) -> Work:
        """What a worker brings here."""
        return Work(frozenset(self.handlers), {job.name: job.every_s for job in self.jobs.values()})


@dataclass(frozen=True, slots=True)
class Foundation:
    """What a composition root gets before it adds its own ports."""

    settings: Settings
    clock: Clock
    schema: Schema
    database: Database
    audit: AuditLog
    keys: DataKeys
    discloser: Discloser
    verifier: AssertionVerifier

    def room(
        self,
        ports: Ports,
        *,
        handlers: Mapping[str, Handler] | None = None,
        routes: Callable[[RoomServices[Ports]], Sequence[Route]] | None = None,
        jobs: Sequence[Job] = (),
        closing: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> Room[Ports]:
        """The room with its ports. `routes` makes them over the room's services."""
        services = RoomServices(self.discloser, ports)
        subgraph = Subgraph(
            name=self.discloser.room,
            schema=self.schema,
            verifier=self.verifier,
            services=services,
            clock=self.clock,
        )
        return Room(
            subgraph=subgraph,
            services=services,
            clock=self.clock,
            handlers=handlers or {},
            routes=routes(services) if routes else (),
            jobs=jobs,
            closing=closing,
        )


def lay_foundation(
    settings: Settings, *, room: str, data_class: DataClass, schema: Schema, clock: Clock, valkey: Redis
) -> Foundation:
    """Connect `room` under its own role, with the keys of its own classes. Opens no connection yet."""
    url = settings.room_database_url(room)
    database = Database(url, pool_size=settings.pool_size, application=f"gov-services {room}")
    audit = AuditLog(
        create_engine(url, pool_size=AUDIT_POOL_SIZE, application=f"gov-services {room} log"),
        room=room,
        key=SigningKey.load(settings.secrets_directory, f"writer-{room}"),
    )
    # Registration makes a citizen's keys of every class; elsewhere a room holds the key-encryption keys of its own.
    classes = frozenset(DataClass) if room == "identity" else frozenset({data_class, DataClass.AUDIT})
    keys = DataKeys(open_keys(settings, classes, holder=room))
    signing = settings.secrets_directory
    discloser = Discloser(
        room=room,
        database=database,
        audit=audit,
        keys=keys,
        bundles=Bundles(VerifyKeys.load(signing, "bundle")),
        budgets=ValkeyBudgets(valkey, database),
        vocabulary=schema.vocabulary,
        data_class=data_class,
    )
    verifier = AssertionVerifier(
        subgraph=room,
        gateway_keys=VerifyKeys.load(signing, "assertion"),
        access_token_keys=VerifyKeys.load(signing, "access-token"),
        issuer=settings.public_url,
        manifest=load_manifest(settings, now=clock.now()),
        allow_adhoc=settings.development,
    )
    return Foundation(settings, clock, schema, database, audit, keys, discloser, verifier)


def open_keys(settings: Settings, classes: Iterable[DataClass], *, holder: str) -> KekKeeper:
    """The key-encryption keys of these classes, wherever the settings say they are. Raises KeyRefused.

    `holder` is a room, or `operator`: Vault gives each a token of its own.
    """
    authorities = settings.vault_authorities
    places = KeyPlaces(
        providers=settings.names_of_key_providers(),
        directory=settings.secrets_directory,
        pkcs11_module=settings.pkcs11_module,
        pkcs11_prefix=settings.pkcs11_prefix,
        vault_url=settings.vault_url,
        vault_mount=settings.vault_mount,
        vault_prefix=settings.vault_prefix,
        vault_authorities=Path(authorities) if authorities else None,
    )
    return open_ring(places, classes, holder=holder)
