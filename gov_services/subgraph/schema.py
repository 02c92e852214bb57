"""Builds a room's Strawberry federation schema, all alike. It defines no type."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import strawberry
from strawberry.extensions import ParserCache, ValidationCache

from gov_services.consent.vocabulary import Vocabulary

FEDERATION_VERSION: Final = "2.9"
"""The newest that the composer understands."""


class Schema(strawberry.federation.Schema):
    """A federation schema whose errors are left to `subgraph.errors`: nothing is printed, nothing escapes unmasked."""

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The personal coordinates that the schema's own text declares."""
        return Vocabulary.from_sdl(self.as_str())

    def process_errors(self, errors: list[Any], execution_context: Any = None) -> None:
        """Nothing here: the way out formats, masks and logs them."""


def build_schema(
    *, query: type, mutation: type | None = None, subscription: type | None = None, types: Sequence[type] = ()
) -> Schema:
    """The schema of a room, with bounded caches: without them every fetch is parsed and validated anew."""
    return Schema(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=list(types),
        federation_version=FEDERATION_VERSION,
        extensions=[lambda: ParserCache(maxsize=2048), lambda: ValidationCache(maxsize=2048)],
    )
