"""Closing values under a citizen's key. Anyone who holds the key may seal; it opens nothing."""

from __future__ import annotations

from uuid import UUID

from gov_services.crypto.columns import Sealed, SealedColumn
from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.envelope import frame


class Sealer:
    """Seals values about one citizen, in one class."""

    def __init__(self, key: DataKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"Sealer({self._key!r})"

    def seal(self, column: SealedColumn, *, row_id: UUID, value: str) -> Sealed:
        """`value`, sealed for its column and row. Raises envelope.BoxRefused for a column of another class."""
        key = self._key
        boxes = frame(key, column.column_id, data_class=column.data_class)
        return Sealed(boxes.close(key, value.encode(), row_id, pad_to=column.pad_to))
