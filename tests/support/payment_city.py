"""Payments for tests: the room on a real database, the sandbox channel, both wires joined in memory."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from gov_services.crypto.data_keys import DataKeys
from gov_services.crypto.keys import DataClass, LocalKeyProvider
from gov_services.crypto.signing import SigningKey
from gov_services.crypto.tokens import sign_token
from gov_services.devstack.payment_channel_http import PaymentChannel
from gov_services.devstack.payment_channel_keys import ChannelKeys
from gov_services.kit import access_token
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind
from gov_services.kit.assertion import LIFETIME_S, TYPE, Assertion
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id
from gov_services.kit.manifest import Manifest
from gov_services.kit.settings import Settings
from gov_services.payments.ports import PaymentsPorts
from gov_services.subgraph.composition import Room
from gov_services.subgraph.events import Event

CHANNEL_URL = "http://channel.test"
CITY_URL = "http://city.test"


@dataclass
class City:
    """The room of payments with what it needs around it."""

    room: Room[PaymentsPorts]
    channel: PaymentChannel
    clock: FrozenClock
    database: Database
    settings: Settings
    manifest: Manifest
    keys: ChannelKeys
    wire: httpx.AsyncClient
    """To the channel, as the payer's phone has it."""
    hook: httpx.AsyncClient
    """To the webhook, as the channel has it."""

    async def register(self) -> UUID:
        """A new citizen, with keys of every class."""
        citizen_id = new_id(self.clock.now())
        keys = DataKeys(LocalKeyProvider(self.settings.secrets_directory, frozenset(DataClass)))
        async with self.database.writing() as session:
            await keys.create(session, citizen_id=citizen_id, classes=DataClass, now=self.clock.now())
        return citizen_id

    async def assess(self, citizen_id: UUID, *, amount_fen: int = 5000, title: str = "Registration fee") -> UUID:
        """A fee assessed by permits; the id of the bill that comes of it."""
        bill_id = new_id(self.clock.now())
        body = {
            "bill_id": str(bill_id),
            "application_id": str(new_id(self.clock.now())),
            "titles": {"zh-CN": "个体工商户登记费", "en": title},
            "amount_fen": amount_fen,
        }
        await self.tell("permits.fee_assessed", citizen_id, body)
        return bill_id

    async def tell(self, kind: str, citizen_id: UUID | None, body: dict[str, Any]) -> bool:
        """Deliver an event to the room."""
        now = self.clock.now()
        event = Event(
            id=new_id(now), source=kind.partition(".")[0], type=kind, citizen_id=citizen_id, body=body, published_at=now
        )
        return await self.room.receive(event.encode())

    async def ask(self, actor: Actor, name: str, variables: dict[str, Any], *, reason: str | None = None) -> Any:
        """Run a registered document as `actor`; the whole answer."""
        now = self.clock.now()
        document = next(item for item in self.manifest.documents.values() if item.name == name)
        body = json.dumps({"query": document.body, "variables": variables}).encode()
        bearer = None
        if actor is not ANONYMOUS:
            claims = access_token.claims_of(actor, issuer=CITY_URL, token_id=os.urandom(8).hex(), issued_at=now)
            key = SigningKey.load(self.settings.secrets_directory, "access-token")
            bearer = sign_token(key, claims, type=access_token.TYPE)
        assertion = Assertion(
            audience="payments",
            id=os.urandom(8).hex(),
            issued_at=now,
            expires_at=now + dt.timedelta(seconds=LIFETIME_S),
            body_hash=hashlib.sha256(body).hexdigest(),
            document_id=document.id,
            manifest_version=self.manifest.version,
            actor=actor,
            reason=reason,
            locale="en",
            request_id=str(new_id(now)),
        )
        key = SigningKey.load(self.settings.secrets_directory, "assertion")
        token = sign_token(key, assertion.claims(), type=TYPE)
        return json.loads(await self.room.subgraph.handle(body, assertion=token, access_token=bearer))

    async def pay_bill(self, actor: Actor, bill_id: UUID | str, key: str = "key-1") -> Any:
        """The payload of payBill; the whole answer where there is none."""
        answer = await self.ask(actor, "PayBill", {"input": {"billId": str(bill_id), "idempotencyKey": key}})
        return answer["data"]["payBill"] if answer["data"] and answer["data"]["payBill"] else answer

    async def scan(self, code_url: str, **options: Any) -> dict[str, Any]:
        """What the payer's phone does; returns when the channel's notifications have been taken."""
        answer = await self.wire.post("/sandbox/pay", json={"codeUrl": code_url, **options})
        assert answer.status_code == 200, answer.text
        given: dict[str, Any] = answer.json()
        return given

    async def rows(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of the database, as its owner sees them."""
        async with self.database.reading() as session:
            return [dict(row) for row in (await session.execute(text(statement), parameters)).mappings()]

    async def value(self, statement: str, **parameters: Any) -> Any:
        """The one value of the one row."""
        (row,) = await self.rows(statement, **parameters)
        (only,) = row.values()
        return only

    async def balances(self) -> dict[str, int]:
        """The books."""
        rows = await self.rows("SELECT account, sum(amount_fen)::bigint AS fen FROM payments.ledger_entry GROUP BY 1")
        return {row["account"]: row["fen"] for row in rows if row["fen"]}

    async def refusals(self) -> list[tuple[str, str | None]]:
        """(code, object) of every refusal in the log."""
        rows = await self.rows("SELECT code, object FROM audit.described WHERE outcome = 'refused' ORDER BY seq")
        return [(row["code"], row["object"]) for row in rows]

    async def changes(self) -> list[str]:
        """Actions of the changes that were recorded, in order."""
        rows = await self.rows(
            "SELECT convert_from(body, 'UTF8')::jsonb ->> 'action' AS a FROM audit.pending ORDER BY placed_at"
        )
        return [row["a"] for row in rows]

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        """(type, body) of every event in the outbox that is for a room."""
        rows = await self.rows("SELECT type, body FROM events.outbox WHERE type <> 'announced' ORDER BY event_id")
        return [(row["type"], json.loads(row["body"])) for row in rows]


def citizen(citizen_id: UUID) -> Actor:
    """A signed-in citizen."""
    return Actor(ActorKind.CITIZEN, id=citizen_id, client_id="citizen-app", assurance=2)


def officer(number: int = 1, *roles: str) -> Actor:
    """A finance officer, or a member of staff with other roles."""
    identifier = UUID(int=(7 << 76) | (2 << 62) | number)
    return Actor(ActorKind.STAFF, id=identifier, client_id="counter", roles=frozenset(roles or ("finance-officer",)))
