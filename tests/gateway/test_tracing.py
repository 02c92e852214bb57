"""Spans of the city's gateway: which there are, what is never in one, and that nobody waits for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest
from front_door import FrontDoor, code_of
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from raw_servers import request_of, serving
from town import Town

from gov_services.gateway.standalone import Standalone
from gov_services.gateway.tracing import NoTraces, OpenTelemetry, traces_to
from gov_services.kit.settings import PROJECT_ROOT, SettingsRefused, load_settings

STRANGERS_TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{STRANGERS_TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def traced(graph_town: Town, exported: InMemorySpanExporter) -> AsyncIterator[FrontDoor]:
    """A front door whose spans are kept."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    door = FrontDoor(graph_town, traces=OpenTelemetry(provider))
    yield door
    await door.http.aclose()


def tree(spans: tuple[ReadableSpan, ...]) -> dict[str, list[str]]:
    """Name of each span → names of those below it, in the order they began."""
    names = {span.context.span_id: span.name for span in spans}
    below: dict[str, list[str]] = {}
    for span in sorted(spans, key=lambda item: item.start_time or 0):
        above = names[span.parent.span_id] if span.parent else ""
        below.setdefault(above, []).append(span.name)
    return below


async def test_a_request_is_a_span_with_its_stages_and_fetches(
    traced: FrontDoor, graph_town: Town, exported: InMemorySpanExporter
) -> None:
    citizen = await graph_town.register()

    response = await traced.ask("Me", {"withPhone": True}, actor=citizen)

    spans = exported.get_finished_spans()
    assert tree(spans) == {
        "": ["query Me"],
        "query Me": ["authenticate", "document", "limits", "execute"],
        "execute": ["fetch identity"],
    }
    request = next(span for span in spans if span.parent is None)
    assert request.attributes == {
        "graphql.operation.name": "Me",
        "graphql.operation.type": "query",
        "gov.request.id": response.headers["gov-request-id"],
        "gov.outcome": "OK",
    }
    (fetch,) = [span for span in spans if span.name == "fetch identity"]
    assert fetch.attributes is not None
    assert (fetch.attributes["subgraph.name"], fetch.attributes["gov.outcome"]) == ("identity", "ok")


async def test_a_refusal_says_its_code_and_is_no_failure(traced: FrontDoor, exported: InMemorySpanExporter) -> None:
    response = await traced.ask("Me", {"withPhone": True})

    request = exported.get_finished_spans()[-1]
    assert code_of(response) == "UNAUTHENTICATED"
    assert request.attributes is not None
    assert request.attributes["gov.outcome"] == "UNAUTHENTICATED"
    assert request.status.is_ok


async def test_a_request_that_is_cancelled_is_counted_out_and_its_span_ends(
    traced: FrontDoor, graph_town: Town, exported: InMemorySpanExporter
) -> None:
    citizen = await graph_town.register()
    metrics = traced.gateway.metrics
    request = asyncio.create_task(traced.ask("Me", {"withPhone": True}, actor=citizen))
    while metrics.in_flight == 0:  # noqa: ASYNC110  nothing tells when
        await asyncio.sleep(0)

    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    assert metrics.in_flight == 0
    (span,) = [span for span in exported.get_finished_spans() if span.parent is None]
    assert span.attributes is not None
    assert span.attributes["gov.outcome"] == "CANCELLED"
    assert 'code="CANCELLED"' in metrics.text().decode()


async def test_no_span_holds_a_token_a_variable_or_a_value(
    traced: FrontDoor, graph_town: Town, exported: InMemorySpanExporter
) -> None:
    citizen = await graph_town.register()
    answer = await traced.ask("Me", {"withPhone": True}, actor=citizen, traceparent=TRACEPARENT)
    values = {"input": {"phone": "13900000999"}}
    await traced.ask("RequestSignInCode", values)
    await traced.ask("Me", {"withPhone": "13900000888"}, actor=citizen)

    told = "\n".join(span.to_json() for span in exported.get_finished_spans())
    me = answer.json()["data"]["me"]
    for secret in (str(citizen.id), me["name"], me["nationalId"], "13900000999", "13900000888", "eyJ", "Bearer"):
        assert secret not in told
    assert "mutation RequestSignInCode" in told


async def test_a_strangers_trace_is_a_link_and_decides_nothing(
    traced: FrontDoor, exported: InMemorySpanExporter
) -> None:
    await traced.ask("Services", traceparent=TRACEPARENT)

    (request,) = [span for span in exported.get_finished_spans() if span.parent is None]
    assert f"{request.context.trace_id:032x}" != STRANGERS_TRACE
    assert [f"{link.context.trace_id:032x}" for link in request.links] == [STRANGERS_TRACE]


async def test_spans_go_on_to_subgraphs_as_traceparent(exported: InMemorySpanExporter) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    traces = OpenTelemetry(provider)
    request = traces.request({})
    fetch = traces.fetch("streets", 12)
    ((name, value),) = traces.onward()
    fetch.end("ok")
    request.end(document="d", kind="query", code="OK", request_id="1")

    (span,) = [item for item in exported.get_finished_spans() if item.name == "fetch streets"]
    assert name == b"traceparent"
    assert value.startswith(f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-".encode())
    assert traces.onward() == ()


async def test_who_takes_spans_and_does_not_answer_holds_nobody_up(graph_town: Town) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await request_of(reader)
        await asyncio.sleep(30)

    async with serving(silent) as (server, _):
        traces = traces_to(f"http://127.0.0.1:{server.port}", ratio=1.0)
        door = FrontDoor(graph_town, traces=traces)
        began = time.monotonic()
        for _ in range(20):
            assert (await door.ask("Services")).status_code == 200
        assert time.monotonic() - began < 2
        await door.http.aclose()
        began = time.monotonic()
        await asyncio.to_thread(traces.close)
        assert time.monotonic() - began < 4


async def test_spans_are_sent_as_otlp(graph_town: Town) -> None:
    sent: list[bytes] = []

    async def collector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        while True:
            sent.append(await request_of(reader))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")

    async with serving(collector) as (server, _):
        traces = traces_to(f"http://127.0.0.1:{server.port}/", ratio=1.0)
        door = FrontDoor(graph_town, traces=traces)
        await door.ask("Services")
        await door.http.aclose()
        await asyncio.to_thread(traces.close)

    assert b"query Services" in b"".join(sent)
    assert b"gov-services-gateway" in b"".join(sent)


def test_without_an_endpoint_what_sends_spans_is_not_even_imported() -> None:
    assert isinstance(traces_to("", ratio=1.0), NoTraces)
    code = (
        "import sys; import gov_services.gateway.standalone, gov_services.cli.gateway;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.exporter', 'requests'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert isinstance(Standalone(supergraph=PROJECT_ROOT).traces, NoTraces)


@pytest.mark.parametrize(("ratio", "problem"), [("2", "a number from 0 to 1"), ("much", "it is a number")])
def test_a_ratio_that_is_none_is_refused(ratio: str, problem: str) -> None:
    with pytest.raises(SettingsRefused, match=problem):
        load_settings({"GOV_TRACES_RATIO": ratio})
