"""Key-encryption keys on a calendar: one run does of every class what is due. It decides nothing (crypto.calendar)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gov_services.audit.entry import EntryKind
from gov_services.audit.log import AuditLog
from gov_services.cli import key_upkeep
from gov_services.cli.installation import upkeep_entry
from gov_services.cli.key_making import operator_keys
from gov_services.crypto import calendar, rotation, store
from gov_services.crypto.asking import LONGEST_UPKEEP_S, Asking
from gov_services.crypto.calendar import OPERATOR, Terms
from gov_services.crypto.keys import OF_SM, DataClass, KekKeeper, KeyRefused
from gov_services.kit.clock import Clock
from gov_services.kit.database import Database
from gov_services.kit.settings import Settings

Tell = Callable[[int, int, int], None]


@dataclass(slots=True)
class Kept:
    """What a run came to in one class."""

    data_class: str
    newest: str = ""
    since: str = ""
    """When it became the newest; ISO 8601."""
    made: bool = False
    waits_for: list[str] = field(default_factory=list)
    """Rooms that do not wrap by the newest yet; until they do nothing is wrapped anew."""
    rewrapped: int = 0
    left: list[str] = field(default_factory=list)
    """Key-encryption keys under which the database takes nothing from now on."""
    destroyed: list[str] = field(default_factory=list)
    problem: str = ""
    """Why the term within which an erasure is complete cannot be kept; empty where it can."""


def terms_of(settings: Settings) -> Terms:
    """The calendar that the settings say."""
    return Terms(
        epoch=dt.timedelta(days=settings.kek_epoch_days),
        grace=dt.timedelta(days=settings.kek_grace_days),
    )


async def keep(settings: Settings, *, clock: Clock, tell: Tell, classes: Iterable[DataClass] = DataClass) -> list[Kept]:
    """Make, wrap anew, leave and destroy what is due, class by class. Ended anywhere, it is begun again.

    What one class is refused for stands in its `problem`, and the others go on. Raises KeysUnavailable.
    """
    kept = []
    async with key_upkeep.opened_with_log(settings) as (database, log):
        for data_class in classes:
            run = _Run(settings, database, log, data_class, clock)
            try:
                await run.keep(tell)
            except KeyRefused as refused:
                run.kept.problem = str(refused)
            kept.append(run.kept)
    return kept


class _Run:
    """One class, once."""

    def __init__(
        self, settings: Settings, database: Database, log: AuditLog, data_class: DataClass, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._log = log
        self._class = data_class
        self._clock = clock
        self._terms = terms_of(settings)
        self.kept = Kept(data_class.value)

    async def keep(self, tell: Tell) -> None:
        """See `keep`."""
        since = await self._know_newest()
        if calendar.is_next_due(self._terms, since=since, now=self._clock.now()):
            await self._add_next()
            since = await self._know_newest()
        await self._find_who_lacks_it(since)
        if not self.kept.waits_for:
            await self._wrap_anew(tell)
            await self._leave_older()
        await self._destroy_what_was_left()

    def _keeper(self) -> tuple[KekKeeper, Asking]:
        """Opened anew each time: files are read once."""
        keeper = operator_keys(self._settings, [self._class])
        return keeper, Asking(keeper, wait_s=LONGEST_UPKEEP_S)

    async def _know_newest(self) -> dt.datetime:
        """Since when the newest is so. One that is new to the database, whoever made it, counts from now."""
        keeper, asking = self._keeper()
        newest = await asking.of(keeper.newest, self._class)
        now = self._clock.now()
        async with self._database.writing() as session:
            said = {row.holder: row for row in await store.holders(session, data_class=self._class.value)}
            known = said.get(OPERATOR)
            if known is None or known.kek_id != newest:
                await store.state_holding(
                    session, holder=OPERATOR, data_class=self._class.value, kek_id=newest, now=now
                )
                await self._log.record_change(
                    session, upkeep_entry(self._clock, EntryKind.KEY, "kek.newest", f"kek:{newest}")
                )
            since = now if known is None or known.kek_id != newest else known.since
        self.kept.newest, self.kept.since = newest, since.isoformat()
        return since

    async def _add_next(self) -> None:
        keeper, asking = self._keeper()
        above = await key_upkeep.highest_retired(self._settings, self._class)
        await asking.of(keeper.add, self._class, sm=self.kept.newest.endswith(OF_SM), above=above)
        self.kept.made = True

    async def _find_who_lacks_it(self, since: dt.datetime) -> None:
        now = self._clock.now()
        async with self._database.reading() as session:
            said = await store.holders(session, data_class=self._class.value)
        self.kept.waits_for = calendar.lacking(self._class, self.kept.newest, said, now=now)
        if calendar.is_late(self.kept.waits_for, since=since, now=now):
            rooms = " and ".join(self.kept.waits_for)
            self.kept.problem = f"{rooms} do not wrap by {self.kept.newest}: keys export, keys place, restart"

    async def _wrap_anew(self, tell: Tell) -> None:
        async with self._database.reading() as session:
            standings = await rotation.standings(session, data_class=self._class)
        if any(one.keys for one in standings if one.kek_id != self.kept.newest):
            done = await key_upkeep.rotate(self._settings, self._class, clock=self._clock, tell=tell)
            self.kept.rewrapped = done.rewrapped

    async def _leave_older(self) -> None:
        """Have the database take nothing more under the older ones. One that wraps again is left at the next run."""
        keeper, asking = self._keeper()
        held = await asking.of(keeper.held, self._class)
        async with self._database.reading() as reading:
            retired = await store.retired(reading)
        for kek_id in held:
            if kek_id == self.kept.newest or kek_id in retired:
                continue
            async with self._database.writing() as session:
                try:
                    anew = await rotation.retire(session, data_class=self._class, kek_id=kek_id, now=self._clock.now())
                except rotation.StillWraps:
                    continue
                if anew:
                    entry = upkeep_entry(self._clock, EntryKind.KEY, "kek.retired", f"kek:{kek_id}")
                    await self._log.record_change(session, entry)
                    self.kept.left.append(kek_id)

    async def _destroy_what_was_left(self) -> None:
        """The entry comes first: a key that is gone without one would be worse than an entry of one that is not yet."""
        keeper, asking = self._keeper()
        held = await asking.of(keeper.held, self._class)
        async with self._database.reading() as reading:
            retired = await store.retired(reading)
        for kek_id in held:
            if kek_id == self.kept.newest or kek_id in self.kept.destroyed:
                continue
            gone = await asking.of(keeper.gone_with, kek_id)
            if not calendar.may_go(self._terms, gone, retired, now=self._clock.now()):
                continue
            async with self._database.writing() as session:
                for one in gone:
                    entry = upkeep_entry(self._clock, EntryKind.KEY, "kek.destroyed", f"kek:{one}")
                    await self._log.record_change(session, entry)
            await asking.of(keeper.destroy, kek_id)
            self.kept.destroyed += gone
