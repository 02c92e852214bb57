"""What sealed columns cost where rooms meet them: a row found and opened, a thousand, and reads that the log awaits.

Each citizen's keys are in memory, as they are for a minute after a read; that they are asked for at each read is one
indexed statement more (decision 0004) and no part of this. Plain and sealed take turns, through the same sessions.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import LargeBinary, Text, Uuid, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gov_services.audit.log import AuditLog
from gov_services.crypto.blind_index import BlindIndex, phone
from gov_services.crypto.columns import Sealed, SealedColumn
from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.envelope import frame
from gov_services.crypto.keys import DataClass
from gov_services.crypto.sealing import Sealer
from gov_services.devstack.bench.appending import example
from gov_services.kit.database import Database

PEOPLE = 2000
PAGE = 1000
CALLERS = 64
FIELDS = ("name", "birth_date", "address", "card", "remark")
INDEX = "bench.person.phone"
Read = Callable[[int], Awaitable[object]]


class _Base(DeclarativeBase):
    """Apart from the rooms' tables."""


def _sealed(name: str) -> SealedColumn:
    return SealedColumn(f"bench.person.{name}", coordinate=f"P.{name}", data_class=DataClass.IDENTITY, row="id")


class _Plain(_Base):
    __tablename__ = "plain_person"
    __table_args__ = {"schema": "bench"}  # noqa: RUF012

    id: Mapped[UUID] = mapped_column(Uuid(as_uuid=True), primary_key=True)
    phone: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    birth_date: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    card: Mapped[str] = mapped_column(Text)
    remark: Mapped[str] = mapped_column(Text)


class _Person(_Base):
    __tablename__ = "sealed_person"
    __table_args__ = {"schema": "bench"}  # noqa: RUF012

    id: Mapped[UUID] = mapped_column(Uuid(as_uuid=True), primary_key=True)
    citizen_id: Mapped[UUID] = mapped_column(Uuid(as_uuid=True))
    phone_index: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    name: Mapped[Sealed] = mapped_column(_sealed("name"))
    birth_date: Mapped[Sealed] = mapped_column(_sealed("birth_date"))
    address: Mapped[Sealed] = mapped_column(_sealed("address"))
    card: Mapped[Sealed] = mapped_column(_sealed("card"))
    remark: Mapped[Sealed] = mapped_column(_sealed("remark"))


@dataclass(slots=True)
class _City:
    """The people, twice: in clear and sealed."""

    database: Database
    index: BlindIndex
    keys: dict[UUID, DataKey]

    async def plain_row(self, number: int) -> list[str]:
        """One found by an index."""
        async with self.database.reading() as session:
            row = (await session.execute(select(_Plain).where(_Plain.phone == _phone(number)))).scalar_one()
        return [getattr(row, name) for name in FIELDS]

    async def sealed_row(self, number: int) -> list[bytes]:
        """The same by a blind index, and opened."""
        digest = self.index.of(INDEX, _phone(number), normalize=phone)
        async with self.database.reading() as session:
            row = (await session.execute(select(_Person).where(_Person.phone_index == digest))).scalar_one()
        return self._opened(row)

    async def plain_page(self, _: int) -> list[list[str]]:
        """A thousand."""
        async with self.database.reading() as session:
            rows = (await session.execute(select(_Plain).limit(PAGE))).scalars().all()
        return [[getattr(row, name) for name in FIELDS] for row in rows]

    async def sealed_page(self, _: int) -> list[list[bytes]]:
        """A thousand, of as many citizens, opened."""
        async with self.database.reading() as session:
            rows = (await session.execute(select(_Person).limit(PAGE))).scalars().all()
        return [self._opened(row) for row in rows]

    def _opened(self, row: _Person) -> list[bytes]:
        key = self.keys[row.citizen_id]
        return [
            frame(key, column, data_class=DataClass.IDENTITY).open(key, getattr(row, name).box, row.id)
            for name, column in _COLUMNS
        ]


_COLUMNS = tuple((name, f"bench.person.{name}") for name in FIELDS)


async def measure(owner: AsyncEngine, database: Database, log: AuditLog, *, seconds: float) -> dict[str, float]:
    """Ratios of time for a row and a page, of reads a second for what the log awaits."""
    city = await _found(owner, database)
    await city.plain_row(0)
    row = await _ratio(city.plain_row, city.sealed_row, seconds)
    page = await _ratio(city.plain_page, city.sealed_page, seconds)

    async def awaited(number: int) -> object:
        logged, opened = await asyncio.gather(log.append([example(number)]), city.sealed_row(number))
        return logged, opened

    plain, audited = await _throughput(city.plain_row, awaited, seconds)
    return {
        "row_us": round(row[0] * 1e6),
        "sealed_row_of_plain": round(row[1], 2),
        "page_ms": round(page[0] * 1e3, 2),
        "sealed_page_of_plain": round(page[1], 2),
        "plain_reads_per_s": round(plain),
        "audited_of_plain": round(audited / plain, 2),
    }


async def _found(owner: AsyncEngine, database: Database) -> _City:
    plain, sealed, keys = [], [], {}
    index = BlindIndex(os.urandom(32))
    for number in range(PEOPLE):
        row_id, citizen_id = uuid4(), uuid4()
        said = {name: f"{name} of somebody invented, {number}"[:30] for name in FIELDS}
        key = DataKey(os.urandom(32), citizen_id=citizen_id, data_class=DataClass.IDENTITY, version=1)
        sealer, keys[citizen_id] = Sealer(key), key
        plain.append({"id": row_id, "phone": _phone(number), **said})
        boxes = {name: sealer.seal(_sealed(name), row_id=row_id, value=value) for name, value in said.items()}
        digest = index.of(INDEX, _phone(number), normalize=phone)
        sealed.append({"id": row_id, "citizen_id": citizen_id, "phone_index": digest, **boxes})
    async with owner.begin() as connection:
        await connection.exec_driver_sql("CREATE SCHEMA bench")
        await connection.run_sync(_Base.metadata.create_all)
        await connection.exec_driver_sql("GRANT USAGE ON SCHEMA bench TO PUBLIC")
        for begin in range(0, PEOPLE, 500):
            await connection.execute(insert(_Plain), plain[begin : begin + 500])
            await connection.execute(insert(_Person), sealed[begin : begin + 500])
        for table in _Base.metadata.tables:
            await connection.exec_driver_sql(f"GRANT SELECT ON {table} TO PUBLIC")
            await connection.exec_driver_sql(f"ANALYZE {table}")
    return _City(database, index, keys)


def _phone(number: int) -> str:
    return f"+86190{number:08d}"


async def _ratio(plain: Read, sealed: Read, seconds: float) -> tuple[float, float]:
    """Median seconds of the plain one, and the median of how many times as long the other took, by turns."""
    took: list[tuple[float, float]] = []
    until = time.perf_counter() + 2 * seconds
    for number in itertools.count():
        took.append((await _timed(plain, number % PEOPLE), await _timed(sealed, number % PEOPLE)))
        if time.perf_counter() >= until and len(took) > 10:
            break
    return statistics.median(one for one, _ in took), statistics.median(other / one for one, other in took)


async def _timed(read: Read, number: int) -> float:
    begun = time.perf_counter()
    await read(number)
    return time.perf_counter() - begun


async def _throughput(plain: Read, audited: Read, seconds: float) -> tuple[float, float]:
    """Reads a second of each, medians of turns."""
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(5):
        for read, found in zip((plain, audited), rates, strict=True):
            found.append(await _turn(read, seconds))
    return statistics.median(rates[0]), statistics.median(rates[1])


async def _turn(read: Read, seconds: float) -> float:
    begun = time.perf_counter()
    until, numbers = begun + seconds, itertools.count()

    async def call() -> int:
        done = 0
        while time.perf_counter() < until:
            await read(next(numbers) % PEOPLE)
            done += 1
        return done

    done: Sequence[int] = await asyncio.gather(*(call() for _ in range(CALLERS)))
    return sum(done) / (time.perf_counter() - begun)
