"""Spans of a request: one for it, one a stage, one a fetch. No span holds a token, a variable or a person's data.

A trace begins here: a caller's `traceparent` becomes a link, so that no stranger decides what is kept. Subgraphs over
HTTP are sent ours (W3C Trace Context). Without an endpoint no span is made, and what would send them not imported.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

SERVICE = "gov-services-gateway"
EXPORT_S = 2.0
"""How long an export may take; also how long the end of the process waits for the last one."""
WAITING_SPANS = 4_096
"""Spans that wait to be sent; what comes when so many wait is dropped, and the request never notices."""
Onward = tuple[tuple[bytes, bytes], ...]


class RequestTrace(Protocol):
    """The span of one request."""

    def end(self, *, document: str, kind: str, code: str, request_id: str) -> None:
        """It was answered. `document`: a registered name; `code`: the first error's, or OK."""
        ...


class FetchTrace(Protocol):
    """The span of one fetch."""

    def end(self, outcome: str) -> None:
        """The subgraph answered, or did not: `ok`, `errors`, `unavailable`, `cancelled`."""
        ...


class Traces(Protocol):
    """Where spans are made."""

    def request(self, headers: Mapping[str, str]) -> RequestTrace:
        """A request begins."""
        ...

    def stage(self, name: str) -> contextlib.AbstractContextManager[None]:
        """A stage of the request, for as long as the block lasts."""
        ...

    def fetch(self, subgraph: str, size: int) -> FetchTrace:
        """A fetch of `size` bytes begins."""
        ...

    def onward(self) -> Onward:
        """The header that tells a subgraph which span asks."""
        ...

    def close(self) -> None:
        """Send what waits, for a while."""
        ...


class _NoSpan:
    """No span, for a request and for a fetch."""

    def end(self, *_: object, **__: object) -> None:
        """Nothing."""


class NoTraces:
    """Makes no spans."""

    _span = _NoSpan()
    _stage = contextlib.nullcontext()

    def request(self, headers: Mapping[str, str]) -> RequestTrace:
        """See Traces."""
        return self._span

    def stage(self, name: str) -> contextlib.AbstractContextManager[None]:
        """See Traces."""
        return self._stage

    def fetch(self, subgraph: str, size: int) -> FetchTrace:
        """See Traces."""
        return self._span

    def onward(self) -> Onward:
        """See Traces."""
        return ()

    def close(self) -> None:
        """See Traces."""


class OpenTelemetry:
    """Makes spans by OpenTelemetry's SDK. See Traces."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE)
        self._context, self._trace = context, trace
        self._propagator = TraceContextTextMapPropagator()

    def request(self, headers: Mapping[str, str]) -> RequestTrace:
        """See Traces."""
        asked_by = self._trace.get_current_span(self._propagator.extract(headers, context=self._context.Context()))
        told = asked_by.get_span_context()
        span = self._tracer.start_span(
            "GraphQL",
            context=self._context.Context(),
            kind=self._trace.SpanKind.SERVER,
            links=[self._trace.Link(told)] if told.is_valid else [],
        )
        return _Request(self, span)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """See Traces."""
        with self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False):
            yield

    def fetch(self, subgraph: str, size: int) -> FetchTrace:
        """See Traces."""
        span = self._tracer.start_span(
            f"fetch {subgraph}",
            kind=self._trace.SpanKind.CLIENT,
            attributes={"subgraph.name": subgraph, "http.request.body.size": size},
        )
        return _Fetch(self, span)

    def onward(self) -> Onward:
        """See Traces."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return tuple((name.encode(), value.encode()) for name, value in carrier.items() if name == "traceparent")

    def close(self) -> None:
        """See Traces."""
        self._provider.shutdown()


class _Current:
    """A span, current in this task until it ends."""

    def __init__(self, traces: OpenTelemetry, span: Span) -> None:
        self._traces, self._span = traces, span
        self._token = traces._context.attach(traces._trace.set_span_in_context(span))

    def _end(self, *, failed: bool) -> None:
        self._traces._context.detach(self._token)
        if failed:
            self._span.set_status(self._traces._trace.StatusCode.ERROR)
        self._span.end()


class _Request(_Current):
    def end(self, *, document: str, kind: str, code: str, request_id: str) -> None:
        """See RequestTrace."""
        self._span.update_name(f"{kind} {document}".strip() or "GraphQL")
        self._span.set_attributes(
            {
                "graphql.operation.name": document,
                "graphql.operation.type": kind,
                "gov.request.id": request_id,
                "gov.outcome": code,
            }
        )
        # A refusal is no failure of ours: what failed is what we could not do.
        self._end(failed=code in _FAILURES)


class _Fetch(_Current):
    def end(self, outcome: str) -> None:
        """See FetchTrace."""
        self._span.set_attribute("gov.outcome", outcome)
        self._end(failed=outcome == "unavailable")


_FAILURES = frozenset(
    {"INTERNAL", "SERVICE_UNAVAILABLE", "AUDIT_UNAVAILABLE", "KEYS_UNAVAILABLE", "TIMED_OUT", "UNCODED"}
)


def traces_to(endpoint: str, *, ratio: float) -> Traces:
    """Spans of `ratio` of all requests, sent to `endpoint` (OTLP over HTTP) behind the requests; empty: none at all."""
    if not endpoint:
        return NoTraces()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(
        resource=Resource.create({"service.name": SERVICE}),
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_S)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=WAITING_SPANS, export_timeout_millis=EXPORT_S * 1_000)
    )
    return OpenTelemetry(provider)
