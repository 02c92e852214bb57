"""The mapper: each minute it takes what is new into the map of subjects and leaves the root as an entry. It reads none.

All of it is one transaction: the pages, how far they reach, what is kept back, and the entry that states the root,
which the integrator numbers. Killed in the middle it has done nothing; and there is no state of the map that anybody
can read whose root is not in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gov_services.audit import map_store
from gov_services.audit.listing import RootStatement
from gov_services.audit.log import AuditLog
from gov_services.audit.subject_map import PageMalformed, by_key, grow, lacking, require_whole, root_of
from gov_services.kit.clock import Clock
from gov_services.kit.database import Database, Session
from gov_services.kit.errors import Unavailable

INTERVAL_S = 60.0
BATCH = 4000
"""Entries in one transaction: its statements stay far below the database's time limit."""

_log = structlog.get_logger("gov_services.audit")


class MapInconsistent(Exception):
    """The stored map is not the one whose root was stated. It does not go on until somebody has looked into it."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """What one transaction did."""

    upto: int
    listed: int
    pages: int


class Mapper:
    """The one that keeps the map of subjects."""

    def __init__(self, database: Database, log: AuditLog, clock: Clock) -> None:
        """`log` is the way into the log of the log's own process."""
        self._database = database
        self._audit = log
        self._clock = clock

    async def run(self, stop: asyncio.Event, *, interval_s: float = INTERVAL_S) -> None:
        """Run once every `interval_s` until `stop`. What goes wrong is told and tried again."""
        while not stop.is_set():
            try:
                await self.run_once(stop)
            except MapInconsistent as broken:
                _log.critical("subjects not mapped", error=str(broken))
            except (Unavailable, SQLAlchemyError, OSError) as away:
                _log.error("subjects not mapped", error=repr(away))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), interval_s)

    async def run_once(self, stop: asyncio.Event | None = None) -> list[Mapped]:
        """Take in what there is, a transaction and a root a batch; what each did.

        With a `stop`, it rests as long as it worked: what is awaited comes first.
        """
        done: list[Mapped] = []
        while stop is None or not stop.is_set():
            began = time.monotonic()
            step = await self._step()
            if step is None:
                break
            done.append(step)
            if stop is not None:
                await asyncio.sleep(time.monotonic() - began)
        return done

    async def _step(self) -> Mapped | None:
        async with self._database.writing() as session:
            if not await map_store.take_mapping(session):
                return None
            now = self._clock.now()
            withheld = await map_store.withheld(session)
            reached = await map_store.reach(session, withheld, batch=BATCH, at=now)
            if not reached.due:
                return None
            listed = await map_store.take(session, reached, withheld, at=now)
            try:
                root, pages = await self._grow(session, listed)
            except PageMalformed as malformed:
                raise MapInconsistent(str(malformed)) from malformed
            statement = RootStatement(reached.upto, root, now, withheld).entry()
            await map_store.advance(session, upto=reached.upto, root=root, entry_id=statement.id)
            await self._audit.record_change(session, statement)
        return Mapped(reached.upto, len(listed), pages)

    async def _grow(self, session: Session, listed: list[tuple[bytes, int, bytes]]) -> tuple[bytes, int]:
        """The new root, and how many pages were written. Raises MapInconsistent, PageMalformed."""
        more = by_key(listed)
        pages: dict[bytes, bytes] = {}
        wanted = {b""}
        while wanted:
            found = await map_store.pages(session, wanted)
            if found.keys() != wanted and wanted != {b""}:
                raise MapInconsistent(f"{len(wanted - found.keys())} pages are not there")
            pages |= found
            wanted = lacking(pages, more) - {b""}
        standing = await map_store.standing(session)
        await asyncio.to_thread(require_whole, pages)
        if root_of(pages) != standing.root:
            raise MapInconsistent(f"the stored map of {standing.upto} entries is not the one that was stated")
        root, touched = await asyncio.to_thread(grow, pages, more)
        if touched:
            await map_store.put_pages(session, {prefix: pages[prefix] for prefix in touched})
        return root, len(touched)
