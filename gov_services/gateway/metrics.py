"""What Prometheus reads of a gateway: counts and times by document, code and subgraph. No metric names a person.

Label values are bounded: registered documents' names, subgraphs' names, stable codes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from gov_services.federation.transports import SubgraphRequest, SubgraphResponse, SubgraphUnavailable, Transport

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MOST_CHILDREN = 2_000
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class GatewayMetrics:
    """The metrics of one gateway. Children are kept, as finding one by its labels costs more than counting."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "gov_gateway_request_seconds",
            "Requests and the time to an answer, by document and outcome",
            ("document", "code"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._fetches = Histogram(
            "gov_gateway_fetch_seconds",
            "Fetches and the time to an answer, by subgraph and outcome",
            ("subgraph", "outcome"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._in_flight = Gauge("gov_gateway_in_flight", "Requests being answered", registry=self.registry)
        self._known: dict[tuple[str, ...], Any] = {}

    def show(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(name, meaning, registry=self.registry).set_function(read)

    def begin(self) -> None:
        """A request came."""
        self._in_flight.inc()

    def end(self, document: str, code: str, seconds: float) -> None:
        """It was answered."""
        self._in_flight.dec()
        if (document, code) not in self._known and len(self._known) >= MOST_CHILDREN:
            code = "OTHER"  # codes of foreign subgraphs: as many as they care to make up
        known = self._known.get((document, code))
        if known is None:
            known = self._known[document, code] = self._requests.labels(document, code)
        known.observe(seconds)

    def fetched(self, subgraph: str, outcome: str, seconds: float) -> None:
        """A subgraph answered, or did not."""
        known = self._known.get(("fetch", subgraph, outcome))
        if known is None:
            known = self._known["fetch", subgraph, outcome] = self._fetches.labels(subgraph, outcome)
        known.observe(seconds)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)


class MeasuredTransport:
    """A transport whose fetches are counted and timed."""

    def __init__(self, name: str, inner: Transport, metrics: GatewayMetrics) -> None:
        self._name, self._inner, self._metrics = name, inner, metrics

    async def fetch(self, request: SubgraphRequest, *, context: object) -> SubgraphResponse:
        """See federation.transports.Transport."""
        begun = time.perf_counter()
        outcome = "cancelled"
        try:
            response = await self._inner.fetch(request, context=context)
            outcome = "errors" if response.errors else "ok"
            return response
        except SubgraphUnavailable:
            outcome = "unavailable"
            raise
        finally:
            self._metrics.fetched(self._name, outcome, time.perf_counter() - begun)


def metrics_app(metrics: GatewayMetrics) -> Any:
    """An ASGI application that shows the metrics at `/metrics`, for a port of its own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found = scope["path"] == "/metrics" and scope["method"] == "GET"
        body = metrics.text() if found else b"not found\n"
        headers = [(b"content-type", TEXT.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
