"""What the tests of payments share: the room on a real database, the sandbox channel, both wires joined in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from payment_city import CHANNEL_URL, CITY_URL, City
from redis.asyncio import Redis

from gov_services.cli import installation
from gov_services.consent import bundles
from gov_services.consent.purpose_files import load_seed
from gov_services.crypto.signing import SigningKey
from gov_services.devstack.payment_channel_http import PaymentChannel
from gov_services.devstack.payment_channel_keys import ChannelKeys, load_channel_keys, make_keys
from gov_services.devstack.processes import hold
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.manifest import FORMAT, Manifest
from gov_services.kit.settings import PROJECT_ROOT, Settings
from gov_services.payments.app import MERCHANT_DIRECTORY, create_room

ENTITIES = """query Fees($representations: [_Any!]!) {
  _entities(representations: $representations) { ... on Bill { id title amount { amount } state payer { id } dueAt } }
}"""
UNMATCHED = """query Unmatched($first: Int! = 20, $after: String) { unmatchedReceipts(first: $first, after: $after) {
  edges { cursor node { id billId reason receivedAt } } pageInfo { hasNextPage endCursor } }
}"""
DOCUMENTS = (
    *(("citizen-app", name) for name in ("PayBill", "MyBill", "MyBills")),
    *(("counter", name) for name in ("ReviewBill", "RequestRefund", "ApproveRefund", "RejectRefund")),
)


@pytest.fixture
def channel_keys(secrets_directory: Path, clock: FrozenClock) -> ChannelKeys:
    """The channel's keys; the merchant's lie where the room looks for them."""
    lock = hold(secrets_directory / "payment-channel.lock")
    try:
        sandbox = secrets_directory / "payment-channel-sandbox"
        make_keys(channel=sandbox, merchant=secrets_directory / MERCHANT_DIRECTORY, now=clock.now())
    finally:
        os.close(lock)
    return load_channel_keys(sandbox)


@pytest.fixture
def city_settings(settings: Settings, clock: FrozenClock, tmp_path: Path) -> Settings:
    """Settings with a manifest of this room's documents, signed."""
    for name in ("runtime", "graph"):
        (tmp_path / name).mkdir(exist_ok=True)
    made = dataclasses.replace(
        settings,
        graph_directory=tmp_path / "graph",
        runtime_directory=tmp_path / "runtime",
        payment_channel_url=CHANNEL_URL,
        public_url=CITY_URL,
        pool_size=4,
    )
    operations = [_operation(*document) for document in DOCUMENTS]
    operations.append(_item("Fees", "query", ENTITIES, "citizen-app", "bill-payment"))
    operations.append(_item("Unmatched", "query", UNMATCHED, "counter", "bill-refund"))
    content = json.dumps(
        {"format": FORMAT, "version": 1, "manifestVersion": 1, "supergraph": "0" * 64, "operations": operations}
    ).encode()
    (made.graph_directory / "trusted-documents.json").write_bytes(content)
    installation.sign_manifest(made, clock=clock)
    return made


@pytest.fixture
async def city(
    city_settings: Settings, channel_keys: ChannelKeys, clock: FrozenClock, valkey: Redis, database: Database
) -> AsyncIterator[City]:
    """The room, running."""
    hooks: list[Litestar] = []

    async def hook(scope: Any, receive: Any, send: Any) -> None:
        await hooks[0](scope, receive, send)

    to_hook = httpx.ASGITransport(hook)
    channel = PaymentChannel(channel_keys, clock=clock, transport=to_hook)
    seed = load_seed((PROJECT_ROOT / "gov_services" / "consent" / "purposes.toml").read_text())
    async with database.writing() as session:
        key = SigningKey.load(city_settings.secrets_directory, "bundle")
        await bundles.publish(
            session, seed, key=key, proposed_by="seed", approved_by="seed", note="seed", now=clock.now()
        )
    to_channel = httpx.ASGITransport(channel)
    room = await create_room(city_settings, clock=clock, valkey=valkey, transport=to_channel)
    hooks.append(Litestar([route.handler for route in room.routes], openapi_config=None))
    await room.start()
    manifest = Manifest.parse((city_settings.graph_directory / "trusted-documents.json").read_bytes())
    async with (
        httpx.AsyncClient(transport=to_channel, base_url=CHANNEL_URL) as wire,
        httpx.AsyncClient(transport=to_hook, base_url=CITY_URL) as hook_client,
    ):
        yield City(room, channel, clock, database, city_settings, manifest, channel_keys, wire=wire, hook=hook_client)
    await channel.close()
    await room.close()


def _operation(client: str, name: str) -> dict[str, Any]:
    source = (PROJECT_ROOT / "graphql" / "operations" / client / f"{name}.graphql").read_text()
    found = re.search(r'@purpose\(code: "([a-z-]+)"\) ?', source)
    assert found is not None
    return _item(name, source.split()[0], source.replace(found[0], "", 1), client, found[1])


def _item(name: str, kind: str, body: str, client: str, purpose: str) -> dict[str, Any]:
    digest = hashlib.sha256(body.encode()).hexdigest()
    return {
        "id": digest,
        "name": name,
        "type": kind,
        "body": body,
        "clients": [client],
        "purpose": purpose,
        "signIn": "required",
        "reads": [],
        "collects": [],
        "personalVariables": False,
        "fetches": {"payments": [digest]},
    }
