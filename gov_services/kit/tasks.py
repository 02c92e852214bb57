"""Ends tasks, and is sure of it. It starts none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.2


async def end_tasks(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel what still runs until it has ended. What it raised stays with it.

    More than once: a library on the way may lose a cancellation, as redis-py's does one that comes while it connects.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_S)
