"""How often a caller may ask, counted in one process by the same rule as `rates`. It asks nobody."""

from __future__ import annotations

from collections import OrderedDict


class LocalLimiter:
    """The generic cell rate algorithm for so many callers; the longest unseen is forgotten first."""

    def __init__(self, *, interval_s: float, burst: int, capacity: int = 50_000) -> None:
        self._interval_s = interval_s
        self._tolerance_s = interval_s * burst
        self._capacity = capacity
        self._arrivals: OrderedDict[str, float] = OrderedDict()

    def take(self, caller: str, *, monotonic_s: float) -> float:
        """Count one; returns seconds to wait, 0 when it was counted."""
        arrival = max(self._arrivals.pop(caller, monotonic_s), monotonic_s)
        wait = arrival + self._interval_s - self._tolerance_s - monotonic_s
        if wait > 0:
            self._arrivals[caller] = arrival
            return wait
        self._arrivals[caller] = arrival + self._interval_s
        if len(self._arrivals) > self._capacity:
            self._arrivals.popitem(last=False)
        return 0.0
