"""What a durable entry of the log costs beside a bare INSERT, until when it is signed, and how that grows with the log.

The bare INSERT is the driver's own, on as many connections as callers up to a limit, into a table of two columns. Ours
is what a room does before it opens anything: an entry written canonically, signed for, numbered and awaited.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from gov_services.audit import history
from gov_services.audit.describe import Describer
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.export import export
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.proof import make_evidence
from gov_services.audit.verify_export import verify_export
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database, create_engine
from gov_services.kit.ids import new_id

CONNECTIONS = 32
"""Of the bare INSERT: more than these served it no faster on two cores."""
READY_PER_S = 90_000
"""Entries made before a turn, as the bytes of the bare INSERT are."""
COLLECTED = (100_000, 20, 50)
"""When the collector looks, as it does where we serve."""
LAG_CALLERS = 64
SAMPLE_S = 0.02
BARE, OURS = "bare INSERT", "entry of the log"
ORIGIN = "bench.example/log"
ROOM = "permits"
ROOMS = (ROOM, "audit", "privacy")
SUBJECTS = 1000
"""Citizens whom the entries of a growing log are about, so that one has a thousandth of it."""
REPEATS = 200
Append = Callable[[], Awaitable[object]]
Tell = Callable[[str], None]
_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured: addresses by room, and key files."""

    owner_url: str
    urls: dict[str, str]
    secrets: Path


@dataclass(slots=True)
class Turns:
    """What one way did at one number of callers: a number a round."""

    per_second: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)


async def compare(place: Place, *, callers: Sequence[int], rounds: int, seconds: float, tell: Tell) -> dict[str, Any]:
    """`appends` by number of callers, and `lag` while the log is signed."""
    gc.set_threshold(*COLLECTED)
    async with _pool(place) as pool, writing(place) as log:
        await pool.execute("CREATE SCHEMA bench CREATE TABLE bare (id uuid PRIMARY KEY, body bytea NOT NULL)")
        appends = {}
        for count in callers:
            tell(f"{count} callers, {rounds} rounds")
            appends[str(count)] = await _compare(pool, log, count, rounds, seconds)
        tell("while it is signed")
        return {"appends": appends, "lag": await _lag(place, log, seconds * rounds)}


async def grow(place: Place, *, sizes: Sequence[int], tell: Tell) -> dict[str, Any]:
    """`growth`: what things cost in a log of these sizes, smallest first; `exported`: the last, verified elsewhere."""
    async with writing(place) as log:
        growth = {str(size): await _at(place, log, size, tell) for size in sizes}
    tell("exporting")
    return {"growth": growth, "exported": await _exported(place)}


async def _exported(place: Place) -> dict[str, float]:
    """How long an export takes, and how fast it is verified on all cores."""
    database, keys = Database(place.urls["privacy"], pool_size=1), VerifyKeys.load(place.secrets, "log")
    try:
        with tempfile.TemporaryDirectory(dir=place.secrets.parent) as made:
            folder = Path(made) / "export"
            begun = time.perf_counter()
            async with database.reading() as session:
                done = await export(session, folder, origin=ORIGIN)
            written = time.perf_counter()
            report = await asyncio.to_thread(verify_export, folder, keys, origin=ORIGIN)
            seconds = time.perf_counter() - written
    finally:
        await database.close()
    assert report.sound, report.findings
    return {
        "entries": done.entries,
        "export_s": round(written - begun, 1),
        "verified_per_s": round(report.entries / seconds),
    }


@asynccontextmanager
async def _pool(place: Place) -> AsyncIterator[asyncpg.Pool]:
    pool = await asyncpg.create_pool(place.owner_url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def writing(place: Place) -> AsyncIterator[AuditLog]:
    """A room's way into the log of that place."""
    engine = create_engine(place.urls[ROOM], pool_size=2)
    key = SigningKey.load(place.secrets, f"writer-{ROOM}")
    # Nobody signs while appends alone are timed.
    log = AuditLog(engine, room=ROOM, key=key, lag_limit_s=float("inf"))
    try:
        yield log
    finally:
        await log.close()
        await engine.dispose()


async def _compare(pool: asyncpg.Pool, log: AuditLog, callers: int, rounds: int, seconds: float) -> dict[str, float]:
    """Medians a second of both, the median of their ratios by round, our p99."""
    body = example().canonical()

    async def bare() -> object:
        return await pool.execute("INSERT INTO bench.bare (id, body) VALUES ($1, $2)", uuid4(), body)

    turns = {BARE: Turns(), OURS: Turns()}
    for _ in range(rounds):
        await _turn(turns[BARE], bare, callers, seconds)
        await _turn_of_ours(turns[OURS], log, callers, seconds)
    ratios = [ours / bare for bare, ours in zip(turns[BARE].per_second, turns[OURS].per_second, strict=True)]
    return {
        "bare_per_s": round(statistics.median(turns[BARE].per_second)),
        "ours_per_s": round(statistics.median(turns[OURS].per_second)),
        "ratio": round(statistics.median(ratios), 2),
        "p99_ms": round(_percentile(turns[OURS].latencies_ms, 99), 2),
    }


async def _turn_of_ours(turns: Turns, log: AuditLog, callers: int, seconds: float) -> None:
    ready = [example() for _ in range(int(seconds * READY_PER_S))]

    async def ours() -> object:
        return await log.append([ready.pop()])

    gc.collect()
    gc.freeze()  # what was made ready is nothing that a collector should go through while time is taken
    try:
        await _turn(turns, ours, callers, seconds)
    finally:
        gc.unfreeze()


async def _turn(turns: Turns, append: Append, callers: int, seconds: float) -> None:
    """`callers` append one after another for `seconds`, each waiting for its own."""
    begun = time.perf_counter()
    until = begun + seconds

    async def call() -> int:
        for done in itertools.count(1):
            asked = time.perf_counter()
            await append()
            answered = time.perf_counter()
            turns.latencies_ms.append((answered - asked) * 1000)
            if answered >= until:
                return done
        raise AssertionError("counting does not end")

    done = await asyncio.gather(*(call() for _ in range(callers)))
    turns.per_second.append(sum(done) / (time.perf_counter() - begun))


async def _lag(place: Place, log: AuditLog, seconds: float) -> dict[str, float]:
    """Appends while a process of its own signs and describes: how fast they are, and how long until they are signed."""
    context = get_context("spawn")
    stop, ready = context.Event(), context.Event()
    process = context.Process(target=_sign, args=(place, stop, ready), daemon=True)
    process.start()
    samples: list[float] = []
    turns = Turns()
    try:
        await asyncio.to_thread(ready.wait)
        sampling = asyncio.create_task(_sample(place, samples))
        await _turn_of_ours(turns, log, LAG_CALLERS, seconds)
        sampling.cancel()
    finally:
        stop.set()
        await asyncio.to_thread(process.join)
    return {
        "callers": LAG_CALLERS,
        "per_s": round(turns.per_second[0]),
        "p99_ms": round(_percentile(turns.latencies_ms, 99), 2),
        "lag_p50_s": round(_percentile(samples, 50), 2),
        "lag_p99_s": round(_percentile(samples, 99), 2),
    }


async def _sample(place: Place, samples: list[float]) -> None:
    """How long the oldest unsigned entry has been waiting, over and over."""
    connection = await asyncpg.connect(place.owner_url)
    try:
        while True:
            samples.append(await connection.fetchval("SELECT coalesce(audit.lag_s(), 0)"))
            await asyncio.sleep(SAMPLE_S)
    finally:
        await connection.close()


def _sign(place: Place, stop: Any, ready: Any) -> None:
    """A process that signs and describes, as the log's deployable does."""

    async def go() -> None:
        ended = asyncio.Event()
        database = Database(place.urls["audit"], pool_size=6)
        integrator = _integrator(place, database)
        while (signed := await integrator.run_once()) is not None and signed.added:
            pass  # what the turns before left comes first
        ready.set()
        tasks = [asyncio.create_task(one.run(ended)) for one in (integrator, Describer(database))]
        await asyncio.to_thread(stop.wait)
        ended.set()
        await asyncio.gather(*tasks)
        await database.close()

    asyncio.run(go())


def _integrator(place: Place, database: Database) -> Integrator:
    key, keys = SigningKey.load(place.secrets, "log"), VerifyKeys.load(place.secrets, "log")
    return Integrator(database, key, _CLOCK, keys=keys, origin=ORIGIN)


async def _at(place: Place, log: AuditLog, size: int, tell: Tell) -> dict[str, float]:
    """What things cost in a log of that size, described and signed."""
    audit, privacy = Database(place.urls["audit"], pool_size=4), Database(place.urls["privacy"], pool_size=1)
    integrator = _integrator(place, audit)
    try:
        async with privacy.reading() as session:
            standing = await history.count(session)
        tell(f"growing from {standing:,} to {size:,} entries")
        for begin in range(standing, size, 1000):
            await log.append([example(begin + number) for number in range(min(1000, size - begin))])
        while (signed := await integrator.run_once()) is not None and signed.added:
            pass
        await Describer(audit).run_once()
        appended = [await _timed(lambda: log.append([example()])) for _ in range(REPEATS)]
        entries = await log.append([example(number) for number in range(REPEATS)])
        signing = await _timed(integrator.run_once)
        await Describer(audit).run_once()
        async with privacy.reading() as session:
            found = [await _timed(partial(history.of_subject, session, tag=_tag(i), limit=20)) for i in range(REPEATS)]
            proved = [await _timed(partial(make_evidence, session, entry_id=one.entry_id)) for one in entries]
    finally:
        await audit.close()
        await privacy.close()
    return {
        "append_us": round(statistics.median(appended) * 1e6),
        "of_a_citizen_ms": round(statistics.median(found) * 1e3, 2),
        "prove_ms": round(statistics.median(proved) * 1e3, 2),
        "sign_ms": round(signing * 1e3, 1),
    }


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


def _percentile(values: Sequence[float], percent: int) -> float:
    taken = sorted(values)
    return taken[min(len(taken) - 1, len(taken) * percent // 100)] if taken else 0.0


def _tag(number: int) -> bytes:
    return (number % SUBJECTS).to_bytes(16, "big")


def example(number: int = 0) -> Entry:
    """A new entry, as a disclosure to an officer has it: 900 bytes or so."""
    now = _CLOCK.now()
    return replace(_ENTRY, id=new_id(now), at=now, subject_tag=_tag(number))


_ENTRY = Entry(
    id=uuid4(),
    at=_CLOCK.now(),
    room=ROOM,
    kind=EntryKind.READ,
    action="disclosure",
    actor="staff:00000000-0000-7000-8000-000000000001",
    actor_tag=None,
    client="counter",
    roles=("officer",),
    purpose="permit.review",
    basis="STATUTORY",
    entrance="document:ReviewApplication",
    document="0d" * 32,
    subject_tag=bytes(16),
    object="application:00000000-0000-7000-8000-00000000000a",
    coordinates=(("Application.applicantName", "MASKED"), ("Application.phone", "CONSENT_REQUIRED")),
    case=uuid4(),
    reason="审核",
    recipient="staff:00000000-0000-7000-8000-000000000001",
    policy="ab" * 32,
    outcome="allowed",
    request="request-1",
)
