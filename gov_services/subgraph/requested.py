"""Which personal coordinates a fetch asks for, read off its document. It asks nobody whether it may."""

from __future__ import annotations

from functools import lru_cache

from gov_services.consent.vocabulary import Vocabulary
from graphql import (
    FieldNode,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    parse,
    visit,
)


class RequestedCoordinates:
    """Finds, once per document, the personal output coordinates that it selects."""

    def __init__(self, schema: GraphQLSchema, vocabulary: Vocabulary, *, cache_size: int = 2048) -> None:
        self._schema = schema
        self._vocabulary = vocabulary
        self.of = lru_cache(cache_size)(self._find)

    def _find(self, document: str) -> frozenset[str]:
        found: set[str] = set()
        type_info = TypeInfo(self._schema)
        vocabulary = self._vocabulary

        class Collect(Visitor):
            def enter_field(self, node: FieldNode, *_: object) -> None:
                parent = type_info.get_parent_type()
                if parent is not None:
                    coordinate = f"{get_named_type(parent).name}.{node.name.value}"
                    if coordinate in vocabulary:
                        found.add(coordinate)

        visit(parse(document, no_location=True), TypeInfoVisitor(type_info, Collect()))
        return frozenset(found)
