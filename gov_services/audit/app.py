"""The composition root of audit: the integrator as a background task, and the log's public face. It serves no entry.

`/log/checkpoint`, `/log/key` and `/log/tile/…` follow C2SP tlog-tiles with `/log` as prefix; an entry, there, is the
32-byte commitment.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.params import FromPath

from gov_services.audit import store
from gov_services.audit.checkpoint import verifier_key
from gov_services.audit.describe import Describer
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import LAG_LIMIT_S
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import Clock, SystemClock
from gov_services.kit.database import Database, database_answers
from gov_services.kit.errors import NotFound, ServiceError, Unavailable
from gov_services.kit.health import health
from gov_services.kit.locales import negotiate_locale
from gov_services.kit.settings import Settings

TILE_WIDTH = 256
TILE_HEIGHT = 8
_PLACE = re.compile(
    r"/?(?P<level>[0-5]?[0-9]|entries)/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_BRIEFLY = {"Cache-Control": "public, max-age=1"}


@dataclass(frozen=True, slots=True)
class Place:
    """Which tile: a level of the tree, or the entries themselves (None); its number; how many of its hashes."""

    level: int | None
    index: int
    width: int


class Audit:
    """The audit deployable: wired once, started and closed by whoever serves it."""

    def __init__(self, database: Database, integrator: Integrator, describer: Describer, router: Router) -> None:
        self.router = router
        self.integrator = integrator
        self._database = database
        self._stop = asyncio.Event()
        self._describer = describer
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to integrate, and to describe, in the background."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self.integrator.run(self._stop), name="audit-integrator"),
            loop.create_task(self._describer.run(self._stop), name="audit-describer"),
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
        await self._database.close()


def create_audit(settings: Settings, *, clock: Clock | None = None) -> Audit:
    """The integrator and the public routes, from settings and key files."""
    database = Database(settings.room_database_url("audit"), pool_size=settings.pool_size, application="audit")
    key = SigningKey.load(settings.secrets_directory, "log")
    keys = VerifyKeys.load(settings.secrets_directory, "log")
    origin = settings.log_origin
    integrator = Integrator(
        database,
        key,
        clock or SystemClock(),
        keys=keys,
        origin=origin,
        published=settings.runtime_directory / "log",
    )
    return Audit(database, integrator, Describer(database), create_router(database, keys, origin=origin))


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


def create_router(database: Database, keys: VerifyKeys, *, origin: str) -> Router:
    """The public routes. They show commitments, hashes and signatures; nothing of what is committed to."""

    @get("/checkpoint", media_type=MediaType.TEXT)
    async def checkpoint() -> Response[str]:
        async with database.reading() as session:
            newest = await store.newest_checkpoint(session)
        if newest is None:
            raise NotFound
        return Response(newest.note, headers=_BRIEFLY)

    @get("/key", media_type=MediaType.TEXT)
    async def key() -> Response[str]:
        lines = [verifier_key(origin, public) for _, public in sorted(keys.public_keys().items())]
        return Response("".join(f"{line}\n" for line in lines), headers=_BRIEFLY)

    @get("/tile/{place:path}", media_type="application/octet-stream")
    async def tile(place: FromPath[str]) -> Response[bytes]:
        wanted = parse_place(place)
        return Response(await _tile(database, wanted), headers=_FOREVER)

    return Router("/log", route_handlers=[checkpoint, key, tile], exception_handlers={ServiceError: _refuse})


def parse_place(path: str) -> Place:
    """The tile that a path of C2SP tlog-tiles names. Raises NotFound."""
    found = _PLACE.fullmatch(path)
    if found is None:
        raise NotFound
    level = None if found["level"] == "entries" else int(found["level"])
    index = int(found["index"].replace("x", "").replace("/", ""))
    place = Place(level, index, int(found["width"] or TILE_WIDTH))
    # A tile has one path: no leading zeros, and a full one is not also a partial one.
    if (
        (found["width"] and place.width == TILE_WIDTH)
        or place.width > TILE_WIDTH
        or index >= 1 << 54
        or path.lstrip("/") != path_of(place)
    ):
        raise NotFound
    return place


def path_of(place: Place) -> str:
    """The path of a tile: its number in groups of three digits, all but the last marked with x."""
    groups = [f"{place.index % 1000:03d}"]
    rest = place.index // 1000
    while rest:
        groups.insert(0, f"x{rest % 1000:03d}")
        rest //= 1000
    level = "entries" if place.level is None else str(place.level)
    return f"{level}/{'/'.join(groups)}" + (f".p/{place.width}" if place.width < TILE_WIDTH else "")


async def _tile(database: Database, place: Place) -> bytes:
    """The bytes of a tile, once a checkpoint covers all of it. Raises NotFound."""
    begin = place.index * TILE_WIDTH
    async with database.reading() as session:
        if place.level is None:
            newest = await store.newest_checkpoint(session)
            if newest is None or newest.size < begin + place.width:
                raise NotFound
            rows = await store.commitments(session, begin=begin, limit=place.width)
            return b"".join(len(committed).to_bytes(2, "big") + committed for _, committed in rows)
        level = place.level * TILE_HEIGHT
        hashes = await store.nodes_from(session, level=level, begin=begin, limit=place.width)
    if len(hashes) != place.width:
        raise NotFound
    return b"".join(hashes[begin + offset] for offset in range(place.width))


def _refuse(request: Request[Any, Any, Any], error: ServiceError) -> Response[dict[str, str]]:
    locale = negotiate_locale(request.headers.get("accept-language", ""))
    status = 503 if isinstance(error, Unavailable) else 404
    return Response(
        {"code": error.code, "message": error.message(locale)}, status_code=status, media_type=MediaType.JSON
    )
