"""What the map of subjects costs as it grows: entries taken in, histories proved, bytes stored, roots recomputed.

All of it through the processes that do it: entries are appended, signed and described before they are mapped.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from gov_services.audit.describe import Describer
from gov_services.audit.entry import Entry
from gov_services.audit.export import export
from gov_services.audit.history_proof import HistoryEvidence, make_history_evidence, verify_history
from gov_services.audit.integrate import Integrator
from gov_services.audit.listing import ROOM as KEEPER
from gov_services.audit.log import AuditLog
from gov_services.audit.map_subjects import Mapped, Mapper
from gov_services.audit.verify_export import verify_export
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.devstack.bench.appending import ORIGIN, Place, Tell, example, writing
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database, create_engine

REPEATS = 50
BATCH = 200
APPENDED_AT_ONCE = 1000
_CLOCK = SystemClock()


@dataclass(slots=True)
class _City:
    """A log, and those who keep it."""

    place: Place
    log: AuditLog
    integrator: Integrator
    describer: Describer
    mapper: Mapper
    subjects: int = 0

    async def append(self, numbers: Sequence[int]) -> None:
        """An entry about each of these subjects, signed and described."""
        for begin in range(0, len(numbers), APPENDED_AT_ONCE):
            await self.log.append([_about(number) for number in numbers[begin : begin + APPENDED_AT_ONCE]])
        await self.settle()

    async def settle(self) -> None:
        """Everything is numbered, signed and described."""
        while (signed := await self.integrator.run_once()) is not None and signed.added:
            pass
        await self.describer.run_once()


async def grow(place: Place, *, sizes: Sequence[int], tell: Tell) -> dict[str, Any]:
    """`growth` by number of subjects, smallest first; `recomputed`: an auditor's work over the last."""
    async with _city(place) as city:
        growth = {str(size): await _at(city, size, tell) for size in sizes}
    tell("recomputing")
    return {"growth": growth, "recomputed": await _recomputed(place)}


@asynccontextmanager
async def _city(place: Place) -> AsyncIterator[_City]:
    key, keys = SigningKey.load(place.secrets, "log"), VerifyKeys.load(place.secrets, "log")
    database = Database(place.urls["audit"], pool_size=4)
    engine = create_engine(place.urls["audit"], pool_size=2)
    own = AuditLog(engine, room=KEEPER, key=SigningKey.load(place.secrets, f"writer-{KEEPER}"))
    try:
        async with writing(place) as log:
            integrator = Integrator(database, key, _CLOCK, keys=keys, origin=ORIGIN)
            yield _City(place, log, integrator, Describer(database), Mapper(database, own, _CLOCK))
    finally:
        await own.close()
        await engine.dispose()
        await database.close()


async def _at(city: _City, size: int, tell: Tell) -> dict[str, float]:
    """Costs in a city of that many subjects about whom there are entries."""
    tell(f"growing from {city.subjects:,} to {size:,} subjects")
    await city.append(range(city.subjects, size))
    city.subjects = size
    tell("mapping them")
    await city.mapper.run_once()
    one = [await _mapped(city, [_some(city, repeat)]) for repeat in range(REPEATS // 5)]
    many = [await _mapped(city, [_some(city, repeat * BATCH + n) for n in range(BATCH)]) for repeat in range(5)]
    await city.settle()
    proofs = await _proofs(city)
    stored = await _stored_bytes(city.place)
    return {
        "one_ms": round(statistics.median(took for took, _ in one) * 1e3, 1),
        "two_hundred_ms": round(statistics.median(took for took, _ in many) * 1e3, 1),
        "pages": round(statistics.median(done.pages for _, done in one), 1),
        **proofs,
        "stored_bytes": round(stored / size),
    }


async def _mapped(city: _City, numbers: Sequence[int]) -> tuple[float, Mapped]:
    await city.append(numbers)
    begun = time.perf_counter()
    (done,) = await city.mapper.run_once()
    return time.perf_counter() - begun, done


async def _proofs(city: _City) -> dict[str, float]:
    """Made in the database, checked without it: medians over some subjects."""
    keys = VerifyKeys.load(city.place.secrets, "log")
    database = Database(city.place.urls["privacy"], pool_size=1)
    made: list[tuple[float, HistoryEvidence]] = []
    try:
        async with database.reading() as session:
            for repeat in range(REPEATS):
                begun = time.perf_counter()
                tag = _about(_some(city, repeat)).subject_tag or b""
                evidence = await make_history_evidence(session, tag=tag, opens=_everything, opened=1)
                made.append((time.perf_counter() - begun, evidence))
    finally:
        await database.close()
    begun = time.perf_counter()
    for _, evidence in made:
        verify_history(evidence, keys, origin=ORIGIN)
    verified = (time.perf_counter() - begun) / len(made)
    return {
        "prove_ms": round(statistics.median(took for took, _ in made) * 1e3, 2),
        "verify_ms": round(verified * 1e3, 2),
        "hashes": round(statistics.mean(len(one.place.siblings) for _, one in made), 1),
        "bytes": round(statistics.median(len(one.to_json()) for _, one in made)),
    }


async def _stored_bytes(place: Place) -> int:
    engine = create_engine(place.owner_url, pool_size=1)
    try:
        async with engine.connect() as connection:
            size: int = (
                await connection.execute(text("SELECT pg_total_relation_size('audit.subject_page')"))
            ).scalar_one()
            return size
    finally:
        await engine.dispose()


async def _recomputed(place: Place) -> dict[str, float]:
    """An export, verified: every root of the map among the rest."""
    database, keys = Database(place.urls["privacy"], pool_size=1), VerifyKeys.load(place.secrets, "log")
    try:
        with tempfile.TemporaryDirectory(dir=place.secrets.parent) as made:
            async with database.reading() as session:
                await export(session, Path(made) / "export", origin=ORIGIN)
            begun = time.perf_counter()
            report = await asyncio.to_thread(verify_export, Path(made) / "export", keys, origin=ORIGIN)
            seconds = time.perf_counter() - begun
    finally:
        await database.close()
    assert report.sound, report.findings
    return {"entries": report.entries, "roots": report.roots, "s": round(seconds, 1)}


def _everything(_: Entry) -> bool:
    return True


def _about(number: int) -> Entry:
    return replace(example(), subject_tag=number.to_bytes(16, "big"))


def _some(city: _City, repeat: int) -> int:
    """One of the subjects, another each time, spread over all."""
    return repeat * 7919 % city.subjects
