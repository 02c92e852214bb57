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

    __slots__ = ("_all", "_cancelling", "_task", "at", "has_passed")

    def __init__(self, all_: dict[int, Deadline], at: float) -> None:
        self._all = all_
        self.at = at
        self.has_passed = False

    def __enter__(self) -> Deadline:
        task = asyncio.current_task()
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
    """Those of one event loop, which may be another one later: the timer runs while there is something to watch."""

    def __init__(self) -> None:
        self._all: dict[int, Deadline] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> Deadline:
        """A block that is ended after so long. Raises TimeoutError at its end then."""
        if not self._all:
            # The last timer may have died with its loop.
            if self._sweep is not None:
                self._sweep.cancel()
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._look)
        return Deadline(self._all, time.monotonic() + seconds)

    def _look(self) -> None:
        now = time.monotonic()
        for item in [item for item in self._all.values() if now >= item.at and not item.has_passed]:
            item.end()
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._look) if self._all else None
