"""Chooses where each field comes from, so that the fewest fetches bring them all. It prints no fetch.

Cheap choices are taken at once; between the others each is tried to the end of its own fields and taken back. The
number of trials is bounded, and counted rather than timed, so that one document always gets one plan.
"""

from __future__ import annotations

import time
from dataclasses import replace

from gov_services.federation.planner.conditions import ALWAYS, Conditions, either
from gov_services.federation.planner.fetches import OutField, Position, Presence, State
from gov_services.federation.planner.graph import Graph
from gov_services.federation.planner.normalize import TYPENAME, Field, Selection, only
from gov_services.federation.planner.paths import Way, provided_field, typename_ways, types_at, ways
from gov_services.federation.planner.sending import Sending

TRIALS = 5_000
NOWHERE: frozenset[int] = frozenset()


class PlanningTimedOut(Exception):
    """The search went past its deadline before it had any plan."""

    def __init__(self, deadline_s: float) -> None:
        super().__init__(f"The document could not be planned within {deadline_s:g} seconds.")


class Unplannable(Exception):
    """No subgraph brings these fields from where they are asked for; composition promises that this cannot be."""

    def __init__(self, coordinates: list[str]) -> None:
        super().__init__(f"no plan brings {', '.join(coordinates)}")
        self.coordinates = coordinates


class Search:
    """One operation's search."""

    def __init__(
        self, graph: Graph, kind: str, selection: Selection, *, deadline_s: float, improving_s: float | None = None
    ) -> None:
        self.state = State(graph, graph.supergraph.roots[kind], selection)
        self._graph = graph
        self._kind = kind
        self._selection = selection
        self._sending = Sending(self.state, self._plan_field)
        self._trials = TRIALS
        self._is_conditional = _is_conditional(selection)
        self._context: dict[int, Conditions] = {}
        self._entering: set[tuple[object, ...]] = set()
        self._asked: dict[tuple[int, str], frozenset[str]] = {}
        self._deadline_s = deadline_s
        self._until = time.monotonic() + deadline_s
        self._improve_until = None if improving_s is None else time.monotonic() + improving_s

    def run(self) -> State:
        """The state in which every field has its group. Raises Unplannable, PlanningTimedOut."""
        if self._kind != "mutation":
            left = self._plan_selection(self.state.root, self._selection, NOWHERE, set())
            self._refuse(left)
            return self.state
        for type_name, item in self._selection:
            before = len(self.state.groups)
            left = Selection()
            remaining = self._plan_field(self.state.root, type_name, item, NOWHERE, set())
            self._refuse(remaining or left)
            # In series: a mutation starts when all that the one before brought is there.
            self.state.root.presences.clear()
            for group in self.state.groups[before:]:
                if not group.parents:
                    self.state.depend(group, set(range(before)))
        return self.state

    def _refuse(self, left: Selection) -> None:
        if left:
            raise Unplannable(_coordinates(left))

    def _plan_selection(
        self, position: Position, selection: Selection, forbidden: frozenset[int], sink: set[int]
    ) -> Selection:
        """Place all fields of a selection at a position. What cannot be had from here is returned."""
        now = time.monotonic()
        if now > self._until:
            raise PlanningTimedOut(self._deadline_s)
        if self._improve_until is not None and now > self._improve_until:
            self._trials = 0  # what is left is placed by the first way that serves
        for type_name, fields in selection.by_type.items():
            self._asked[id(position), type_name] = frozenset(item.name for item in fields.values())
        left = Selection()
        for type_name, item in sorted(selection, key=lambda pair: self._rank(position, pair[0], pair[1], forbidden)):
            for owner, remaining in self._plan_field(position, type_name, item, forbidden, sink):
                left.put(owner, remaining)
        return left

    def _rank(self, position: Position, type_name: str, item: Field, forbidden: frozenset[int]) -> tuple[int, int, int]:
        """What is certain goes first, so that what has a choice can join it."""
        if item.name == TYPENAME:
            return 0, 0, 0
        found = ways(self.state, position, type_name, item, forbidden)
        if item.selection is None and found and found[0].presence is not None:
            return 0, 0, 0
        return 1, len({way.subgraph for way in found}), 0 if item.selection is None else 1

    def _plan_field(
        self, position: Position, type_name: str, item: Field, forbidden: frozenset[int], sink: set[int]
    ) -> Selection:
        """Place one field. What is left of it is returned."""
        if item.name == TYPENAME:
            return self._plan_typename(position, type_name, item, forbidden, sink)
        if self._graph.is_abstract(type_name):
            return self._plan_abstract(position, type_name, item, forbidden, sink)
        return self._plan_object(position, type_name, item, forbidden, sink)

    def _plan_object(
        self, position: Position, type_name: str, item: Field, forbidden: frozenset[int], sink: set[int]
    ) -> Selection:
        if self._is_opaque(position, forbidden):
            name = Field(name=TYPENAME, key=TYPENAME, conditions=item.conditions)
            if self._plan_typename(position, type_name, name, forbidden, sink):
                return only(type_name, item)
        present = [presence for presence in position.presences if presence.group.index not in forbidden]
        if (
            present
            and self._graph.is_abstract(position.type_name)
            and all(type_name not in presence.types for presence in present)
        ):
            return Selection()  # no subgraph that reaches this place can have such an object there
        left = self._settle(position, type_name, item, forbidden, sink)
        return Selection() if left is None else only(type_name, left)

    def _is_opaque(self, position: Position, forbidden: frozenset[int]) -> bool:
        """Whether some of what is there does not say what its objects are, which each of their fields needs known."""
        return self._graph.is_abstract(position.type_name) and any(
            presence.is_opaque and presence.group.index not in forbidden for presence in position.presences
        )

    def _plan_abstract(
        self, position: Position, type_name: str, item: Field, forbidden: frozenset[int], sink: set[int]
    ) -> Selection:
        """An interface's field: on the interface where one subgraph serves all objects alike, else type by type."""
        state = self.state
        mark = state.trail.mark()
        before = state.cost()
        whole_sink: set[int] = set()
        left = self._settle(position, type_name, item, forbidden, whole_sink)
        if left is None and state.cost() == before:
            sink |= whole_sink
            return Selection()
        if left is None and self._trials > 0:
            whole = state.cost()
            state.trail.back_to(mark)
            self._trials -= 1
            apart = self._expand(position, item, forbidden, set())
            parts = state.cost()
            state.trail.back_to(mark)
            if not apart and parts < whole and types_at(position, self._graph, forbidden):
                return self._expand(position, item, forbidden, sink)
            whole_sink.clear()
            left = self._settle(position, type_name, item, forbidden, whole_sink)
        sink |= whole_sink
        if left is None:
            return Selection()
        if left.size() == item.size():
            state.trail.back_to(mark)
        return self._expand(position, left, forbidden, sink)

    def _expand(self, position: Position, item: Field, forbidden: frozenset[int], sink: set[int]) -> Selection:
        left = Selection()
        types = types_at(position, self._graph, forbidden)
        if not types:
            return only(position.type_name, item)
        for type_name in sorted(types):
            for owner, remaining in self._plan_object(position, type_name, item, forbidden, sink):
                left.put(owner, remaining)
        return left

    def _plan_typename(
        self, position: Position, type_name: str, item: Field, forbidden: frozenset[int], sink: set[int]
    ) -> Selection:
        if not self._graph.is_abstract(position.type_name):
            return Selection()  # the answer knows it without asking
        for presence in position.presences:
            usable = presence.group.index not in forbidden and not presence.is_opaque
            if usable and self._hold(presence, position, forbidden):
                self.state.select_typename(presence, item.conditions)
                sink.add(presence.group.index)
                return Selection()
        for way in typename_ways(self.state, position):
            mark = self.state.trail.mark()
            found = self._enter_by(position, position.type_name, way, item, forbidden)
            if found is not None:
                self.state.select_typename(found, item.conditions)
                sink.add(found.group.index)
                return Selection()
            self.state.trail.back_to(mark)
        return only(type_name, item)

    def _settle(
        self, position: Position, type_name: str, item: Field, forbidden: frozenset[int], sink: set[int]
    ) -> Field | None:
        """Take the best way to a field; and for what that way does not reach, the next. Returns what none reaches."""
        remaining: Field | None = item
        tried: set[tuple[object, ...]] = set()
        while remaining is not None:
            found = [
                way for way in ways(self.state, position, type_name, remaining, forbidden) if way.identity not in tried
            ]
            if not found:
                break
            way = found[0]
            if len(found) > 1:
                way = self._best(self._ordered(found, position, type_name), position, type_name, remaining, forbidden)
            tried.add(way.identity)
            mark = self.state.trail.mark()
            used: set[int] = set()
            left = self._take(way, position, type_name, remaining, forbidden, used)
            if left is not None and left.size() == remaining.size():
                self.state.trail.back_to(mark)
                continue
            sink |= used
            remaining = left
            if remaining is not None and self._is_split_unsound(type_name, remaining):
                break
        return remaining

    def _is_split_unsound(self, type_name: str, left: Field) -> bool:
        """Whether a second subgraph must not add to an interface or union that one has brought.

        The two need not agree on which object stands there. Values without a key have no other way, entities have.
        """
        if not self._graph.is_abstract(self._graph.supergraph.field(type_name, left.name).type_name):
            return False
        return any(self._graph.is_entity(owner) for owner, _ in left.selection or ())

    def _ordered(self, found: list[Way], position: Position, type_name: str) -> list[Way]:
        """First what is there, then subgraphs already fetched from here, then those that serve most of the rest."""
        asked = self._asked.get((id(position), type_name), frozenset())

        def order(way: Way) -> tuple[int, int]:
            if way.presence is not None:
                return 0, 0
            known = any(True for _ in self.state.groups_at(position, way.subgraph))
            owner = way.entrance.type_name if way.entrance else type_name
            serves = sum(1 for name in asked if self._graph.join(way.subgraph, owner, name) is not None)
            return (1 if known else 2), -serves

        return sorted(found, key=order)

    def _best(
        self, found: list[Way], position: Position, type_name: str, item: Field, forbidden: frozenset[int]
    ) -> Way:
        before = self.state.cost()
        best: tuple[tuple[int, tuple[int, int, int]], Way] | None = None
        for way in found:
            if self._trials <= 0:
                break
            self._trials -= 1
            mark = self.state.trail.mark()
            left = self._take(way, position, type_name, item, forbidden, set())
            cost = (0 if left is None else left.size(), self.state.cost())
            self.state.trail.back_to(mark)
            if best is None or cost < best[0]:
                best = cost, way
            if cost == (0, before):
                break
        return found[0] if best is None else best[1]

    def _take(
        self,
        way: Way,
        position: Position,
        type_name: str,
        item: Field,
        forbidden: frozenset[int],
        sink: set[int],
    ) -> Field | None:
        presence = way.presence
        if presence is None:
            presence = self._enter_by(position, type_name, way, item, forbidden)
        if presence is None or not self._hold(presence, position, forbidden):
            return item
        out = self.state.select(presence, type_name, item)
        sink.add(presence.group.index)
        if item.selection is None:
            return None
        assert out.selection is not None
        child = self.state.child(position, type_name, item)
        self._arrive(child, presence, type_name, item, out)
        outer = self._context.get(id(child))
        self._context[id(child)] = item.conditions
        left = self._plan_selection(child, item.selection, forbidden, sink)
        self._context[id(child)] = outer or item.conditions
        return replace(item, selection=left) if left else None

    def _hold(self, presence: Presence, position: Position, forbidden: frozenset[int]) -> bool:
        """Have a presence there whenever what is planned now is asked for, also under narrower conditions."""
        if not self._is_conditional:
            return True
        while presence.via is not None and position.parent is not None:
            out, parent = presence.via
            wider = either(out.conditions, self._context.get(id(position), ALWAYS))
            if wider != out.conditions:
                self.state.trail.assign(out, "conditions", wider)
            presence, position = parent, position.parent
        if presence.entered is None:
            return True
        scope, entrance = presence.entered
        again = Way(subgraph=presence.subgraph, entrance=entrance)
        return self._sending.send(position, scope, again, ALWAYS, presence.group, forbidden)

    def _arrive(self, child: Position, presence: Presence, type_name: str, item: Field, out: OutField) -> None:
        """Note that a group reaches a position through a field."""
        selection = out.selection
        if selection is None or any(known.selection is selection for known in child.presences):
            return
        graph, subgraph = self._graph, presence.subgraph
        owner = presence.type_name if presence.is_opaque else type_name
        reached = graph.output_type(subgraph, owner, item.name)
        join = graph.declared(subgraph, owner, item.name)
        provided = graph.field_set(reached, join.provides) if join is not None and join.provides is not None else None
        outer = provided_field(graph, presence.provided, type_name, item)
        if outer is not None and outer.selection is not None:
            provided = outer.selection if provided is None else provided.union(outer.selection)
        types = graph.possible(subgraph, reached)
        if graph.supergraph.types[child.type_name].kind == "union":
            types = types & graph.shared_members(child.type_name, child.reach) or types
        arrived = Presence(
            presence.group,
            reached,
            types,
            selection,
            is_opaque=graph.is_interface_object(subgraph, reached),
            provided=provided,
            via=(out, presence),
        )
        self.state.trail.append(child.presences, arrived)
        if graph.is_abstract(child.type_name) and not arrived.is_opaque:
            self.state.select_typename(arrived)

    # Entering a subgraph

    def _enter_by(
        self, position: Position, type_name: str, way: Way, item: Field, forbidden: frozenset[int]
    ) -> Presence | None:
        """Enter a subgraph at a position, with a fetch that is there or a new one. None where its needs are not met."""
        if way.entrance is None:
            return self._enter_root(position, way.subgraph)
        guard = (id(position), type_name, way.subgraph, item.name if way.requires else "")
        if guard in self._entering:
            return None
        self._entering.add(guard)
        try:
            known = [
                group
                for group in self.state.groups_at(position, way.subgraph)
                if group.is_entity
                and group.index not in forbidden
                and self._sending.fits(group, way.entrance.type_name, type_name)
            ]
            for group in (*known, None):
                mark = self.state.trail.mark()
                entered = group or self.state.new_group(way.subgraph, position, is_entity=True, operation="query")
                if self._sending.send(position, type_name, way, item.conditions, entered, forbidden):
                    return self.state.enter(position, entered, way.entrance, type_name)
                self.state.trail.back_to(mark)
        finally:
            self._entering.discard(guard)
        return None

    def _enter_root(self, position: Position, subgraph: str) -> Presence:
        operation = self._kind if position is self.state.root else "query"
        group = self.state.new_group(subgraph, position, is_entity=False, operation=operation)
        self.state.depend(group, {presence.group.index for presence in position.presences[:1] if position.parent})
        presence = Presence(group, position.type_name, frozenset({position.type_name}), group.selection)
        self.state.trail.append(position.presences, presence)
        return presence


def _is_conditional(selection: Selection) -> bool:
    return any(
        item.conditions != ALWAYS or (item.selection is not None and _is_conditional(item.selection))
        for _, item in selection
    )


def _coordinates(selection: Selection) -> list[str]:
    found: list[str] = []
    for type_name, item in selection:
        if item.selection:
            found += _coordinates(item.selection)
        else:
            found.append(f"{type_name}.{item.name}")
    return found
