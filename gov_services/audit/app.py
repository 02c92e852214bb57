"""The composition root of audit: integrator and mapper as background tasks, the log's public face. It serves no entry.

`/log/checkpoint`, `/log/key` and `/log/tile/…` follow C2SP tlog-tiles with `/log` as prefix; an entry, there, is the
32-byte commitment. `/log/key/ml-dsa-44` is the key of the log's second signature, if it has one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from httpx import AsyncClient
from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.params import FromPath
from obstore.exceptions import BaseError as StoreFailed
from obstore.store import ObjectStore

from gov_services.audit import store
from gov_services.audit.checkpoint import verifier_key
from gov_services.audit.describe import Describer
from gov_services.audit.integrate import Integrator
from gov_services.audit.listing import ROOM
from gov_services.audit.log import LAG_LIMIT_S, AuditLog
from gov_services.audit.map_subjects import Mapper
from gov_services.audit.note import NoteKey
from gov_services.audit.own_cosignature import own_cosigner, own_keys
from gov_services.audit.publish import CHECKPOINT_PATH, Publisher, open_store
from gov_services.audit.tiles import NoSuchTile, Place
from gov_services.audit.witnesses import NOBODY_ASKED, PolicyRefused, WitnessPolicy
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import Clock, SystemClock
from gov_services.kit.database import Database, database_answers
from gov_services.kit.errors import NotFound, ServiceError, Unavailable
from gov_services.kit.health import health
from gov_services.kit.locales import negotiate_locale
from gov_services.kit.settings import Settings, SettingsRefused

POOL_SIZE = 8
"""Of connections: integrator, publisher, describer and mapper write at the same time, and tiles are read."""
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_BRIEFLY = {"Cache-Control": "public, max-age=1"}


class LogUnavailable(Unavailable):
    """What has been published cannot be read just now."""

    code = "LOG_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "公开日志暂时无法读取,请稍后再试。",
        "en": "The public log cannot be read just now. Please try again later.",
    }


class Audit:
    """The audit deployable: wired once, started and closed by whoever serves it."""

    def __init__(
        self,
        database: Database,
        integrator: Integrator,
        describer: Describer,
        publisher: Publisher,
        mapper: Mapper,
        log: AuditLog,
        http: AsyncClient,
        router: Router,
    ) -> None:
        self.router = router
        self.mapper = mapper
        self._log = log
        self.integrator = integrator
        self.publisher = publisher
        self._describer = describer
        self._database = database
        self._http = http
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to integrate, to publish, to describe and to map, in the background."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self.integrator.run(self._stop), name="audit-integrator"),
            loop.create_task(self.publisher.run(self._stop), name="audit-publisher"),
            loop.create_task(self._describer.run(self._stop), name="audit-describer"),
            loop.create_task(self.mapper.run(self._stop), name="audit-mapper"),
        ]

    async def ready(self) -> dict[str, bool]:
        """Whether what the log depends on answers, and what waits to be signed does not wait for too long.

        A log that is behind has every room open nothing (`AUDIT_UNAVAILABLE`): whoever watches is to know from whom. It
        takes this process not out of service, since its checkpoint is what others come for just then.
        """
        if not await database_answers(self._database):
            return {"database": False}
        return {"database": True, "entries_signed": await self._keeps_up()}

    async def _keeps_up(self) -> bool:
        try:
            async with self._database.reading() as session:
                lag_s = await store.lag_s(session)
        except ServiceError:
            return False
        return lag_s is None or lag_s <= LAG_LIMIT_S

    async def close(self) -> None:
        """Stop after the run at hand, and return every connection."""
        self._stop.set()
        for task in self._tasks:
            await task
        await self._log.close()
        await self._http.aclose()
        await self._database.close()


def create_audit(settings: Settings, *, clock: Clock | None = None) -> Audit:
    """The integrator and the public routes, from settings and key files."""
    database = Database(settings.room_database_url("audit"), pool_size=POOL_SIZE, application="audit")
    key = SigningKey.load(settings.secrets_directory, "log")
    keys = VerifyKeys.load(settings.secrets_directory, "log")
    origin = settings.log_origin
    clock = clock or SystemClock()
    http = AsyncClient()
    objects = open_store(settings.log_store, settings.runtime_directory / "log" / "tree")
    policy = _policy(settings.log_witnesses)
    publisher = Publisher(
        database,
        objects,
        http,
        clock,
        keys=keys,
        origin=origin,
        policy=policy,
        cadence_s=settings.log_publish_s,
        own=own_cosigner(settings.secrets_directory, origin),
    )
    integrator = Integrator(
        database,
        key,
        clock,
        keys=keys,
        origin=origin,
        published=settings.runtime_directory / "log",
        elsewhere=publisher,
    )
    log = AuditLog(database.engine, room=ROOM, key=SigningKey.load(settings.secrets_directory, f"writer-{ROOM}"))
    mapper = Mapper(database, log, clock)
    router = create_router(objects, keys, origin=origin, own=own_keys(settings.secrets_directory, origin))
    return Audit(database, integrator, Describer(database), publisher, mapper, log, http, router)


def _policy(path: str) -> WitnessPolicy:
    """Raises SettingsRefused."""
    try:
        policy = WitnessPolicy.parse(Path(path).read_text()) if path else NOBODY_ASKED
        if not policy.is_met({name for name, one in policy.witnesses.items() if one.url}):
            raise PolicyRefused("the quorum needs a witness of whom it does not say where it is")
        return policy
    except (OSError, PolicyRefused) as refused:
        raise SettingsRefused(f"GOV_LOG_WITNESSES: {refused}") from refused


def create_app(settings: Settings) -> Litestar:
    """The audit deployable as an ASGI application of its own."""
    audit = create_audit(settings)

    @contextlib.asynccontextmanager
    async def integrating(_: Litestar) -> AsyncIterator[None]:
        await audit.start()
        try:
            yield
        finally:
            await audit.close()

    return Litestar(
        route_handlers=[audit.router, *health(audit.ready)],
        lifespan=[integrating],
        openapi_config=None,
        logging_config=None,
    )


def create_router(objects: ObjectStore, keys: VerifyKeys, *, origin: str, own: Sequence[NoteKey] = ()) -> Router:
    """The public routes: what has been published, as it lies. Commitments, hashes and signatures; no entry."""

    @get("/checkpoint", media_type=MediaType.TEXT)
    async def checkpoint() -> Response[bytes]:
        return Response(await _get(objects, CHECKPOINT_PATH), headers=_BRIEFLY, media_type=MediaType.TEXT)

    @get("/key", media_type=MediaType.TEXT)
    async def key() -> Response[str]:
        lines = [verifier_key(origin, public) for _, public in sorted(keys.public_keys().items())]
        return Response("".join(f"{line}\n" for line in lines), headers=_BRIEFLY)

    @get("/key/ml-dsa-44", media_type=MediaType.TEXT)
    async def quantum_safe_key() -> Response[str]:
        if not own:
            raise NotFound
        return Response("".join(f"{one}\n" for one in own), headers=_BRIEFLY)

    @get("/tile/{place:path}", media_type="application/octet-stream")
    async def tile(place: FromPath[str]) -> Response[bytes]:
        try:
            wanted = Place.parse(place.removeprefix("/"))
        except NoSuchTile as none:
            raise NotFound from none
        return Response(await _get(objects, f"tile/{wanted.path}"), headers=_FOREVER)

    return Router(
        "/log", route_handlers=[checkpoint, key, quantum_safe_key, tile], exception_handlers={ServiceError: _refuse}
    )


async def _get(objects: ObjectStore, path: str) -> bytes:
    """What has been published there. Raises NotFound, LogUnavailable."""
    try:
        found = await objects.get_async(path)
        return bytes(await found.bytes_async())
    except FileNotFoundError as none:
        raise NotFound from none
    except StoreFailed as failed:
        raise LogUnavailable from failed


def _refuse(request: Request[Any, Any, Any], error: ServiceError) -> Response[dict[str, str]]:
    locale = negotiate_locale(request.headers.get("accept-language", ""))
    status = 503 if isinstance(error, Unavailable) else 404
    return Response(
        {"code": error.code, "message": error.message(locale)}, status_code=status, media_type=MediaType.JSON
    )
