"""A newer manifest is served by without a restart, an older or a bad one never; and nothing is refused meanwhile."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from front_door import FrontDoor, code_of
from redis.asyncio import Redis
from town import Town, found_town

from gov_services.cli import installation
from gov_services.federation.planning import Planning
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.manifest import Manifest, ManifestRefused
from gov_services.kit.settings import PROJECT_ROOT, Settings
from gov_services.subgraph.assertion import BEFORE_S
from gov_services.subgraph.manifests import MANIFEST, load_manifest, watch_manifest

OWN = "query Levels { me { assuranceLevel } }"


@pytest.fixture
async def movable(
    settings: Settings, clock: FrozenClock, database: Database, valkey: Redis, tmp_path: Path
) -> AsyncIterator[Town]:
    """A town whose documents can be changed."""
    graph = tmp_path / "graph"
    graph.mkdir()
    for name in (MANIFEST, "supergraph.graphql"):
        shutil.copy(PROJECT_ROOT / "graphql" / name, graph / name)
    settings = dataclasses.replace(settings, graph_directory=graph, public_url="http://city.test")
    founded = await found_town(settings, clock=clock, database=database, valkey=valkey)
    yield founded
    await founded.close()


@functools.cache
def fetch() -> str:
    """The hash of what the plan of the added document sends to identity."""
    planning = Planning((PROJECT_ROOT / "graphql" / "supergraph.graphql").read_text())
    return planning.prepare(OWN).plan.fetches[0].document_hash


def register(town: Town, *, version: int = 1, **changed: Any) -> Manifest:
    """Add a document of the citizen app's to the manifest, `version` above, sign it, and read it as a process would."""
    file = town.settings.graph_directory / MANIFEST
    raw = json.loads(file.read_text())
    me = next(item for item in raw["operations"] if item["name"] == "Me")
    added = {
        **me,
        "name": "Levels",
        "body": OWN,
        "id": hashlib.sha256(OWN.encode()).hexdigest(),
        "reads": [],
        "fetches": {"identity": [fetch()]},
    }
    raw["operations"] = [item for item in raw["operations"] if item["name"] != "Levels"] + [added]
    raw["manifestVersion"] += version
    file.write_text(json.dumps({**raw, **changed}))
    return installation.sign_manifest(town.settings, clock=town.clock)


def open_door(town: Town) -> FrontDoor:
    return FrontDoor(town, graph=town.settings.graph_directory, production=True)


async def test_a_newer_manifest_is_served_by_once_it_is_there(movable: Town) -> None:
    door = open_door(movable)

    async def trust(manifest: Manifest) -> None:
        for room in movable.rooms.values():
            room.subgraph.trust(manifest)
        await door.gateway.trust(manifest)

    watch = watch_manifest(movable.settings, trust, clock=movable.clock)
    citizen = await movable.register()
    body = {"documentId": hashlib.sha256(OWN.encode()).hexdigest()}
    before = await door.post(body, actor=citizen)

    register(movable)
    assert await watch.look()

    after = await door.post(body, actor=citizen)
    old = await door.ask("Me", {"withPhone": False}, actor=citizen)
    await door.http.aclose()
    assert code_of(before) == "PERSISTED_QUERY_NOT_FOUND"
    assert after.json() == {"data": {"me": {"assuranceLevel": 2}}}
    assert "errors" not in old.json()


async def test_rooms_and_gateway_may_see_it_one_after_the_other(movable: Town, clock: FrozenClock) -> None:
    door = open_door(movable)
    citizen = await movable.register()
    newer = register(movable)

    async def answers() -> bool:
        response = await door.ask("Me", {"withPhone": False}, actor=citizen)
        return "errors" not in response.json()

    assert await answers()
    for room in movable.rooms.values():
        room.subgraph.trust(newer)
        assert await answers()
    await door.gateway.trust(newer)
    assert await answers()
    await door.http.aclose()


async def test_the_manifest_before_serves_on_for_a_while_only(movable: Town, clock: FrozenClock) -> None:
    door = open_door(movable)
    citizen = await movable.register()
    movable.rooms["identity"].subgraph.trust(register(movable))
    clock.advance(dt.timedelta(seconds=BEFORE_S))

    response = await door.ask("Me", {"withPhone": False}, actor=citizen)

    await door.http.aclose()
    assert response.json()["errors"][0]["extensions"]["code"] == "ASSERTION_REFUSED"


async def test_an_older_manifest_and_another_of_the_same_version_are_refused(movable: Town) -> None:
    door = open_door(movable)
    first = load_manifest(movable.settings, now=movable.clock.now())
    same = register(movable, version=0)
    newer = register(movable)
    identity = movable.rooms["identity"].subgraph

    with pytest.raises(ManifestRefused, match="another manifest of version"):
        identity.trust(same)
    identity.trust(newer)
    identity.trust(newer)
    with pytest.raises(ManifestRefused, match="is older than"):
        identity.trust(first)
    await door.gateway.trust(newer)
    with pytest.raises(ManifestRefused, match="is older than"):
        await door.gateway.trust(first)
    await door.http.aclose()


async def test_what_was_made_with_another_supergraph_or_cannot_be_planned_is_refused(movable: Town) -> None:
    door = open_door(movable)
    citizen = await movable.register()

    with pytest.raises(ManifestRefused, match="another supergraph"):
        await door.gateway.trust(register(movable, supergraph="0" * 64))
    bad = register(movable, supergraph=door.manifest.supergraph)
    unknown = dataclasses.replace(next(iter(bad.documents.values())), body="query Me { nothing }", name="Me", id="x")
    with pytest.raises(ManifestRefused, match="cannot be answered"):
        await door.gateway.trust(dataclasses.replace(bad, documents={"x": unknown}))

    assert "errors" not in (await door.ask("Me", {"withPhone": False}, actor=citizen)).json()
    await door.http.aclose()


async def test_a_bad_signature_is_noticed_and_the_old_one_serves_on(movable: Town) -> None:
    seen: list[int] = []

    async def trust(manifest: Manifest) -> None:
        seen.append(manifest.version)

    watch = watch_manifest(movable.settings, trust, clock=movable.clock)
    file = movable.settings.graph_directory / MANIFEST
    file.write_text(file.read_text() + "\n")

    assert not await watch.look()
    newer = register(movable)
    assert await watch.look()
    assert seen == [newer.version]


async def test_after_its_end_nothing_is_served_by_it_until_it_is_signed_anew(movable: Town, clock: FrozenClock) -> None:
    door = open_door(movable)
    citizen = await movable.register()
    clock.advance(dt.timedelta(days=365))

    refused = await door.ask("Me", {"withPhone": False}, actor=citizen)
    anew = installation.sign_manifest(movable.settings, clock=clock)
    for room in movable.rooms.values():
        room.subgraph.trust(anew)
    await door.gateway.trust(anew)
    after = await door.ask("Me", {"withPhone": False}, actor=citizen)
    await door.http.aclose()

    assert [entry.code for entry in await movable.entries() if entry.outcome == "refused"] == ["DOCUMENTS_NOT_IN_FORCE"]
    assert (refused.status_code, code_of(refused)) == (503, "DOCUMENTS_NOT_IN_FORCE")
    assert "errors" not in after.json()
