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

from litestar import Response, get
from litestar.params import FromPath

from gov_services.kit.actor import ActorKind
from gov_services.kit.clock import Clock
from gov_services.kit.errors import Refusal, ServiceError
from gov_services.kit.ids import parse_id
from gov_services.privacy.door import HEADERS, JSON, STATUSES, AnyRequest, BadQuery, Context, Door, whole_number
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import faces
from gov_services.subgraph.context import RoomServices
from gov_services.subgraph.entrances import Route

PURPOSE = "access-history"
USAGE, EVENTS = "/v2/findUsage", "/fhir/AuditEvent"
LONGEST_PAGE = 1000
FURTHEST = 1_000_000
FHIR = "application/fhir+json"
Answer = Callable[[Context, Mapping[str, str]], Awaitable[Any]]


class NotYourCode(Refusal):
    """The history of somebody else is asked for."""

    code = "NOT_YOUR_CODE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "只能查询本人的记录:{name} 须为本人代码。",
        "en": "Only one's own history is told: {name} is the code of the citizen whose token this is.",
    }


def routes(services: RoomServices[PrivacyPorts], clock: Clock) -> Sequence[Route]:
    """Every route of these formats."""
    door = Door(services, clock, _STATUS)

    async def answer(request: AnyRequest, path: str, ask: Answer, *, media_type: str = JSON) -> Response[Any]:
        async def asked(ctx: Context) -> Any:
            return await ask(ctx, {**request.query_params, **_header(request)})

        return await door.answer(
            request, asked, path=path, purposes={ActorKind.CITIZEN: PURPOSE}, media_type=media_type
        )

    @get(USAGE)
    async def find_usage(request: AnyRequest) -> Response[Any]:
        """Who used data of the citizen who asks, newest first."""
        return await answer(request, USAGE, _find_usage)

    @get("/v2/usagePeriod")
    async def usage_period(request: AnyRequest) -> Response[Any]:
        """Since when there is something to ask for."""
        return await answer(request, "/v2/usagePeriod", _usage_period)

    @get("/v2/heartbeat", sync_to_thread=False)
    def heartbeat() -> Response[Any]:
        """Whether this answers."""
        return Response({"status": "OK"}, headers=HEADERS)

    @get(EVENTS)
    async def audit_events(request: AnyRequest) -> Response[Any]:
        """The history as a searchset."""
        return await answer(request, EVENTS, _audit_events, media_type=FHIR)

    @get(f"{EVENTS}/{{entry_id:str}}")
    async def audit_event(request: AnyRequest, entry_id: FromPath[str]) -> Response[Any]:
        """One entry."""

        async def one(ctx: Context, _: Mapping[str, str]) -> Any:
            entry, bundle = await faces.read_one(ctx, entry_id=parse_id(entry_id))
            issuer, citizen_id = ctx.ports.issuer, ctx.citizen_id()
            return faces.audit_event(entry, bundle, locale=ctx.call.locale, issuer=issuer, citizen_id=citizen_id)

        return await answer(request, f"{EVENTS}/{{id}}", one, media_type=FHIR)

    @get("/fhir/metadata", sync_to_thread=False)
    def metadata() -> Response[Any]:
        """What of FHIR is here."""
        return Response(CAPABILITIES, media_type=FHIR, headers=HEADERS)

    return (
        Route(USAGE, PURPOSE, find_usage),
        Route("/v2/usagePeriod", PURPOSE, usage_period),
        Route("/v2/heartbeat", "", heartbeat),
        Route(EVENTS, PURPOSE, audit_events),
        Route(f"{EVENTS}/{{id}}", PURPOSE, audit_event),
        Route("/fhir/metadata", "", metadata),
    )


_STATUS: Mapping[type[ServiceError], int] = {BadQuery: 400, NotYourCode: 400, **STATUSES}
"""Of the formats. The usage service knows a 400 for what it does not answer."""
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


def _header(request: AnyRequest) -> dict[str, str]:
    found = request.headers.get("x-road-userid")
    return {"X-Road-UserId": found} if found is not None else {}


async def _find_usage(ctx: Context, asked: Mapping[str, str]) -> Any:
    own = str(ctx.citizen_id())
    for name in ("X-Road-UserId", "userCode"):
        if asked.get(name) != own:
            raise NotYourCode(name=name)
    found = await faces.read_part(
        ctx,
        action="find-usage",
        since=_moment(asked, "periodStart"),
        until=_moment(asked, "periodEnd"),
        offset=whole_number(asked, "offset", default=0, least=0, most=FURTHEST),
        limit=whole_number(asked, "limit", default=LONGEST_PAGE, least=1, most=LONGEST_PAGE),
        by_others=True,
    )
    usages = [faces.usage(entry, found.bundle, ctx.call.locale) for entry in found.entries]
    return {"totalUsages": found.total, "usages": usages}


async def _usage_period(ctx: Context, _: Mapping[str, str]) -> Any:
    ctx.citizen_id()
    since = await faces.held_since(ctx)
    return {"periodStart": since.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")}


async def _audit_events(ctx: Context, asked: Mapping[str, str]) -> Any:
    limit = whole_number(asked, "_count", default=50, least=1, most=LONGEST_PAGE)
    offset = whole_number(asked, "_offset", default=0, least=0, most=FURTHEST)
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
