"""A subgraph is reached through the gateway or not at all. Every way around is one refusal, logged, nothing done."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from redis.asyncio import Redis
from town import Town, found_town, sample_number

from gov_services.crypto.signing import SigningKey
from gov_services.crypto.tokens import sign_token
from gov_services.federation.planning import Planning
from gov_services.kit.actor import ANONYMOUS, Actor
from gov_services.kit.assertion import ISSUER, TYPE, Assertion
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id
from gov_services.kit.manifest import Manifest
from gov_services.kit.settings import PROJECT_ROOT, Settings
from gov_services.subgraph.assertion import AssertionRefused, ReplayGuard

GRAPH = PROJECT_ROOT / "graphql"
MANIFEST = Manifest.parse((GRAPH / "trusted-documents.json").read_bytes())
ME = MANIFEST.named("citizen-app", "Me")
REGISTER = MANIFEST.named("citizen-app", "Register")


@pytest.fixture
async def town(settings: Settings, clock: FrozenClock, database: Database, valkey: Redis) -> AsyncIterator[Town]:
    """A town whose rooms trust the committed documents, and no ad-hoc ones."""
    settings = dataclasses.replace(settings, graph_directory=GRAPH)
    founded = await found_town(settings, clock=clock, database=database, valkey=valkey)
    yield founded
    await founded.close()


def fetch_of(document: Any, subgraph: str) -> str:
    """The text of the one fetch that a document's plan sends to a subgraph."""
    planning = Planning((GRAPH / "supergraph.graphql").read_text())
    prepared = planning.prepare(document.body, document.name)
    texts = [item.document for item in prepared.plan.fetches if item.subgraph == subgraph]
    (text,) = (text for text in texts if hashlib.sha256(text.encode()).hexdigest() in document.fetches[subgraph])
    return text


class Visitor:
    """Somebody at a subgraph's own door."""

    def __init__(self, town: Town, actor: Actor, text: str, variables: dict[str, Any]) -> None:
        self.town = town
        self.actor = actor
        self.body = json.dumps({"query": text, "variables": variables}).encode()
        self.document = ME

    def assertion(self, **changed: Any) -> Assertion:
        """A good assertion, changed."""
        now = self.town.clock.now()
        values: dict[str, Any] = {
            "audience": "identity",
            "id": os.urandom(8).hex(),
            "issued_at": now,
            "expires_at": now + dt.timedelta(seconds=30),
            "body_hash": hashlib.sha256(self.body).hexdigest(),
            "document_id": self.document.id,
            "manifest_version": MANIFEST.version,
            "actor": self.actor,
            "locale": "en",
            "request_id": str(new_id(now)),
        }
        return Assertion(**{**values, **changed})

    def sign(self, assertion: Assertion, *, key: SigningKey | None = None, type_: str = TYPE, **claims: Any) -> str:
        """As the gateway signs it."""
        signing = key or self.town.signing_key("assertion")
        return sign_token(signing, {**assertion.claims(), **claims}, type=type_)

    async def knock(self, token: str, *, body: bytes | None = None, bearer: str | None = "own") -> dict[str, Any]:
        """Ask identity."""
        access_token = self.town.bearer(self.actor) if bearer == "own" else bearer
        answer = await self.town.rooms["identity"].subgraph.handle(
            self.body if body is None else body, assertion=token, access_token=access_token, locale="en"
        )
        return dict(json.loads(answer))


@pytest.fixture
async def visitor(town: Town) -> Visitor:
    """A citizen with the fetch of their own data."""
    citizen = await town.register()
    return Visitor(town, citizen, fetch_of(ME, "identity"), {"withPhone": False})


def is_refused(answer: dict[str, Any]) -> bool:
    """Whether it is the one refusal, word for word."""
    return answer == {
        "data": None,
        "errors": [
            {
                "message": "The request did not come through the gateway.",
                "extensions": {"code": "ASSERTION_REFUSED"},
            }
        ],
    }


async def test_with_a_good_assertion_it_is_answered_once(visitor: Visitor) -> None:
    token = visitor.sign(visitor.assertion())

    first = await visitor.knock(token)
    again = await visitor.knock(token)

    assert first["data"]["me"]["name"] == "测试甲"
    assert is_refused(again)
    assert [entry.code for entry in await visitor.town.entries() if entry.outcome == "refused"] == ["ASSERTION_REFUSED"]


async def test_by_documents_whose_signatures_ended_the_room_answers_nothing_whoever_stands_before_it(
    visitor: Visitor,
) -> None:
    visitor.town.clock.advance(dt.timedelta(days=364))
    assert (await visitor.knock(visitor.sign(visitor.assertion())))["data"]["me"]["name"] == "测试甲"
    visitor.town.clock.advance(dt.timedelta(days=1))

    assert is_refused(await visitor.knock(visitor.sign(visitor.assertion())))


async def test_every_way_around_the_gateway_is_refused_alike(visitor: Visitor) -> None:
    town, good = visitor.town, visitor.assertion
    stranger = SigningKey(Ed25519PrivateKey.generate(), town.signing_key("assertion").key_id)
    other = town.citizen((await town.register(number=sample_number(sequence=101), phone="13900000002")).id)  # type: ignore[arg-type]
    now = town.clock.now()
    long = good(expires_at=now + dt.timedelta(seconds=31))
    refused = {
        "none": await visitor.knock(""),
        "garbage": await visitor.knock("a.b.c"),
        "an access token": await visitor.knock(town.bearer(visitor.actor) or ""),
        "for another subgraph": await visitor.knock(visitor.sign(good(audience="permits"))),
        "about another body": await visitor.knock(visitor.sign(good()), body=visitor.body.replace(b"false", b"true")),
        "about no body": await visitor.knock(visitor.sign(good()), body=b"no fetch"),
        "about a list": await visitor.knock(visitor.sign(good()), body=b"[]"),
        "of an unknown document": await visitor.knock(visitor.sign(good(document_id="0" * 64))),
        "of another document": await visitor.knock(visitor.sign(good(document_id=REGISTER.id))),
        "of another manifest": await visitor.knock(visitor.sign(good(manifest_version=MANIFEST.version + 1))),
        "ad hoc, without a purpose": await visitor.knock(visitor.sign(good(document_id="adhoc"))),
        "expired": await visitor.knock(
            visitor.sign(good(issued_at=now - dt.timedelta(seconds=60), expires_at=now - dt.timedelta(seconds=30)))
        ),
        "too long": await visitor.knock(visitor.sign(long)),
        "forged": await visitor.knock(visitor.sign(good(), key=stranger)),
        "of another type": await visitor.knock(visitor.sign(good(), type_="at+jwt")),
        "by another issuer": await visitor.knock(visitor.sign(good(), iss="somebody")),
        "malformed": await visitor.knock(visitor.sign(good(), act={"kind": "king"})),
        "for another actor": await visitor.knock(visitor.sign(good(actor=other))),
        "for an actor without their token": await visitor.knock(visitor.sign(good()), bearer=None),
        "for nobody with a token": await visitor.knock(visitor.sign(good(actor=ANONYMOUS))),
        "with a bad token": await visitor.knock(visitor.sign(good()), bearer="garbage"),
    }

    assert {name for name, answer in refused.items() if not is_refused(answer)} == set()
    assert ISSUER == "gov-gateway"
    entries = await town.entries()
    assert [entry for entry in entries if entry.kind in ("read", "use")] == []
    assert {entry.code for entry in entries if entry.outcome == "refused"} == {"ASSERTION_REFUSED"}


async def test_another_clients_document_is_refused_though_the_fetch_is_part_of_it(visitor: Visitor) -> None:
    at_the_counter = dataclasses.replace(visitor.actor, client_id="counter")
    visitor.actor = at_the_counter
    assert is_refused(await visitor.knock(visitor.sign(visitor.assertion())))


async def test_production_refuses_ad_hoc_documents(visitor: Visitor) -> None:
    verifier = visitor.town.rooms["identity"].subgraph._verifier
    verifier._allow_adhoc = False
    asked = visitor.assertion(document_id="adhoc", adhoc_purpose="own-account")
    assert is_refused(await visitor.knock(visitor.sign(asked)))


async def test_a_change_that_came_around_the_gateway_changes_nothing(town: Town) -> None:
    citizen = await town.register()
    before = await town.value("SELECT count(*) FROM identity.citizen")
    values = {
        "name": "测试乙",
        "nationalId": sample_number(sequence=102),
        "phone": "13900000009",
        "address": "东区二号",
    }
    visitor = Visitor(town, ANONYMOUS, fetch_of(REGISTER, "identity"), {"input": values})
    visitor.document = ME

    assert is_refused(await visitor.knock(visitor.sign(visitor.assertion())))
    assert await town.value("SELECT count(*) FROM identity.citizen") == before
    assert citizen.id is not None


def assertion_at(now: dt.datetime, identifier: str) -> Assertion:
    """Any assertion of that id."""
    return Assertion(
        audience="identity",
        id=identifier,
        issued_at=now,
        expires_at=now + dt.timedelta(seconds=30),
        body_hash="",
        document_id="",
        manifest_version=1,
        actor=ANONYMOUS,
        request_id="r",
    )


def test_the_guard_forgets_what_has_expired_and_refuses_when_it_is_full(clock: FrozenClock) -> None:
    guard = ReplayGuard(capacity=2)
    guard.claim(assertion_at(clock.now(), "a"), now=clock.now())
    clock.advance(dt.timedelta(seconds=20))
    guard.claim(assertion_at(clock.now(), "b"), now=clock.now())
    with pytest.raises(AssertionRefused):
        guard.claim(assertion_at(clock.now(), "c"), now=clock.now())
    clock.advance(dt.timedelta(seconds=15))
    guard.claim(assertion_at(clock.now(), "c"), now=clock.now())
    with pytest.raises(AssertionRefused):
        guard.claim(assertion_at(clock.now(), "b"), now=clock.now())
