"""An operation as a tree of fields by type: no fragments, no literal conditions, no introspection. It picks nothing.

Under each type stand the fields asked for on just that type: the position's own type, or one object type of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gov_services.federation.planner.conditions import (
    ALWAYS,
    NO_LITERALS,
    Clause,
    Conditions,
    both,
    clause_of,
    either,
)
from gov_services.federation.supergraph import Supergraph
from graphql import (
    ArgumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
    print_ast,
)

TYPENAME = "__typename"
INTROSPECTION = ("__schema", "__type")
MOST_SELECTIONS = 20_000
"""Fragments spread in fragments can make a short text as large as they like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field asked for, under the response key `key`."""

    name: str
    key: str
    arguments: tuple[ArgumentNode, ...] = ()
    conditions: Conditions = ALWAYS
    selection: Selection | None = None

    @property
    def signature(self) -> tuple[str, tuple[str, ...]]:
        """Two fields of one type with the same signature have the same value."""
        if not self.arguments:
            return self.name, ()
        return self.name, tuple(sorted(print_ast(argument) for argument in self.arguments))

    def size(self) -> int:
        """The number of leaves."""
        return 1 if self.selection is None else max(1, self.selection.size())


@dataclass(slots=True)
class Selection:
    """Fields by type, then by response key, in the order in which they were asked for."""

    by_type: dict[str, dict[str, Field]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[str, Field]]:
        for type_name, fields in self.by_type.items():
            for item in fields.values():
                yield type_name, item

    def __bool__(self) -> bool:
        return any(self.by_type.values())

    def put(self, type_name: str, item: Field) -> None:
        """Add a field, or widen the one that stands there."""
        fields = self.by_type.setdefault(type_name, {})
        known = fields.get(item.key)
        if known is None:
            fields[item.key] = item
            return
        selection = known.selection
        if selection is not None and item.selection is not None:
            selection = selection.union(item.selection)
        fields[item.key] = replace(known, conditions=either(known.conditions, item.conditions), selection=selection)

    def union(self, other: Selection) -> Selection:
        """Both selections in one."""
        joined = Selection({name: dict(fields) for name, fields in self.by_type.items()})
        for type_name, item in other:
            joined.put(type_name, item)
        return joined

    def without(self, coordinates: frozenset[str]) -> Selection:
        """The selection without some fields, named by the type that they are asked for on. None is left empty."""
        left = Selection()
        for type_name, item in self:
            if f"{type_name}.{item.name}" not in coordinates:
                nested = None if item.selection is None else item.selection.without(coordinates)
                left.put(type_name, item if nested is None else replace(item, selection=nested))
        if not left and self:
            left.put(next(iter(self.by_type)), Field(name=TYPENAME, key=TYPENAME))
        return left

    def size(self) -> int:
        """The number of leaves."""
        return sum(item.size() for _, item in self)


def only(type_name: str, item: Field) -> Selection:
    """A selection of one field."""
    selection = Selection()
    selection.put(type_name, item)
    return selection


@dataclass(slots=True)
class _Occurrence:
    clause: Clause
    node: FieldNode


_Gathered = dict[str, dict[str, list[_Occurrence]]]


class TooManyFields(Exception):
    """Once its fragments are put in for their names, the document is larger than any that is worth planning."""

    def __init__(self) -> None:
        super().__init__(f"The document has more than {MOST_SELECTIONS} selections once its fragments are spread.")


class Normalizer:
    """Normalizes one document's selection sets, or the field sets of a supergraph."""

    def __init__(self, supergraph: Supergraph, fragments: Mapping[str, FragmentDefinitionNode] | None = None) -> None:
        self._supergraph = supergraph
        self._fragments = fragments or {}
        self._left = MOST_SELECTIONS

    def selection(self, type_name: str, node: SelectionSetNode) -> Selection:
        """The normal form of a selection set on a type."""
        return self._build(type_name, [(NO_LITERALS, node)])

    def _build(self, type_name: str, parts: Iterable[tuple[Clause, SelectionSetNode]]) -> Selection:
        gathered: _Gathered = {}
        for clause, node in parts:
            self._gather(type_name, None, clause, node, gathered)
        selection = Selection()
        for owner, keys in gathered.items():
            for key, occurrences in keys.items():
                selection.put(owner, self._field(owner, key, occurrences))
        return selection

    def _field(self, owner: str, key: str, occurrences: list[_Occurrence]) -> Field:
        node = occurrences[0].node
        conditions: Conditions = frozenset()
        for item in occurrences:
            conditions = either(conditions, frozenset({item.clause}))
        selection = None
        if node.name.value != TYPENAME and node.selection_set is not None:
            # Occurrences under different conditions hand theirs down, so that each asks for its own children only.
            alike = len({item.clause for item in occurrences}) == 1
            selection = self._build(
                self._supergraph.field(owner, node.name.value).type_name,
                [
                    (NO_LITERALS if alike else item.clause, item.node.selection_set)
                    for item in occurrences
                    if item.node.selection_set is not None
                ],
            )
        return Field(
            name=node.name.value,
            key=key,
            arguments=tuple(node.arguments or ()),
            conditions=conditions,
            selection=selection,
        )

    def _gather(
        self, declared: str, scope: frozenset[str] | None, clause: Clause, node: SelectionSetNode, gathered: _Gathered
    ) -> None:
        """Collect field occurrences. `scope` is None for all of the declared type, else some of its object types."""
        self._left -= len(node.selections) * (1 if scope is None else len(scope))
        if self._left < 0:
            raise TooManyFields
        for item in node.selections:
            own = clause_of(item.directives)
            joined = None if own is None else both(clause, own)
            if joined is None:
                continue
            if isinstance(item, FieldNode):
                if item.name.value in INTROSPECTION:
                    continue
                key = item.alias.value if item.alias else item.name.value
                for owner in self._owners(declared, scope, item.name.value):
                    gathered.setdefault(owner, {}).setdefault(key, []).append(_Occurrence(joined, item))
            elif isinstance(item, InlineFragmentNode):
                condition = item.type_condition.name.value if item.type_condition else declared
                self._narrow(declared, scope, condition, joined, item.selection_set, gathered)
            elif isinstance(item, FragmentSpreadNode):
                fragment = self._fragments[item.name.value]
                condition = fragment.type_condition.name.value
                self._narrow(declared, scope, condition, joined, fragment.selection_set, gathered)

    def _narrow(
        self,
        declared: str,
        scope: frozenset[str] | None,
        condition: str,
        clause: Clause,
        node: SelectionSetNode,
        gathered: _Gathered,
    ) -> None:
        possible = self._supergraph.possible.get(condition, frozenset())
        if condition == declared or (scope is None and self._supergraph.possible[declared] <= possible):
            self._gather(declared, scope, clause, node, gathered)
            return
        narrowed = possible & (self._supergraph.possible[declared] if scope is None else scope)
        if narrowed:
            self._gather(declared, narrowed, clause, node, gathered)

    def _owners(self, declared: str, scope: frozenset[str] | None, field_name: str) -> list[str]:
        """The types under which a field is noted: the declared one if it has the field, else each object type."""
        if scope is None and (field_name == TYPENAME or field_name in self._supergraph.types[declared].fields):
            return [declared]
        return sorted(self._supergraph.possible[declared] if scope is None else scope)
