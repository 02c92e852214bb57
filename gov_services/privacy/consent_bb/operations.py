"""What an operation of GovStack's consent API is, and how a list of them becomes routes. It knows no operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Response, route
from litestar.handlers import HTTPRouteHandler

from gov_services.consent.purposes import Bundle
from gov_services.kit.actor import ActorKind
from gov_services.kit.clock import Clock
from gov_services.kit.database import ReadSession
from gov_services.kit.errors import NotFound, ServiceError, UserError
from gov_services.privacy.consent_bb.agreements import Reader
from gov_services.privacy.consent_bb.records import Shower
from gov_services.privacy.consent_bb.register import Agreement
from gov_services.privacy.consent_bb.shapes import BODY_LIMIT_BYTES
from gov_services.privacy.door import STATUSES, AnyRequest, Context, Door, whole_number
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import RoomServices
from gov_services.subgraph.entrances import Route

PREFIX = "/consent-bb"
LONGEST_PAGE = 200
FURTHEST = 1_000_000
_STATUS: Mapping[type[ServiceError], int] = {UserError: 400, **STATUSES, NotFound: 400}
"""The specification knows 200 and 400, and its tests want a 400 for what is not there. 401, 403 and 503 say more."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request brings."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def page(self) -> tuple[int, int]:
        """Offset and limit. Raises BadQuery."""
        offset = whole_number(self.query, "offset", default=0, least=0, most=FURTHEST)
        return offset, whole_number(self.query, "limit", default=LONGEST_PAGE, least=0, most=LONGEST_PAGE)


Run = Callable[[Context, Asked], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One that is answered to whoever's token it comes with, under the purpose that it has for them."""

    method: str
    path: str
    purposes: Mapping[ActorKind, str]
    run: Run


@dataclass(frozen=True, slots=True)
class Published:
    """What anybody may read, and what is needed to show it."""

    services: RoomServices[PrivacyPorts]
    session: ReadSession
    bundle: Bundle
    clock: Clock
    locale: str

    @property
    def reader(self) -> Reader:
        """Shows agreements."""
        return Reader(self.services, self.session, self.bundle, self.locale)

    async def agreement(self, number: str) -> Agreement:
        """The agreement of that number. Raises NotFound."""
        register = self.services.ports.register
        return await register.agreement(self.session, number=number, now=self.clock.now())


@dataclass(frozen=True, slots=True)
class Publication:
    """One that is answered to anybody: agreements and policies are public (PIPL 17)."""

    method: str
    path: str
    run: Callable[[Published, Asked], Awaitable[Any]]


async def shower(ctx: Context, session: ReadSession) -> Shower:
    """Shows records to who asks."""
    bundle = await ctx.services.discloser.bundles.current(session)
    return Shower(ctx, session, Reader(ctx.services, session, bundle, ctx.call.locale))


def routes_of(
    services: RoomServices[PrivacyPorts], clock: Clock, operations: Sequence[Operation | Publication]
) -> Sequence[Route]:
    """A route a path, since whoever asks a path for its methods is told those of one handler."""
    door = Door(services, clock, _STATUS)
    by_path: dict[str, dict[str, Operation | Publication]] = {}
    for one in operations:
        by_path.setdefault(one.path, {})[one.method] = one
    return [Route(f"{PREFIX}{path}", _purpose(of), _handler(door, path, of)) for path, of in by_path.items()]


def _purpose(operations: Mapping[str, Operation | Publication]) -> str:
    """One that the path serves; empty where it serves what is public alone."""
    kept = [one for one in operations.values() if isinstance(one, Operation)]
    return next(iter(kept[0].purposes.values())) if kept else ""


def _handler(door: Door, path: str, operations: Mapping[str, Operation | Publication]) -> HTTPRouteHandler:
    @route(
        f"{PREFIX}{path}",
        http_method=list(operations),  # type: ignore[arg-type]
        status_code=200,
        request_max_body_size=BODY_LIMIT_BYTES,
        include_in_schema=False,
    )
    async def answer(request: AnyRequest) -> Response[Any]:
        asked = Asked(
            path=request.path_params,
            query=dict(request.query_params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.body(),
        )
        operation = operations[request.method]
        if isinstance(operation, Operation):
            return await _answer(door, operation, request, asked)
        return await _tell(door, operation, request, asked)

    return answer


async def _answer(door: Door, operation: Operation, request: AnyRequest, asked: Asked) -> Response[Any]:
    async def ask(ctx: Context) -> Any:
        return await operation.run(ctx, asked)

    name = f"{operation.method} {PREFIX}{operation.path}"
    return await door.answer(request, ask, path=name, purposes=operation.purposes)


async def _tell(door: Door, operation: Publication, request: AnyRequest, asked: Asked) -> Response[Any]:
    async def ask(locale: str) -> Any:
        discloser = door.services.discloser
        async with discloser.database.reading() as session:
            bundle = await discloser.bundles.current(session)
            return await operation.run(Published(door.services, session, bundle, door.clock, locale), asked)

    return await door.tell(request, ask)
