"""The engine alone, over subgraphs on real sockets: open, with tokens, reloaded, measured, ended."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from raw_servers import request_of, serving
from sockets import events_of
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gov_services.cli.listening import listen, served
from gov_services.crypto.jwk_sets import JwkSet, from_file
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.crypto.tokens import jwks, sign_token
from gov_services.gateway import standalone
from gov_services.gateway.issuers import IssuedTokens
from gov_services.gateway.metrics import metrics_app
from gov_services.gateway.standalone import Standalone, create_standalone_app
from gov_services.kit.errors import ServiceError
from gov_services.kit.reloading import Reloader

SUPERGRAPH = """
schema @link(url: "https://specs.apollo.dev/link/v1.0") @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION)
  { query: Query }
directive @link(url: String, as: String, for: String) repeatable on SCHEMA
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!) repeatable on OBJECT
enum join__Graph { STREETS @join__graph(name: "streets", url: "http://127.0.0.1:PORT/") }
type Query @join__type(graph: STREETS) { FIELD(n: Int): String }
"""


class Streets:
    """A subgraph that says how long it was asked to think."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.pause_s = 0.0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        while True:
            asked = json.loads(await request_of(reader))
            self.asked.set()
            await asyncio.sleep(self.pause_s)
            name = "lane" if "lane" in asked["query"] else "street"
            content = json.dumps({"data": {name: "Invented Street"}}).encode()
            if "broken:" in asked["query"]:
                content = b'{"errors":[{"message":"cable 7 is cut","path":["broken"]}],"data":{"broken":null}}'
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(content) + content)


@contextlib.asynccontextmanager
async def alone(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Streets, Standalone]]:
    streets = Streets()
    async with serving(streets) as (server, _):
        file = tmp_path / "supergraph.graphql"
        file.write_text(text_for(server.port))
        running = Standalone(supergraph=file, **options)
        listener, url = listen("127.0.0.1", 0)
        async with served(create_standalone_app(running), listener), httpx.AsyncClient(base_url=url) as http:
            yield http, streets, running


def text_for(port: int, field: str = "street") -> str:
    return SUPERGRAPH.replace("PORT", str(port)).replace("FIELD", field)


async def ask(http: httpx.AsyncClient, query: str, **headers: str) -> httpx.Response:
    return await http.post("/graphql", json={"query": query}, headers=headers)


async def test_open_it_takes_any_document_and_shows_its_schema(tmp_path: Path) -> None:
    async with alone(tmp_path) as (http, _, _):
        assert (await ask(http, "{ street }")).json() == {"data": {"street": "Invented Street"}}
        names = (await ask(http, "{ __schema { queryType { fields { name } } } }")).json()
        assert names["data"]["__schema"]["queryType"]["fields"] == [{"name": "street"}]
        assert "cable 7 is cut" in (await ask(http, "{ broken: street }")).text
        assert (await http.get("/healthz")).text == "ok\n"
        assert (await http.get("/readyz")).json() == {"supergraph": True}
        assert (await ask(http, "{ nothing }")).json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        assert (await http.post("/graphql", json={})).json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def token_of(key: SigningKey, subject: str = "bank") -> str:
    now = int(dt.datetime.now(dt.UTC).timestamp())
    claims = {"iss": "https://issuer.example", "aud": "city", "sub": subject, "iat": now, "exp": now + 60}
    return sign_token(key, claims, type="at+jwt")


async def test_with_a_key_set_it_asks_for_tokens_counts_and_masks(tmp_path: Path) -> None:
    key = SigningKey(Ed25519PrivateKey.generate(), "a")
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(jwks(VerifyKeys({"a": key.public_bytes}))))
    keys = JwkSet(from_file(file))
    await keys.load()
    tokens = IssuedTokens(keys, issuer="https://issuer.example", audience="city")
    async with alone(tmp_path, tokens=tokens, per_second=3) as (http, streets, running):
        refused = await ask(http, "{ street }")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert not streets.asked.is_set()
        bearer = f"Bearer {token_of(key)}"
        found = [await ask(http, "{ street }", authorization=bearer) for _ in range(4)]
        assert [answer.status_code for answer in found] == [200, 200, 200, 429]
        assert int(found[3].headers["retry-after"]) >= 1
        other = f"Bearer {token_of(key, 'other')}"
        broken = (await ask(http, "{ broken: street }", authorization=other)).json()
        assert broken["data"] == {"broken": None}
        assert broken["errors"][0]["extensions"]["code"] == ServiceError.code
        assert "cable" not in json.dumps(broken)
        text = running.metrics.text().decode()
        assert 'gov_gateway_request_seconds_count{code="UNAUTHENTICATED",document=""} 1.0' in text
        assert 'gov_gateway_request_seconds_count{code="RATE_LIMITED",document="adhoc"} 1.0' in text
        assert 'gov_gateway_fetch_seconds_count{outcome="ok",subgraph="streets"}' in text
        assert "gov_gateway_in_flight 0.0" in text
        assert "gov_gateway_plans 2.0" in text
        assert "bank" not in text


async def test_metrics_have_a_place_of_their_own(tmp_path: Path) -> None:
    async with alone(tmp_path) as (http, _, running):
        listener, url = listen("127.0.0.1", 0)
        async with served(metrics_app(running.metrics), listener, lifespan="off"), httpx.AsyncClient() as other:
            await ask(http, "{ street }")
            shown = await other.get(f"{url}/metrics")
            assert shown.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert 'gov_gateway_request_seconds_count{code="OK",document="adhoc"} 1.0' in shown.text
            assert (await other.get(f"{url}/")).status_code == 404
        assert (await http.get("/metrics")).status_code == 404


async def test_a_changed_supergraph_is_served_and_a_bad_one_is_not(tmp_path: Path) -> None:
    async with alone(tmp_path) as (http, _, running):
        port = running.supergraph.read_text().split("127.0.0.1:")[1].split("/")[0]
        await ask(http, "{ street }")
        running.supergraph.write_text("type Query {")
        await asyncio.sleep(1.2)
        assert (await ask(http, "{ street }")).json()["data"] == {"street": "Invented Street"}
        running.supergraph.write_text(text_for(int(port), field="lane"))
        deadline = time.monotonic() + 10
        while "errors" in (await ask(http, "{ lane }")).json():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert (await ask(http, "{ street }")).json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_a_file_is_loaded_once_for_each_change(tmp_path: Path) -> None:
    file, seen = tmp_path / "file", []

    async def load() -> None:
        seen.append(file.read_text())
        if seen[-1] == "bad":
            raise ValueError("not this one")

    file.write_text("first")
    reloader = Reloader(file, load=load)
    assert not await reloader.look()
    for text, is_taken in (("second", True), ("bad", False), ("third!", True)):
        file.write_text(text)
        assert await reloader.look() is is_taken
        assert not await reloader.look()
    file.unlink()
    assert not await reloader.look()
    assert seen == ["second", "bad", "third!"]


async def test_headers_are_bounded_whether_they_come_at_once_or_by_and_by(tmp_path: Path) -> None:
    async with alone(tmp_path) as (http, _, _):
        port = http.base_url.port
        for pieces in ([b"x" * 20_000 + b"\r\n\r\n"], [b"x" * 3_000] * 8):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.01)
                answer = await reader.read(100)
                assert answer.startswith(b"HTTP/1.1 400 ")
            writer.close()
        assert (await http.get("/healthz", headers={"x": "y" * 10_000})).status_code == 200


async def test_the_process_is_there_quickly_lets_a_request_finish_and_is_gone(tmp_path: Path) -> None:
    streets = Streets()
    async with serving(streets) as (server, _):
        file = tmp_path / "supergraph.graphql"
        file.write_text(text_for(server.port))
        listener, url = listen("127.0.0.1", 0)
        listener.close()
        run = "from gov_services.cli.main import main; main()"
        options = ("gateway", "--supergraph", str(file), "--port", url.rpartition(":")[2], "--unsafe-open")
        begun = time.monotonic()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", run, *options, env=environment)
        try:
            async with httpx.AsyncClient(base_url=url) as http:
                while True:
                    with contextlib.suppress(httpx.ConnectError):
                        await http.get("/healthz")
                        break
                    assert time.monotonic() < begun + 10, "two seconds where nothing else runs"
                    await asyncio.sleep(0.02)
                streets.pause_s = 0.3
                request = asyncio.create_task(ask(http, "{ street }"))
                await streets.asked.wait()
                told = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert (await request).json() == {"data": {"street": "Invented Street"}}
                assert await process.wait() == 0
                assert time.monotonic() < told + 5, "one second where nothing else runs"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--unsafe-open",), "only --supergraph"),
        (("--supergraph", "FILE"), "needs either"),
        (("--supergraph", "FILE", "--unsafe-open", "--jwks", "x"), "needs either"),
        (("--supergraph", "FILE", "--jwks", "x"), "needs --issuer and --audience"),
        (("--supergraph", "FILE", "--jwks", "nowhere", "--issuer", "a", "--audience", "b"), "FileNotFoundError"),
        (("--supergraph", "FILE", "--unsafe-open"), "the supergraph does not parse"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(
    options: tuple[str, ...], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gov_services.cli.failing import failing_in_one_line
    from gov_services.cli.main import cli

    file = tmp_path / "supergraph.graphql"
    file.write_text("type {")
    with pytest.raises(SystemExit) as ended, failing_in_one_line():
        cli(["gateway", "--port", "0", *(str(file) if item == "FILE" else item for item in options)])
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert problem in told
    assert len(told.splitlines()) == 1


async def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "OPEN_LIMITS", dataclasses.replace(standalone.OPEN_LIMITS, request_s=0.2))
    async with alone(tmp_path) as (http, streets, running):
        streets.pause_s = 5
        begun = time.monotonic()
        late = await ask(http, "{ street }", accept="application/graphql-response+json")
        assert (late.status_code, late.json()["errors"][0]["extensions"]["code"]) == (504, "TIMED_OUT")
        assert time.monotonic() - begun < 3
        assert 'outcome="cancelled"' in running.metrics.text().decode()
        streets.pause_s = 0
        assert (await ask(http, "{ street }")).json() == {"data": {"street": "Invented Street"}}


LIVE = SUPERGRAPH.replace("{ query: Query }", "{ query: Query subscription: Subscription }") + (
    "type Subscription @join__type(graph: STREETS) { closed: String }"
)


async def closing_streets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
    """A subgraph that tells of two streets which were closed."""
    await request_of(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    for name in (b"Invented Street", b"Made-up Lane"):
        writer.write(b'event: next\ndata: {"data":{"closed":"%b"}}\n\n' % name)
    writer.write(b"event: complete\ndata:\n\n")


async def test_events_of_a_subgraph_go_on_to_sockets_and_streams(tmp_path: Path) -> None:
    async with serving(closing_streets) as (server, _):
        file = tmp_path / "supergraph.graphql"
        file.write_text(LIVE.replace("PORT", str(server.port)).replace("FIELD", "street"))
        listener, url = listen("127.0.0.1", 0)
        async with served(create_standalone_app(Standalone(supergraph=file)), listener):
            document = {"query": "subscription { closed }"}
            async with (
                httpx.AsyncClient(base_url=url) as http,
                http.stream("POST", "/graphql", json=document, headers={"accept": "text/event-stream"}) as response,
            ):
                streamed = [data["data"] async for event, data in events_of(response) if event == "next"]
            address = url.replace("http", "ws", 1) + "/graphql"
            async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
                for message in ({"type": "connection_init"}, {"type": "subscribe", "id": "1", "payload": document}):
                    await socket.send(json.dumps(message))
                heard = [json.loads(await socket.recv()) for _ in range(4)]

    closed = [{"closed": "Invented Street"}, {"closed": "Made-up Lane"}]
    assert streamed == closed
    assert [message["type"] for message in heard] == ["connection_ack", "next", "next", "complete"]
    assert [message["payload"]["data"] for message in heard[1:3]] == closed
