"""Handing batches to the database, one at a time, each signed into the chain of its writer. It decides nothing.

A call that is cut off has a batch of unknown fate, and the chain cannot go on without knowing: it is handed over once
more before the next, and the database says whether it is there. Doing so is harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gov_services.audit import store
from gov_services.audit.chain import END_ITEM, Batch, Writer
from gov_services.audit.store import Numbers, Unnumbered
from gov_services.kit.database import is_away

BATCH_TIMEOUT_S = 1.8
FAILURES = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What handing over raises where the database is away or refuses; a TimeoutError is an OSError."""


@dataclass(frozen=True, slots=True)
class _Handed:
    batch: Batch
    entries: Sequence[Unnumbered]


class Appender:
    """One writer's way into the database. It keeps one connection of its own, beside those of `engine`'s pool."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self.writer = writer
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._driver: asyncpg.Connection | None = None
        self._is_open = False
        self._unsettled: _Handed | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Make the chain known to the database: whoever vouches for a change has one. Raises FAILURES."""
        if not self._is_open:
            async with self._turn, asyncio.timeout(BATCH_TIMEOUT_S):
                await self._connected()

    async def append(self, entries: Sequence[Unnumbered], items: bytes, *, asks_lag: bool = False) -> Numbers:
        """Number `entries`, under a batch that lists `items`. Raises FAILURES.

        Once more on a new connection where the old one was found dead.
        """
        async with self._turn, asyncio.timeout(BATCH_TIMEOUT_S):
            stale = self._driver is not None
            try:
                return await self._append_once(entries, items, asks_lag)
            except FAILURES as failed:
                if not (stale and is_away(failed)):
                    raise
            if self._unsettled is not None and self._unsettled.entries is entries:
                return await self._settle(self._unsettled)
            return await self._append_once(entries, items, asks_lag)

    async def end(self) -> None:
        """End the chain in good order, if it was begun, and return the connection."""
        with contextlib.suppress(*FAILURES):
            if self.writer.has_written or self._unsettled:
                await self.append((), END_ITEM)
        await self._disconnect()

    async def _append_once(self, entries: Sequence[Unnumbered], items: bytes, asks_lag: bool) -> Numbers:
        if self._unsettled is not None:
            await self._settle(self._unsettled)
        handed = _Handed(self.writer.sign(items), entries)
        connection = await self._connected()
        self._unsettled = handed
        try:
            numbers = await store.append(connection, self.writer, handed.batch, entries, asks_lag=asks_lag)
        except asyncpg.UniqueViolationError:
            return await self._settle(handed)
        except BaseException as failed:
            await self._failed(failed)
            raise
        self._written(handed)
        return numbers

    async def _settle(self, handed: _Handed) -> Numbers:
        """Hand over once more what may be there already."""
        connection = await self._connected()
        try:
            numbers = await store.append_again(connection, self.writer, handed.batch, handed.entries)
        except BaseException as failed:
            await self._failed(failed)
            raise
        self._written(handed)
        return numbers

    def _written(self, handed: _Handed) -> None:
        self.writer.written(handed.batch)
        self._unsettled = None

    async def _failed(self, failed: BaseException) -> None:
        """A statement that the server refused changed nothing; after anything else, nobody knows."""
        if is_refusal(failed):
            self._unsettled = None
        await self._disconnect()

    async def _connected(self) -> asyncpg.Connection:
        if self._driver is None:
            self._connection, self._driver = await _own_connection(self._engine)
        if not self._is_open:
            try:
                await store.open_writer(self._driver, self.writer)
            except BaseException:
                await self._disconnect()
                raise
            self._is_open = True
        return self._driver

    async def _disconnect(self) -> None:
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(*FAILURES):
                await connection.close()


async def _own_connection(engine: AsyncEngine) -> tuple[AsyncConnection, asyncpg.Connection]:
    """A connection taken out of the pool for good: a use-case that holds the last one of the pool can still log.

    And the driver's own, since what is awaited by everybody who reads is worth saving the way through SQLAlchemy.
    """
    connection = await engine.connect()
    try:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        driver = (await connection.get_raw_connection()).driver_connection
        await connection.run_sync(lambda sync: sync.detach())
    except BaseException:
        await connection.close()
        raise
    return connection, cast(asyncpg.Connection, driver)


def is_refusal(failed: BaseException) -> bool:
    """Whether the server refused the statement, as opposed to having gone away while it had it."""
    return isinstance(failed, asyncpg.PostgresError) and (failed.sqlstate or "")[:2] not in ("", "08", "57")


def is_about_content(failed: BaseException) -> bool:
    """Whether the database refused what an entry says, and would each time it is tried again."""
    return isinstance(failed, asyncpg.PostgresError) and (failed.sqlstate or "")[:2] in ("22", "23", "54")
