"""Tells front ends that something of a citizen's has changed: what, never how. Whoever listens asks for it anew.

A row that says `announced` puts an announcement into the outbox in the transaction that changes it, so that no use-case
has to remember it; the worker brings announcements to Valkey, and gateways to the sockets that wait for them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import structlog
from redis.asyncio import Redis
from sqlalchemy import event, inspect
from sqlalchemy.orm import Session as SyncSession

from gov_services.kit.canonical import canonical_json
from gov_services.kit.clock import Clock
from gov_services.kit.database import Session
from gov_services.kit.ids import new_id
from gov_services.kit.live import channel_of
from gov_services.kit.valkey import unavailable_when_away
from gov_services.subgraph.events import Event
from gov_services.subgraph.models import OutboxRow

ANNOUNCED = "announced"
"""The type of these events. The worker itself takes them; no room does."""
STALE_AFTER = dt.timedelta(minutes=2)
"""Who listened so long ago has been told since to ask again."""
_log = structlog.get_logger("gov_services.subgraph")


@dataclass(frozen=True, slots=True)
class Announced:
    """Which subscription a row's changes are told to. The row has a `citizen_id`, as every row of a citizen's has."""

    field: str
    """Root field of `Subscription`."""
    by: str
    """The row's attribute that holds the id of what changed, as the graph knows it."""
    on: frozenset[str] = frozenset()
    """Attributes whose change counts; none: that of any."""


def announce_changes(session: Session, *, source: str, now: dt.datetime) -> None:
    """From now on, what `session` changes of announced rows is announced by it too, once a thing."""
    told: set[tuple[str, UUID]] = set()

    def before_flush(flushed: SyncSession, _context: Any, _instances: Any) -> None:
        for row in [*flushed.new, *flushed.dirty]:
            announced: Announced | None = getattr(type(row), "announced", None)
            if announced is None or not _counts(row, announced):
                continue
            about = announced.field, getattr(row, announced.by)
            if about not in told:
                told.add(about)
                flushed.add(_announcement(row.citizen_id, *about, source=source, now=now))

    event.listen(session.sync_session, "before_flush", before_flush)


def _counts(row: Any, announced: Announced) -> bool:
    state = inspect(row)
    if state.pending:
        return True
    changed = {item.key for item in state.attrs if item.history.has_changes()}
    return bool(changed & announced.on if announced.on else changed)


def _announcement(citizen_id: UUID, field: str, about: UUID, *, source: str, now: dt.datetime) -> OutboxRow:
    return OutboxRow(
        event_id=new_id(now),
        source=source,
        type=ANNOUNCED,
        citizen_id=citizen_id,
        body=canonical_json({"field": field, "object": str(about)}),
        published_at=now,
        due_at=now,
        attempts=0,
        delivered_at=None,
    )


class Announcer:
    """The worker's end: from the outbox to Valkey. It holds no list of who listens."""

    def __init__(self, valkey: Redis, clock: Clock) -> None:
        self._valkey = valkey
        self._clock = clock

    async def receive(self, content: bytes) -> bool:
        """Tell whoever listens now. Raises ValkeyUnavailable, then it is brought again; False for what is too old."""
        told = Event.decode(content)
        if told.citizen_id is None or self._clock.now() - told.published_at > STALE_AFTER:
            _log.info("an announcement comes too late to be told", event_id=str(told.id))
            return False
        message = {"id": str(told.id), "field": told.body["field"], "object": told.body["object"]}
        with unavailable_when_away():
            await self._valkey.publish(channel_of(told.citizen_id), orjson.dumps(message))
        return True
