"""The calendar of key-encryption keys: the next one is made, all is wrapped under it, the older ones are destroyed.

One run does what is due of a class; nothing in it depends on the run before having come to its end. So an erasure
is complete, against dumps from before it too, once the calendar has gone round (`Calendar.complete_after`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from gov_services.audit.entry import EntryKind
from gov_services.cli import key_upkeep
from gov_services.cli.installation import opened, require_database, upkeep_entry
from gov_services.cli.key_making import operator_keys
from gov_services.crypto import store
from gov_services.crypto.asking import LONGEST_UPKEEP_S, Asking
from gov_services.crypto.keys import OF_SM, DataClass
from gov_services.crypto.models import NewestRow
from gov_services.kit.clock import Clock
from gov_services.kit.settings import Settings


@dataclass(frozen=True, slots=True)
class Calendar:
    """How long a key wraps new keys, how long its successor is carried to where it is used, how long dumps may lag."""

    every: dt.timedelta = dt.timedelta(days=30)
    settle: dt.timedelta = dt.timedelta(days=1)
    """From a key's making until all is wrapped under it: by then every process has it."""
    dumps: dt.timedelta = dt.timedelta(days=7)
    """From then until the older ones go: by then there is a dump that needs none of them."""

    @property
    def complete_after(self) -> dt.timedelta:
        """By when no dump opens what was erased, with a run a day."""
        return self.every + self.settle + self.dumps + dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did about one class."""

    data_class: str
    newest: str
    added: bool = False
    rewrapped: int = 0
    destroyed: tuple[str, ...] = ()
    due_at: dt.datetime | None = None
    """When the next step is due."""

    def lines(self) -> Iterator[str]:
        """For a person."""
        if self.added:
            yield f"{self.data_class}: {self.newest} wraps from now on"
        if self.rewrapped:
            yield f"{self.data_class}: {self.rewrapped} data keys wrapped anew under {self.newest}"
        for kek_id in self.destroyed:
            yield f"{self.data_class}: destroyed {kek_id}"
        if self.due_at is not None:
            yield f"{self.data_class}: next on {self.due_at:%Y-%m-%d %H:%M}"


async def keep(
    settings: Settings,
    data_class: DataClass,
    calendar: Calendar,
    *,
    clock: Clock,
    tell: Callable[[int, int, int], None] = lambda *_: None,
) -> Done:
    """Do what is due of one class. Raises KeyRefused, KeysUnavailable as each step does; the next run tries again."""
    require_database(settings)
    keeper = operator_keys(settings, [data_class])
    asking = Asking(keeper, wait_s=LONGEST_UPKEEP_S)
    now, newest = clock.now(), await asking.of(keeper.newest, data_class)
    row = await _row(settings, newest, clock)
    # 1. Its time is over: the next one is made, and waits until every process has it.
    if now - row.since >= calendar.every:
        above = await key_upkeep.highest_retired(settings, data_class)
        made = await asking.of(partial(keeper.add, sm=newest.endswith(OF_SM), above=above), data_class)
        row = await _row(settings, made, clock)
        return Done(data_class.value, made, added=True, due_at=row.since + calendar.settle)
    older = [kek_id for kek_id in await asking.of(keeper.held, data_class) if kek_id != newest]
    if not older:
        return Done(data_class.value, newest, due_at=row.since + calendar.every)
    if now - row.since < calendar.settle:
        return Done(data_class.value, newest, due_at=row.since + calendar.settle)
    # 2. All is wrapped under it. Asked every time: whoever had only the older one may have registered somebody since.
    rewrapped = (await key_upkeep.rotate(settings, data_class, clock=clock, tell=tell)).rewrapped
    row = await _row(settings, newest, clock, rewrapped=True)
    assert row.rewrapped_at is not None
    due_at = row.rewrapped_at + calendar.dumps
    if now < due_at:
        return Done(data_class.value, newest, rewrapped=rewrapped, due_at=due_at)
    # 3. A dump that needs the older ones is too old to be wanted.
    destroyed = await key_upkeep.retire(settings, data_class, clock=clock)
    due_at = row.since + calendar.every
    return Done(data_class.value, newest, rewrapped=rewrapped, destroyed=tuple(destroyed), due_at=due_at)


async def _row(settings: Settings, kek_id: str, clock: Clock, *, rewrapped: bool = False) -> NewestRow:
    """Since when it has been the newest; the log says so once, whoever made it."""
    async with opened(settings, settings.database_url) as (database, log), database.writing() as session:
        row, is_new = await store.newest_since(session, kek_id=kek_id, now=clock.now())
        if is_new:
            await log.record_change(session, upkeep_entry(clock, EntryKind.KEY, "kek.newest", f"kek:{kek_id}"))
        if rewrapped and row.rewrapped_at is None:
            row.rewrapped_at = clock.now()
        return row
