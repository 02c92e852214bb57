"""A circuit breaker: after many failures nothing is sent for a while, then one try. It measures no time itself.

Source: M. Nygard, Release It!, "Circuit Breaker"; states closed, open and half-open.
"""

from __future__ import annotations

from collections import deque
from enum import Enum


class Permit(Enum):
    """Leave for a call: one of many, or the one try while the breaker is open."""

    CALL = "call"
    TRIAL = "trial"


class Breaker:
    """Opens when a `share` of the last `window_s` seconds' calls failed, or `least`; tries again after `rest_s`."""

    def __init__(
        self, *, window_s: float = 10.0, least: int = 10, share: float = 0.5, rest_s: float = 2.0, most: int = 1000
    ) -> None:
        self._window_s, self._least, self._share, self._rest_s = window_s, least, share, rest_s
        self._calls: deque[tuple[float, bool]] = deque(maxlen=most)
        self._failed = 0
        self._open_until: float | None = None
        self._is_trying = False

    def permit(self, now_s: float) -> Permit | None:
        """Leave for one call, None where none may go out. Whoever has one tells how it ended, by `note` or `forget`."""
        if self._open_until is None:
            return Permit.CALL
        if now_s < self._open_until or self._is_trying:
            return None
        self._is_trying = True
        return Permit.TRIAL

    def note(self, permit: Permit, now_s: float, *, failed: bool) -> None:
        """How a call ended. While the breaker is open only its own try counts: others went out before."""
        if permit is Permit.TRIAL:
            self._is_trying = False
            if failed:
                self._open_until = now_s + self._rest_s
            else:
                self._close()
        elif self._open_until is None:
            self._count(now_s, failed)

    def forget(self, permit: Permit) -> None:
        """A call was given up by who asked, which says nothing of the other side."""
        if permit is Permit.TRIAL:
            self._is_trying = False

    def _count(self, now_s: float, failed: bool) -> None:
        if len(self._calls) == self._calls.maxlen:
            self._drop()
        self._calls.append((now_s, failed))
        self._failed += failed
        while self._calls and self._calls[0][0] < now_s - self._window_s:
            self._drop()
        if failed and len(self._calls) >= self._least and self._failed >= self._share * len(self._calls):
            self._open_until = now_s + self._rest_s

    @property
    def is_open(self) -> bool:
        """Whether calls are held back, but for one try."""
        return self._open_until is not None

    def _drop(self) -> None:
        self._failed -= self._calls.popleft()[1]

    def _close(self) -> None:
        self._open_until = None
        self._calls.clear()
        self._failed = 0
