"""What a client may see of a supergraph: no join or link, nothing @inaccessible. It decides nothing about a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from gov_services.federation.supergraph import Supergraph, SupergraphInvalid
from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    Node,
    SchemaDefinitionNode,
    TypeDefinitionNode,
    TypeSystemDefinitionNode,
    UnionTypeDefinitionNode,
    build_ast_schema,
    value_from_ast_untyped,
)

_KEPT_DIRECTIVES = frozenset({"deprecated", "specifiedBy", "oneOf"})
_EXECUTABLE = frozenset({"QUERY", "MUTATION", "SUBSCRIPTION", "FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"})
N = TypeVar("N", bound=Node)


def public_schema(supergraph: Supergraph) -> GraphQLSchema:
    """The schema for clients. Raises SupergraphInvalid where what is left is no schema."""
    inaccessible = _inaccessible_name(supergraph.document)
    types = [
        node
        for node in supergraph.document.definitions
        if isinstance(node, TypeDefinitionNode) and "__" not in node.name.value and not _has(node, inaccessible)
    ]
    known = {node.name.value for node in types}
    definitions: list[DefinitionNode] = [_pruned_type(node, known, inaccessible) for node in types]
    definitions += _rest(supergraph.document, known)
    try:
        return build_ast_schema(DocumentNode(definitions=tuple(definitions)))
    except (GraphQLError, TypeError) as malformed:
        raise SupergraphInvalid(f"the public schema is not valid: {malformed}") from malformed


def _rest(document: DocumentNode, known: set[str]) -> list[DefinitionNode]:
    """The schema definition and the directives that a client may write."""
    kept: list[DefinitionNode] = []
    for node in document.definitions:
        if isinstance(node, SchemaDefinitionNode):
            operations = tuple(item for item in node.operation_types if item.type.name.value in known)
            kept.append(SchemaDefinitionNode(description=node.description, directives=(), operation_types=operations))
        elif isinstance(node, DirectiveDefinitionNode) and "__" not in node.name.value:
            locations = tuple(item for item in node.locations if item.value in _EXECUTABLE)
            if locations:
                kept.append(_replaced(node, locations=locations))
        elif not isinstance(node, TypeSystemDefinitionNode):
            raise SupergraphInvalid(f"a {node.kind} has no place in a supergraph")
    return kept


def _inaccessible_name(document: DocumentNode) -> str:
    """The name under which the inaccessible specification is linked."""
    for node in document.definitions:
        if not isinstance(node, SchemaDefinitionNode):
            continue
        for directive in node.directives or ():
            if directive.name.value != "link":
                continue
            link: dict[str, Any] = {
                item.name.value: value_from_ast_untyped(item.value) for item in directive.arguments or ()
            }
            if "/inaccessible/" in str(link.get("url", "")) and link.get("as"):
                return str(link["as"])
    return "inaccessible"


def _has(node: Any, directive: str) -> bool:
    return any(item.name.value == directive for item in node.directives or ())


def _replaced(node: N, **changes: Any) -> N:
    return type(node)(**{**{key: getattr(node, key, None) for key in node.keys}, **changes})


def _plain(node: N, **changes: Any) -> N:
    """The node without directives of federation."""
    directives = tuple(item for item in getattr(node, "directives", None) or () if item.name.value in _KEPT_DIRECTIVES)
    return _replaced(node, directives=directives, **changes)


def _visible(nodes: Iterable[N] | None, inaccessible: str) -> list[N]:
    return [node for node in nodes or () if not _has(node, inaccessible)]


def _pruned_type(node: Any, known: set[str], inaccessible: str) -> TypeDefinitionNode:
    if isinstance(node, EnumTypeDefinitionNode):
        return _plain(node, values=tuple(_plain(item) for item in _visible(node.values, inaccessible)))
    if isinstance(node, InputObjectTypeDefinitionNode):
        return _plain(node, fields=tuple(_plain(item) for item in _visible(node.fields, inaccessible)))
    if isinstance(node, UnionTypeDefinitionNode):
        return _plain(node, types=tuple(item for item in node.types or () if item.name.value in known))
    if not hasattr(node, "fields"):
        return _plain(node)  # type: ignore[no-any-return]
    fields = tuple(
        _plain(item, arguments=tuple(_plain(argument) for argument in _visible(item.arguments, inaccessible)))
        for item in _visible(node.fields, inaccessible)
    )
    interfaces = tuple(item for item in node.interfaces or () if item.name.value in known)
    return _plain(node, fields=fields, interfaces=interfaces)  # type: ignore[no-any-return]
