"""Sealed columns: a type that wraps bytes and says what they are. It does no cryptography and no I/O."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, LargeBinary, MetaData, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from gov_services.crypto.keys import DataClass


class Sealed:
    """A box out of a sealed column. It says nothing, equals nothing but itself, and opens for a Disclosure only."""

    __slots__ = ("box",)

    def __init__(self, box: bytes) -> None:
        self.box = box

    def __repr__(self) -> str:
        return "Sealed(…)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a sealed value is not serialized")


class SealedColumn(TypeDecorator[Sealed]):
    """The type of a column that holds a personal value, sealed under its subject's key."""

    impl = LargeBinary
    cache_ok = True

    def __init__(
        self,
        column_id: str,
        *,
        coordinate: str,
        data_class: DataClass,
        row: str,
        subject: str = "citizen_id",
        pad_to: int = 32,
    ) -> None:
        """`column_id` never changes, whatever becomes of the column's name; it is bound into every box.

        `coordinate` is the schema coordinate that it stores; `row` and `subject` name the attributes with the row's
        id and with the citizen whom the value is about.
        """
        super().__init__()
        self.column_id = column_id
        self.coordinate = coordinate
        self.data_class = data_class
        self.row = row
        self.subject = subject
        self.pad_to = pad_to

    def process_bind_param(self, value: Sealed | None, dialect: Dialect) -> bytes | None:
        """A box on its way in. A value that nobody sealed is a defect of ours, and is not stored."""
        if value is None:
            return None
        if not isinstance(value, Sealed):
            raise TypeError(f"{self.column_id} takes sealed values only")
        return value.box

    def process_result_value(self, value: Any, dialect: Dialect) -> Sealed | None:
        """A box on its way out."""
        return None if value is None else Sealed(bytes(value))


def sealed_columns(metadata: MetaData) -> list[tuple[Table, Column[Any], SealedColumn]]:
    """Every sealed column of every table that is declared."""
    return [
        (table, column, column.type)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, SealedColumn)
    ]
