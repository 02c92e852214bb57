"""Ends what takes too long, all of it by one coarse timer. A timer for each would cost more than what it watches.

As `asyncio.timeout`, but a deadline may be noticed up to SWEEP_S late.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

SWEEP_S = 0.1


class Deadline:
    """One block's. `with` it; TimeoutError is raised in its place when the block was ended for it."""

    __slots__ = ("_all", "_cancelling", "_loop", "_task", "at", "has_passed")

    def __init__(self, all_: dict[int, Deadline], at: float, loop: asyncio.AbstractEventLoop) -> None:
        self._all = all_
        self._loop = loop
        self.at = at
        self.has_passed = False

    def __enter__(self) -> Deadline:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._all[id(self)] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del self._all[id(self)]
        # Cancelled by somebody else as well: then that is what happened.
        if self.has_passed and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def end(self) -> None:
        """The time is over."""
        self.has_passed = True
        self._task.cancel()


class Deadlines:
    """Those of one event loop; of another one once that is closed. The timer runs while there is something to watch."""

    def __init__(self) -> None:
        self._all: dict[int, Deadline] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._was_used = False

    def within(self, seconds: float) -> Deadline:
        """A block that is ended after so long. Raises TimeoutError at its end then."""
        self._was_used = True
        loop = self._loop
        if loop is None or loop.is_closed():
            loop = self._loop = asyncio.get_running_loop()
            loop.call_later(SWEEP_S, self._look)
        return Deadline(self._all, time.monotonic() + seconds, loop)

    def _look(self) -> None:
        now = time.monotonic()
        for item in [item for item in self._all.values() if now >= item.at and not item.has_passed]:
            item.end()
        assert self._loop is not None
        if self._all or self._was_used:
            self._was_used = False
            self._loop.call_later(SWEEP_S, self._look)
        else:
            self._loop = None
