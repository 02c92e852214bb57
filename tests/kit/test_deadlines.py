"""Deadlines by one timer: they end what is late, let pass what is not, and mind other cancellations."""

from __future__ import annotations

import asyncio
import time

import pytest

from gov_services.kit.deadlines import Deadlines


async def test_what_takes_too_long_is_ended() -> None:
    deadlines = Deadlines()
    began = time.monotonic()
    with pytest.raises(TimeoutError), deadlines.within(0.05):
        await asyncio.sleep(5)

    assert 0.05 <= time.monotonic() - began < 0.5
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # nothing is left of it


async def test_what_is_in_time_passes_and_its_errors_are_its_own() -> None:
    deadlines = Deadlines()
    with deadlines.within(1):
        await asyncio.sleep(0)
    with pytest.raises(ValueError, match="mine"), deadlines.within(1):
        raise ValueError("mine")
    await asyncio.sleep(0.35)
    assert deadlines._loop is None  # no timer runs for nothing


async def test_many_at_once_end_each_at_its_own_time() -> None:
    deadlines = Deadlines()

    async def work(limit: float, needs: float) -> str:
        try:
            with deadlines.within(limit):
                await asyncio.sleep(needs)
        except TimeoutError:
            return "late"
        return "done"

    found = await asyncio.gather(*(work(0.1, 5) if number % 2 else work(5, 0.2) for number in range(20)))

    assert found == ["done", "late"] * 10


async def test_who_is_cancelled_by_somebody_else_is_cancelled() -> None:
    deadlines = Deadlines()

    async def work() -> None:
        with deadlines.within(0.05):
            try:
                await asyncio.sleep(5)
            finally:
                await asyncio.sleep(0.2)  # the deadline passes while it ends

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_inside_the_other() -> None:
    deadlines = Deadlines()
    with deadlines.within(5):
        with pytest.raises(TimeoutError), deadlines.within(0.05):
            await asyncio.sleep(5)
        await asyncio.sleep(0.15)


def test_it_serves_one_loop_after_the_other() -> None:
    deadlines = Deadlines()

    async def late() -> None:
        with deadlines.within(0.05):
            await asyncio.sleep(5)

    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(late())
