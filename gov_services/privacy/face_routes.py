"""The routes of a citizen's history in others' formats, under the citizen's own access token. They decide nothing.

| path | format |
|---|---|
| `/v2/findUsage`, `/v2/usagePeriod`, `/v2/heartbeat` | Estonia's usage service 2.1.0 |
| `/fhir/AuditEvent`, `/fhir/AuditEvent/<id>`, `/fhir/metadata` | FHIR R4 |

A user code is our opaque id of the citizen: a resident number has no place in an address.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.params import FromPath

from gov_services.kit.actor import ActorKind
from gov_services.kit.clock import Clock
from gov_services.kit.context import Entrance, EntranceKind
from gov_services.kit.errors import NotFound, Refusal, ServiceError, Unauthenticated, Unavailable, UserError
from gov_services.kit.ids import parse_id
from gov_services.kit.locales import negotiate_locale
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import faces
from gov_services.subgraph.bearer import BearerRefused
from gov_services.subgraph.context import ReadContext, RoomServices
from gov_services.subgraph.entrances import Route, entrance_context
from gov_services.subgraph.unit_of_work import log_refusal

PURPOSE = "access-history"
USAGE, EVENTS = "/v2/findUsage", "/fhir/AuditEvent"
LONGEST_PAGE = 1000
FURTHEST = 1_000_000
FHIR = "application/fhir+json"
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_Request = Request[Any, Any, Any]
_Context = ReadContext[PrivacyPorts]
Answer = Callable[[_Context, Mapping[str, str]], Awaitable[Any]]


class BadQuery(UserError):
    """A parameter cannot be meant."""

    code = "BAD_QUERY"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "参数有误:{problem}。", "en": "That cannot be meant: {problem}."}


class NotYourCode(Refusal):
    """The history of somebody else is asked for."""

    code = "NOT_YOUR_CODE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "只能查询本人的记录:{name} 须为本人代码。",
        "en": "Only one's own history is told: {name} is the code of the citizen whose token this is.",
    }


def routes(services: RoomServices[PrivacyPorts], clock: Clock) -> Sequence[Route]:
    """Every route of these formats."""
    door = _Door(services, clock)

    @get(USAGE)
    async def find_usage(request: _Request) -> Response[Any]:
        """Who used data of the citizen who asks, newest first."""
        return await door.answer(request, USAGE, _find_usage)

    @get("/v2/usagePeriod")
    async def usage_period(request: _Request) -> Response[Any]:
        """Since when there is something to ask for."""
        return await door.answer(request, "/v2/usagePeriod", _usage_period)

    @get("/v2/heartbeat", sync_to_thread=False)
    def heartbeat() -> Response[Any]:
        """Whether this answers."""
        return Response({"status": "OK"}, headers=_HEADERS)

    @get(EVENTS)
    async def audit_events(request: _Request) -> Response[Any]:
        """The history as a searchset."""
        return await door.answer(request, EVENTS, _audit_events, media_type=FHIR)

    @get(f"{EVENTS}/{{entry_id:str}}")
    async def audit_event(request: _Request, entry_id: FromPath[str]) -> Response[Any]:
        """One entry."""

        async def one(ctx: _Context, _: Mapping[str, str]) -> Any:
            entry, bundle = await faces.read_one(ctx, entry_id=parse_id(entry_id))
            issuer, citizen_id = ctx.ports.issuer, ctx.citizen_id()
            return faces.audit_event(entry, bundle, locale=ctx.call.locale, issuer=issuer, citizen_id=citizen_id)

        return await door.answer(request, f"{EVENTS}/{{id}}", one, media_type=FHIR)

    @get("/fhir/metadata", sync_to_thread=False)
    def metadata() -> Response[Any]:
        """What of FHIR is here."""
        return Response(CAPABILITIES, media_type=FHIR, headers=_HEADERS)

    return (
        Route(USAGE, PURPOSE, find_usage),
        Route("/v2/usagePeriod", PURPOSE, usage_period),
        Route("/v2/heartbeat", "", heartbeat),
        Route(EVENTS, PURPOSE, audit_events),
        Route(f"{EVENTS}/{{id}}", PURPOSE, audit_event),
        Route("/fhir/metadata", "", metadata),
    )


_STATUS: Mapping[type[ServiceError], int] = {
    BadQuery: 400,
    NotYourCode: 400,
    Unavailable: 503,
    NotFound: 404,
    Unauthenticated: 401,
}
"""Of the formats; any other refusal is a 403. The usage service knows a 400 for what it does not answer."""
CAPABILITIES: Mapping[str, Any] = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "date": "2026-11-27",
    "kind": "instance",
    "fhirVersion": "4.0.1",
    "format": ["json"],
    "implementation": {"description": "A citizen's own access history, read only."},
    "rest": [
        {
            "mode": "server",
            "security": {"description": "The citizen's own access token, as a bearer."},
            "resource": [
                {
                    "type": "AuditEvent",
                    "interaction": [{"code": "read"}, {"code": "search-type"}],
                }
            ],
        }
    ],
}


class _Door:
    """Who asks, in which language, and how a refusal is told."""

    def __init__(self, services: RoomServices[PrivacyPorts], clock: Clock) -> None:
        self._services = services
        self._clock = clock

    async def answer(
        self, request: _Request, path: str, ask: Answer, *, media_type: str = "application/json"
    ) -> Response[Any]:
        """What `ask` comes to, for the citizen whose token the request carries."""
        now, locale = self._clock.now(), negotiate_locale(request.headers.get("accept-language", ""))
        entrance = Entrance(EntranceKind.ROUTE, path, PURPOSE)
        context = entrance_context(self._services, entrance, now=now, locale=locale)
        try:
            actor = self._services.ports.bearers.actor(_token(request), now=now)
            if actor.kind is not ActorKind.CITIZEN:
                raise Unauthenticated
            context = entrance_context(self._services, entrance, now=now, actor=actor, locale=locale)
            found = await ask(context, {**request.query_params, **_header(request)})
        except BearerRefused:
            return await self._refused(context, Unauthenticated(), locale)
        except ServiceError as refused:
            return await self._refused(context, refused, locale)
        return Response(found, media_type=media_type, headers=_HEADERS)

    async def _refused(self, context: _Context, refused: ServiceError, locale: str) -> Response[Any]:
        if not refused.logged and not isinstance(refused, Unavailable):
            try:
                await log_refusal(context, refused)
            except Unavailable as unlogged:
                refused = unlogged
        body = {"code": refused.code, "message": refused.message(locale)}
        status = next((status for kind, status in _STATUS.items() if isinstance(refused, kind)), 403)
        return Response(body, status_code=status, headers=_HEADERS)


def _token(request: _Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise BearerRefused
    return token


def _header(request: _Request) -> dict[str, str]:
    found = request.headers.get("x-road-userid")
    return {"X-Road-UserId": found} if found is not None else {}


async def _find_usage(ctx: _Context, asked: Mapping[str, str]) -> Any:
    own = str(ctx.citizen_id())
    for name in ("X-Road-UserId", "userCode"):
        if asked.get(name) != own:
            raise NotYourCode(name=name)
    found = await faces.read_part(
        ctx,
        action="find-usage",
        since=_moment(asked, "periodStart"),
        until=_moment(asked, "periodEnd"),
        offset=_number(asked, "offset", default=0, least=0, most=FURTHEST),
        limit=_number(asked, "limit", default=LONGEST_PAGE, least=1, most=LONGEST_PAGE),
        by_others=True,
    )
    usages = [faces.usage(entry, found.bundle, ctx.call.locale) for entry in found.entries]
    return {"totalUsages": found.total, "usages": usages}


async def _usage_period(ctx: _Context, _: Mapping[str, str]) -> Any:
    ctx.citizen_id()
    since = await faces.held_since(ctx)
    return {"periodStart": since.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")}


async def _audit_events(ctx: _Context, asked: Mapping[str, str]) -> Any:
    limit = _number(asked, "_count", default=50, least=1, most=LONGEST_PAGE)
    offset = _number(asked, "_offset", default=0, least=0, most=FURTHEST)
    found = await faces.read_part(
        ctx, action="audit-events", since=None, until=None, offset=offset, limit=limit, by_others=False
    )
    issuer, citizen_id = ctx.ports.issuer, ctx.citizen_id()
    events = [
        faces.audit_event(entry, found.bundle, locale=ctx.call.locale, issuer=issuer, citizen_id=citizen_id)
        for entry in found.entries
    ]
    links = [{"relation": "self", "url": f"{issuer}{EVENTS}?_count={limit}&_offset={offset}"}]
    if offset + limit < found.total:
        links.append({"relation": "next", "url": f"{issuer}{EVENTS}?_count={limit}&_offset={offset + limit}"})
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": found.total,
        "link": links,
        "entry": [
            {"fullUrl": f"{issuer}{EVENTS}/{event['id']}", "resource": event, "search": {"mode": "match"}}
            for event in events
        ],
    }


def _number(asked: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    text = asked.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or not least <= int(text) <= most:
        raise BadQuery(problem=f"{name} is a whole number from {least} to {most}")
    return int(text)


def _moment(asked: Mapping[str, str], name: str) -> dt.datetime | None:
    text = asked.get(name)
    if text is None:
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1 < found.year < 9999:
        raise BadQuery(problem=f"{name} is a moment as RFC 3339 writes it")
    return found
