"""The merged tree becomes the client's answer: its fields in its order, null propagated. It fetches nothing.

Sources: GraphQL specification §6.3.2 CollectFields, §6.4.3 CompleteValue, §6.4.4 Handling Field Errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gov_services.federation.compiled_projection import CompiledProjection, Irregular
from gov_services.federation.merging import Path
from gov_services.federation.planner.conditions import NO_LITERALS, Clause, Conditions, both, clause_of, either, hold
from gov_services.federation.planner.normalize import INTROSPECTION, TYPENAME
from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    is_abstract_type,
    is_object_type,
    visit,
)

Owner = GraphQLObjectType | GraphQLInterfaceType
COMPILED_CHOICES = 16
"""So many answers to an operation's @skip and @include are kept compiled; each variable more doubles them."""


@dataclass(slots=True, eq=False)
class OutputField:
    """A field of the answer."""

    key: str
    name: str
    type: GraphQLOutputType | None
    conditions: Conditions
    nodes: list[tuple[Clause, FieldNode]]
    shape: Shape
    is_withheld: bool = False
    """Whether it is null whatever the tree holds: the plan may have read it for itself."""


@dataclass(slots=True, eq=False)
class Shape:
    """What is asked for at one place of the answer, worked out for each object type when first met."""

    parts: list[tuple[Clause, SelectionSetNode]]
    fields: dict[str, list[OutputField]] = field(default_factory=dict)


class Projector:
    """Makes the answers of one operation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        *,
        withheld: frozenset[str] = frozenset(),
    ) -> None:
        """`withheld`: coordinates, of object types, that the answer must not give."""
        self._withheld = withheld
        root = schema.get_root_type(operation.operation)
        assert root is not None
        self._schema = schema
        self._fragments = fragments
        self.root: GraphQLObjectType = root
        self.shape = Shape([(NO_LITERALS, operation.selection_set)])
        self._switches = _switches(operation, fragments)
        self._compiled: dict[tuple[bool, ...], CompiledProjection] = {}
        self.asks_about_schema = any(item.name in INTROSPECTION for item in self.fields(self.shape, root))

    def introspection(self, variables: Mapping[str, Any]) -> list[FieldNode]:
        """The root fields that ask about the schema itself."""
        return [
            node
            for item in self._fields(self.shape, self.root)
            if item.name in INTROSPECTION
            for clause, node in item.nodes
            if hold(frozenset({clause}), variables)
        ]

    def project(
        self, data: Mapping[str, Any], variables: Mapping[str, Any], errors: list[dict[str, Any]]
    ) -> dict[str, Any] | None:
        """The answer. Errors of null propagation are added to `errors`, whose paths are cut to what the client sees."""
        if not errors:
            try:
                return self._compile(variables).root(data)  # type: ignore[no-any-return]
            except Irregular:
                pass
        for error in errors:
            error["path"] = list(self._visible(tuple(error["path"]), variables))
        run = _Run(self, variables, errors)
        answer = run.object(data, self.root, self.shape, ())
        for error in errors:
            if not error["path"]:
                del error["path"]
        return answer

    def _compile(self, variables: Mapping[str, Any]) -> CompiledProjection:
        choice = tuple([bool(variables.get(name)) for name in self._switches])
        found = self._compiled.get(choice)
        if found is None:
            if len(self._compiled) >= COMPILED_CHOICES:
                self._compiled.clear()
            switches = {name: variables.get(name) for name in self._switches}
            found = self._compiled[choice] = CompiledProjection(self, switches)
        return found

    def _visible(self, path: Path, variables: Mapping[str, Any]) -> Path:
        """The part of a path that the client knows: fields that this very answer has."""
        shapes = [self.shape]
        for index, step in enumerate(path):
            if isinstance(step, int):
                continue
            shapes = [
                item.shape
                for shape in shapes
                for fields in self._known(shape).values()
                for item in fields
                if item.key == step and hold(item.conditions, variables)
            ]
            if not shapes:
                cut = path[:index]
                return cut[:-1] if cut and isinstance(cut[-1], int) and index == len(path) else cut
        return path

    def _known(self, shape: Shape) -> dict[str, list[OutputField]]:
        """The fields of a shape for the types met so far, and for every object type that has any."""
        for name, item in self._schema.type_map.items():
            if is_object_type(item) and not name.startswith("__"):
                self._fields(shape, item)
        return shape.fields

    def _fields(self, shape: Shape, owner: Owner) -> list[OutputField]:
        found = shape.fields.get(owner.name)
        if found is None:
            gathered: dict[str, list[tuple[Clause, FieldNode]]] = {}
            for clause, node in shape.parts:
                self._gather(owner, clause, node, gathered)
            found = shape.fields[owner.name] = [
                made for key, nodes in gathered.items() if (made := self._field(owner, key, nodes)) is not None
            ]
        return found

    def _field(self, owner: Owner, key: str, nodes: list[tuple[Clause, FieldNode]]) -> OutputField | None:
        conditions: Conditions = frozenset()
        for clause, _ in nodes:
            conditions = either(conditions, frozenset({clause}))
        name = nodes[0][1].name.value
        definition = owner.fields.get(name)
        if definition is None and name != TYPENAME and name not in INTROSPECTION:
            return None
        return OutputField(
            key=key,
            name=name,
            type=definition.type if definition else None,
            conditions=conditions,
            nodes=nodes,
            is_withheld=f"{owner.name}.{name}" in self._withheld,
            shape=Shape([(clause, node.selection_set) for clause, node in nodes if node.selection_set is not None]),
        )

    def _gather(
        self,
        owner: Owner,
        clause: Clause,
        node: SelectionSetNode,
        gathered: dict[str, list[tuple[Clause, FieldNode]]],
    ) -> None:
        for item in node.selections:
            own = clause_of(item.directives)
            joined = None if own is None else both(clause, own)
            if joined is None:
                continue
            if isinstance(item, FieldNode):
                key = item.alias.value if item.alias else item.name.value
                gathered.setdefault(key, []).append((joined, item))
            elif isinstance(item, InlineFragmentNode):
                if item.type_condition is None or self._applies(owner, item.type_condition.name.value):
                    self._gather(owner, joined, item.selection_set, gathered)
            elif isinstance(item, FragmentSpreadNode):
                fragment = self._fragments[item.name.value]
                if self._applies(owner, fragment.type_condition.name.value):
                    self._gather(owner, joined, fragment.selection_set, gathered)

    def _applies(self, owner: Owner, condition: str) -> bool:
        if owner.name == condition:
            return True
        if isinstance(owner, GraphQLInterfaceType):
            # What it really is was not learned: certain is only what holds for whatever it may be.
            return all(self._applies(item, condition) for item in self._schema.get_possible_types(owner))
        found = self._schema.type_map.get(condition)
        return is_abstract_type(found) and self._schema.is_sub_type(found, owner)

    def fields(self, shape: Shape, owner: Owner) -> Iterable[OutputField]:
        """The fields of a shape for an object of a type."""
        return self._fields(shape, owner)

    def runtime_type(self, declared: GraphQLAbstractType, name: object) -> Owner | None:
        """The object type that a subgraph named, if clients may see it there.

        An interface stands for itself where no subgraph was asked what is behind it: one that holds it as an object
        type brought it, and nothing was asked of it but the interface's own fields.
        """
        if name is None and isinstance(declared, GraphQLInterfaceType):
            return declared
        found = self._schema.type_map.get(name) if isinstance(name, str) else None
        if is_object_type(found) and self._schema.is_sub_type(declared, found):
            return found
        return None


def _switches(operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> tuple[str, ...]:
    """The variables that @skip and @include ask."""
    found: set[str] = set()

    class Directives(Visitor):
        def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
            if node.name.value in ("skip", "include"):
                found.update(
                    item.value.name.value for item in node.arguments or () if isinstance(item.value, VariableNode)
                )

    for node in (operation, *fragments.values()):
        visit(node, Directives())
    return tuple(sorted(found))


class _Run:
    """One projection."""

    def __init__(self, projector: Projector, variables: Mapping[str, Any], errors: list[dict[str, Any]]) -> None:
        self._projector = projector
        self._variables = variables
        self._errors = errors
        # A null beneath, at or above an error that is already told needs no other.
        self._told = {tuple(error["path"]) for error in errors}
        self._above = {path[:length] for path in self._told for length in range(len(path))}

    def object(self, value: Mapping[str, Any], owner: Owner, shape: Shape, path: Path) -> dict[str, Any] | None:
        answer: dict[str, Any] = {}
        for item in self._projector.fields(shape, owner):
            if not hold(item.conditions, self._variables):
                continue
            if item.name == TYPENAME:
                if item.is_withheld:
                    return None
                if isinstance(owner, GraphQLInterfaceType):
                    self._tell("The type of an object could not be learned.", (*path, item.key))
                    return None
                answer[item.key] = owner.name
                continue
            if item.type is None:  # introspection, answered elsewhere
                answer[item.key] = value.get(item.key)
                continue
            here = (*path, item.key)
            found = None if item.is_withheld else value.get(item.key)
            completed = self._complete(found, item.type, item.shape, here, f"{owner.name}.{item.name}")
            if completed is None and isinstance(item.type, GraphQLNonNull):
                return None
            answer[item.key] = completed
        return answer

    def _complete(self, value: Any, declared: GraphQLOutputType, shape: Shape, path: Path, where: str) -> Any:
        if isinstance(declared, GraphQLNonNull):
            completed = None
            if value is not None:
                completed = self._complete(value, declared.of_type, shape, path, where)
            if completed is None:
                self._tell(f"Cannot return null for non-nullable field {where}.", path)
            return completed
        if value is None:
            return None
        if isinstance(declared, GraphQLList):
            return self._list(value, declared.of_type, shape, path, where)
        if isinstance(declared, GraphQLEnumType):
            if value in declared.values:
                return value
            self._tell(f"{where} has a value that its enum does not have.", path)
            return None
        if isinstance(declared, GraphQLObjectType):
            owner: Owner | None = declared
        elif is_abstract_type(declared):
            name = value.get(TYPENAME) if isinstance(value, Mapping) else None
            owner = self._projector.runtime_type(declared, name)
        else:
            return value
        if owner is None or not isinstance(value, Mapping):
            self._tell(f"{where} has a value of a type that is not there.", path)
            return None
        return self.object(value, owner, shape, path)

    def _list(self, value: Any, item_type: GraphQLOutputType, shape: Shape, path: Path, where: str) -> Any:
        if not isinstance(value, list):
            self._tell(f"{where} is not a list.", path)
            return None
        answer = []
        for index, item in enumerate(value):
            completed = self._complete(item, item_type, shape, (*path, index), where)
            if completed is None and isinstance(item_type, GraphQLNonNull):
                return None
            answer.append(completed)
        return answer

    def _tell(self, message: str, path: Path) -> None:
        if path in self._above or any(path[:length] in self._told for length in range(len(path) + 1)):
            return
        self._told.add(path)
        self._above |= {path[:length] for length in range(len(path))}
        self._errors.append({"message": message, "path": list(path)})
