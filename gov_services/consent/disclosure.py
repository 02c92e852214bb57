"""Disclosure: the value that proves a decision was made and logged, and the only thing that opens a sealed column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from sqlalchemy import inspect

from gov_services.audit.entry import Entry
from gov_services.audit.log import Logged
from gov_services.consent.policy import Declared, Withheld
from gov_services.consent.purposes import Form, Relation
from gov_services.consent.vocabulary import PersonalField, Vocabulary
from gov_services.crypto.columns import Sealed, SealedColumn
from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.envelope import frame
from gov_services.crypto.keys import DataClass
from gov_services.crypto.masks import MASKS
from gov_services.kit.errors import Refusal

Answer = TypeVar("Answer")


class ConsentRequired(Refusal):
    """The subject's consent does not cover this field now; absent and unrelated subjects look the same."""

    code = "CONSENT_REQUIRED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "未获得本人授权,该字段不予提供。",
        "en": "This field is not given without the person's consent.",
    }


class PurposeNarrowed(Refusal):
    """The purpose no longer grants this field."""

    code = "PURPOSE_NARROWED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "此用途已不再提供该字段。",
        "en": "This purpose no longer gives this field.",
    }


class BeyondDisclosure(Exception):
    """Our own code asked a disclosure for what it was not made for. A defect, never a client's doing."""


WITHHELD: Mapping[Withheld, type[Refusal]] = {
    Withheld.CONSENT_REQUIRED: ConsentRequired,
    Withheld.PURPOSE_NARROWED: PurposeNarrowed,
}


class Disclosure:
    """What one request may read about one subject. Made by Disclosures, once the log holds the decision."""

    __slots__ = ("_declared", "_keys", "_opened", "_vocabulary", "entry", "logged")

    def __init__(
        self,
        declared: Declared,
        logged: Logged,
        entry: Entry,
        *,
        keys: Mapping[DataClass, DataKey],
        vocabulary: Vocabulary,
    ) -> None:
        self._declared = declared
        self._keys = keys
        self._vocabulary = vocabulary
        self._opened: set[str] = set()
        self.logged = logged
        self.entry = entry

    def __repr__(self) -> str:
        return f"Disclosure(purpose={self._declared.purpose.code!r}, relation={self._declared.relation.value!r})"

    @property
    def subject_id(self) -> UUID:
        """Whom it is about."""
        return self._declared.subject_id

    @property
    def relation(self) -> Relation:
        """By what tie the actor may ask."""
        return self._declared.relation

    @property
    def opened(self) -> frozenset[str]:
        """Coordinates that were really opened."""
        return frozenset(self._opened)

    @property
    def warned(self) -> frozenset[str]:
        """Of these, what the purpose is about to lose."""
        return self.opened & self._declared.purpose.warned

    async def open(self, coordinate: str, row: object, attribute: str) -> str | None:
        """The value of a sealed column, plain or masked as decided; None where none is stored.

        Raises ConsentRequired, PurposeNarrowed; BeyondDisclosure where the column is not that coordinate's.
        """
        form = self._require(coordinate)
        column, sealed = _sealed(row, attribute)
        if column.coordinate != coordinate or form is Form.DERIVED:
            raise BeyondDisclosure(f"{coordinate} is not what {column.column_id} holds, or is derived only")
        if sealed is None:
            return None
        value = self._unseal(column, sealed, row)
        self._opened.add(coordinate)
        return value if form is Form.PLAIN else MASKS[self._mask(coordinate)](value)

    async def derive(
        self, coordinate: str, row: object, attribute: str, rule: Callable[[str], Answer]
    ) -> Answer | None:
        """`rule` of a sealed value, for a coordinate that is declared as derived from that column's.

        The value itself goes no further than `rule`. Raises as `open` does.
        """
        if self._require(coordinate) is not Form.DERIVED:
            raise PurposeNarrowed
        column, sealed = _sealed(row, attribute)
        if self._field(coordinate).derived_from != column.coordinate:
            raise BeyondDisclosure(f"{coordinate} is not derived from what {column.column_id} holds")
        if sealed is None:
            return None
        self._opened.add(coordinate)
        return rule(self._unseal(column, sealed, row))

    def release(self, coordinate: str, value: Answer) -> Answer:
        """`value`, personal but not sealed (a colour, an amount), once the decision gives it. Raises as `open` does.

        It is given whole or not at all: what is decided to be masked is withheld.
        """
        if self._require(coordinate) not in (Form.PLAIN, Form.DERIVED):
            raise PurposeNarrowed
        self._opened.add(coordinate)
        return value

    def _require(self, coordinate: str) -> Form:
        decision = self._declared.decisions.get(coordinate)
        if decision is None:
            raise BeyondDisclosure(f"{coordinate} was not declared")
        if isinstance(decision, Withheld):
            withheld = WITHHELD[decision]()
            withheld.logged = True  # the decision's entry says so of this very coordinate
            raise withheld
        return decision

    def _field(self, coordinate: str) -> PersonalField:
        return self._vocabulary[coordinate]

    def _mask(self, coordinate: str) -> str:
        mask = self._field(coordinate).mask
        if mask is None:
            raise BeyondDisclosure(f"{coordinate} is granted masked and has no mask")
        return mask

    def _unseal(self, column: SealedColumn, sealed: Sealed, row: Any) -> str:
        subject = getattr(row, column.subject)
        if subject != self.subject_id:
            raise BeyondDisclosure(f"{column.column_id} of this row is about somebody else")
        key = self._keys.get(column.data_class)
        if key is None or key.citizen_id != subject:
            raise BeyondDisclosure(f"{column.column_id} is of a class that this room does not open")
        boxes = frame(key, column.column_id, data_class=column.data_class)
        return boxes.open(key, sealed.box, row_id_of(row, column)).decode()


def row_id_of(row: Any, column: SealedColumn) -> UUID:
    """The id that the boxes of `row` are bound to: the attribute that the column names."""
    value = getattr(row, column.row)
    if not isinstance(value, UUID):
        raise BeyondDisclosure(f"{column.column_id} is bound to {column.row}, which is no id")
    return value


def _sealed(row: object, attribute: str) -> tuple[SealedColumn, Sealed | None]:
    column = inspect(type(row)).columns[attribute].type
    if not isinstance(column, SealedColumn):
        raise BeyondDisclosure(f"{attribute} is not a sealed column")
    return column, getattr(row, attribute)
