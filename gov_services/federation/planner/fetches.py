"""The plan in the making: positions of the answer, and groups of fields that one fetch will bring. It chooses nothing.

Every change goes through a `Trail`, so that the search can try an option and take it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from gov_services.federation.planner.conditions import NEVER, Conditions, either
from gov_services.federation.planner.graph import Entrance, Graph
from gov_services.federation.planner.normalize import TYPENAME, Field, Selection
from graphql import ArgumentNode

K = TypeVar("K")
V = TypeVar("V")


class Trail:
    """Changes that can be taken back in the reverse order."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def mark(self) -> int:
        """A point to come back to."""
        return len(self._undo)

    def back_to(self, mark: int) -> None:
        """Take back all that was done since the mark."""
        while len(self._undo) > mark:
            self._undo.pop()()

    def put(self, target: dict[K, V], key: K, value: V) -> None:
        """Set a key."""
        if key in target:
            before = target[key]
            self._undo.append(lambda: target.__setitem__(key, before))
        else:
            self._undo.append(lambda: target.pop(key))
        target[key] = value

    def append(self, target: list[V], value: V) -> None:
        """Append to a list."""
        self._undo.append(target.pop)
        target.append(value)

    def add(self, target: set[V], value: V) -> None:
        """Add to a set."""
        if value not in target:
            self._undo.append(lambda: target.discard(value))
            target.add(value)

    def assign(self, target: object, attribute: str, value: object) -> None:
        """Set an attribute."""
        before = getattr(target, attribute)
        self._undo.append(lambda: setattr(target, attribute, before))
        setattr(target, attribute, value)


@dataclass(slots=True, eq=False)
class OutField:
    """A field in a fetch."""

    name: str
    key: str
    arguments: tuple[ArgumentNode, ...]
    conditions: Conditions
    selection: OutSelection | None
    alias: str | None = None


@dataclass(slots=True, eq=False)
class OutSelection:
    """A selection set in a fetch. `type_name` is the type in its subgraph; fragments are on other types than that."""

    type_name: str
    fields: dict[str, OutField] = field(default_factory=dict)
    fragments: dict[str, OutSelection] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Need:
    """A field of a representation: `key` is where the merged data has it, `name` what the subgraph calls it.

    `parts` are those of its value, by the object types that they concern.
    """

    key: str
    name: str
    parts: tuple[tuple[frozenset[str], Need], ...] | None = None

    def union(self, other: Need) -> Need | None:
        """Both needs in one; None where they want different values under one name."""
        if self.key != other.key:
            return None
        if self.parts is None or other.parts is None:
            return self
        known = {(types, part.name): part for types, part in self.parts}
        for types, part in other.parts:
            joined = known[types, part.name].union(part) if (types, part.name) in known else part
            if joined is None:
                return None
            known[types, part.name] = joined
        return Need(self.key, self.name, tuple((types, part) for (types, _), part in known.items()))


@dataclass(slots=True, eq=False)
class Input:
    """Representations for objects of `types`. `type_name` is what they are called, unless their own name is known."""

    type_name: str
    types: frozenset[str]
    is_interface_object: bool
    keys: dict[tuple[str, str], Need] = field(default_factory=dict)
    needs: dict[tuple[str, str], tuple[Need, Conditions]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Group:
    """Fields of one position that one fetch brings. With inputs it is entered through `_entities`."""

    index: int
    subgraph: str
    position: Position
    is_entity: bool
    operation: str
    selection: OutSelection
    inputs: dict[tuple[str, str], Input] = field(default_factory=dict)
    parents: set[int] = field(default_factory=set)
    level: int = 0
    leaves: int = 0


@dataclass(slots=True, eq=False)
class Presence:
    """That a group has data at a position: as `type_name` of its subgraph, for objects of `types`.

    `is_opaque`: the subgraph knows the objects by an interface only and cannot say what they are.
    `via`: the field that leads here, and where that stands. `entered`: for which type and by what its group came here.
    """

    group: Group
    type_name: str
    types: frozenset[str]
    selection: OutSelection
    is_opaque: bool = False
    provided: Selection | None = None
    via: tuple[OutField, Presence] | None = None
    entered: tuple[str, Entrance] | None = None

    @property
    def subgraph(self) -> str:
        """The subgraph whose data it is."""
        return self.group.subgraph


@dataclass(slots=True, eq=False)
class Position:
    """A place in the answer: a response key under an object of type `scope`, whose value is of type `type_name`.

    `reach`: the subgraphs that could bring it, by any way.
    """

    type_name: str
    parent: Position | None = None
    key: str = ""
    scope: str = ""
    children: dict[tuple[str, str], Position] = field(default_factory=dict)
    keys: dict[str, tuple[tuple[str, Field], ...]] = field(default_factory=dict)
    presences: list[Presence] = field(default_factory=list)
    reach: frozenset[str] = frozenset()

    def path(self) -> tuple[tuple[str, str], ...]:
        """The way from the root: (scope, response key) of every step."""
        return () if self.parent is None else (*self.parent.path(), (self.scope, self.key))


class State:
    """All positions and groups, and the changes to them."""

    def __init__(self, graph: Graph, root_type: str, selection: Selection) -> None:
        self.graph = graph
        self.trail = Trail()
        self.groups: list[Group] = []
        self.root = Position(root_type, reach=frozenset(graph.subgraphs))
        self._register(self.root, selection)

    # Positions

    def _register(self, position: Position, selection: Selection) -> None:
        """Note all response keys below a position, so that what the plan needs for itself takes others."""
        for type_name, item in selection:
            known = position.keys.get(item.key, ())
            if not any(scope == type_name for scope, _ in known):
                self.trail.put(position.keys, item.key, (*known, (type_name, item)))
            if item.selection is not None:
                self._register(self.child(position, type_name, item), item.selection)

    def child(self, position: Position, scope: str, item: Field) -> Position:
        """The position of a field's value."""
        found = position.children.get((scope, item.key))
        if found is None:
            type_name = self.graph.supergraph.field(scope, item.name).type_name
            reach = self.graph.reach(position.reach, scope, item.name)
            found = Position(type_name, parent=position, key=item.key, scope=scope, reach=reach)
            self.trail.put(position.children, (scope, item.key), found)
        return found

    def _same_place(self, position: Position) -> list[Position]:
        """All positions whose objects may be those of this one: same keys on the way, overlapping types."""
        if position.parent is None:
            return [position]
        return [
            child
            for parent in self._same_place(position.parent)
            for (scope, key), child in parent.children.items()
            if key == position.key and self._overlap(scope, position.scope)
        ]

    def internal_key(self, position: Position, scope: str, item: Field) -> str:
        """The response key for a field that the plan needs for itself: the client's, or one that it does not use."""
        taken: dict[str, list[Field]] = {}
        for place in self._same_place(position):
            for key, entries in place.keys.items():
                taken.setdefault(key, []).extend(known for owner, known in entries if self._overlap(owner, scope))
        for key, known in taken.items():
            if known and all(other.signature == item.signature for other in known):
                return key
        number, key = 0, item.name
        while taken.get(key):
            key = f"_{item.name}_{number}"
            number += 1
        self.trail.put(position.keys, key, (*position.keys.get(key, ()), (scope, item)))
        return key

    def _overlap(self, first: str, second: str) -> bool:
        possible = self.graph.supergraph.possible
        return first == second or not possible[first].isdisjoint(possible[second])

    # Groups

    def new_group(self, subgraph: str, position: Position, *, is_entity: bool, operation: str) -> Group:
        """A fetch that starts at a position."""
        group = Group(
            index=len(self.groups),
            subgraph=subgraph,
            position=position,
            is_entity=is_entity,
            operation=operation,
            selection=OutSelection("" if is_entity else position.type_name),
        )
        self.trail.append(self.groups, group)
        return group

    def groups_at(self, position: Position, subgraph: str) -> Iterator[Group]:
        """The fetches of a subgraph that start at a position."""
        return (item for item in list(self.groups) if item.position is position and item.subgraph == subgraph)

    def depend(self, group: Group, parents: set[int]) -> None:
        """Let a group wait for others."""
        for parent in sorted(parents - group.parents - {group.index}):
            self.trail.add(group.parents, parent)
            self._sink(group, self.groups[parent].level + 1)

    def _sink(self, group: Group, level: int) -> None:
        """Note that a group stands behind so many fetches in a row, and with it all that wait for it."""
        if level <= group.level:
            return
        self.trail.assign(group, "level", level)
        for item in self.groups:
            if group.index in item.parents:
                self._sink(item, level + 1)

    def descendants(self, index: int) -> frozenset[int]:
        """The groups that wait for a group, and the group itself."""
        found = {index}
        grown = True
        while grown:
            more = {item.index for item in self.groups if item.index not in found and item.parents & found}
            grown = bool(more)
            found |= more
        return frozenset(found)

    def cost(self) -> tuple[int, int, int]:
        """Fetches once those that can go together do, their longest row, and how late the fields come in sum."""
        batches: set[object] = set()
        deepest = -1
        late = 0
        for item in self.groups:
            level = item.level
            batches.add((item.subgraph, level) if item.is_entity else item.index)
            if level > deepest:
                deepest = level
            late += level * item.leaves
        return len(batches), deepest + 1, late

    # Selections

    def select(self, presence: Presence, type_name: str, item: Field) -> OutField:
        """Put a field into the presence's selection, or widen the one that stands there."""
        target = self.selection_for(presence, type_name)
        found = target.fields.get(item.key)
        if found is None:
            nested = None
            if item.selection is not None:
                nested = OutSelection(self.graph.output_type(presence.subgraph, target.type_name, item.name))
            found = OutField(item.name, item.key, item.arguments, item.conditions, nested)
            self.trail.put(target.fields, item.key, found)
            if nested is None:
                self.trail.assign(presence.group, "leaves", presence.group.leaves + 1)
        elif found.conditions != item.conditions:
            self.trail.assign(found, "conditions", either(found.conditions, item.conditions))
        return found

    def selection_for(self, presence: Presence, type_name: str) -> OutSelection:
        """The part of a presence's selection for objects of a type."""
        base = presence.selection
        if presence.is_opaque or type_name == base.type_name or not self.graph.is_abstract(base.type_name):
            return base
        if self.graph.is_abstract(type_name) and type_name != base.type_name:
            return base
        return self._fragment(base, type_name)

    def _fragment(self, base: OutSelection, type_name: str) -> OutSelection:
        found = base.fragments.get(type_name)
        if found is None:
            found = OutSelection(type_name)
            self.trail.put(base.fragments, type_name, found)
        return found

    def select_typename(self, presence: Presence, conditions: Conditions = NEVER) -> None:
        """Ask for the objects' own type name; it makes a fetch worth its while only if it is wanted."""
        known = presence.selection.fields.get(TYPENAME)
        if known is None:
            item = OutField(TYPENAME, TYPENAME, (), conditions, None)
            self.trail.put(presence.selection.fields, TYPENAME, item)
        elif known.conditions != conditions:
            self.trail.assign(known, "conditions", either(known.conditions, conditions))

    def enter(self, position: Position, group: Group, entrance: Entrance, scope: str) -> Presence:
        """The presence of an entity group at its position, entered for objects of `scope`."""
        type_name = entrance.type_name
        selection = self._fragment(group.selection, type_name)
        types = self.graph.possible(group.subgraph, type_name) & self.graph.supergraph.possible[scope]
        for known in position.presences:
            if known.selection is selection and known.types == types:
                return known
        opaque = self.graph.is_interface_object(group.subgraph, type_name)
        entered = (scope, entrance)
        presence = Presence(group, type_name, types, selection, is_opaque=opaque, entered=entered)
        self.trail.append(position.presences, presence)
        if self.graph.is_abstract(type_name) and not opaque:
            self.select_typename(presence)
        return presence


def levels_of(parents: dict[int, set[int]]) -> dict[int, int]:
    """The length of the longest row of parents before each."""
    levels: dict[int, int] = {}

    def level(index: int) -> int:
        if index not in levels:
            levels[index] = -1
            levels[index] = 1 + max((level(parent) for parent in parents[index]), default=-1)
        return levels[index]

    for index in parents:
        level(index)
    return levels


def run_conditions(group: Group) -> Conditions:
    """When the group has anything to bring."""

    def of(selection: OutSelection) -> Conditions:
        found = NEVER
        for item in selection.fields.values():
            found = either(found, item.conditions)
        for fragment in selection.fragments.values():
            found = either(found, of(fragment))
        return found

    return of(group.selection)
