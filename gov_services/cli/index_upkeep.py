"""Upkeep of blind indexes over a database: following a root that was added. Each batch is in the log."""

from __future__ import annotations

from collections.abc import Callable

from gov_services.audit.entry import EntryKind
from gov_services.cli.installation import upkeep_entry
from gov_services.cli.key_upkeep import opened_with_log
from gov_services.crypto.blind_index import NAME, BlindIndex
from gov_services.identity import following_up
from gov_services.identity.following_up import Progress
from gov_services.kit.clock import Clock
from gov_services.kit.settings import Settings


async def status(settings: Settings) -> tuple[int, Progress]:
    """How many roots are held here, and what stands. Raises KeyRefused."""
    index = BlindIndex.load(settings.secrets_directory)
    async with opened_with_log(settings) as (database, _), database.reading() as session:
        return index.depth, await following_up.progress(session, depth=index.depth)


async def rotate(settings: Settings, *, clock: Clock, tell: Callable[[int, int], None]) -> Progress:
    """Bring every digest up to the newest root, while all serves; `tell` hears after each batch: done, in all.

    Ended anywhere, it is begun again and passes over what is done. Raises KeyRefused.
    """
    index = BlindIndex.load(settings.secrets_directory)
    named = f"{NAME}:{index.depth:04d}"
    async with opened_with_log(settings) as (database, log):
        async with database.writing() as session:
            if await following_up.begin(session, index):
                await log.record_change(session, upkeep_entry(clock, EntryKind.KEY, "blind-index.begun", named))
        async with database.reading() as session:
            standing = await following_up.progress(session, depth=index.depth)
        done = standing.followed_up
        while True:
            async with database.writing() as session:
                moved = await following_up.follow_up(session, index)
                if moved:
                    reason = f"{moved} digests"
                    entry = upkeep_entry(clock, EntryKind.KEY, "blind-index.followed-up", named, reason=reason)
                    await log.record_change(session, entry)
            if not moved:
                break
            done += moved
            tell(done, max(done, standing.of))
        async with database.reading() as session:
            return await following_up.progress(session, depth=index.depth)
