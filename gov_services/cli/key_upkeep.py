"""Upkeep of key-encryption keys over a database: what stands, re-wrapping, retiring. Each change is in the log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from gov_services.audit.entry import EntryKind
from gov_services.audit.log import AuditLog
from gov_services.cli.installation import opened, require_database, upkeep_entry
from gov_services.cli.key_making import operator_keys
from gov_services.crypto import rotation, store
from gov_services.crypto.asking import LONGEST_UPKEEP_S, Asking
from gov_services.crypto.key_ring import provider_of
from gov_services.crypto.keys import OF_SM, DataClass, KekKeeper, KeyRefused
from gov_services.crypto.suites import Suite
from gov_services.kit.clock import Clock
from gov_services.kit.database import Database
from gov_services.kit.settings import Settings


@dataclass(frozen=True, slots=True)
class KekStatus:
    """One key-encryption key."""

    kek_id: str
    provider: str
    suite: str
    newest: bool
    held: bool
    """Whether it can be used here: its file, the token's object, Vault's version."""
    retired: bool
    keys: int
    """Data keys that it wraps; of all that stand in the class."""
    of: int
    destroyed: int


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation came to."""

    seen: int
    rewrapped: int
    newest: str


async def status(settings: Settings) -> list[KekStatus]:
    """Every key-encryption key that is held here or that the database knows. Raises KeyRefused, KeysUnavailable."""
    keeper = operator_keys(settings)
    asking = Asking(keeper, wait_s=LONGEST_UPKEEP_S)
    found: list[KekStatus] = []
    async with opened_with_log(settings) as (database, _), database.reading() as session:
        retired = await store.retired(session)
        for data_class in DataClass:
            standing = {one.kek_id: one for one in await rotation.standings(session, data_class=data_class)}
            mine = {kek_id for kek_id in retired if kek_id.startswith(f"{data_class.value}/")}
            held = await asking.of(keeper.held, data_class)
            newest = await asking.of(_newest_or_none, keeper, data_class)
            for kek_id in sorted({*standing, *held, *mine}):
                one = standing.get(kek_id)
                found.append(
                    KekStatus(
                        kek_id=kek_id,
                        provider=provider_of(kek_id),
                        suite=(Suite.SM4_GCM if kek_id.endswith(OF_SM) else Suite.AES_256_GCM).name,
                        newest=kek_id == newest,
                        held=kek_id in held,
                        retired=kek_id in retired,
                        keys=one.keys if one else 0,
                        of=sum(each.keys for each in standing.values()),
                        destroyed=one.destroyed if one else 0,
                    )
                )
    return found


async def highest_retired(settings: Settings, data_class: DataClass) -> int:
    """The highest place in the order that a retired key-encryption key of the class had; 0 for none."""
    async with opened_with_log(settings) as (database, _), database.reading() as session:
        retired = [kek_id.split("/") for kek_id in await store.retired(session)]
    return max((int(epoch.partition(".")[0]) for named, epoch in retired if named == data_class.value), default=0)


def _newest_or_none(keeper: KekKeeper, data_class: DataClass) -> str | None:
    """None where a class has no key yet in the provider that wraps: its turn to go over comes."""
    try:
        return keeper.newest(data_class)
    except KeyRefused:
        return None


async def rotate(
    settings: Settings, data_class: DataClass, *, clock: Clock, tell: Callable[[int, int, int], None]
) -> Rotated:
    """Wrap every key of the class under the newest epoch; `tell` hears after each batch: seen, rewrapped, in all.

    Ended anywhere, it is begun again and passes over what is done. Raises KeyRefused, KeysUnavailable.
    """
    keeper = operator_keys(settings, [data_class])
    newest, seen, rewrapped = await Asking(keeper, wait_s=LONGEST_UPKEEP_S).of(keeper.newest, data_class), 0, 0
    after = None
    async with opened_with_log(settings) as (database, log):
        async with database.reading() as reading:
            total = sum(one.keys for one in await rotation.standings(reading, data_class=data_class))
        while True:
            async with database.writing() as session:
                step = await rotation.rewrap(session, keeper, data_class=data_class, after=after)
                if step.rewrapped:
                    entry = upkeep_entry(
                        clock, EntryKind.KEY, "kek.rewrapped", f"kek:{newest}", reason=f"{step.rewrapped} data keys"
                    )
                    await log.record_change(session, entry)
            if step.last is None:
                return Rotated(seen, rewrapped, newest)
            seen, rewrapped, after = seen + step.seen, rewrapped + step.rewrapped, step.last
            # Who registered meanwhile is seen too.
            tell(seen, rewrapped, max(total, seen))


async def retire(settings: Settings, data_class: DataClass, *, clock: Clock) -> list[str]:
    """Destroy all key-encryption keys of the class but the newest; their ids. Raises KeyRefused: one still wraps."""
    keeper = operator_keys(settings, [data_class])
    asking = Asking(keeper, wait_s=LONGEST_UPKEEP_S)
    held = await asking.of(keeper.held, data_class)
    newest = await asking.of(keeper.newest, data_class)
    older = [kek_id for kek_id in held if kek_id != newest]
    await _destroy(settings, keeper, data_class, older, clock=clock)
    return older


async def shred(settings: Settings, kek_id: str, *, clock: Clock) -> list[str]:
    """Destroy one key-encryption key, and what its provider destroys with it; their ids, none where it is gone already.

    Raises KeyRefused where one of them still wraps, with how many keys; also for the newest, and one that nobody knows.
    """
    require_database(settings)
    named = kek_id.partition("/")[0]
    if named not in tuple(DataClass):
        raise KeyRefused(f"{kek_id!r} is no key-encryption key; they are like health/0001")
    data_class = DataClass(named)
    keeper = operator_keys(settings, [data_class])
    asking = Asking(keeper, wait_s=LONGEST_UPKEEP_S)
    if kek_id not in await asking.of(keeper.held, data_class):
        async with opened_with_log(settings) as (database, _), database.reading() as session:
            if kek_id not in await store.retired(session):
                raise KeyRefused(f"key-encryption key {kek_id} is not held here")
        return []
    if kek_id == await asking.of(keeper.newest, data_class):
        raise KeyRefused(f"{kek_id} wraps new keys: keys add kek/{named}, then keys rotate {named}")
    gone = await asking.of(keeper.gone_with, kek_id)
    await _destroy(settings, keeper, data_class, gone, clock=clock)
    return gone


async def _destroy(
    settings: Settings, keeper: KekKeeper, data_class: DataClass, kek_ids: Sequence[str], *, clock: Clock
) -> None:
    """The database takes nothing more under them before one goes.

    So no process which still has one can wrap what nobody could open. Ended in between, it is begun again.
    """
    async with opened_with_log(settings) as (database, log), database.writing() as session:
        for kek_id in kek_ids:
            if await rotation.retire(session, data_class=data_class, kek_id=kek_id, now=clock.now()):
                await log.record_change(session, upkeep_entry(clock, EntryKind.KEY, "kek.destroyed", f"kek:{kek_id}"))
    asking = Asking(keeper, wait_s=LONGEST_UPKEEP_S)
    for kek_id in kek_ids:
        await asking.of(keeper.destroy, kek_id)


@contextlib.asynccontextmanager
async def opened_with_log(settings: Settings) -> AsyncIterator[tuple[Database, AuditLog]]:
    require_database(settings)
    async with opened(settings, settings.database_url) as both:
        yield both
