"""Who resolves what: questions about one subgraph's part of the supergraph, answered once. It plans nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gov_services.federation.planner.normalize import Normalizer, Selection
from gov_services.federation.supergraph import FieldJoin, Supergraph
from graphql import SelectionSetNode, print_ast


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """A way into a subgraph for an object: `type_name` is the type by which it is entered, `key` what it takes."""

    subgraph: str
    type_name: str
    key: Selection


class Graph:
    """The supergraph as the planner asks about it."""

    def __init__(self, supergraph: Supergraph) -> None:
        self.supergraph = supergraph
        self._normalizer = Normalizer(supergraph)
        self.doors: dict[tuple[str, str], Any] = {}  # filled by `paths`, which alone knows what a way is
        self._field_sets: dict[tuple[str, int], Selection] = {}
        self._possible: dict[tuple[str, str], frozenset[str]] = {}
        self._plain: dict[tuple[str, str, str], FieldJoin | None] = {}
        self._entrances: dict[tuple[str, str], tuple[Entrance, ...]] = {}

    @cached_property
    def subgraphs(self) -> tuple[str, ...]:
        """All subgraphs, in one order."""
        return tuple(sorted(self.supergraph.subgraphs))

    def is_abstract(self, type_name: str) -> bool:
        """Whether the type is an interface or a union in the supergraph."""
        return self.supergraph.is_abstract(type_name)

    def is_root(self, type_name: str) -> bool:
        """Whether the type is an operation's root."""
        return type_name in self.supergraph.roots.values()

    def knows(self, subgraph: str, type_name: str) -> bool:
        """Whether the subgraph has the type."""
        return subgraph in self.supergraph.types[type_name].joins

    def is_interface_object(self, subgraph: str, type_name: str) -> bool:
        """Whether the subgraph holds the interface as one object type, without knowing its implementations."""
        join = self.supergraph.types[type_name].joins.get(subgraph)
        return join is not None and join.is_interface_object

    def possible(self, subgraph: str, type_name: str) -> frozenset[str]:
        """The object types that a value of this type may be in this subgraph."""
        found = self._possible.get((subgraph, type_name))
        if found is None:
            found = self._possible[subgraph, type_name] = self._find_possible(subgraph, type_name)
        return found

    def _find_possible(self, subgraph: str, type_name: str) -> frozenset[str]:
        item = self.supergraph.types[type_name]
        if item.kind == "object" or subgraph not in item.joins:
            return frozenset({type_name}) if subgraph in item.joins else frozenset()
        if self.is_interface_object(subgraph, type_name):
            return self.supergraph.possible[type_name]
        if item.kind == "union":
            return item.members.get(subgraph, frozenset())
        return frozenset(
            name
            for name in self.supergraph.possible[type_name]
            if type_name in self.supergraph.types[name].interfaces.get(subgraph, frozenset())
        )

    def join(self, subgraph: str, type_name: str, field_name: str) -> FieldJoin | None:
        """How the subgraph resolves the field itself, if it does."""
        key = (subgraph, type_name, field_name)
        if key not in self._plain:
            item = self.supergraph.types[type_name].fields.get(field_name)
            join = item.joins.get(subgraph) if item is not None else None
            self._plain[key] = None if join is None or join.external else join
        return self._plain[key]

    def declared(self, subgraph: str, type_name: str, field_name: str) -> FieldJoin | None:
        """How the subgraph holds the field, even where it does not resolve it."""
        item = self.supergraph.types[type_name].fields.get(field_name)
        return item.joins.get(subgraph) if item is not None else None

    def output_type(self, subgraph: str, type_name: str, field_name: str) -> str:
        """The field's named type in this subgraph, which may be narrower than the supergraph's."""
        join = self.declared(subgraph, type_name, field_name)
        if join is not None and join.type is not None:
            return join.type.replace("[", "").replace("]", "").replace("!", "").strip()
        return self.supergraph.field(type_name, field_name).type_name

    def output_shape(self, subgraph: str, type_name: str, field_name: str) -> str:
        """The field's whole type in this subgraph, with list and non-null, as text."""
        join = self.declared(subgraph, type_name, field_name)
        if join is not None and join.type is not None:
            return join.type
        return print_ast(self.supergraph.field(type_name, field_name).type)

    def field_set(self, type_name: str, node: SelectionSetNode) -> Selection:
        """The normal form of a key, @requires or @provides on a type."""
        key = (type_name, id(node))
        found = self._field_sets.get(key)
        if found is None:
            found = self._field_sets[key] = self._normalizer.selection(type_name, node)
        return found

    def entrances(self, subgraph: str, type_name: str) -> tuple[Entrance, ...]:
        """The ways into a subgraph by this very type, in the order of its keys."""
        found = self._entrances.get((subgraph, type_name))
        if found is None:
            join = self.supergraph.types[type_name].joins.get(subgraph)
            found = self._entrances[subgraph, type_name] = tuple(
                Entrance(subgraph=subgraph, type_name=type_name, key=self.field_set(type_name, node))
                for node in (join.keys if join else ())
            )
        return found

    def reach(self, subgraphs: frozenset[str], type_name: str, field_name: str) -> frozenset[str]:
        """The subgraphs that could bring the field, of an object that these subgraphs could bring."""
        near = subgraphs | {name for name in self.subgraphs if self.entrances(name, type_name)}
        return frozenset(name for name in near if self.join(name, type_name, field_name) is not None)

    def shared_members(self, type_name: str, subgraphs: frozenset[str]) -> frozenset[str]:
        """What a union may be when any of the subgraphs could have brought it: what all of them know."""
        found = self.supergraph.possible[type_name]
        for subgraph in subgraphs:
            found = found & self.possible(subgraph, type_name)
        return found

    def is_entity(self, type_name: str) -> bool:
        """Whether any subgraph can be entered by the type, or by an object type of it."""
        return any(
            self.entrances(subgraph, name)
            for name in {type_name, *self.supergraph.possible[type_name]}
            for subgraph in self.subgraphs
        )

    def interfaces(self, type_name: str) -> list[str]:
        """The interfaces that the type implements in any subgraph, in one order."""
        return sorted(frozenset().union(*self.supergraph.types[type_name].interfaces.values()))

    def resolves_for_all(self, subgraph: str, type_name: str, field_name: str, types: frozenset[str]) -> bool:
        """Whether the subgraph resolves an interface's field on the interface, for all of these object types alike."""
        if self.join(subgraph, type_name, field_name) is None:
            return False
        if self.is_interface_object(subgraph, type_name):
            return True
        return all(
            (join := self.join(subgraph, name, field_name)) is not None and join.requires is None
            for name in types
            if self.knows(subgraph, name)
        )
