"""Events between rooms: an outbox row with the change, at least once on the way, an inbox row with the effect."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from gov_services.kit.canonical import canonical_json
from gov_services.kit.database import Session
from gov_services.kit.ids import new_id
from gov_services.subgraph.models import InboxRow, OutboxRow


@dataclass(frozen=True, slots=True)
class Event:
    """A fact that a room states to others. Its body holds ids and numbers; personal values never travel in one."""

    id: UUID
    source: str
    type: str
    citizen_id: UUID | None
    body: Mapping[str, Any]
    published_at: dt.datetime

    def encode(self) -> bytes:
        """The event as it travels between processes."""
        return canonical_json(
            {
                "v": "gov-event/1",
                "id": str(self.id),
                "source": self.source,
                "type": self.type,
                "citizen": str(self.citizen_id) if self.citizen_id else None,
                "body": dict(self.body),
                "at": int(self.published_at.timestamp() * 1_000_000),
            }
        )

    @classmethod
    def decode(cls, content: bytes) -> Event:
        """The event in `content`. Raises ValueError."""
        raw = json.loads(content)
        if raw.get("v") != "gov-event/1":
            raise ValueError("not an event, version 1")
        return cls(
            id=UUID(raw["id"]),
            source=raw["source"],
            type=raw["type"],
            citizen_id=UUID(raw["citizen"]) if raw["citizen"] else None,
            body=raw["body"],
            published_at=dt.datetime.fromtimestamp(raw["at"] / 1_000_000, dt.UTC),
        )


@dataclass(frozen=True, slots=True)
class Handler:
    """What a room does on an event, under which purpose. The purpose is the entrance's, as everywhere."""

    purpose: str
    handle: Callable[..., Awaitable[None]]
    """`async (ctx: WriteContext, *, event: Event) -> None`"""
    sources: frozenset[str]
    """Rooms that it takes this type of event from; what another states is refused."""
    reads: frozenset[str] = frozenset()
    """Personal coordinates that it opens on the way."""


async def publish(
    session: Session,
    *,
    source: str,
    event_type: str,
    citizen_id: UUID | None,
    body: Mapping[str, object],
    now: dt.datetime,
) -> None:
    """Put an event into the outbox; it exists if the transaction commits, and only then."""
    session.add(
        OutboxRow(
            event_id=new_id(now),
            source=source,
            type=event_type,
            citizen_id=citizen_id,
            body=canonical_json(dict(body)),
            published_at=now,
            due_at=now,
            attempts=0,
            delivered_at=None,
        )
    )


async def first_time(session: Session, *, room: str, event: Event, now: dt.datetime) -> bool:
    """Take the event into the room's inbox; False where its effect was made before."""
    statement = (
        insert(InboxRow)
        .values(room=room, event_id=event.id, received_at=now)
        .on_conflict_do_nothing()
        .returning(InboxRow.event_id)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


def event_of(row: OutboxRow) -> Event:
    """The event in a row of the outbox."""
    return Event(
        id=row.event_id,
        source=row.source,
        type=row.type,
        citizen_id=row.citizen_id,
        body=json.loads(row.body),
        published_at=row.published_at,
    )
