"""Groups become fetches: those of one subgraph that can go together do, and each gets its text. It searches nothing."""

from __future__ import annotations

import json

from gov_services.federation.planner.conditions import NEVER, Conditions, either
from gov_services.federation.planner.coordinates import Coordinates
from gov_services.federation.planner.fetches import Group, Position, State, levels_of, run_conditions
from gov_services.federation.planner.graph import Graph
from gov_services.federation.planner.plan import Fetch, Part, Plan, Representation, Step, Target, hash_of
from gov_services.federation.planner.printing import Printer, Separator
from graphql import OperationDefinitionNode

Batch = list[Group]


def build_plan(state: State, kind: str, operation: OperationDefinitionNode) -> Plan:
    """The plan of a finished search."""
    batches = batch_entity_groups(state)
    batches = in_order_of_dependence(batches)
    return Plan(kind=kind, fetches=tuple(_fetches(state.graph, batches, kind, operation)))


def batch_entity_groups(state: State) -> list[Batch]:
    """Entity groups of one subgraph that wait for equally many fetches share a request.

    No group waits for another of its own level, so that sharing makes no circle.
    """
    levels = levels_of({group.index: group.parents for group in state.groups})
    batches: dict[tuple[object, ...], Batch] = {}
    for group in state.groups:
        key: tuple[object, ...] = (group.index,)
        if group.is_entity:
            key = (group.subgraph, levels[group.index])
        batches.setdefault(key, []).append(group)
    return list(batches.values())


def in_order_of_dependence(batches: list[Batch]) -> list[Batch]:
    """Each batch after those that it waits for."""
    owner = {group.index: number for number, batch in enumerate(batches) for group in batch}
    parents = {
        number: {owner[parent] for group in batch for parent in group.parents} for number, batch in enumerate(batches)
    }
    levels = levels_of(parents)
    return [batches[number] for number in sorted(levels, key=lambda number: (levels[number], number))]


def _fetches(graph: Graph, batches: list[Batch], kind: str, operation: OperationDefinitionNode) -> list[Fetch]:
    owner = {group.index: number for number, batch in enumerate(batches) for group in batch}
    fetches: list[Fetch] = []
    for number, batch in enumerate(batches):
        parents = {owner[parent] for group in batch for parent in group.parents}
        fetches.append(_FetchBuilder(graph, operation).build(number, batch, tuple(sorted(parents))))
    return fetches


class _FetchBuilder:
    """Makes one fetch."""

    def __init__(self, graph: Graph, operation: OperationDefinitionNode) -> None:
        self._graph = graph
        self._operation = operation
        self._printer = Printer(operation)

    def build(self, number: int, batch: Batch, depends_on: tuple[int, ...]) -> Fetch:
        first = batch[0]
        separator = Separator(self._graph, first.subgraph)
        coordinates = Coordinates(self._graph, first.subgraph)
        conditions: Conditions = NEVER
        for group in batch:
            separator.separate(group.selection)
            coordinates.collect(group.selection)
            conditions = either(conditions, run_conditions(group))
        if first.is_entity:
            parts, body = self._parts(batch)
        else:
            parts, body = (), self._printer.selection(first.selection)
        document = self._printer.document(first.operation, body, [part.variable for part in parts])
        return Fetch(
            id=number,
            subgraph=first.subgraph,
            operation_kind=first.operation,
            document=document,
            document_hash=hash_of(document),
            encoded_document=json.dumps(document, ensure_ascii=False).encode(),
            depends_on=depends_on,
            is_entity_fetch=first.is_entity,
            variables=self._printer.variables(),
            conditions=conditions,
            target=self._target(first),
            keys=tuple((key, item.conditions) for key, item in first.selection.fields.items()),
            parts=parts,
            renames=separator.renames,
            coordinates=frozenset(coordinates.found),
        )

    def _parts(self, batch: Batch) -> tuple[tuple[Part, ...], str]:
        """Positions that want the same share one `_entities` field; others get one of their own."""
        texts: dict[str, list[Target]] = {}
        for group in batch:
            texts.setdefault(self._printer.selection(group.selection), []).append(self._target(group))
        parts: list[Part] = []
        bodies: list[str] = []
        for number, (text, targets) in enumerate(texts.items()):
            key = "_entities" if len(texts) == 1 else f"_e{number}"
            variable = self._variable("representations" if len(texts) == 1 else f"representations{number}")
            parts.append(Part(key=key, variable=variable, targets=tuple(targets)))
            alias = "" if key == "_entities" else f"{key}:"
            bodies.append(f"{alias}_entities(representations:${variable}){{{text}}}")
        return tuple(parts), " ".join(bodies)

    def _variable(self, name: str) -> str:
        taken = {item.variable.name.value for item in self._operation.variable_definitions or ()}
        while name in taken:
            name += "_"
        return name

    def _target(self, group: Group) -> Target:
        position = group.position
        known = None if self._graph.is_abstract(position.type_name) else position.type_name
        possible = self._graph.supergraph.possible
        representations = [
            Representation(
                type_name=item.type_name,
                types=item.types,
                is_interface_object=item.is_interface_object,
                keys=tuple((possible[scope], need) for (scope, _), need in item.keys.items()),
                needs=tuple((possible[scope], need, when) for (scope, _), (need, when) in item.needs.items()),
            )
            for item in group.inputs.values()
        ]
        return Target(path=self._path(position), type_name=known, representations=tuple(representations))

    def _path(self, position: Position) -> tuple[Step, ...]:
        if position.parent is None:
            return ()
        parent = position.parent
        everywhere = position.scope == parent.type_name
        types = None if everywhere else self._graph.supergraph.possible[position.scope]
        return (*self._path(parent), Step(position.key, types))
