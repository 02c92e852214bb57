"""The ways to a field at a position: from data that is there, or by entering a subgraph. It picks none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gov_services.federation.planner.fetches import Position, Presence, State
from gov_services.federation.planner.graph import Entrance, Graph
from gov_services.federation.planner.normalize import Field, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way: `presence` where the data is there, else a subgraph to enter (without entrance: by its root)."""

    subgraph: str
    presence: Presence | None = None
    entrance: Entrance | None = None
    requires: Selection | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells two ways apart."""
        return self.subgraph, id(self.presence), id(self.entrance)


def types_at(position: Position, graph: Graph, forbidden: frozenset[int]) -> frozenset[str]:
    """The object types that stand at a position, as far as the groups that reach it know."""
    if not graph.is_abstract(position.type_name):
        return frozenset({position.type_name})
    present = [item for item in position.presences if item.group.index not in forbidden]
    knowing = [item for item in present if not item.is_opaque] or present
    return frozenset().union(*(item.types for item in knowing)) if knowing else frozenset()


def ways(state: State, position: Position, type_name: str, item: Field, forbidden: frozenset[int]) -> list[Way]:
    """All ways to a field of an object type, or of an interface as a whole; what costs nothing first."""
    graph = state.graph
    direct = [
        Way(subgraph=presence.subgraph, presence=presence)
        for presence in position.presences
        if presence.group.index not in forbidden and is_at_hand(graph, presence, type_name, item)
    ]
    if direct and item.selection is None:
        return direct[:1]
    present = {presence.subgraph for presence in position.presences}
    if graph.is_root(type_name):
        entering = [
            Way(subgraph=subgraph)
            for subgraph in graph.subgraphs
            if subgraph not in present and graph.join(subgraph, type_name, item.name) is not None
        ]
    else:
        entering = list(_entering(graph, type_name, item, types_at(position, graph, forbidden)))
    return direct + entering


def is_at_hand(graph: Graph, presence: Presence, type_name: str, item: Field) -> bool:
    """Whether a group that is there can bring the field too, with nothing more sent to it."""
    if _is_provided(graph, presence, type_name, item):
        return True
    if presence.is_opaque:
        covered = graph.supergraph.possible[type_name] <= presence.types
        join = graph.join(presence.subgraph, presence.type_name, item.name) if covered else None
        return join is not None and join.requires is None
    if graph.is_abstract(type_name):
        base = presence.selection.type_name
        own = base if graph.is_abstract(base) else None
        if own is None or graph.join(presence.subgraph, own, item.name) is None:
            return False
        join = graph.join(presence.subgraph, own, item.name)
        return (
            join is not None
            and join.requires is None
            and graph.resolves_for_all(presence.subgraph, own, item.name, presence.types)
        )
    join = graph.join(presence.subgraph, type_name, item.name) if type_name in presence.types else None
    return join is not None and join.requires is None


def provided_field(graph: Graph, provided: Selection | None, type_name: str, item: Field) -> Field | None:
    """The field in what @provides names, for objects of a type."""
    if provided is None:
        return None
    for owner, fields in provided.by_type.items():
        if owner == type_name or graph.supergraph.possible[type_name] <= graph.supergraph.possible[owner]:
            for known in fields.values():
                if known.name == item.name:
                    return known
    return None


def _is_provided(graph: Graph, presence: Presence, type_name: str, item: Field) -> bool:
    if provided_field(graph, presence.provided, type_name, item) is None:
        return False
    return graph.is_abstract(type_name) or type_name in presence.types


def _entering(graph: Graph, type_name: str, item: Field, types: frozenset[str]) -> Iterator[Way]:
    for way in _doors(graph, type_name, item.name):
        assert way.entrance is not None
        if _enters_all(graph, way.subgraph, way.entrance.type_name, item, types):
            yield way


def _doors(graph: Graph, type_name: str, field_name: str) -> tuple[Way, ...]:
    """The ways into subgraphs that resolve a field, whatever is there already."""
    found = graph.doors.get((type_name, field_name))
    if found is None:
        found = graph.doors[type_name, field_name] = tuple(_find_doors(graph, type_name, field_name))
    return found


def _find_doors(graph: Graph, type_name: str, field_name: str) -> Iterator[Way]:
    owners = [type_name] if graph.is_abstract(type_name) else [type_name, *graph.interfaces(type_name)]
    for subgraph in graph.subgraphs:
        for owner in owners:
            # A type is entered by its own name, or by an interface that the subgraph holds as one object.
            if owner != type_name and not graph.is_interface_object(subgraph, owner):
                continue
            join = graph.join(subgraph, owner, field_name) if graph.knows(subgraph, owner) else None
            if join is None:
                continue
            requires = graph.field_set(owner, join.requires) if join.requires is not None else None
            for entrance in graph.entrances(subgraph, owner):
                yield Way(subgraph=subgraph, entrance=entrance, requires=requires)


def _enters_all(graph: Graph, subgraph: str, owner: str, item: Field, types: frozenset[str]) -> bool:
    """Whether entering by an interface serves every object type that stands there."""
    if not graph.is_abstract(owner) or graph.is_interface_object(subgraph, owner):
        return True
    return types <= graph.possible(subgraph, owner) and graph.resolves_for_all(subgraph, owner, item.name, types)


def typename_ways(state: State, position: Position) -> list[Way]:
    """The ways to learn what the objects are, where so far they are known by an interface only."""
    graph = state.graph
    opaque = [item.type_name for item in position.presences if item.is_opaque]
    return [
        Way(subgraph=subgraph, entrance=entrance)
        for type_name in dict.fromkeys(opaque)
        for subgraph in graph.subgraphs
        if graph.knows(subgraph, type_name) and not graph.is_interface_object(subgraph, type_name)
        for entrance in graph.entrances(subgraph, type_name)
    ]
