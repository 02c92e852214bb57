"""When what is signed comes out: at fixed times, whatever was written, so that the public log tells not when."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from bodies import Bodies

from gov_services.audit import publish
from gov_services.audit.checkpoint import verifier_key
from gov_services.audit.entry import Entry
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.note import NoteKey
from gov_services.audit.publish import Publisher
from gov_services.crypto.signing import SigningKey
from gov_services.kit.clock import FrozenClock, SystemClock

pytestmark = pytest.mark.untraced

NOW = dt.datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=dt.UTC)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def bodies(tmp_path: Path, log_key: SigningKey, origin: str, clock: FrozenClock) -> Bodies:
    return Bodies(tmp_path, NoteKey.parse(verifier_key(origin, log_key.public_bytes)), clock)


async def test_the_public_sees_the_log_grow_at_fixed_times_alone(
    permits_log: AuditLog,
    integrator: Integrator,
    make_publisher: Callable[..., Publisher],
    make_entry: Callable[..., Entry],
    bodies: Bodies,
    clock: FrozenClock,
    origin: str,
) -> None:
    http = httpx.AsyncClient(transport=bodies)  # type: ignore[arg-type]
    publisher = make_publisher(bodies.policy("all"), http, clock=clock, cadence_s=60)
    shown: list[int] = []

    async def run_for(seconds: int, *, entries_each: int) -> None:
        for _ in range(seconds):
            await permits_log.append([make_entry() for _ in range(entries_each)])
            await integrator.run_once()
            await _run_once_as_in_the_background(publisher)
            out = await publisher.newest()
            shown.append(out.checkpoint.size if out else -1)
            clock.advance(dt.timedelta(seconds=1))

    await run_for(3, entries_each=1)
    assert shown == [1, 1, 1], "the first comes out at once; then nothing before the minute"
    clock.advance(dt.timedelta(seconds=42))  # the full minute, at which nothing has been added but what waits
    await run_for(2, entries_each=2)
    assert shown[3:] == [5, 5]
    assert bodies.seen(origin) == {7}, "witnesses are shown every one"
    clock.advance(dt.timedelta(seconds=58))
    bodies.away = {"w1.example"}
    await run_for(1, entries_each=1)
    assert shown[5:] == [5], "no witness, nothing out"
    bodies.away = set()
    await run_for(1, entries_each=1)
    assert shown[6:] == [5], "what failed at its time waits for the next"
    clock.advance(dt.timedelta(seconds=58))
    await _run_once_as_in_the_background(publisher)
    await run_for(2, entries_each=1)
    assert shown[7:] == [9, 9], "a time at which there was nothing new is past"
    clock.advance(dt.timedelta(seconds=58))
    await run_for(1, entries_each=1)
    assert shown[9:] == [12]


async def _run_once_as_in_the_background(publisher: Publisher) -> None:
    """`run` until it first rests."""
    stop = asyncio.Event()
    running = asyncio.create_task(publisher.run(stop, interval_s=3600))
    await asyncio.sleep(0)
    stop.set()
    await running


async def test_of_two_processes_one_brings_it_out_at_a_time(
    permits_log: AuditLog,
    integrator: Integrator,
    make_publisher: Callable[..., Publisher],
    make_entry: Callable[..., Entry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = (make_publisher(clock=SystemClock(), cadence_s=86_400) for _ in range(2))
    await permits_log.append([make_entry()])
    await integrator.run_once()
    await _run_once_as_in_the_background(one)
    await permits_log.append([make_entry()])
    await integrator.run_once()
    for publisher in (one, other):  # each for the first time since this time began
        monkeypatch.setattr(publisher, "_out_at", -1)
        await _run_once_as_in_the_background(publisher)
        out = await publisher.newest()
        assert out is not None
        assert out.checkpoint.size == 1


async def test_a_witness_that_drips_holds_nobody_up(
    permits_log: AuditLog,
    integrator: Integrator,
    make_publisher: Callable[..., Publisher],
    make_entry: Callable[..., Entry],
    bodies: Bodies,
    clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publish, "WITNESS_TIMEOUT_S", 0.5)
    told: list[str] = []

    async def drips() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    async def pours() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 4096

    async def answer(request: httpx.Request) -> httpx.Response:
        told.append(request.url.host)
        if request.url.host == "w1.example":
            return httpx.Response(200, content=drips() if len(told) < 3 else pours())
        return await bodies.handle_async_request(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        publisher = make_publisher(bodies.policy("any"), http, clock=clock)
        for size in (1, 2):
            await permits_log.append([make_entry()])
            await integrator.run_once()
            async with asyncio.timeout(5):
                out = await publisher.run_once()
            assert out is not None
            assert out.checkpoint.size == size
    assert set(told) == {"w1.example", "w2.example"}
