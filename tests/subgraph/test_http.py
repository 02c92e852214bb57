"""A room on a port of its own lets in the gateway and the worker, each by what it signs, and nobody else."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import hashlib
import json
import os
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from town import Town, sample_number

from gov_services.crypto.delivery import GATEWAY, HEADER, WORKER, sign_delivery
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.crypto.tokens import sign_token
from gov_services.gateway.refusals import HttpRefusalSink, SinkUnavailable
from gov_services.identity.app import create_room as create_identity
from gov_services.kit.actor import ANONYMOUS, Actor
from gov_services.kit.assertion import TYPE, Assertion
from gov_services.kit.ids import new_id
from gov_services.kit.valkey import create_client
from gov_services.subgraph.composition import Room
from gov_services.subgraph.http import RoomDoor, create_room_app
from gov_services.subgraph.manifests import watch_manifest
from gov_services.subgraph.remote import RemoteRoom, RoomUnavailable
from gov_services.subgraph.worker import Worker

REGISTER = "mutation($input: RegisterInput!) { register(input: $input) { registered userErrors { code } } }"


def door_to(town: Town, room: Room[Any], valkey: Any = None) -> httpx.AsyncClient:
    """A client of a room's own application. Its life span is the town's."""
    door = RoomDoor(
        room,
        worker_keys=VerifyKeys.load(town.settings.secrets_directory, "worker"),
        gateway_keys=VerifyKeys.load(town.settings.secrets_directory, "assertion"),
        clock=town.clock,
        valkey=valkey or town.valkey,
    )
    transport = httpx.ASGITransport(app=create_room_app(door, partial(watch_manifest, town.settings, clock=town.clock)))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{room.name}.test")


@pytest.fixture
async def privacy(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    """The door of privacy."""
    async with door_to(town, town.rooms["privacy"]) as client:
        yield client


def delivery(town: Town, path: str, body: bytes = b"", **changed: Any) -> dict[str, str]:
    """The header that the worker sends, changed."""
    values: dict[str, Any] = {
        "key": town.signing_key("worker"),
        "sender": WORKER,
        "audience": "privacy",
        "path": path,
        "body": body,
        "now": town.clock.now(),
    }
    return {HEADER: sign_delivery(**{**values, **changed})}


async def test_the_worker_is_told_what_a_room_takes_and_runs_its_jobs(town: Town, privacy: httpx.AsyncClient) -> None:
    room = town.rooms["privacy"]
    told = await privacy.get("/work", headers=delivery(town, "/work"))

    assert told.json() == {
        "events": sorted(room.handlers),
        "jobs": {job.name: job.every_s for job in room.jobs.values()},
    }
    for name in room.jobs:
        done = await privacy.post(f"/jobs/{name}", headers=delivery(town, f"/jobs/{name}"))
        assert (done.status_code, done.json()) == (200, {"done": 0})
    unknown = await privacy.post("/jobs/none", headers=delivery(town, "/jobs/none"))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")


async def test_every_other_delivery_is_refused_alike_and_logged(town: Town, privacy: httpx.AsyncClient) -> None:
    stranger = SigningKey(Ed25519PrivateKey.generate(), town.signing_key("worker").key_id)
    attempts = {
        "none": {},
        "forged": delivery(town, "/work", key=stranger),
        "signed by the gateway": delivery(town, "/work", key=town.signing_key("assertion")),
        "sent by the gateway": delivery(town, "/work", sender=GATEWAY),
        "for another room": delivery(town, "/work", audience="identity"),
        "for another path": delivery(town, "/events"),
        "of other bytes": delivery(town, "/work", b"{}"),
        "expired": delivery(town, "/work", now=town.clock.now() - dt.timedelta(seconds=31)),
        "of tomorrow": delivery(town, "/work", now=town.clock.now() + dt.timedelta(days=1)),
        "an assertion": {HEADER: assertion_of(town, b"")},
    }
    for name, headers in attempts.items():
        response = await privacy.get("/work", headers=headers)
        assert (response.status_code, response.json()["code"]) == (403, "ASSERTION_REFUSED"), name
        assert response.json() == {
            "code": "ASSERTION_REFUSED",
            "message": "The request did not come through the gateway.",
        }

    entries = [entry for entry in await town.entries() if entry.code == "ASSERTION_REFUSED"]
    assert [(entry.entrance, entry.actor) for entry in entries] == [("route:/work", "anonymous")]


async def test_an_event_of_a_stranger_changes_nothing(town: Town, privacy: httpx.AsyncClient) -> None:
    await town.register()
    event = (await town.rows("SELECT * FROM events.outbox WHERE type = 'identity.citizen_registered'"))[0]
    subjects = await town.value("SELECT count(*) FROM privacy.subject")
    body = json.dumps({"v": "gov-event/1", "id": str(event["event_id"]), "type": event["type"]}).encode()

    for path in ("/events", "/jobs/findings", "/refusals"):
        refused = await privacy.post(path, content=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "ASSERTION_REFUSED")
    assert await town.value("SELECT count(*) FROM privacy.subject") == subjects


async def test_a_worker_brings_events_over_http_once_every_room_has_said_what_it_takes(town: Town) -> None:
    answers = {"privacy": False}

    async def through(request: httpx.Request) -> httpx.Response:
        if request.url.host == "privacy.test" and not answers["privacy"]:
            raise httpx.ConnectError("not yet")
        return await clients[request.url.host].send(
            httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        )

    clients = {f"{name}.test": door_to(town, room) for name, room in town.rooms.items()}
    async with httpx.AsyncClient(transport=httpx.MockTransport(through)) as client:
        key = town.signing_key("worker")
        rooms = [
            RemoteRoom(name, f"http://{name}.test", key=key, clock=town.clock, client=client) for name in town.rooms
        ]
        worker, stop = Worker(town.worker, rooms, town.clock), asyncio.Event()
        answer = await town.ask(
            "identity",
            REGISTER,
            {"input": {"name": "测试甲", "nationalId": sample_number(), "phone": "13900000001", "address": "一号"}},
            purpose="registration",
        )
        assert answer["data"]["register"]["registered"] is True
        working = asyncio.create_task(worker.run(stop))
        await asyncio.sleep(0.3)
        assert worker.started is False
        assert await town.value("SELECT count(*) FROM events.outbox WHERE delivered_at IS NOT NULL") == 0
        answers["privacy"] = True
        for _ in range(100):
            if await town.value("SELECT count(*) FROM privacy.subject"):
                break
            await asyncio.sleep(0.05)
        stop.set()
        await working
        assert worker.started is True
        assert await town.value("SELECT count(*) FROM privacy.subject") == 1
        assert await town.value("SELECT count(*) FROM events.outbox WHERE delivered_at IS NULL") == 0
        answers["privacy"] = False
        with pytest.raises(RoomUnavailable):
            await next(room for room in rooms if room.name == "privacy").receive(b"{}")


def assertion_of(town: Town, body: bytes, actor: Actor = ANONYMOUS) -> str:
    """As the gateway signs it, for an ad-hoc document under the purpose `registration`."""
    now = town.clock.now()
    assertion = Assertion(
        audience="identity",
        id=os.urandom(8).hex(),
        issued_at=now,
        expires_at=now + dt.timedelta(seconds=30),
        body_hash=hashlib.sha256(body).hexdigest(),
        document_id="adhoc",
        manifest_version=1,
        actor=actor,
        locale="en",
        request_id=str(new_id(now)),
        adhoc_purpose="registration",
    )
    return sign_token(town.signing_key("assertion"), assertion.claims(), type=TYPE)


async def test_an_assertion_is_good_at_one_replica_only_and_a_change_waits_for_valkey(town: Town) -> None:
    other = await create_identity(town.settings, clock=town.clock, valkey=town.valkey)
    await other.start()
    away = create_client("redis://127.0.0.1:9/0")
    values = {"name": "测试甲", "nationalId": sample_number(), "phone": "13900000001", "address": "示例市东区一号"}
    body = json.dumps({"query": REGISTER, "variables": {"input": values}}, separators=(",", ":")).encode()
    headers = {"gov-assertion": assertion_of(town, body), "content-type": "application/json"}
    async with (
        door_to(town, town.rooms["identity"]) as first,
        door_to(town, other) as second,
        door_to(town, other, away) as blind,
    ):
        waits = await blind.post("/graphql", content=body, headers=headers)
        assert (waits.status_code, waits.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert await town.value("SELECT count(*) FROM identity.citizen") == 0
        assert (await first.post("/graphql", content=body, headers=headers)).json()["data"]["register"]["registered"]
        for replica in (second, first):
            replayed = await replica.post("/graphql", content=body, headers=headers)
            assert (replayed.status_code, replayed.json()["code"]) == (403, "ASSERTION_REFUSED")
        read = json.dumps({"query": "{ __typename }", "variables": {}}, separators=(",", ":")).encode()
        headers = {"gov-assertion": assertion_of(town, read), "content-type": "application/json"}
        assert (await blind.post("/graphql", content=read, headers=headers)).json() == {"data": {"__typename": "Query"}}
    assert await town.value("SELECT count(*) FROM identity.citizen") == 1
    await other.close()
    await away.aclose()


async def test_a_gateway_elsewhere_has_its_refusals_logged(town: Town, privacy: httpx.AsyncClient) -> None:
    citizen = await town.register()
    sink = HttpRefusalSink(
        "privacy", "http://privacy.test", key=town.signing_key("assertion"), clock=town.clock, client=privacy
    )
    now = town.clock.now()

    await sink.refused(code="RATE_LIMITED", actor=citizen, document_id="0" * 64, request_id="r-1", now=now)

    (entry,) = [entry for entry in await town.entries() if entry.code == "RATE_LIMITED"]
    assert (entry.action, entry.request, entry.document, entry.at) == ("gateway.refused", "r-1", "0" * 64, now)
    assert entry.actor_tag is not None
    forged = SigningKey(Ed25519PrivateKey.generate(), "0001-forged00")
    sink = HttpRefusalSink("privacy", "http://privacy.test", key=forged, clock=town.clock, client=privacy)
    with pytest.raises(SinkUnavailable):
        await sink.refused(code="FORGED", actor=citizen, document_id=None, request_id="r-2", now=now)
    assert [entry for entry in await town.entries() if entry.code == "FORGED"] == []


async def test_health_says_what_is_away(town: Town, privacy: httpx.AsyncClient) -> None:
    assert (await privacy.get("/healthz")).text == "ok\n"
    assert (await privacy.get("/readyz")).json() == {"database": True, "keys": True, "valkey": True}
    away = create_client("redis://127.0.0.1:9/0")
    async with door_to(town, town.rooms["privacy"], away) as client:
        response = await client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"database": True, "keys": True, "valkey": False})
    await away.aclose()
    settings = dataclasses.replace(town.settings, database_url="postgresql://127.0.0.1:9/none")
    room = await create_identity(settings, clock=town.clock, valkey=town.valkey)
    async with door_to(town, room) as client:
        response = await client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"database": False, "keys": False, "valkey": True})
    await room.close()
