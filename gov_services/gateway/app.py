"""The gateway's composition root: keys, manifest, supergraph and transports become one ASGI application."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.federation.engine import Engine
from gov_services.federation.http1 import HttpClient
from gov_services.federation.planning import Planning
from gov_services.federation.transports import Transport
from gov_services.gateway.authenticate import Authenticator
from gov_services.gateway.authorization import FEATURES, Authorization
from gov_services.gateway.demand import Demands
from gov_services.gateway.documents import Documents
from gov_services.gateway.doors import open_doors
from gov_services.gateway.event_stream import Streams
from gov_services.gateway.labels import Labels, parse_labels
from gov_services.gateway.limits import Limits
from gov_services.gateway.live import Live
from gov_services.gateway.metrics import GatewayMetrics, MeasuredTransport
from gov_services.gateway.pipeline import Pipeline
from gov_services.gateway.rates import RateLimiter
from gov_services.gateway.refusals import RefusalSink
from gov_services.gateway.tracing import Traces, traces_to
from gov_services.gateway.transport import AssertionSigner, InProcessTransport, SubgraphHandle, remote_room
from gov_services.gateway.websocket import WebSocketEndpoint
from gov_services.kit.clock import Clock
from gov_services.kit.manifest import Manifest, ManifestRefused
from gov_services.kit.settings import Settings
from gov_services.kit.valkey import create_listener

SUPERGRAPH = "supergraph.graphql"
MakeTransport = Callable[[str, AssertionSigner, Traces], Transport]


@dataclass(frozen=True, slots=True)
class Gateway:
    """The front door, wired."""

    endpoint: Any
    """The ASGI application behind `/graphql`, for requests and for sockets."""
    sockets: WebSocketEndpoint
    streams: Streams
    live: Live
    """What listens for changes; to be started, and closed at the end."""
    engine: Engine
    documents: Documents
    supergraph: Path
    """The file it was read from."""
    pipeline: Pipeline
    metrics: GatewayMetrics
    traces: Traces

    async def trust(self, manifest: Manifest) -> None:
        """Serve by a newer manifest, and by the supergraph that it was made with, once all its plans are made.

        Raises ManifestRefused, SupergraphInvalid: then what was there serves on.
        """
        text = self.supergraph.read_text()
        if manifest.supergraph != hashlib.sha256(text.encode()).hexdigest():
            raise ManifestRefused("the manifest was made with another supergraph")

        def planned() -> tuple[Planning, Documents]:
            # Not on the planning that serves: this is another thread.
            planning = Planning(text, understood=FEATURES)
            return planning, self.documents.trust(manifest, planning)

        planning, newer = await asyncio.to_thread(planned)
        self.engine.replace(planning, transports={})
        self.documents.replace(newer)

    async def start(self) -> None:
        """Begin to listen for changes."""
        await self.live.start()

    async def close(self) -> None:
        """Listen no more, and send what spans wait."""
        await self.live.close()
        await asyncio.to_thread(self.traces.close)


def in_process(subgraphs: Mapping[str, SubgraphHandle]) -> MakeTransport:
    """Transports to subgraphs of this very process."""
    return lambda name, signer, _: InProcessTransport(name, subgraphs[name], signer)


def over_http(rooms: Mapping[str, str], client: HttpClient) -> MakeTransport:
    """Transports to subgraphs elsewhere; `rooms` holds their base addresses."""
    return lambda name, signer, traces: remote_room(name, f"{rooms[name]}/graphql", signer, client, traces)


@lru_cache(maxsize=1)  # gateways of one process plan on the same supergraph
def _planning(supergraph: str) -> Planning:
    return Planning(supergraph, understood=FEATURES)


def create_gateway(
    settings: Settings,
    *,
    manifest: Manifest,
    transports: MakeTransport,
    subgraphs: tuple[str, ...],
    refusals: RefusalSink,
    clock: Clock,
    valkey: Redis,
    limits: Limits | None = None,
    rate: RateLimiter | None = None,
    warm: bool = True,
    metrics: GatewayMetrics | None = None,
    traces: Traces | None = None,
) -> Gateway:
    """Wire the gateway over the committed supergraph and a verified `manifest`; with `warm` all its plans are made."""
    limits = limits or Limits()
    signer = AssertionSigner(SigningKey.load(settings.secrets_directory, "assertion"), clock)
    metrics = metrics or GatewayMetrics()
    traces = traces or traces_to(settings.traces_endpoint, ratio=settings.traces_ratio)
    engine = Engine(
        _planning((settings.graph_directory / SUPERGRAPH).read_text()),
        transports={
            name: MeasuredTransport(name, transports(name, signer, traces), metrics, traces) for name in subgraphs
        },
    )
    documents = Documents(
        manifest,
        engine.planning,
        limits=limits,
        allow_adhoc=settings.development,
        labels=Labels(parse_labels(settings.override_labels)),
    )
    if warm:
        documents.warm()
    pipeline = Pipeline(
        authenticator=Authenticator(
            VerifyKeys.load(settings.secrets_directory, "access-token"), issuer=settings.public_url
        ),
        documents=documents,
        limits=limits,
        demands=Demands(engine),
        authorization=Authorization(engine),
        rate=rate or RateLimiter(valkey),
        engine=engine,
        refusals=refusals,
        clock=clock,
        watch=metrics,
        traces=traces,
    )
    origins = frozenset(item.strip() for item in settings.cors_origins.split(",") if item.strip())
    live = Live(create_listener(settings.valkey_url))
    doors = open_doors(pipeline, live, limits=limits, metrics=metrics, origins=origins, any_page=settings.development)
    left = "Seconds until the signatures of the trusted documents end"
    metrics.show("gov_gateway_documents_left_s", left, lambda: documents.left_s(clock.now()))
    metrics.show("gov_gateway_listeners", "Subscriptions that wait for changes", lambda: live.listeners)
    return Gateway(
        doors.app,
        sockets=doors.sockets,
        streams=doors.requests.streams,
        live=live,
        engine=engine,
        documents=documents,
        supergraph=settings.graph_directory / SUPERGRAPH,
        pipeline=pipeline,
        metrics=metrics,
        traces=traces,
    )
