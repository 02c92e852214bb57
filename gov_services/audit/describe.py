"""The describer: writes what the log is searched by, behind the entries. It reads no entry: the database does it.

Whoever searches meanwhile misses nothing (`audit.described`); the more is written, the less is worked out each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gov_services.audit import store
from gov_services.kit.database import Database
from gov_services.kit.errors import Unavailable

BATCH = 200
INTERVAL_S = 0.5

_log = structlog.get_logger("gov_services.audit")


class Describer:
    """Writes descriptions until there are as many as entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, stop: asyncio.Event, *, interval_s: float = INTERVAL_S) -> None:
        """Run once every `interval_s` until `stop`. What goes wrong is told and tried again."""
        while not stop.is_set():
            try:
                await self.run_once(stop)
            except (Unavailable, SQLAlchemyError, OSError) as away:
                _log.error("log not described", error=repr(away))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), interval_s)

    async def run_once(self, stop: asyncio.Event | None = None) -> int:
        """Describe what there is, a short transaction a batch; how many entries that were.

        It rests as long as it worked: what is searched may come later, and what waits to be durable may not.
        """
        described = 0
        while stop is None or not stop.is_set():
            began = time.monotonic()
            async with self._database.writing() as session:
                more = await store.describe_next(session, batch=BATCH)
            described += more
            if more < BATCH:
                break
            await asyncio.sleep(time.monotonic() - began)
        return described
