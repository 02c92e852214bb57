"""The ways in that are not GraphQL: routes, jobs, events. Each names its purpose and gets the same context."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from gov_services.kit.actor import ANONYMOUS, Actor, system
from gov_services.kit.context import Call, Entrance, EntranceKind
from gov_services.kit.errors import ServiceError
from gov_services.kit.ids import new_id
from gov_services.subgraph.context import ReadContext, RoomServices, UnrecordedChange, open_write_context
from gov_services.subgraph.events import Event, Handler, first_time
from gov_services.subgraph.unit_of_work import log_refusal

Ports = TypeVar("Ports")
_log = structlog.get_logger("gov_services.subgraph")

EVENTS_CLIENT = "events"
JOBS_CLIENT = "jobs"
"""The clients that purposes of event handlers and of jobs list."""


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP route of a room, outside the graph."""

    path: str
    purpose: str
    """Code of the purpose it serves; empty for what touches no citizen's data (published keys)."""
    handler: Any
    """A Litestar route handler, made by a factory over the room's services."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work that falls due by itself."""

    name: str
    purpose: str
    every_s: float
    run: Callable[[ReadContext[Any]], Awaitable[int]]
    """Does what is due and returns how much that was. It commits by `unit_of_work.commit`, as a resolver does."""


class EventUnknown(ValueError):
    """A room was sent an event that it does not handle."""


class SourceRefused(EventUnknown):
    """A room was sent an event by one that has no say in it."""


class JobUnknown(ValueError):
    """A room was told to run a job that it does not have."""


def entrance_context(
    services: RoomServices[Ports],
    entrance: Entrance,
    *,
    now: dt.datetime,
    actor: Actor = ANONYMOUS,
    request_id: str | None = None,
    locale: str = "zh-CN",
    requested: Collection[str] = (),
) -> ReadContext[Ports]:
    """The context of a call through `entrance`, which may disclose the coordinates `requested`."""
    call = Call(actor=actor, entrance=entrance, now=now, request_id=request_id or str(new_id(now)), locale=locale)
    return ReadContext(call, services, services.discloser.begin(call, requested))


def job_context(services: RoomServices[Ports], job: Job, *, now: dt.datetime) -> ReadContext[Ports]:
    """The context that a due job runs in."""
    return entrance_context(
        services, Entrance(EntranceKind.JOB, job.name, job.purpose), now=now, actor=system(JOBS_CLIENT)
    )


async def refuse_at(services: RoomServices[Ports], path: str, refused: ServiceError, *, now: dt.datetime) -> None:
    """Log the refusal of whoever came to an inner door without leave, as a stranger's. Raises AuditUnavailable."""
    await log_refusal(entrance_context(services, Entrance(EntranceKind.ROUTE, path, ""), now=now), refused)


async def receive_event(
    services: RoomServices[Ports], handlers: Mapping[str, Handler], content: bytes, *, now: dt.datetime
) -> bool:
    """Make an event's effect, once: inbox, handler and log entry in one transaction. False where it was made before.

    Raises EventUnknown, SourceRefused, and whatever the handler raises: nothing has changed then, and it comes again.
    """
    event = Event.decode(content)
    handler = handlers.get(event.type)
    if handler is None:
        raise EventUnknown(event.type)
    if event.source not in handler.sources:
        _log.error("an event of another's was refused", event_type=event.type, source=event.source, id=str(event.id))
        raise SourceRefused(f"{event.type} from {event.source}")
    room = services.discloser.room
    entrance = Entrance(EntranceKind.EVENT, event.type, handler.purpose)
    context = entrance_context(
        services, entrance, now=now, actor=system(EVENTS_CLIENT), request_id=str(event.id), requested=handler.reads
    )
    async with services.discloser.database.writing() as session:
        write = await open_write_context(context.call, services, context.disclosures, session=session)
        if not await first_time(session, room=room, event=event, now=now):
            return False
        await handler.handle(write, event=event)
        if not write.changes.entries:
            raise UnrecordedChange(event.type)
    context.disclosures.close()
    return True
