"""Upkeep of key-encryption keys over a database: what stands, re-wrapping, retiring. Each change is in the log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from gov_services.audit.entry import EntryKind
from gov_services.audit.log import AuditLog
from gov_services.cli.installation import opened, require_database, upkeep_entry
from gov_services.crypto import rotation, store
from gov_services.crypto.keys import DataClass, LocalKeyProvider, destroy_file, kek_path
from gov_services.kit.clock import Clock
from gov_services.kit.database import Database
from gov_services.kit.settings import Settings


@dataclass(frozen=True, slots=True)
class KekStatus:
    """One key-encryption key."""

    kek_id: str
    suite: str
    newest: bool
    file: bool
    """Whether its file is here."""
    retired: bool
    keys: int
    destroyed: int


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation came to."""

    seen: int
    rewrapped: int
    newest: str


async def status(settings: Settings) -> list[KekStatus]:
    """Every key-encryption key that has a file here or that the database knows. Raises KeyRefused."""
    provider = LocalKeyProvider(settings.secrets_directory, DataClass)
    found: list[KekStatus] = []
    async with _opened(settings) as (database, _), database.reading() as session:
        retired = await store.retired(session)
        for data_class in DataClass:
            standing = {one.kek_id: one for one in await rotation.standings(session, data_class=data_class)}
            mine = {kek_id for kek_id in retired if kek_id.startswith(f"{data_class.value}/")}
            for kek_id in sorted({*standing, *provider.held(data_class), *mine}):
                one = standing.get(kek_id)
                found.append(
                    KekStatus(
                        kek_id=kek_id,
                        suite=provider.suite(kek_id).name,
                        newest=kek_id == provider.newest(data_class),
                        file=kek_id in provider.held(data_class),
                        retired=kek_id in retired,
                        keys=one.keys if one else 0,
                        destroyed=one.destroyed if one else 0,
                    )
                )
    return found


async def rotate(
    settings: Settings, data_class: DataClass, *, clock: Clock, tell: Callable[[int, int], None]
) -> Rotated:
    """Wrap every key of the class under the newest epoch; `tell` hears after each batch. Raises KeyRefused."""
    provider = LocalKeyProvider(settings.secrets_directory, [data_class])
    newest, seen, rewrapped = provider.newest(data_class), 0, 0
    after = None
    async with _opened(settings) as (database, log):
        while True:
            async with database.writing() as session:
                step = await rotation.rewrap(session, provider, data_class=data_class, after=after)
                if step.rewrapped:
                    entry = upkeep_entry(
                        clock, EntryKind.KEY, "kek.rewrapped", f"kek:{newest}", reason=f"{step.rewrapped} data keys"
                    )
                    await log.record_change(session, entry)
            if step.last is None:
                return Rotated(seen, rewrapped, newest)
            seen, rewrapped, after = seen + step.seen, rewrapped + step.rewrapped, step.last
            tell(seen, rewrapped)


async def retire(settings: Settings, data_class: DataClass, *, clock: Clock) -> list[str]:
    """Destroy the files of all epochs of the class but the newest; their ids. Raises KeyRefused where one still wraps.

    The database takes nothing more under them before a file goes, so that no process which still has one in memory
    can wrap what nobody could open.
    """
    provider = LocalKeyProvider(settings.secrets_directory, [data_class])
    older = [kek_id for kek_id in provider.held(data_class) if kek_id != provider.newest(data_class)]
    async with _opened(settings) as (database, log), database.writing() as session:
        for kek_id in older:
            # Ended between this commit and the file, it is begun again: retired and logged already.
            if await rotation.retire(session, data_class=data_class, kek_id=kek_id, now=clock.now()):
                await log.record_change(session, upkeep_entry(clock, EntryKind.KEY, "kek.destroyed", f"kek:{kek_id}"))
    for kek_id in older:
        destroy_file(kek_path(settings.secrets_directory, kek_id))
    return older


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Database, AuditLog]]:
    require_database(settings)
    async with opened(settings, settings.database_url) as both:
        yield both
