"""Closing values under a citizen's key. Anyone who holds the key may seal; it opens nothing."""

from __future__ import annotations

from uuid import UUID

from gov_services.crypto.columns import Sealed, SealedColumn
from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.envelope import Binding, close_box


class Sealer:
    """Seals values about one citizen, in one class."""

    def __init__(self, key: DataKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"Sealer({self._key!r})"

    def seal(self, column: SealedColumn, *, row_id: UUID, value: str) -> Sealed:
        """`value`, sealed for its column and row. Raises envelope.BoxRefused for a column of another class."""
        binding = Binding(
            column_id=column.column_id,
            row_id=row_id,
            citizen_id=self._key.citizen_id,
            data_class=column.data_class,
        )
        return Sealed(close_box(self._key, value.encode(), binding, pad_to=column.pad_to))
