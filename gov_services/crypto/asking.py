"""Asking a key provider that is outside this process: in a thread, so many at once, and for so long only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from gov_services.crypto.keys import KeyProvider, KeysUnavailable

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_WAIT_S = 2.0
"""For one answer, whatever it consists of; a request that waits longer is answered KEYS_UNAVAILABLE."""
LONGEST_UPKEEP_S = 60.0
"""For an operator's command, behind which nobody waits."""
AT_ONCE = 4
"""Threads of its own: a provider that hangs must not take those by which everything else resolves names."""


class Asking:
    """How one composition calls its provider."""

    def __init__(self, provider: KeyProvider, *, wait_s: float = LONGEST_WAIT_S) -> None:
        self._waits = provider.waits
        self._wait_s = wait_s
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="keys") if provider.waits else None

    async def of(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` answers; at once where the keys are in this process. Raises KeysUnavailable after `wait_s`."""
        if self._threads is None:
            return call(*args, **kwargs)
        asked = asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(*args, **kwargs))
        try:
            return await asyncio.wait_for(asked, self._wait_s)
        except TimeoutError as silent:
            raise KeysUnavailable from silent
