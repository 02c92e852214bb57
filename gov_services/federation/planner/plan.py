"""What a plan is: fetches with fixed texts, and which waits for which. It is made once and executed many times."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gov_services.federation.planner.conditions import Conditions
from gov_services.federation.planner.fetches import Need, levels_of


@dataclass(frozen=True, slots=True)
class Step:
    """One step to a position: the response key, and the object types under which it counts (None: all)."""

    key: str
    types: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Representation:
    """How an object of one of `types` is named to a subgraph: by `keys`, with `needs` that its fields require.

    `is_interface_object`: the subgraph knows it only by `type_name`, whatever it is.
    """

    type_name: str
    types: frozenset[str]
    is_interface_object: bool
    keys: tuple[tuple[frozenset[str], Need], ...]
    needs: tuple[tuple[frozenset[str], Need, Conditions], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The objects at one position that a fetch is about. `type_name` is what they are where the data does not say."""

    path: tuple[Step, ...]
    type_name: str | None
    representations: tuple[Representation, ...] = ()
    makers: dict[str | None, list[Any]] = field(default_factory=dict, repr=False, compare=False)
    """What the executor worked out for each type of object that it met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One `_entities` field of a fetch: its response key, its variable and the objects it is asked for."""

    key: str
    variable: str
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """One request to a subgraph.

    `keys`: the response keys of a root fetch, and when each is asked for. `renames`: response keys that only this text
    uses → those of the answer.
    """

    id: int
    subgraph: str
    operation_kind: str
    document: str
    document_hash: str
    depends_on: tuple[int, ...]
    is_entity_fetch: bool
    variables: tuple[str, ...]
    conditions: Conditions
    target: Target
    keys: tuple[tuple[str, Conditions], ...] = ()
    parts: tuple[Part, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    coordinates: frozenset[str] = frozenset()
    encoded_document: bytes = b""
    """The document as a string of JSON."""


@dataclass(frozen=True)
class Plan:
    """All fetches of an operation, each after those that it depends on."""

    kind: str
    fetches: tuple[Fetch, ...]

    def coordinates(self) -> dict[str, frozenset[str]]:
        """Subgraph → every schema coordinate that its fetches read or pass in, also those no client asked for."""
        found: dict[str, frozenset[str]] = {}
        for item in self.fetches:
            found[item.subgraph] = found.get(item.subgraph, frozenset()) | item.coordinates
        return found

    def depth(self) -> int:
        """The longest row of fetches that wait for each other."""
        return max(self.levels.values(), default=-1) + 1

    @cached_property
    def next_after(self) -> dict[int, tuple[Fetch, ...]]:
        """The fetches that wait for each, among others."""
        return {
            before.id: tuple(item for item in self.fetches if before.id in item.depends_on) for before in self.fetches
        }

    @cached_property
    def levels(self) -> dict[int, int]:
        """How many fetches stand before each, in a row."""
        return levels_of({item.id: set(item.depends_on) for item in self.fetches})


def hash_of(document: str) -> str:
    """The hash by which a fetch's text is known: SHA-256, hex."""
    return hashlib.sha256(document.encode()).hexdigest()
