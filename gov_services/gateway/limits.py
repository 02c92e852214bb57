"""How much a request may ask for. How often it may is `rates`'; counting people is `consent.budgets`'."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gov_services.gateway.errors import (
    DocumentInvalid,
    TooComplex,
    VariablesRefused,
)
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

MOST_SELECTIONS = 10_000
"""Selection sets once fragments are put in for their names."""
INTROSPECTION_DEPTH = 8
"""How much deeper the schema may be asked about than anything else: tools unwrap a type nine times. What that costs is
bounded by graphql-core's own rule (MaxIntrospectionDepthRule)."""
MOST_NESTED = 200
"""Fields and fragments one inside the other; Python's own stack ends at a few times that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that any request may be."""

    body_bytes: int = 64 * 1024
    tokens: int = 2000
    depth: int = 12
    aliases: int = 20
    root_fields: int = 10
    directives: int = 50
    cost: int = 5000
    string_length: int = 10_000
    list_length: int = 100
    variable_depth: int = 8
    request_s: float = 30.0
    """How long an answer may take, all fetches together; what is under way then is given up."""

    def check_text(self, text: str) -> DocumentNode:
        """Refuse a text with too many tokens before any more is done with it. Raises TooComplex, DocumentInvalid."""
        try:
            return parse(text, no_location=True, max_tokens=self.tokens)
        except RecursionError:
            raise TooComplex(measure="depth", found=f"> {self.depth}", most=self.depth) from None
        except GraphQLSyntaxError as malformed:
            if "token limit" in malformed.message or "tokens" in malformed.message:
                raise TooComplex(measure="tokens", found=f"> {self.tokens}", most=self.tokens) from None
            raise DocumentInvalid(problem=malformed.message) from None

    def check_shape(self, document: DocumentNode) -> None:
        """Refuse a document that is too deep or has too many aliases, root fields or directives. Raises TooComplex."""
        shape = _Shape(document, self.depth)
        for measure, found, most in (
            ("depth", shape.depth, self.depth),
            ("aliases", shape.aliases, self.aliases),
            ("root fields", shape.root_fields, self.root_fields),
            ("directives", shape.directives, self.directives),
            ("selections", shape.selections, MOST_SELECTIONS),
        ):
            if found > most:
                raise TooComplex(measure=measure, found=found, most=most)

    def check_cost(self, cost: int) -> None:
        """Refuse what would cost too much (see `gateway.demand`). Raises TooComplex."""
        if cost > self.cost:
            raise TooComplex(measure="cost", found=cost, most=self.cost)

    def check_variables(self, variables: Mapping[str, Any]) -> None:
        """Refuse values longer, wider or deeper than any field of ours takes. Raises VariablesRefused."""
        for name, value in variables.items():
            if _NAME.fullmatch(name) is None:
                raise VariablesRefused(variable="$")
            self._check_value(name, value, depth=0)

    def _check_value(self, name: str, value: object, *, depth: int) -> None:
        if isinstance(value, str):
            too_much = len(value) > self.string_length or not _is_text(value)
        elif isinstance(value, list | dict):
            too_much = len(value) > self.list_length or depth >= self.variable_depth
            too_much = too_much or (isinstance(value, dict) and not all(map(_NAME.fullmatch, value)))
        else:
            too_much = isinstance(value, int) and abs(value) > 2**63
        if too_much:
            raise VariablesRefused(variable=f"${name}")
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for child in children:
            self._check_value(name, child, depth=depth + 1)


def _is_text(value: str) -> bool:
    """Whether it can be stored: JSON can write half a character, and one that ends a text elsewhere."""
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


_NAME = re.compile("[_A-Za-z][_0-9A-Za-z]{0,127}")
"""A name of GraphQL's; the name of a variable is told back, and so must be one."""


class _Shape:
    """Depth, aliases, root fields and directives of a document's operations, fragments followed."""

    def __init__(self, document: DocumentNode, deepest: int) -> None:
        self._deepest = deepest
        self._fragments = {
            item.name.value: item for item in document.definitions if isinstance(item, FragmentDefinitionNode)
        }
        self.depth = self.aliases = self.root_fields = self.directives = self.selections = 0
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                self._walk(definition.selection_set, depth=1, nested=0)

    def _walk(self, selections: SelectionSetNode, *, depth: int, nested: int, more: int = 0) -> None:
        """`more`: how much deeper than elsewhere may be asked here."""
        self.selections += 1
        # Past every limit already: fragments, in a circle at that, could make this walk itself the attack.
        if self.selections > MOST_SELECTIONS or depth > self._deepest + more:
            return
        if nested > MOST_NESTED:
            self.selections = MOST_SELECTIONS + 1
            return
        for selection in selections.selections:
            self.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                self._field(selection, depth=depth, nested=nested, more=more)
            elif isinstance(selection, InlineFragmentNode):
                self._walk(selection.selection_set, depth=depth, nested=nested + 1, more=more)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = self._fragments.get(selection.name.value)
                if fragment is not None:
                    self._walk(fragment.selection_set, depth=depth, nested=nested + 1, more=more)

    def _field(self, field: FieldNode, *, depth: int, nested: int, more: int) -> None:
        self.aliases += field.alias is not None
        self.root_fields += depth == 1
        if field.name.value in ("__schema", "__type"):
            more = INTROSPECTION_DEPTH
        deepest = depth + (field.selection_set is not None)
        self.depth = max(self.depth, deepest - more)
        if field.selection_set is not None:
            self._walk(field.selection_set, depth=depth + 1, nested=nested + 1, more=more)
