"""The engine alone: any supergraph, over the addresses that it names, without the city's documents and assertions.

With a key set it asks for tokens of that issuer; open, it asks nobody who they are (development, conformance runs).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from litestar import Litestar

from gov_services.federation.engine import Engine
from gov_services.federation.http1 import HttpClient
from gov_services.federation.planning import DocumentInvalid as NotPlanned
from gov_services.federation.planning import Planning
from gov_services.federation.streaming import StreamingSubgraph, stream_client
from gov_services.federation.transports import SubgraphRequest
from gov_services.gateway.authorization import FEATURES, Authorization
from gov_services.gateway.demand import Demands
from gov_services.gateway.documents import Selected
from gov_services.gateway.doors import open_doors
from gov_services.gateway.errors import BadRequest, DocumentInvalid
from gov_services.gateway.headers import Pairs, Rule, forwarding
from gov_services.gateway.http import before
from gov_services.gateway.issuers import IssuedTokens
from gov_services.gateway.labels import Labels
from gov_services.gateway.limits import Limits
from gov_services.gateway.metrics import GatewayMetrics, MeasuredTransport
from gov_services.gateway.pipeline import Pipeline
from gov_services.gateway.subscriptions import FromSubgraphs
from gov_services.gateway.tracing import NoTraces, Traces
from gov_services.kit.actor import ANONYMOUS, Actor
from gov_services.kit.assertion import ADHOC
from gov_services.kit.clock import SystemClock
from gov_services.kit.health import health
from gov_services.kit.local_rates import LocalLimiter
from gov_services.kit.rates import TooManyRequests
from gov_services.kit.reloading import Reloader

OPEN_LIMITS = Limits(body_bytes=1024 * 1024, tokens=20_000, depth=50, aliases=500, root_fields=200, cost=10**9)
IMPROVING_S = 0.1
_log = structlog.get_logger("gov_services.gateway")


class NoTokens:
    """Everybody is anonymous, whatever they bear."""

    async def actor(self, bearer: str | None, *, now: dt.datetime) -> Actor:
        """See gateway.pipeline.Authenticates."""
        return ANONYMOUS

    async def until(self, bearer: str | None, *, now: dt.datetime) -> dt.datetime | None:
        """See gateway.pipeline.Authenticates."""
        return None


class AnyDocument:
    """Takes any document that the supergraph can answer."""

    def __init__(self, engine: Engine, limits: Limits, labels: Labels) -> None:
        self._engine = engine
        self._limits = limits
        self._labels = labels

    def select(
        self,
        actor: Actor,
        *,
        document_id: str | None,
        text: str | None,
        name: str | None,
        headers: Mapping[str, str],
        now: dt.datetime,
    ) -> Selected:
        """See gateway.pipeline.SelectsDocuments."""
        if text is None:
            raise BadRequest(problem="query")
        planning = self._engine.planning
        labels = self._labels.chosen(planning.labels, actor)
        prepared = planning.known(text, name, labels)
        if prepared is None:
            self._limits.check_shape(self._limits.check_text(text))
            try:
                prepared = planning.prepare(text, name, labels)
            except NotPlanned as refused:
                raise DocumentInvalid(problem="; ".join(error.message for error in refused.errors[:3])) from refused
        return Selected(id=ADHOC, name=ADHOC, prepared=prepared, manifest_version=0, personal_variables=False)


class NoLog:
    """Tells of refusals on standard error alone."""

    async def refused(
        self, *, code: str, actor: Actor, document_id: str | None, request_id: str, now: dt.datetime
    ) -> None:
        """See gateway.refusals.RefusalSink."""
        _log.info("refused", code=code, request_id=request_id)


class LocalRate:
    """Counts each caller in this process alone."""

    def __init__(self, per_second: float) -> None:
        self._limiter = LocalLimiter(interval_s=1 / per_second, burst=max(1, round(per_second)))

    async def take(self, actor: Actor, *, address: str, is_query: bool, monotonic_s: float, cost: int = 0) -> None:
        """See gateway.pipeline.CountsRequests. Raises TooManyRequests."""
        caller = actor.client_id or f"address:{address}"
        wait_s = self._limiter.take(caller, monotonic_s=monotonic_s)
        if wait_s > 0:
            raise TooManyRequests(retry_after_s=math.ceil(wait_s))

    def owe(self, actor: Actor, *, address: str, cost: int) -> None:
        """Cost is not counted."""


class NoRate:
    """Counts nobody."""

    async def take(self, actor: Actor, *, address: str, is_query: bool, monotonic_s: float, cost: int = 0) -> None:
        """See gateway.pipeline.CountsRequests."""

    def owe(self, actor: Actor, *, address: str, cost: int) -> None:
        """See gateway.pipeline.CountsRequests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standalone:
    """The engine alone. Without `tokens` it is open to all, and its limits are there for accidents only."""

    supergraph: Path
    tokens: IssuedTokens | None = None
    per_second: float = 0
    """Requests that one caller may make, counted in this process; 0: as many as they like."""
    rules: tuple[Rule, ...] = ()
    """Which of a client's headers go on to which subgraph."""
    labels: Labels = field(default_factory=Labels)
    """Which labels of progressive overrides are on for whom."""
    metrics: GatewayMetrics = field(default_factory=GatewayMetrics)
    traces: Traces = field(default_factory=NoTraces)

    @property
    def limits(self) -> Limits:
        """What a request may be."""
        return OPEN_LIMITS if self.tokens is None else Limits(tokens=5_000, depth=20)


def create_standalone_app(alone: Standalone) -> Any:
    """Wire it into an ASGI application. Raises SupergraphInvalid."""
    client, streams = HttpClient(), stream_client()

    def transports(planning: Planning) -> dict[str, MeasuredTransport]:
        return {
            name: MeasuredTransport(
                name,
                StreamingSubgraph(name, url, client, streams, headers=_forwarding(alone.rules, name, alone.traces)),
                alone.metrics,
                alone.traces,
            )
            for name, url in planning.supergraph.subgraphs.items()
        }

    planning = _planning(alone.supergraph.read_text())
    engine = Engine(planning, transports=transports(planning))
    pipeline = Pipeline(
        authenticator=alone.tokens or NoTokens(),
        documents=AnyDocument(engine, alone.limits, alone.labels),
        limits=alone.limits,
        demands=Demands(engine),
        authorization=Authorization(engine),
        rate=LocalRate(alone.per_second) if alone.per_second else NoRate(),
        engine=engine,
        refusals=NoLog(),
        clock=SystemClock(),
        masks=alone.tokens is not None,
        watch=alone.metrics,
        traces=alone.traces,
    )
    alone.metrics.show("gov_gateway_plans", "Documents whose plan is kept", lambda: len(engine.planning.documents()))

    async def load() -> None:
        made = await asyncio.to_thread(_warmed, alone.supergraph.read_text(), engine.planning)
        engine.replace(made, transports=transports(made))

    async def ready() -> dict[str, bool]:
        return {"supergraph": True}

    @contextlib.asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        watch = asyncio.create_task(Reloader(alone.supergraph, load=load).run(), name="supergraph")
        yield
        watch.cancel()
        await asyncio.to_thread(alone.traces.close)
        await streams.aclose()
        await client.aclose()

    doors = open_doors(
        pipeline,
        FromSubgraphs(engine),
        limits=alone.limits,
        metrics=alone.metrics,
        any_page=alone.tokens is None,
        needs_token=alone.tokens is not None,
    )
    app = Litestar(route_handlers=health(ready), lifespan=[running], openapi_config=None, logging_config=None)
    return before("/graphql", doors.app, app)


def _forwarding(rules: tuple[Rule, ...], name: str, traces: Traces) -> Callable[[Any, SubgraphRequest], Pairs]:
    headers = forwarding(rules, name)
    if isinstance(traces, NoTraces):
        return lambda call, _: headers(call.headers)
    return lambda call, _: (*headers(call.headers), *traces.onward())


def _planning(text: str) -> Planning:
    return Planning(text, improving_s=IMPROVING_S, understood=FEATURES)


def _warmed(text: str, old: Planning) -> Planning:
    """A new supergraph, with the documents planned that the old one knows: nobody waits for the change."""
    made = _planning(text)
    for document, name, labels in old.documents():
        with contextlib.suppress(NotPlanned):
            made.prepare(document, name, labels)
    return made
