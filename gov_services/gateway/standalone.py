"""The engine alone: any supergraph, over the addresses that it names, without the city's documents and tokens.

For development and conformance runs: it asks nobody who they are and signs no assertion.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import orjson
import structlog
from litestar import Litestar, asgi

from gov_services.federation.engine import Engine
from gov_services.federation.planning import DocumentInvalid as NotPlanned
from gov_services.federation.planning import Planning
from gov_services.federation.transports import SubgraphRequest, SubgraphResponse, SubgraphUnavailable
from gov_services.gateway.documents import Selected
from gov_services.gateway.errors import BadRequest, DocumentInvalid
from gov_services.gateway.http import GraphQLEndpoint
from gov_services.gateway.limits import Limits
from gov_services.gateway.pipeline import Pipeline
from gov_services.gateway.reloading import Reloader
from gov_services.kit.actor import ANONYMOUS, Actor
from gov_services.kit.assertion import ADHOC
from gov_services.kit.clock import SystemClock
from gov_services.kit.health import health

OPEN_LIMITS = Limits(body_bytes=1024 * 1024, tokens=20_000, depth=50, aliases=500, root_fields=200, cost=10**9)
_log = structlog.get_logger("gov_services.gateway")


class NoTokens:
    """Everybody is anonymous, whatever they bear."""

    def actor(self, bearer: str | None, *, now: dt.datetime) -> Actor:
        """See gateway.pipeline.Authenticates."""
        return ANONYMOUS


class AnyDocument:
    """Takes any document that the supergraph can answer."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits

    def select(
        self, actor: Actor, *, document_id: str | None, text: str | None, name: str | None, headers: Mapping[str, str]
    ) -> Selected:
        """See gateway.pipeline.SelectsDocuments."""
        if text is None:
            raise BadRequest(problem="query")
        planning = self._engine.planning
        prepared = planning.known(text, name)
        if prepared is None:
            self._limits.check_text(text)
            try:
                prepared = planning.prepare(text, name)
            except NotPlanned as refused:
                raise DocumentInvalid(problem="; ".join(error.message for error in refused.errors[:3])) from refused
            self._limits.check_shape(prepared.document)
        return Selected(id=ADHOC, prepared=prepared, manifest_version=0, personal_variables=False)


class NoLog:
    """Tells of refusals on standard error alone."""

    async def refused(
        self, *, code: str, actor: Actor, document_id: str | None, request_id: str, now: dt.datetime
    ) -> None:
        """See gateway.refusals.RefusalSink."""
        _log.info("refused", code=code, request_id=request_id)


class NoRate:
    """Counts nobody."""

    async def take(self, actor: Actor, *, address: str, is_query: bool, monotonic_s: float) -> None:
        """See gateway.pipeline.CountsRequests."""


def create_open_app(supergraph: Path) -> Litestar:
    """The engine alone, open to all. Raises SupergraphInvalid."""
    client = httpx.AsyncClient(timeout=30, trust_env=False)
    planning = Planning(supergraph.read_text())
    engine = Engine(planning, transports=_transports(planning, client))
    pipeline = Pipeline(
        authenticator=NoTokens(),
        documents=AnyDocument(engine, OPEN_LIMITS),
        limits=OPEN_LIMITS,
        rate=NoRate(),
        engine=engine,
        refusals=NoLog(),
        clock=SystemClock(),
        masks=False,
    )

    async def load(text: str) -> None:
        made = await asyncio.to_thread(_warmed, text, engine.planning)
        engine.replace(made, transports=_transports(made, client))

    async def ready() -> dict[str, bool]:
        return {"supergraph": True}

    @contextlib.asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        watch = asyncio.create_task(Reloader(supergraph, load).run(), name="supergraph")
        yield
        watch.cancel()
        await client.aclose()

    endpoint = GraphQLEndpoint(pipeline, body_bytes=OPEN_LIMITS.body_bytes, origins=frozenset())
    graphql = asgi("/graphql", copy_scope=False)(endpoint)
    return Litestar(
        route_handlers=[graphql, *health(ready)], lifespan=[running], openapi_config=None, logging_config=None
    )


def _warmed(text: str, old: Planning) -> Planning:
    """A new supergraph, with the documents planned that the old one knows: nobody waits for the change."""
    made = Planning(text)
    for document, name in old.documents():
        with contextlib.suppress(NotPlanned):
            made.prepare(document, name)
    return made


class _Remote:
    def __init__(self, name: str, url: str, client: httpx.AsyncClient) -> None:
        self._name, self._url, self._client = name, url, client

    async def fetch(self, request: SubgraphRequest, *, context: object) -> SubgraphResponse:
        try:
            response = await self._client.post(
                self._url, content=request.body, headers={"content-type": "application/json"}
            )
            answer = orjson.loads(response.content)
            return SubgraphResponse(data=answer.get("data"), errors=answer.get("errors") or [])
        except (httpx.HTTPError, orjson.JSONDecodeError, AttributeError) as away:
            raise SubgraphUnavailable(self._name) from away


def _transports(planning: Planning, client: httpx.AsyncClient) -> dict[str, _Remote]:
    return {name: _Remote(name, url, client) for name, url in planning.supergraph.subgraphs.items()}
