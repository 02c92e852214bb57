"""What a supergraph's text may use: refuses what this engine would not understand, by line. It builds no model.

A directive that is not understood could be one that keeps a field from somebody: it is never passed over in silence.
Sources: https://specs.apollo.dev/link/v1.0, https://specs.apollo.dev/core/v0.2, https://specs.apollo.dev/join/v0.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gov_services.federation.supergraph import SupergraphInvalid
from graphql import ConstDirectiveNode, DocumentNode, Node, SchemaDefinitionNode, value_from_ast_untyped

FIRST = "v0.1"
"""The join version of Federation 1, in which types have owners."""
JOIN_VERSIONS = (FIRST, "v0.2", "v0.3", "v0.4", "v0.5")
FEATURES = frozenset({"link", "core", "join", "inaccessible", "tag", "cost"})
"""What may be linked for execution or security."""
ARGUMENTS = {
    "join__graph": {"name", "url"},
    "join__owner": {"graph"},
    "join__type": {"graph", "key", "extension", "resolvable", "isInterfaceObject"},
    "join__field": {
        *("graph", "requires", "provides", "type", "external", "override", "usedOverridden", "overrideLabel"),
    },
    "join__implements": {"graph", "interface"},
    "join__unionMember": {"graph", "member"},
    "join__enumValue": {"graph"},
}
CARRIED = frozenset({"link", "composeDirective"})
"""What @join__directive may carry along from a subgraph: nothing that is executed."""


def check_features(document: DocumentNode, understood: frozenset[str]) -> str:
    """The version of the join specification. Raises SupergraphInvalid for what is not understood."""
    version = None
    for node in document.definitions:
        if isinstance(node, SchemaDefinitionNode):
            for directive in node.directives or ():
                version = _check_link(directive, understood) or version
    if version is None:
        raise SupergraphInvalid("this is no supergraph: its schema links no join specification")
    for node in document.definitions:
        for directive in _directives(node):
            _check_directive(directive)
    return version


def arguments_of(directive: ConstDirectiveNode) -> dict[str, Any]:
    """A directive's arguments as plain values."""
    return {item.name.value: value_from_ast_untyped(item.value) for item in directive.arguments or ()}


def line_of(node: Node) -> int:
    """Where a node stands."""
    return node.loc.start_token.line if node.loc is not None else 0


def _check_link(directive: ConstDirectiveNode, understood: frozenset[str]) -> str | None:
    """The version where it links the join specification."""
    if directive.name.value not in ("link", "core"):
        return None
    arguments = arguments_of(directive)
    url = str(arguments.get("url") or arguments.get("feature") or "")
    name, version = ([*url.rstrip("/").split("/"), "", ""])[-4:-2] if "/" in url else (url, "")
    if name == "join":
        if version not in JOIN_VERSIONS:
            raise _refused(directive, f"join {version} is not supported (known: {', '.join(JOIN_VERSIONS)})")
        return version
    if arguments.get("for") is not None and name not in understood:
        raise _refused(directive, f"{name} is needed for {str(arguments['for']).lower()}, and not understood here")
    return None


def _check_directive(directive: ConstDirectiveNode) -> None:
    name = directive.name.value
    if not name.startswith("join__"):
        return
    arguments = arguments_of(directive)
    if name == "join__directive":
        if arguments.get("name") not in CARRIED:
            raise _refused(directive, f"it carries @{arguments.get('name')}, which is not understood here")
        return
    known = ARGUMENTS.get(name)
    if known is None:
        raise _refused(directive, "it is not understood here")
    unknown = sorted(item for item in arguments.keys() - known if arguments[item])
    if unknown:
        raise _refused(directive, f"its argument {unknown[0]} is not understood here")


def _refused(directive: ConstDirectiveNode, problem: str) -> SupergraphInvalid:
    return SupergraphInvalid(f"line {line_of(directive)}: @{directive.name.value}: {problem}")


def _directives(node: Any) -> Iterator[ConstDirectiveNode]:
    """All directives applied on a definition and inside it."""
    yield from getattr(node, "directives", None) or ()
    for attribute in ("fields", "values", "arguments"):
        for item in getattr(node, attribute, None) or ():
            yield from _directives(item)
