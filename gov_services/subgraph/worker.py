"""Carries events to rooms and runs jobs when they fall due, in this process or over HTTP. It does no room's work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from gov_services.kit.clock import Clock
from gov_services.kit.database import Database
from gov_services.kit.errors import ServiceError
from gov_services.subgraph.announcing import ANNOUNCED
from gov_services.subgraph.relay import Receive, Relay

ASK_AGAIN_S = 1.0
"""How often a room is asked what it takes until it says so. Nothing is relayed before all have."""

_log = structlog.get_logger("gov_services.worker")


@dataclass(frozen=True, slots=True)
class Work:
    """What a room takes from a worker."""

    events: frozenset[str]
    """Types of events that it handles."""
    jobs: Mapping[str, float]
    """Job → seconds between two runs."""


class Workplace(Protocol):
    """A room as a worker sees it: subgraph.composition.Room, or subgraph.remote.RemoteRoom."""

    @property
    def name(self) -> str:
        """Of the room."""
        ...

    async def work(self) -> Work:
        """What it takes. Raises ServiceError while it cannot be asked."""
        ...

    async def receive(self, content: bytes) -> bool:
        """Take an event. Raises when it does not."""
        ...

    async def run_job(self, name: str) -> int:
        """Run a job now; how much there was to do."""
        ...


class Worker:
    """One worker. Several may run: events are leased, and jobs commit what they do in one transaction each."""

    def __init__(
        self, database: Database, rooms: Sequence[Workplace], clock: Clock, *, announce: Receive | None = None
    ) -> None:
        """`database` is the outbox, under the worker's own role; `announce` tells front ends what has changed."""
        self.started = False
        """Whether every room has said what it takes, so that work is done."""
        self._rooms = tuple(rooms)
        self._receivers: dict[str, list[Receive]] = {ANNOUNCED: [announce]} if announce is not None else {}
        self._relay = Relay(database, self._receivers, clock)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`."""
        jobs: list[tuple[Workplace, str, float]] = []
        # An event that is relayed before a room has said that it handles it would be lost to that room.
        for room in self._rooms:
            work = await _ask(room, stop)
            if work is None:
                return
            for event_type in work.events:
                self._receivers.setdefault(event_type, []).append(room.receive)
            jobs += [(room, name, every_s) for name, every_s in work.jobs.items()]
        self.started = True
        await asyncio.gather(
            self._relay.run(stop), *(_run_job(room, name, every_s, stop) for room, name, every_s in jobs)
        )


async def _ask(room: Workplace, stop: asyncio.Event) -> Work | None:
    while not stop.is_set():
        try:
            return await room.work()
        except ServiceError as away:
            _log.warning("a room does not say what it takes", room=room.name, code=away.code)
        except Exception:  # noqa: BLE001  what it said is no answer; it may be of another version, and is asked again
            _log.exception("a room says what cannot be understood", room=room.name)
        await _pause(stop, ASK_AGAIN_S)
    return None


async def _run_job(room: Workplace, name: str, every_s: float, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await room.run_job(name)
        except ServiceError as unavailable:
            _log.warning("a job waits", job=name, code=unavailable.code)
        except Exception:  # noqa: BLE001  a job that fails is told of, and runs again
            _log.exception("a job failed", job=name)
        await _pause(stop, every_s)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
