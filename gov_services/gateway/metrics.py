"""What Prometheus reads of a gateway: counts and times by document, code and subgraph. No metric names a person.

Label values are bounded: registered documents' names, subgraphs' names, stable codes.
"""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gov_services.federation.transports import (
    Streams,
    SubgraphRequest,
    SubgraphResponse,
    SubgraphUnavailable,
    Transport,
)
from gov_services.gateway.tracing import Traces

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MOST_CHILDREN = 2_000
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class _Times:
    """A histogram of one choice of labels. Prometheus' own takes a lock and several calls each time; this runs in one
    thread, and ten times a request."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Bound → how many took so long or less."""
        bounds = [*(str(bound) for bound in SECONDS), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class GatewayMetrics:
    """The metrics of one gateway, in one process."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._requests: dict[tuple[str, str], _Times] = {}
        self._fetches: dict[tuple[str, str], _Times] = {}
        self._costs: dict[str, tuple[int, int]] = {}
        self._shown: list[tuple[str, str, Callable[[], float]]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self.show("gov_gateway_in_flight", "Requests being answered", lambda: self.in_flight)

    def show(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        self._shown.append((name, meaning, read))

    def begin(self) -> None:
        """A request came."""
        self.in_flight += 1

    def end(self, document: str, code: str, seconds: float) -> None:
        """It was answered."""
        self.in_flight -= 1
        found = self._requests.get((document, code))
        if found is None:
            if len(self._requests) >= MOST_CHILDREN:
                code = "OTHER"  # codes of foreign subgraphs: as many as they care to make up
            found = self._requests.setdefault((document, code), _Times())
        found.observe(seconds)

    def cost(self, document: str, *, estimated: int, measured: int) -> None:
        """An answer was measured; the sums of both, side by side, say how good the estimate is."""
        if document in self._costs or len(self._costs) < MOST_CHILDREN:
            before = self._costs.get(document, (0, 0))
            self._costs[document] = before[0] + estimated, before[1] + measured

    def fetched(self, subgraph: str, outcome: str, seconds: float) -> None:
        """A subgraph answered, or did not."""
        found = self._fetches.get((subgraph, outcome))
        if found is None:
            found = self._fetches[subgraph, outcome] = _Times()
        found.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """All of it, for Prometheus' library to write down."""
        for name, meaning, labels, times in (
            ("gov_gateway_request_seconds", "Requests and their time", ("document", "code"), self._requests),
            ("gov_gateway_fetch_seconds", "Fetches and their time", ("subgraph", "outcome"), self._fetches),
        ):
            family = HistogramMetricFamily(name, meaning, labels=labels)
            for values, item in times.items():
                family.add_metric(values, item.buckets(), item.sum_s)
            yield family
        for place, kind in enumerate(("estimated", "measured")):
            counter = CounterMetricFamily(
                f"gov_gateway_cost_{kind}", f"Cost of answers that were measured, as {kind}", labels=("document",)
            )
            for document, sums in self._costs.items():
                counter.add_metric((document,), sums[place])
            yield counter
        for name, meaning, read in self._shown:
            yield GaugeMetricFamily(name, meaning, value=read())

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)


class MeasuredTransport:
    """A transport whose fetches are counted, timed and traced."""

    def __init__(self, name: str, inner: Transport, metrics: GatewayMetrics, traces: Traces) -> None:
        self._name, self._inner, self._metrics, self._traces = name, inner, metrics, traces

    async def fetch(self, request: SubgraphRequest, *, context: object) -> SubgraphResponse:
        """See federation.transports.Transport."""
        begun, trace = time.perf_counter(), self._traces.fetch(self._name, len(request.body))
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
            trace.end(outcome)

    async def subscribe(self, request: SubgraphRequest, *, context: object) -> AsyncGenerator[SubgraphResponse]:
        """See federation.transports.Streams. Raises SubgraphUnavailable, also where the subgraph has no streams."""
        if not isinstance(self._inner, Streams):
            raise SubgraphUnavailable(self._name)
        async with contextlib.aclosing(self._inner.subscribe(request, context=context)) as told:
            async for response in told:
                yield response


def metrics_app(metrics: GatewayMetrics) -> Any:
    """An ASGI application that shows the metrics at `/metrics`, for a port of its own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found = scope["path"] == "/metrics" and scope["method"] == "GET"
        body = metrics.text() if found else b"not found\n"
        headers = [(b"content-type", TEXT.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
