"""Reads a composed supergraph (join v0.1 to v0.5) into its model. It composes and plans nothing.

Source of the directives' meaning: the join specification, https://specs.apollo.dev/join/v0.1 and v0.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gov_services.federation.supergraph import (
    FieldJoin,
    FieldModel,
    Override,
    Supergraph,
    SupergraphInvalid,
    TypeJoin,
    TypeModel,
)
from gov_services.federation.supergraph_features import FEATURES, FIRST, check_features
from graphql import (
    ConstDirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    FieldNode,
    GraphQLSyntaxError,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    SchemaDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    TypeDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    parse,
    value_from_ast_untyped,
)

_KINDS: dict[type[TypeDefinitionNode], str] = {
    ObjectTypeDefinitionNode: "object",
    InterfaceTypeDefinitionNode: "interface",
    UnionTypeDefinitionNode: "union",
    EnumTypeDefinitionNode: "enum",
    InputObjectTypeDefinitionNode: "input",
    ScalarTypeDefinitionNode: "scalar",
}
_ROOT_NAMES = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}


def read_supergraph(sdl: str, *, understood: frozenset[str] = frozenset()) -> Supergraph:
    """The model of a supergraph's text. Raises SupergraphInvalid, with line and directive.

    `understood`: linked specifications beside the engine's own, which the caller answers for.
    """
    try:
        document = parse(sdl)
    except GraphQLSyntaxError as malformed:
        line = malformed.locations[0].line if malformed.locations else 0
        raise SupergraphInvalid(f"line {line}: the supergraph does not parse: {malformed.message}") from malformed
    version = check_features(document, FEATURES | understood)
    graphs = _graphs(document)
    nodes = [
        node
        for node in document.definitions
        if isinstance(node, TypeDefinitionNode) and not node.name.value.startswith(("join__", "link__", "core__"))
    ]
    types = {node.name.value: _TypeReader(node, graphs, version).read() for node in nodes}
    roots = _roots(document, types)
    if "query" not in roots:
        raise SupergraphInvalid("the supergraph has no query type")
    return Supergraph(
        document=document,
        subgraphs={name: url for name, url in graphs.values()},
        types=types,
        roots=roots,
        possible={name: _possible(item, types) for name, item in types.items()},
    )


def _graphs(document: DocumentNode) -> dict[str, tuple[str, str]]:
    """Enum value → (name, url)."""
    found: dict[str, tuple[str, str]] = {}
    for node in document.definitions:
        if isinstance(node, EnumTypeDefinitionNode) and node.name.value == "join__Graph":
            for value in node.values or ():
                for item in _applied(value.directives, "join__graph"):
                    found[value.name.value] = (str(item["name"]), str(item.get("url", "")))
    if not found:
        raise SupergraphInvalid("the supergraph names no subgraph (enum join__Graph)")
    return found


def _roots(document: DocumentNode, types: Mapping[str, TypeModel]) -> dict[str, str]:
    for node in document.definitions:
        if isinstance(node, SchemaDefinitionNode):
            named = {item.operation.value: item.type.name.value for item in node.operation_types}
            return {kind: name for kind, name in named.items() if name in types}
    return {kind: name for kind, name in _ROOT_NAMES.items() if name in types}


def _possible(item: TypeModel, types: Mapping[str, TypeModel]) -> frozenset[str]:
    """The object types that a value of this type may be, anywhere."""
    if item.kind == "object":
        return frozenset({item.name})
    if item.kind == "union":
        return frozenset().union(*item.members.values()) if item.members else frozenset()
    return frozenset(
        name
        for name, other in types.items()
        if other.kind == "object" and any(item.name in names for names in other.interfaces.values())
    )


def _applied(directives: Iterable[ConstDirectiveNode] | None, name: str) -> list[dict[str, Any]]:
    return [
        {argument.name.value: value_from_ast_untyped(argument.value) for argument in node.arguments or ()}
        for node in directives or ()
        if node.name.value == name
    ]


def _name(node: SelectionNode) -> str:
    return node.name.value if isinstance(node, FieldNode) else ""


def parse_field_set(text: str, where: str) -> SelectionSetNode:
    """The selection that a key, @requires or @provides writes down, at `where`. Raises SupergraphInvalid."""
    try:
        document = parse("{" + text + "}", no_location=True)
    except GraphQLSyntaxError as malformed:
        raise SupergraphInvalid(f"{where}: the field set {text!r} does not parse: {malformed.message}") from malformed
    return document.definitions[0].selection_set  # type: ignore[attr-defined, no-any-return]


class _TypeReader:
    """Reads one type's join directives."""

    def __init__(self, node: TypeDefinitionNode, graphs: Mapping[str, tuple[str, str]], version: str) -> None:
        self._is_first = version == FIRST
        self._node: Any = node
        self._name = node.name.value
        self._graphs = graphs

    def read(self) -> TypeModel:
        joins = self._joins()
        has_fields = isinstance(self._node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode)
        kind = _KINDS.get(type(self._node))
        if kind is None:
            raise SupergraphInvalid(f"{self._name}: a {type(self._node).__name__} has no place in a supergraph")
        fields = {item.name.value: self._field(item, joins) for item in self._node.fields or ()} if has_fields else {}
        fields = self._with_keys(fields, joins) if self._is_first else self._without_lost_externals(fields, joins)
        return TypeModel(
            name=self._name,
            kind=kind,
            joins=joins,
            fields=fields,
            interfaces=self._per_graph("join__implements", "interface", joins, "interfaces"),
            members=self._per_graph("join__unionMember", "member", joins, "types"),
            input_fields=self._input_fields(),
        )

    def _input_fields(self) -> dict[str, TypeNode]:
        if not isinstance(self._node, InputObjectTypeDefinitionNode):
            return {}
        return {item.name.value: item.type for item in self._node.fields or ()}

    def _graph(self, value: object, where: str) -> str:
        found = self._graphs.get(str(value))
        if found is None:
            raise SupergraphInvalid(f"{where} names the unknown subgraph {value}")
        return found[0]

    def _joins(self) -> dict[str, TypeJoin]:
        keys: dict[str, list[SelectionSetNode]] = {}
        interface_objects: set[str] = set()
        applied = _applied(self._node.directives, "join__type")
        if not applied:  # a type of the specifications themselves, or one that every subgraph shares
            return {name: TypeJoin(keys=(), is_interface_object=False) for name, _ in self._graphs.values()}
        for item in applied:
            graph = self._graph(item.get("graph"), f"@join__type on {self._name}")
            found = keys.setdefault(graph, [])
            if item.get("key") is not None and item.get("resolvable", True):
                found.append(parse_field_set(str(item["key"]), f"{self._name} @key"))
            if item.get("isInterfaceObject"):
                interface_objects.add(graph)
        return {
            graph: TypeJoin(keys=tuple(found), is_interface_object=graph in interface_objects)
            for graph, found in keys.items()
        }

    def _per_graph(
        self, directive: str, argument: str, joins: Mapping[str, TypeJoin], attribute: str
    ) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for item in _applied(self._node.directives, directive):
            graph = self._graph(item.get("graph"), f"@{directive} on {self._name}")
            found.setdefault(graph, set()).add(str(item[argument]))
        named = {item.name.value for item in getattr(self._node, attribute, None) or ()}
        if not found and named:
            return {graph: frozenset(named) for graph in joins}
        return {graph: frozenset(names) for graph, names in found.items()}

    def _field(self, node: FieldDefinitionNode, joins: Mapping[str, TypeJoin]) -> FieldModel:
        where = f"{self._name}.{node.name.value}"
        applied = _applied(node.directives, "join__field")
        found: dict[str, FieldJoin] = {}
        if not applied:
            found = {graph: FieldJoin() for graph in self._owner() or joins}
        for item in applied:
            if item.get("graph") is not None:
                found[self._graph(item["graph"], f"@join__field on {where}")] = self._field_join(item, where)
        overrides = tuple(
            Override(
                subgraph=self._graph(item["graph"], where), source=item["override"], label=item.get("overrideLabel")
            )
            for item in applied
            if item.get("override") in found
        )
        return FieldModel(
            name=node.name.value,
            type=node.type,
            arguments={item.name.value: item.type for item in node.arguments or ()},
            joins=found,
            overrides=overrides,
        )

    def _owner(self) -> list[str]:
        """In Federation 1, the subgraph that owns a type: it holds the fields of which nothing else is said."""
        applied = _applied(self._node.directives, "join__owner")
        return [self._graph(item.get("graph"), f"@join__owner on {self._name}") for item in applied]

    def _with_keys(self, fields: dict[str, FieldModel], joins: Mapping[str, TypeJoin]) -> dict[str, FieldModel]:
        """In Federation 1 every subgraph of an entity holds its key, though nothing says so."""
        for graph, join in joins.items():
            for name in {_name(item) for key in join.keys for item in key.selections} & fields.keys():
                if graph not in fields[name].joins:
                    fields[name] = replace(fields[name], joins={**fields[name].joins, graph: FieldJoin()})
        return fields

    def _without_lost_externals(
        self, fields: dict[str, FieldModel], joins: Mapping[str, TypeJoin]
    ) -> dict[str, FieldModel]:
        """The Guild's composer (0.27) forgets that an interface object's fields are external.

        They are those that its own @requires names, which may name no others.
        """
        for graph in (name for name, join in joins.items() if join.is_interface_object):
            keys = {_name(item) for key in joins[graph].keys for item in key.selections}
            required = {
                _name(item)
                for model in fields.values()
                if graph in model.joins and model.joins[graph].requires is not None
                for item in model.joins[graph].requires.selections  # type: ignore[union-attr]
            }
            for name in (required - keys) & fields.keys():
                known = fields[name].joins
                if graph in known:
                    fields[name] = replace(fields[name], joins={**known, graph: FieldJoin(external=True)})
        return fields

    def _field_join(self, item: Mapping[str, Any], where: str) -> FieldJoin:
        def field_set(argument: str) -> SelectionSetNode | None:
            text = item.get(argument)
            return parse_field_set(str(text), f"{where} @{argument}") if text else None

        return FieldJoin(
            # A field that another subgraph took over stays in its old one for keys only.
            external=bool(item.get("external") or item.get("usedOverridden")),
            requires=field_set("requires"),
            provides=field_set("provides"),
            type=item.get("type"),
        )
