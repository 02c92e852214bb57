"""Which schema coordinates a selection reads, and which input coordinates it passes in. It judges none of them."""

from __future__ import annotations

from collections.abc import Mapping

from gov_services.federation.planner.fetches import OutField, OutSelection
from gov_services.federation.planner.graph import Graph
from gov_services.federation.planner.normalize import TYPENAME
from gov_services.federation.supergraph import named_type
from graphql import (
    ListTypeNode,
    ListValueNode,
    NonNullTypeNode,
    ObjectValueNode,
    TypeNode,
    ValueNode,
    VariableNode,
)


class Coordinates:
    """Collects the coordinates of one subgraph's selections. A field of an interface reads it of every type behind."""

    def __init__(self, graph: Graph, subgraph: str) -> None:
        self._graph = graph
        self._subgraph = subgraph
        self.found: set[str] = set()

    def collect(self, selection: OutSelection) -> None:
        """Add all that a selection reads."""
        for item in selection.fields.values():
            if item.name != TYPENAME:
                self._field(selection.type_name, item)
            if item.selection is not None:
                self.collect(item.selection)
        for fragment in selection.fragments.values():
            self.collect(fragment)

    def _field(self, type_name: str, item: OutField) -> None:
        types = self._graph.supergraph.types
        owners = {type_name}
        if self._graph.is_abstract(type_name):
            owners |= {
                name for name in self._graph.possible(self._subgraph, type_name) if item.name in types[name].fields
            }
        arguments: Mapping[str, TypeNode] = self._graph.supergraph.field(type_name, item.name).arguments
        for owner in owners:
            self.found.add(f"{owner}.{item.name}")
            for argument in item.arguments:
                self.found.add(f"{owner}.{item.name}({argument.name.value}:)")
        for argument in item.arguments:
            self._value(arguments[argument.name.value], argument.value)

    def _value(self, declared: TypeNode, value: ValueNode) -> None:
        while isinstance(declared, NonNullTypeNode):
            declared = declared.type
        if isinstance(value, ListValueNode):
            inner = declared.type if isinstance(declared, ListTypeNode) else declared
            for item in value.values:
                self._value(inner, item)
            return
        name = named_type(declared)
        if isinstance(value, VariableNode):
            self._whole(name, set())
        elif isinstance(value, ObjectValueNode) and name in self._graph.supergraph.types:
            fields = self._graph.supergraph.types[name].input_fields
            for node in value.fields:
                if node.name.value in fields:
                    self.found.add(f"{name}.{node.name.value}")
                    self._value(fields[node.name.value], node.value)

    def _whole(self, name: str, seen: set[str]) -> None:
        """Every field that a variable of an input type can carry."""
        item = self._graph.supergraph.types.get(name)
        if item is None or name in seen:
            return
        seen.add(name)
        for field_name, declared in item.input_fields.items():
            self.found.add(f"{name}.{field_name}")
            self._whole(named_type(declared), seen)
