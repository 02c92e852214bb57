"""Which sealed values of a database open, by which keys: as somebody would try who has both. No test here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg

from gov_services.cli.database import load_all_models
from gov_services.crypto.columns import SealedColumn, sealed_columns
from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.envelope import BoxRefused, frame
from gov_services.crypto.keys import DataClass, KeyRefused, LocalKeyProvider, Wrapped
from gov_services.kit.database import Base


@dataclass(frozen=True, slots=True)
class Box:
    """One sealed value, with what it is bound to."""

    column: SealedColumn
    row_id: UUID
    citizen_id: UUID
    box: bytes


@dataclass(frozen=True, slots=True)
class Dump:
    """All that is sealed in a database, and all data keys, wrapped."""

    boxes: tuple[Box, ...]
    wrapped: tuple[tuple[UUID, DataClass, int, Wrapped], ...]

    def keys(self, secrets: Path, classes: Iterable[DataClass]) -> Iterator[DataKey]:
        """The data keys of these classes that key files still unwrap."""
        for data_class in classes:
            provider = LocalKeyProvider(secrets, [data_class])
            for citizen_id, of_class, version, wrapped in self.wrapped:
                if of_class is data_class:
                    try:
                        key = provider.unwrap(data_class, wrapped)
                    except KeyRefused:
                        continue
                    yield DataKey(key, citizen_id=citizen_id, data_class=data_class, version=version)

    def opened(self, keys: Iterable[DataKey], *, of: Iterable[DataClass]) -> list[bytes]:
        """Every value of these classes that one of the keys opens."""
        tried, wanted, found = list(keys), set(of), []
        for box in self.boxes:
            if box.column.data_class not in wanted:
                continue
            for key in tried:
                try:
                    boxes = frame(key, box.column.column_id, data_class=box.column.data_class)
                    found.append(boxes.open(key, box.box, box.row_id))
                except (BoxRefused, KeyRefused):
                    continue
        return found


async def take_dump(url: str) -> Dump:
    """Read a database as its owner."""
    load_all_models()
    connection = await asyncpg.connect(url)
    boxes: list[Box] = []
    try:
        for table, column, sealed in sealed_columns(Base.metadata):
            rows = await connection.fetch(
                f'SELECT "{sealed.row}" AS row_id, "{sealed.subject}" AS citizen_id, "{column.name}" AS box '
                f'FROM {table.fullname} WHERE "{column.name}" IS NOT NULL'
            )
            boxes += [Box(sealed, row["row_id"], row["citizen_id"], bytes(row["box"])) for row in rows]
        rows = await connection.fetch(
            "SELECT citizen_id, data_class, version, kek_id, wrapped FROM keys.data_key WHERE wrapped IS NOT NULL"
        )
    finally:
        await connection.close()
    wrapped = tuple(
        (row["citizen_id"], DataClass(row["data_class"]), row["version"], Wrapped(row["kek_id"], bytes(row["wrapped"])))
        for row in rows
    )
    return Dump(tuple(boxes), wrapped)
