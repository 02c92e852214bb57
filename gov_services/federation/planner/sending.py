"""What a subgraph must be sent about an object: its key, and what the fields asked of it require. It picks nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gov_services.federation.planner.conditions import ALWAYS, Conditions, either
from gov_services.federation.planner.fetches import Group, Input, Need, Position, State
from gov_services.federation.planner.normalize import TYPENAME, Field, Selection
from gov_services.federation.planner.paths import Way

PlanField = Callable[[Position, str, Field, frozenset[int], set[int]], Selection]


class Sending:
    """Has representations' fields planned, and notes them as a group's inputs."""

    def __init__(self, state: State, plan_field: PlanField) -> None:
        self._state = state
        self._graph = state.graph
        self._plan_field = plan_field

    def fits(self, group: Group, target: str, type_name: str) -> bool:
        """Whether a group can take objects of a type too.

        What is asked of an interface object is asked of all that are sent under its name, so they must be alike.
        """
        if not self._graph.is_interface_object(group.subgraph, target):
            return True
        return all(scope == type_name for name, scope in group.inputs if name == target)

    def send(
        self,
        position: Position,
        type_name: str,
        way: Way,
        conditions: Conditions,
        group: Group,
        forbidden: frozenset[int],
    ) -> bool:
        """Have everything that a group's representations need, from groups that do not wait for it."""
        assert way.entrance is not None
        state = self._state
        blocked = forbidden | state.descendants(group.index)
        sink: set[int] = set()
        target = way.entrance.type_name
        found = group.inputs.get((target, type_name))
        if found is None:
            types = self._graph.supergraph.possible[type_name]
            found = Input(target, types, self._graph.is_interface_object(way.subgraph, target))
            state.trail.put(group.inputs, (target, type_name), found)
        if not self._graph.is_abstract(type_name):
            name = Field(name=TYPENAME, key=TYPENAME)
            if self._plan_field(position, type_name, name, blocked, sink):
                return False
        # A key is had whatever the conditions: other fields may come to join this fetch under others.
        keys = self._have(position, type_name, target, way.entrance.key, ALWAYS, blocked, sink)
        if keys is None:
            return False
        for place, need in keys.items():
            state.trail.put(found.keys, place, need)
        if way.requires is not None:
            needs = self._have(position, type_name, target, way.requires, conditions, blocked, sink)
            if needs is None or not self._note(found, needs, conditions):
                return False
        if not sink:
            sink |= {item.group.index for item in position.presences if item.group.index not in blocked}
        if not sink:
            return False
        state.depend(group, sink)
        return True

    def _note(self, found: Input, needs: dict[tuple[str, str], Need], conditions: Conditions) -> bool:
        """Add needs to an input; not where it already sends another value under one of their names."""
        for place, need in needs.items():
            known = found.needs.get(place)
            joined = need if known is None else known[0].union(need)
            if joined is None or (place in found.keys and found.keys[place].union(need) is None):
                return False
            wider = conditions if known is None else either(known[1], conditions)
            self._state.trail.put(found.needs, place, (joined, wider))
        return True

    def _have(
        self,
        position: Position,
        type_name: str,
        target: str,
        wanted: Selection,
        conditions: Conditions,
        blocked: frozenset[int],
        sink: set[int],
    ) -> dict[tuple[str, str], Need] | None:
        """Have the fields of a key or @requires; how a representation names them, None if one is not had."""
        needs: dict[tuple[str, str], Need] = {}
        for owner, item in wanted:
            scope = type_name if owner == target else owner
            if item.name == TYPENAME or not self._concerns(scope, type_name):
                continue
            asked, need = self._name(position, scope, replace(item, conditions=conditions))
            if self._plan_field(position, scope, asked, blocked, sink):
                return None
            needs[scope, need.name] = need
        return needs

    def _concerns(self, scope: str, type_name: str) -> bool:
        possible = self._graph.supergraph.possible
        return scope == type_name or not possible[scope].isdisjoint(possible[type_name])

    def _name(self, position: Position, scope: str, item: Field) -> tuple[Field, Need]:
        """A field that the plan needs for itself, under response keys that no client field of that place has."""
        key = self._state.internal_key(position, scope, item)
        named = replace(item, key=key)
        if item.selection is None:
            return named, Need(key, item.name)
        child = self._state.child(position, scope, named)
        selection = Selection()
        parts: list[tuple[frozenset[str], Need]] = []
        for owner, nested in item.selection:
            asked, need = (nested, Need(TYPENAME, TYPENAME))
            if nested.name != TYPENAME:
                asked, need = self._name(child, owner, nested)
            selection.put(owner, asked)
            parts.append((self._graph.supergraph.possible[owner], need))
        return replace(named, selection=selection), Need(key, item.name, tuple(parts))
