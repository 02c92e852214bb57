"""What a document may cost, as a function of its variables, worked out once a document. It refuses nothing itself.

Source: IBM GraphQL Cost Directives specification: `@cost(weight:)`, `@listSize(assumedSize:, slicingArguments:,
sizedFields:)`. Objects, interfaces and unions weigh 1, scalars and enums 0, a mutation 10 more. Where a field has no
`@listSize`, `first` and `last` say how long its list, or its connection's `edges` and `nodes`, may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gov_services.federation.engine import Engine
from gov_services.federation.planner.conditions import ALWAYS, Conditions, hold, variables_of
from gov_services.federation.planning import Prepared
from gov_services.federation.projection import OutputField, Owner, Projector, Shape
from gov_services.federation.supergraph import Supergraph
from graphql import (
    DirectiveNode,
    FieldNode,
    GraphQLArgument,
    GraphQLList,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLSchema,
    IntValueNode,
    OperationDefinitionNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_object_type,
    value_from_ast_untyped,
)

MUTATION = 10
ASSUMED_SIZE = 10
"""How long a list is taken to be where nothing says."""
MEASURED_OF = 64
"""One of so many answers is measured, at random: to walk through every one would cost more than to make it."""
MOST_KNOWN = 256
SLICING = ("first", "last")
SIZED = ("edges", "nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSize:
    """How long the list of a field may be, or those of fields below it."""

    assumed: int | None = None
    slicing: tuple[str, ...] = SLICING
    sized: tuple[str, ...] = ()


class Weights:
    """The `@cost` and `@listSize` of a supergraph, by type, by (type, field) and by (type, field, argument)."""

    def __init__(self, supergraph: Supergraph) -> None:
        self.types: dict[str, int] = {}
        self.fields: dict[tuple[str, str], int] = {}
        self.arguments: dict[tuple[str, str, str], int] = {}
        self.sizes: dict[tuple[str, str], ListSize] = {}
        for node in supergraph.document.definitions:
            name = getattr(getattr(node, "name", None), "value", "")
            weight = _weight(getattr(node, "directives", None))
            if weight is not None:
                self.types[name] = weight
            for item in getattr(node, "fields", None) or ():
                self._read(name, item)

    def _read(self, owner: str, node: Any) -> None:
        key = owner, node.name.value
        weight, size = _weight(node.directives), _applied(node.directives, "listSize")
        if weight is not None:
            self.fields[key] = weight
        if size is not None:
            self.sizes[key] = ListSize(
                assumed=size.get("assumedSize"),
                slicing=tuple(size.get("slicingArguments") or ()),
                sized=tuple(size.get("sizedFields") or ()),
            )
        for argument in getattr(node, "arguments", None) or ():
            weight = _weight(argument.directives)
            if weight is not None:
                self.arguments[*key, argument.name.value] = weight

    def of_value(self, owner: str, name: str, declared: GraphQLOutputType) -> int:
        """What one value of a field weighs: the field's own weight, else its type's."""
        found = self.fields.get((owner, name))
        if found is not None:
            return found
        named = get_named_type(declared)
        return self.types.get(named.name, 1 if is_composite_type(named) else 0)


def _applied(directives: tuple[DirectiveNode, ...] | None, name: str) -> dict[str, Any] | None:
    for node in directives or ():
        if node.name.value == name:
            return {item.name.value: value_from_ast_untyped(item.value) for item in node.arguments or ()}
    return None


def _weight(directives: tuple[DirectiveNode, ...] | None) -> int | None:
    found = _applied(directives, "cost")
    return None if found is None else int(found["weight"])


@dataclass(slots=True, eq=False)
class Demand:
    """A field's cost: `own`, and for each value of it `each` and that of the dearest `branch`.

    `sizes`: numbers and names of variables, the largest of which says how many values there may be.
    """

    key: str = ""
    """What the answer calls the field."""
    conditions: Conditions = ALWAYS
    own: int = 0
    each: int = 0
    sizes: tuple[int | str, ...] = (1,)
    branches: list[list[Demand]] = field(default_factory=list)
    constant: int | None = None
    """The cost where no variable has a say in it, once `settle` worked it out."""
    names: tuple[str, ...] = ()
    """The variables that have a say in it."""
    known: dict[tuple[Any, ...], int] = field(default_factory=dict)
    """What it costs with their values, as far as they came."""

    def settle(self) -> Demand:
        """Work out once what every request would work out alike."""
        parts = [item.settle() for branch in self.branches for item in branch]
        names = {item for item in self.sizes if isinstance(item, str)} | variables_of(self.conditions)
        self.names = tuple(sorted(names.union(*(item.names for item in parts))))
        is_fixed = self.conditions == ALWAYS and all(isinstance(item, int) for item in self.sizes)
        if is_fixed and all(item.constant is not None for item in parts):
            self.constant = self.estimate({})
        return self

    def estimate(self, variables: Mapping[str, Any]) -> int:
        """The most that it may cost with these (coerced) variables."""
        if self.constant is not None:
            return self.constant
        key = tuple([variables.get(name) for name in self.names])
        try:
            found = self.known.get(key)
        except TypeError:  # a list or an object, which has no hash
            return self._work_out(variables)
        if found is None:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            found = self.known[key] = self._work_out(variables)
        return found

    def _work_out(self, variables: Mapping[str, Any]) -> int:
        if self.conditions != ALWAYS and not hold(self.conditions, variables):
            return 0
        below = max([sum([item.estimate(variables) for item in branch]) for branch in self.branches], default=0)
        return self.own + self._size(variables) * (self.each + below)

    def measured(self, data: Mapping[str, Any] | None) -> int:
        """What an answer really cost. What it does not hold costs nothing; that of a type is its dearest branch's."""
        if not data:
            return 0
        if len(self.branches) == 1:
            return sum([item._of(data[item.key]) for item in self.branches[0] if item.key in data])
        costs = [sum([item._of(data[item.key]) for item in branch if item.key in data]) for branch in self.branches]
        return max(costs, default=0)

    def _of(self, value: Any) -> int:
        if value is None:
            return self.own
        if not isinstance(value, list):
            return self.own + self.each + (self.measured(value) if self.branches else 0)
        values = list(_values(value))
        below = sum([self.measured(item) for item in values]) if self.branches else 0
        return self.own + len(values) * self.each + below

    def _size(self, variables: Mapping[str, Any]) -> int:
        if self.sizes == (1,):
            return 1
        found = [item if isinstance(item, int) else variables.get(item) for item in self.sizes]
        return max((item for item in found if isinstance(item, int)), default=ASSUMED_SIZE)


def _values(value: Any) -> Iterator[Any]:
    """What a field's value holds: the values of its list, however deep; nothing for null."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item)
    elif value is not None:
        yield value


class Demands:
    """Works out what documents of an engine's supergraph cost."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._planning = engine.planning
        self._weights = Weights(engine.planning.supergraph)

    def of(self, prepared: Prepared) -> Demand:
        """The whole operation's."""
        found = prepared.notes.get(Demands)
        if found is None:
            if self._engine.planning is not self._planning:
                self._planning = self._engine.planning
                self._weights = Weights(self._planning.supergraph)
            found = prepared.notes[Demands] = self._compile(prepared.schema, prepared.projector, prepared.operation)
        demand: Demand = found
        return demand

    def _compile(self, schema: GraphQLSchema, projector: Projector, operation: OperationDefinitionNode) -> Demand:
        compiler = _Compiler(schema, self._weights, projector)
        fields = compiler.fields(projector.shape, projector.root, ())
        if operation.operation.value == "mutation":
            for item in fields:
                item.own += MUTATION
        return Demand(branches=[fields]).settle()


class _Compiler:
    """One document."""

    def __init__(self, schema: GraphQLSchema, weights: Weights, projector: Projector) -> None:
        self._schema, self._weights, self._projector = schema, weights, projector

    def fields(self, shape: Shape, owner: Owner, sized: tuple[str, tuple[int | str, ...]] | tuple[()]) -> list[Demand]:
        """The fields of an object. `sized`: names of fields below whose length the field above has said."""
        return [
            self._field(owner, item, sized) for item in self._projector.fields(shape, owner) if item.type is not None
        ]

    def _field(self, owner: Owner, item: OutputField, above: Any) -> Demand:
        assert item.type is not None
        key = owner.name, item.name
        node = item.nodes[0][1]
        sizes = self._sizes(key, node, is_list=_is_list(item.type))
        rule = self._weights.sizes.get(key)
        below: Any = ()
        if sizes is not None and not _is_list(item.type):
            below = (rule.sized if rule is not None and rule.sized else SIZED), sizes
        if _is_list(item.type) and above and item.name in above[0]:
            sizes = above[1]
        given = {argument.name.value for argument in node.arguments or ()}
        return Demand(
            key=item.key,
            conditions=item.conditions,
            own=sum(self._weights.arguments.get((*key, name), 0) for name in given),
            each=self._weights.of_value(owner.name, item.name, item.type),
            sizes=(sizes or (ASSUMED_SIZE,)) if _is_list(item.type) else (1,),
            branches=self._branches(item, below),
        )

    def _branches(self, item: OutputField, below: Any) -> list[list[Demand]]:
        named: Any = get_named_type(item.type)
        if is_object_type(named):
            return [self.fields(item.shape, named, below)]
        if is_abstract_type(named):
            return [self.fields(item.shape, owner, below) for owner in self._schema.get_possible_types(named)]
        return []

    def _sizes(self, key: tuple[str, str], node: FieldNode, *, is_list: bool) -> tuple[int | str, ...] | None:
        """How many values a field's own arguments say that there are; None where nothing says."""
        rule = self._weights.sizes.get(key) or ListSize()
        definition = self._schema.type_map[key[0]].fields[key[1]]  # type: ignore[attr-defined]
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        found: list[int | str] = []
        for name in rule.slicing:
            value = given.get(name)
            if isinstance(value, IntValueNode):
                found.append(int(value.value))
            elif isinstance(value, VariableNode):
                found.append(value.name.value)
            elif name in definition.args and (default := _default(definition.args[name])) is not None:
                found.append(default)
            elif name in definition.args and not is_list:
                found.append(ASSUMED_SIZE)
        if not found and rule.assumed is not None:
            found = [rule.assumed]
        return tuple(found) or None


def _default(argument: GraphQLArgument) -> int | None:
    node = argument.ast_node.default_value if argument.ast_node is not None else None
    return int(node.value) if isinstance(node, IntValueNode) else None


def _is_list(declared: GraphQLOutputType) -> bool:
    while isinstance(declared, GraphQLNonNull):
        declared = declared.of_type
    return isinstance(declared, GraphQLList)
