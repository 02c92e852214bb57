"""Notices that a file changed, and has what was made of it made anew. A bad file is refused, and the old kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

EVERY_S = 1.0
_log = structlog.get_logger("gov_services.gateway")


class Reloader:
    """Looks at a file each second. `load` takes its text and puts what it makes of it in place; it may raise."""

    def __init__(self, path: Path, load: Callable[[str], Awaitable[None]], *, every_s: float = EVERY_S) -> None:
        self._path = path
        self._load = load
        self._every_s = every_s
        self._seen = self._look()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            await self.look()

    async def look(self) -> bool:
        """Whether the file had changed and what it holds now is in place."""
        found = self._look()
        if found is None or found == self._seen:
            return False
        self._seen = found
        try:
            await self._load(self._path.read_text())
        except Exception as refused:  # noqa: BLE001  whatever is wrong with the file, what was there serves on
            _log.error("a changed file is refused, the old one serves on", file=self._path.name, problem=str(refused))
            return False
        _log.info("a changed file is in place", file=self._path.name)
        return True

    def _look(self) -> tuple[int, int, int] | None:
        """What tells one content from another; None while the file is away."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
