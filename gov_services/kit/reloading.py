"""Notices that files changed, and has what was made of them made anew. Bad ones are refused, and the old kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

EVERY_S = 1.0
_log = structlog.get_logger("gov_services.reloading")
_Stamp = tuple[int, int, int]


class Reloader:
    """Looks at files each second. `load` reads them and puts what it makes of them in place; it may raise.

    `beside` is called at each look, for what changes by the mere passing of time; it may not raise.
    """

    def __init__(
        self,
        *paths: Path,
        load: Callable[[], Awaitable[None]],
        every_s: float = EVERY_S,
        beside: Callable[[], None] = lambda: None,
    ) -> None:
        self._paths = paths
        self._load = load
        self._beside = beside
        self._every_s = every_s
        self._seen = self._look()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            await self.look()

    async def look(self) -> bool:
        """Whether a file had changed and what they hold now is in place."""
        self._beside()
        found = self._look()
        if None in found or found == self._seen:
            return False
        self._seen = found
        names = [path.name for path in self._paths]
        try:
            await self._load()
        except Exception as refused:  # noqa: BLE001  whatever is wrong with the file, what was there serves on
            _log.error("a changed file is refused, the old one serves on", files=names, problem=str(refused))
            return False
        _log.info("a changed file is in place", files=names)
        return True

    def _look(self) -> tuple[_Stamp | None, ...]:
        return tuple(map(_stamp, self._paths))


def _stamp(path: Path) -> _Stamp | None:
    """What tells one content from another; None while the file is away."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
