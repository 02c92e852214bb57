"""What the executor asks of a way to reach a subgraph. It reaches none itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(slots=True, kw_only=True, eq=False)  # frozen ones take thrice as long to make, and a plan makes many
class SubgraphRequest:
    """One fetch: `document` is fixed when the plan is made, only `variables` differ from request to request.

    `body`: both as JSON, `{"query": …, "variables": …}`, for transports that send bytes.
    """

    subgraph: str
    document: str
    document_hash: str
    operation_kind: str
    variables: Mapping[str, Any]
    body: bytes = b""


@dataclass(slots=True, kw_only=True, eq=False)
class SubgraphResponse:
    """A subgraph's answer, as the GraphQL specification shapes it (§7.1). Its data becomes the engine's own."""

    data: dict[str, Any] | None
    errors: Sequence[Mapping[str, Any]] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)


class SubgraphUnavailable(Exception):
    """The subgraph gave no GraphQL answer at all. Its fields are null and the rest of the plan goes on."""

    def __init__(self, subgraph: str) -> None:
        super().__init__(subgraph)
        self.subgraph = subgraph


@runtime_checkable
class Streams(Protocol):
    """A way to one subgraph that brings the events of a subscription too."""

    def subscribe(self, request: SubgraphRequest, *, context: object) -> AsyncGenerator[SubgraphResponse]:
        """What the subgraph says of each event, until it has no more to say. Raises SubgraphUnavailable."""
        ...


class Transport(Protocol):
    """A way to one subgraph."""

    async def fetch(self, request: SubgraphRequest, *, context: object) -> SubgraphResponse:
        """Carry one fetch. `context` is the caller's of `Engine.execute`. Raises SubgraphUnavailable."""
        ...
