"""Appending to the log: reads are awaited, changes go with their transaction, refusals on their own. It reads nothing.

Group commit: one task takes what has gathered while the batch before was being written, and writes it in one call.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

import structlog
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from gov_services.audit import store
from gov_services.audit.appender import FAILURES, Appender, is_about_content
from gov_services.audit.chain import ItemKind, Writer, pack_items
from gov_services.audit.entry import SALT_BYTES, Entry, commitment
from gov_services.audit.store import Numbers, Unnumbered
from gov_services.audit.strangers import Bucket, StrangersRefusals, bucket_of, is_counted
from gov_services.crypto.signing import SigningKey
from gov_services.kit.database import Session
from gov_services.kit.errors import Unavailable

APPEND_TIMEOUT_S = 2.0
"""The longest that a caller waits for its entries to be durable."""
BATCH_LIMIT = 1000
LANES = 2
"""Batches that are on their way at once. One is written while the next is made up: more would wait for one lock."""
SHARED_FROM = 48
"""Callers from whom on two lanes share what waits."""
NOTES_LIMIT = 20_000
"""Use entries that may wait; beyond it nothing is opened any more, so that none need be dropped."""
NOTES_RETRY_S = 1.0
CHANGES_LISTED_WITHIN_S = 1.0
"""How long a committed change waits for a batch that lists it, where there is nothing else to write."""
STRANGERS_WINDOW_S = 60.0
LAG_LIMIT_S = 60.0
LAG_ASKED_EVERY_S = 0.25

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
    until: float
    """By the loop's clock; after that nobody waits."""


@dataclass(slots=True)
class _Lane:
    """One chain, and the task that writes to it."""

    appender: Appender
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    rests: bool = True
    """Whether it waits to be woken."""


class AuditLog:
    """One room's way into the log. It keeps two connections of its own, beside those of `engine`'s pool."""

    def __init__(self, engine: AsyncEngine, *, room: str, key: SigningKey, lag_limit_s: float = LAG_LIMIT_S) -> None:
        """`key` signs what the room writes: `writer-<room>`."""
        self.room = room
        self._lag_limit_s = lag_limit_s
        self._lanes = tuple(_Lane(Appender(engine, Writer(room, key))) for _ in range(LANES))
        self._groups: deque[_Group] = deque()
        self._waiting: deque[_Group] = deque()
        self._deadline: asyncio.TimerHandle | None = None
        self._notes: deque[Unnumbered] = deque()
        self._committed: list[Unnumbered] = []
        self._list_committed = self._is_called = False
        self._lag_s: float | None = None
        self._asks_lag_at = 0.0
        self._strangers = StrangersRefusals()
        self._timers: set[asyncio.TimerHandle] = set()
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
        for lane in self._lanes:
            lane.wake.set()
        for lane in self._lanes:
            if lane.task is not None:
                await lane.task
        if self._deadline is not None:
            self._deadline.cancel()
        for lane in self._lanes:
            await lane.appender.end()
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
            self._wake_one()

    async def record_change(self, session: Session, entry: Entry) -> None:
        """Leave the entry of a change in the change's own transaction, which rolls back on AuditUnavailable."""
        placed = _unnumbered(entry, self.room)
        await session.flush()  # what the change itself fails of is not the log's
        try:
            appender = self._lanes[0].appender
            await appender.open()
            voucher = appender.writer.vouch(placed.entry_id, placed.commitment)
            await store.place_pending(session, placed, writer_id=appender.writer.writer_id, voucher=voucher)
        except FAILURES as failed:
            raise AuditUnavailable from failed
        event.listen(session.sync_session, "after_commit", lambda _: self._list(placed), once=True)

    def _list(self, placed: Unnumbered) -> None:
        """Have the chain say that a change was committed: with the next batch, or with one of its own in a moment."""
        self._committed.append(placed)
        if self._closing:
            _log.error("audit chain lacks a change", room=self.room, entry_id=str(placed.entry_id))
        elif len(self._committed) == 1:
            self._require_running()
            self._later(CHANGES_LISTED_WITHIN_S, self._list_now)

    def _list_now(self) -> None:
        self._list_committed = bool(self._committed)
        self._wake_one()

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
        unnumbered = tuple([_unnumbered(entry, self.room) for entry in entries])
        self._require_running()
        loop = asyncio.get_running_loop()
        group = _Group(unnumbered, loop.create_future(), opens, loop.time() + APPEND_TIMEOUT_S)
        self._groups.append(group)
        while self._waiting and self._waiting[0].done.done():
            self._waiting.popleft()
        self._waiting.append(group)
        if self._deadline is None:
            self._deadline = loop.call_at(group.until, self._give_up)
        self._wake_one()
        return await group.done

    def _give_up(self) -> None:
        """Tell those whose time is over. One timer for all: a timer each costs as much as all the rest."""
        loop = asyncio.get_running_loop()
        while self._waiting and (self._waiting[0].done.done() or self._waiting[0].until <= loop.time()):
            group = self._waiting.popleft()
            if not group.done.done():
                group.done.set_exception(AuditUnavailable())
        self._deadline = loop.call_at(self._waiting[0].until, self._give_up) if self._waiting else None

    def _require_running(self) -> None:
        if self._closing:
            raise AuditUnavailable
        for lane in self._lanes:
            if lane.task is None or lane.task.done():
                lane.rests, self._is_called = True, False
                lane.task = asyncio.get_running_loop().create_task(self._run(lane), name=f"audit-log-{self.room}")

    def _wake_one(self) -> None:
        """Have one that rests see to what is new; whoever is at work looks again before it rests."""
        if not self._is_called:
            for lane in self._lanes:
                if lane.rests:
                    lane.rests, self._is_called = False, True
                    lane.wake.set()
                    return

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            if not self._closing:
                action()

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)

    async def _run(self, lane: _Lane) -> None:
        while True:
            lane.rests = not lane.wake.is_set()
            await lane.wake.wait()
            lane.wake.clear()
            self._is_called = False
            self._list_committed |= self._closing and bool(self._committed)
            while self._groups or self._notes or self._list_committed:
                # Whoever has just been answered may ask again at once: together they make one batch and not two.
                await asyncio.sleep(0)
                written = await self._write_batch(lane.appender)
                if not written and not self._groups:
                    if not self._closing:
                        self._later(NOTES_RETRY_S, self._list_now)
                    break
            if self._closing:
                return

    async def _write_batch(self, appender: Appender) -> bool:
        """Write one batch and tell those who wait. False when it could not be written."""
        groups = self._take_groups()
        entries = [entry for group in groups for entry in group.entries]
        notes = [self._notes.popleft() for _ in range(min(len(self._notes), max(0, BATCH_LIMIT - len(entries))))]
        committed, self._committed, self._list_committed = self._committed, [], False
        if not entries and not notes and not committed:
            return True
        written = entries + notes
        asks_lag = self._asks_lag()
        items = _items(ItemKind.APPENDED, written) + _items(ItemKind.CHANGED, committed)
        try:
            numbers = await appender.append(written, items, asks_lag=asks_lag)
        except BaseException as failed:  # whatever it is, nobody may go on waiting, and no note is lost
            self._committed = committed + self._committed
            if is_about_content(failed):
                return await self._write_one_by_one(appender, groups, notes)
            self._fail(groups, notes, failed)
            if not isinstance(failed, Exception):
                raise
            return False
        if numbers.lag_s is not None or asks_lag:
            self._lag_s = numbers.lag_s
        place = 0
        for group in groups:
            self._answer(group, numbers, place)
            place += len(group.entries)
        return True

    def _fail(self, groups: Sequence[_Group], notes: Sequence[Unnumbered], failed: BaseException) -> None:
        self._notes.extendleft(reversed(notes))
        for group in groups:
            if not group.done.done():
                group.done.set_exception(_unavailable(failed))
        entries = sum(len(group.entries) for group in groups)
        _log.error("audit log not written", room=self.room, entries=entries, error=repr(failed))

    async def _write_one_by_one(
        self, appender: Appender, groups: Sequence[_Group], notes: Sequence[Unnumbered]
    ) -> bool:
        """Each by itself, so that what the database does not take takes nothing with it. False while it is away."""
        for group in groups:
            try:
                numbers = await appender.append(group.entries, _items(ItemKind.APPENDED, group.entries))
                self._answer(group, numbers, 0)
            except FAILURES as failed:
                self._fail([group], (), failed)
        for place, note in enumerate(notes):
            try:
                await appender.append([note], _items(ItemKind.APPENDED, [note]))
            except FAILURES as failed:
                if not is_about_content(failed):
                    self._fail((), notes[place:], failed)
                    return False
                _log.error("audit entry not written", room=self.room, entry=note.body.decode(), error=repr(failed))
        return True

    def _take_groups(self) -> list[_Group]:
        taken: list[_Group] = []
        size, share = 0, len(self._groups)
        if share >= SHARED_FROM and any(lane.rests for lane in self._lanes):
            share = (share + 1) // 2
            self._wake_one()
        while self._groups and len(taken) < share and (not taken or size + len(self._groups[0].entries) <= BATCH_LIMIT):
            group = self._groups.popleft()
            # Who gave up before the batch was made up opened nothing, and needs no entry.
            if not group.done.done():
                taken.append(group)
                size += len(group.entries)
        return taken

    def _asks_lag(self) -> bool:
        """Now and then: it is told in seconds, and asking costs a tenth of all the rest."""
        now = asyncio.get_running_loop().time()
        if now < self._asks_lag_at:
            return False
        self._asks_lag_at = now + LAG_ASKED_EVERY_S
        return True

    def _answer(self, group: _Group, numbers: Numbers, place: int) -> None:
        """Tell a group, whose entries begin at `place` of the batch, what numbers they have."""
        if group.done.done():
            return
        lag_s = self._lag_s
        if numbers.contradicted and any(entry.entry_id in numbers.contradicted for entry in group.entries):
            _log.error("audit entry contradicts a logged one of its id", room=self.room)
            group.done.set_exception(AuditUnavailable())
        elif group.opens and lag_s is not None and lag_s > self._lag_limit_s:
            _log.error("audit checkpoint lags", room=self.room, lag_s=lag_s)
            group.done.set_exception(AuditUnavailable())
        else:
            made = enumerate(group.entries, place)
            group.done.set_result(
                tuple([Logged(one.entry_id, numbers.seqs[at], made_by=_MADE_BY_THE_LOG) for at, one in made])
            )


def _unnumbered(entry: Entry, room: str) -> Unnumbered:
    if entry.room != room:
        raise ValueError(f"room {room} does not speak for {entry.room}")
    body, salt = entry.canonical(), os.urandom(SALT_BYTES)
    return Unnumbered(entry.id, salt, body, commitment(body, salt))


def _items(kind: ItemKind, entries: Sequence[Unnumbered]) -> bytes:
    return pack_items(kind, [(entry.entry_id, entry.commitment) for entry in entries])


def _unavailable(cause: BaseException) -> AuditUnavailable:
    error = AuditUnavailable()
    error.__cause__ = cause
    return error
