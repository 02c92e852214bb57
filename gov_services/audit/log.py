"""Appending to the log: reads are awaited, changes go with their transaction, refusals on their own. It reads nothing.

Group commit: one task takes what has gathered while the batch before was being written, and writes it in one call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gov_services.audit import store
from gov_services.audit.entry import SALT_BYTES, Entry
from gov_services.audit.store import Numbered, Unnumbered
from gov_services.audit.strangers import Bucket, StrangersRefusals, bucket_of, is_counted
from gov_services.kit.database import Session, is_away
from gov_services.kit.errors import Unavailable

APPEND_TIMEOUT_S = 2.0
"""The longest that a caller waits for its entries to be durable."""
BATCH_TIMEOUT_S = 1.8
BATCH_LIMIT = 1000
NOTES_LIMIT = 20_000
"""Use entries that may wait; beyond it nothing is opened any more, so that none need be dropped."""
NOTES_RETRY_S = 1.0
STRANGERS_WINDOW_S = 60.0
LAG_LIMIT_S = 60.0

_log = structlog.get_logger("gov_services.audit")


class AuditUnavailable(Unavailable):
    """The log cannot be written, or its checkpoint lags too far: nothing is opened."""

    code = "AUDIT_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "审计日志暂时无法写入,为保护个人信息,暂不提供数据。请稍后再试。",
        "en": "The audit log cannot be written, so no personal data is given. Please try again later.",
    }


_MADE_BY_THE_LOG = object()


class Logged:
    """The proof that an entry is durable, under which number. Only AuditLog makes one."""

    __slots__ = ("entry_id", "seq")

    def __init__(self, entry_id: UUID, seq: int, *, made_by: object = None) -> None:
        if made_by is not _MADE_BY_THE_LOG:
            raise TypeError("only the log says that something is logged")
        self.entry_id = entry_id
        self.seq = seq

    def __repr__(self) -> str:
        return f"Logged(entry_id={self.entry_id!r}, seq={self.seq!r})"


@dataclass(slots=True)
class _Group:
    """Entries that one caller waits for together."""

    entries: tuple[Unnumbered, ...]
    done: asyncio.Future[tuple[Logged, ...]]
    opens: bool
    """Whether something is opened on the strength of it, so that a lagging checkpoint refuses it."""


class AuditLog:
    """One room's way into the log. It keeps one connection of its own, beside those of `engine`'s pool."""

    def __init__(self, engine: AsyncEngine, *, room: str, lag_limit_s: float = LAG_LIMIT_S) -> None:
        self.room = room
        self._engine = engine
        self._lag_limit_s = lag_limit_s
        self._groups: deque[_Group] = deque()
        self._notes: deque[Unnumbered] = deque()
        self._strangers = StrangersRefusals()
        self._timers: set[asyncio.TimerHandle] = set()
        self._connection: AsyncConnection | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Begin to write. PostgreSQL need not be there yet."""
        self._require_running()

    async def close(self) -> None:
        """Write what waits, then stop. What cannot be written even now goes to the process's own log, never nowhere."""
        for timer in self._timers:
            timer.cancel()
        self.note(self._strangers.drain_all())
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._disconnect()
        self._report_lost()

    async def append(self, entries: Sequence[Entry]) -> tuple[Logged, ...]:
        """Make `entries` durable and numbered, in their order; those with an id that is logged keep their number.

        Raises AuditUnavailable when that fails, takes longer than APPEND_TIMEOUT_S, or the checkpoint lags too far;
        EntryMalformed for what is no entry.
        """
        if len(self._notes) > NOTES_LIMIT:
            raise AuditUnavailable
        return await self._append(entries, opens=True)

    def note(self, entries: Sequence[Entry]) -> None:
        """Have `entries` written with the next batch, without waiting. Raises EntryMalformed."""
        self._notes.extend([_unnumbered(entry, self.room) for entry in entries])
        if self._closing:
            self._report_lost()
        elif entries:
            self._require_running()
            self._wake.set()

    async def record_change(self, session: Session, entry: Entry) -> None:
        """Leave the entry of a change in the change's own transaction, which rolls back on AuditUnavailable."""
        try:
            await store.place_pending(session, _unnumbered(entry, self.room))
        except SQLAlchemyError as failed:
            raise AuditUnavailable from failed

    async def refuse(self, entry: Entry) -> None:
        """Make a refusal durable, on a connection that no rollback reaches. Raises AuditUnavailable.

        Of strangers, and of each actor at the gateway, the first with this code at this entrance in this minute is
        written at once; the others are counted and written as one when the minute is over.
        """
        if not is_counted(entry):
            await self._append([entry], opens=False)
        elif self._strangers.take(entry):
            bucket = bucket_of(entry)
            try:
                await self._append([entry], opens=False)
            except BaseException:
                self._drain_strangers(bucket)  # the next one is a first again
                raise
            self._later(STRANGERS_WINDOW_S, lambda: self._drain_strangers(bucket))

    def _drain_strangers(self, bucket: Bucket) -> None:
        self.note(self._strangers.drain(bucket))

    def _report_lost(self) -> None:
        while self._notes:
            _log.error("audit entry not written", room=self.room, entry=self._notes.popleft().body.decode())

    async def _append(self, entries: Sequence[Entry], *, opens: bool) -> tuple[Logged, ...]:
        if not entries:
            return ()
        unnumbered = tuple(_unnumbered(entry, self.room) for entry in entries)
        self._require_running()
        group = _Group(unnumbered, asyncio.get_running_loop().create_future(), opens)
        self._groups.append(group)
        self._wake.set()
        try:
            return await asyncio.wait_for(group.done, APPEND_TIMEOUT_S)
        except TimeoutError as late:
            raise AuditUnavailable from late

    def _require_running(self) -> None:
        if self._closing:
            raise AuditUnavailable
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"audit-log-{self.room}")

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            if not self._closing:
                action()

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._groups or self._notes:
                written = await self._write_batch()
                if not written and not self._groups:
                    if not self._closing:
                        self._later(NOTES_RETRY_S, self._wake.set)
                    break
            if self._closing:
                return

    async def _write_batch(self) -> bool:
        """Write one batch and tell those who wait. False when it could not be written."""
        groups = self._take_groups()
        entries = [entry for group in groups for entry in group.entries]
        notes = [self._notes.popleft() for _ in range(min(len(self._notes), max(0, BATCH_LIMIT - len(entries))))]
        if not entries and not notes:
            return True
        try:
            numbered = await self._write(entries + notes)
        except DBAPIError as failed:
            if _is_about_content(failed):
                return await self._write_one_by_one(groups, notes)
            self._fail(groups, notes, failed)
            return False
        except BaseException as failed:  # whatever it is, nobody may go on waiting, and no note is lost
            self._fail(groups, notes, failed)
            if not isinstance(failed, Exception):
                raise
            return False
        for group in groups:
            self._answer(group, numbered)
        return True

    def _fail(self, groups: Sequence[_Group], notes: Sequence[Unnumbered], failed: BaseException) -> None:
        self._notes.extendleft(reversed(notes))
        for group in groups:
            if not group.done.done():
                group.done.set_exception(_unavailable(failed))
        entries = sum(len(group.entries) for group in groups)
        _log.error("audit log not written", room=self.room, entries=entries, error=repr(failed))

    async def _write_one_by_one(self, groups: Sequence[_Group], notes: Sequence[Unnumbered]) -> bool:
        """Each by itself, so that what the database does not take takes nothing with it. False while it is away."""
        for group in groups:
            try:
                self._answer(group, await self._write(group.entries))
            except (SQLAlchemyError, OSError) as failed:
                self._fail([group], (), failed)
        for place, note in enumerate(notes):
            try:
                await self._write([note])
            except (SQLAlchemyError, OSError) as failed:
                if not _is_about_content(failed):
                    self._fail((), notes[place:], failed)
                    return False
                _log.error("audit entry not written", room=self.room, entry=note.body.decode(), error=repr(failed))
        return True

    def _take_groups(self) -> list[_Group]:
        taken: list[_Group] = []
        size = 0
        while self._groups and (not taken or size + len(self._groups[0].entries) <= BATCH_LIMIT):
            group = self._groups.popleft()
            # Who gave up before the batch was made up opened nothing, and needs no entry.
            if not group.done.done():
                taken.append(group)
                size += len(group.entries)
        return taken

    def _answer(self, group: _Group, numbered: dict[UUID, Numbered]) -> None:
        if group.done.done():
            return
        answers = [numbered[entry.entry_id] for entry in group.entries]
        lag_s = answers[0].lag_s
        if not all(answer.same for answer in answers):
            _log.error("audit entry contradicts a logged one of its id", room=self.room)
            group.done.set_exception(AuditUnavailable())
        elif group.opens and lag_s is not None and lag_s > self._lag_limit_s:
            _log.error("audit checkpoint lags", room=self.room, lag_s=lag_s)
            group.done.set_exception(AuditUnavailable())
        else:
            made = zip(group.entries, answers, strict=True)
            group.done.set_result(tuple(Logged(e.entry_id, a.seq, made_by=_MADE_BY_THE_LOG) for e, a in made))

    async def _write(self, entries: Sequence[Unnumbered]) -> dict[UUID, Numbered]:
        """One call, once more on a new connection where the old one was found dead: appending again is harmless."""
        async with asyncio.timeout(BATCH_TIMEOUT_S):
            stale = self._connection is not None
            try:
                return await self._write_once(entries)
            except (SQLAlchemyError, OSError) as failed:
                if not (stale and is_away(failed)):
                    raise
            return await self._write_once(entries)

    async def _write_once(self, entries: Sequence[Unnumbered]) -> dict[UUID, Numbered]:
        try:
            if self._connection is None:
                self._connection = await _own_connection(self._engine)
            return await store.append(self._connection, entries)
        except BaseException:
            await self._disconnect()
            raise

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError, OSError):
                await connection.close()


async def _own_connection(engine: AsyncEngine) -> AsyncConnection:
    """A connection taken out of the pool for good: a use-case that holds the last one of the pool can still log."""
    connection = await engine.connect()
    try:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.run_sync(lambda sync: sync.detach())
    except BaseException:
        await connection.close()
        raise
    return connection


def _is_about_content(failed: BaseException) -> bool:
    """Whether the database refused what an entry says, and would each time it is tried again."""
    state = getattr(getattr(failed, "orig", None), "sqlstate", None) or ""
    return state[:2] in ("22", "23", "54")


def _unnumbered(entry: Entry, room: str) -> Unnumbered:
    if entry.room != room:
        raise ValueError(f"room {room} does not speak for {entry.room}")
    return Unnumbered(entry.id, os.urandom(SALT_BYTES), entry.canonical())


def _unavailable(cause: BaseException) -> AuditUnavailable:
    error = AuditUnavailable()
    error.__cause__ = cause
    return error
