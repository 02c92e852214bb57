"""What the room's own routes have alike: who asks, in which language, how a refusal is told. It decides nothing.

Routes that answer to others' specifications have no gateway before them, and so no trusted document: each route is
registered with its purpose instead.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from litestar import Request, Response

from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind
from gov_services.kit.clock import Clock
from gov_services.kit.context import Entrance, EntranceKind
from gov_services.kit.errors import Forbidden, NotFound, ServiceError, Unauthenticated, Unavailable, UserError
from gov_services.kit.locales import negotiate_locale
from gov_services.kit.rates import TooManyRequests
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.bearer import BearerRefused
from gov_services.subgraph.context import ReadContext, RoomServices
from gov_services.subgraph.entrances import entrance_context
from gov_services.subgraph.unit_of_work import Outcome, log_refusal

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
AnyRequest = Request[Any, Any, Any]
Context = ReadContext[PrivacyPorts]
Ask = Callable[[Context], Awaitable[Any]]
JSON = "application/json"


class BadQuery(UserError):
    """A parameter cannot be meant."""

    code = "BAD_QUERY"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "参数有误:{problem}。", "en": "That cannot be meant: {problem}."}


class Door:
    """The way in to the routes of one specification, with the status that it has for each kind of refusal."""

    def __init__(
        self, services: RoomServices[PrivacyPorts], clock: Clock, statuses: Mapping[type[ServiceError], int]
    ) -> None:
        self.services = services
        self.clock = clock
        self._statuses = statuses

    async def answer(
        self,
        request: AnyRequest,
        ask: Ask,
        *,
        path: str,
        purposes: Mapping[ActorKind, str],
        media_type: str = JSON,
    ) -> Response[Any]:
        """What `ask` comes to for whoever's token the request carries, under the purpose that the route has for them.

        Kinds of actor that it has none for are refused.
        """
        now, locale = self.clock.now(), negotiate_locale(request.headers.get("accept-language", ""))
        entrance = Entrance(EntranceKind.ROUTE, path, next(iter(purposes.values())))
        context = entrance_context(self.services, entrance, now=now, locale=locale)
        try:
            actor = self._actor(request)
            entrance = Entrance(EntranceKind.ROUTE, path, purposes.get(actor.kind, entrance.purpose))
            context = entrance_context(self.services, entrance, now=now, actor=actor, locale=locale)
            await self._count(request, actor)
            if actor.kind not in purposes:
                raise Forbidden
            found = await ask(context)
        except BearerRefused:
            return await self._refused(context, await self._of_stranger(request), locale)
        except ServiceError as refused:
            return await self._refused(context, refused, locale)
        finally:
            context.disclosures.close()
        return Response(found, media_type=media_type, headers=HEADERS)

    async def tell(self, request: AnyRequest, ask: Callable[[str], Awaitable[Any]]) -> Response[Any]:
        """What `ask` comes to in the language of the request, for anybody: what is public anyway is not logged."""
        locale = negotiate_locale(request.headers.get("accept-language", ""))
        try:
            await self._count(request, ANONYMOUS)
            return Response(await ask(locale), media_type=JSON, headers=HEADERS)
        except ServiceError as refused:
            return self._told(refused, locale)

    async def _count(self, request: AnyRequest, actor: Actor) -> None:
        """Count a request as the gateway would. Raises TooManyRequests, LimitsUnavailable."""
        address = request.client.host if request.client else ""
        await self.services.ports.rate.take(
            actor, address=address, is_query=request.method == "GET", monotonic_s=time.monotonic()
        )

    async def _of_stranger(self, request: AnyRequest) -> ServiceError:
        """Why somebody without a token of ours is refused: they are counted too."""
        try:
            await self._count(request, ANONYMOUS)
        except (TooManyRequests, Unavailable) as refused:
            return refused
        return Unauthenticated()

    def _actor(self, request: AnyRequest) -> Actor:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise BearerRefused
        return self.services.ports.bearers.actor(token, now=self.clock.now())

    async def _refused(self, context: Context, refused: ServiceError, locale: str) -> Response[Any]:
        if not refused.logged and not isinstance(refused, Unavailable):
            try:
                await log_refusal(context, refused)
            except Unavailable as unlogged:
                refused = unlogged
        return self._told(refused, locale)

    def _told(self, refused: ServiceError, locale: str) -> Response[Any]:
        body = {"code": refused.code, "message": refused.message(locale)}
        status = next((status for kind, status in self._statuses.items() if isinstance(refused, kind)), 403)
        wait = {"retry-after": str(refused.retry_after_s)} if isinstance(refused, TooManyRequests) else {}
        return Response(body, status_code=status, headers={**HEADERS, **wait})


STATUSES: Mapping[type[ServiceError], int] = {
    Unavailable: 503,
    TooManyRequests: 429,
    NotFound: 404,
    Unauthenticated: 401,
}
"""Any other refusal is a 403."""


def done(outcome: Outcome[Any]) -> Any:
    """The result of a use case that was committed. Raises what the person can put right, which the log holds."""
    for error in outcome.errors:
        error.logged = True
        raise error
    return outcome.result


def whole_number(asked: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    """A parameter that is a number. Raises BadQuery."""
    text = asked.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or not least <= int(text) <= most:
        raise BadQuery(problem=f"{name} is a whole number from {least} to {most}")
    return int(text)
