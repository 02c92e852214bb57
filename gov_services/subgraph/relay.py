"""Moves events from the outbox to the rooms that handle them, at least once. It reads no event's meaning."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

import structlog
from sqlalchemy import select, update

from gov_services.kit.clock import Clock
from gov_services.kit.database import Database, Session
from gov_services.kit.errors import ServiceError
from gov_services.subgraph.events import event_of
from gov_services.subgraph.models import OutboxRow

Receive = Callable[[bytes], Awaitable[bool]]
_log = structlog.get_logger("gov_services.relay")

LEASE = dt.timedelta(seconds=30)
"""How long a worker has for a batch before another may take it."""
BATCH = 50
LONGEST_WAIT = dt.timedelta(minutes=10)


class Relay:
    """One worker's relay. Several may run: a row is leased by one of them at a time."""

    def __init__(self, database: Database, receivers: Mapping[str, Sequence[Receive]], clock: Clock) -> None:
        self._database = database
        self._receivers = receivers
        self._clock = clock

    async def run_once(self) -> int:
        """Deliver what is due; returns how many events were delivered. One that fails waits, longer each time."""
        now = self._clock.now()
        async with self._database.writing() as session:
            rows = await lease_due(session, now=now)
        delivered = 0
        for row in rows:
            failed = await self._deliver(row)
            async with self._database.writing() as session:
                if failed:
                    await postpone(session, event_id=row.event_id, due_at=self._clock.now() + wait_after(row.attempts))
                else:
                    await mark_delivered(session, event_id=row.event_id, now=self._clock.now())
                    delivered += 1
        return delivered

    async def run(self, stop: asyncio.Event, *, idle_s: float = 0.2) -> None:
        """Relay until `stop` is set. A database that is away is waited for."""
        while not stop.is_set():
            try:
                moved = await self.run_once()
            except ServiceError as unavailable:
                _log.warning("the relay waits", code=unavailable.code)
                moved = 0
            except Exception:  # noqa: BLE001  what fails is told of, and tried again: events stay in the outbox
                _log.exception("the relay failed")
                moved = 0
            if moved == 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), idle_s)

    async def _deliver(self, row: OutboxRow) -> bool:
        """Give it to all that take its type; whether one did not take it."""
        failed = False
        try:
            content = event_of(row).encode()
        except (ValueError, TypeError):  # one room's body that is none must not hold up everybody's events
            _log.exception("an event cannot be read", event_type=row.type, event_id=str(row.event_id))
            return True
        for receive in self._receivers.get(row.type, ()):
            try:
                await receive(content)
            except Exception:  # noqa: BLE001  whatever a receiver's failure is, the event stays ours to deliver
                _log.warning("an event was not taken", event_type=row.type, event_id=str(row.event_id), exc_info=True)
                failed = True
        return failed


def wait_after(attempts: int) -> dt.timedelta:
    """How long to wait after so many failures: doubling from a second, ten minutes at most."""
    return min(dt.timedelta(seconds=2 ** min(attempts, 10)), LONGEST_WAIT)


async def lease_due(session: Session, *, now: dt.datetime) -> Sequence[OutboxRow]:
    """Take what is due, oldest first, so that no other worker does for the length of the lease."""
    due = (
        select(OutboxRow.event_id)
        .where(OutboxRow.delivered_at.is_(None), OutboxRow.due_at <= now)
        .order_by(OutboxRow.due_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    statement = update(OutboxRow).where(OutboxRow.event_id.in_(due)).values(due_at=now + LEASE).returning(OutboxRow)
    rows = (await session.execute(statement)).scalars().all()
    return sorted(rows, key=lambda row: row.published_at)


async def mark_delivered(session: Session, *, event_id: UUID, now: dt.datetime) -> None:
    """Every receiver has it."""
    await session.execute(update(OutboxRow).where(OutboxRow.event_id == event_id).values(delivered_at=now))


async def postpone(session: Session, *, event_id: UUID, due_at: dt.datetime) -> None:
    """A receiver would not take it; try again at `due_at`."""
    await session.execute(
        update(OutboxRow).where(OutboxRow.event_id == event_id).values(due_at=due_at, attempts=OutboxRow.attempts + 1)
    )
