"""A town for tests: rooms on a real database, asked through the one verifier as the gateway asks them."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from redis.asyncio import Redis
from sqlalchemy import text

from gov_services.audit.describe import Describer
from gov_services.audit.entry import Entry
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.map_subjects import Mapper
from gov_services.cli import installation
from gov_services.consent.attestations import Claim, attest
from gov_services.crypto.keys import DataClass
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.crypto.tokens import sign_token
from gov_services.devstack.providers import create_providers
from gov_services.healthcode.app import create_room as create_healthcode
from gov_services.identity.app import create_room as create_identity
from gov_services.identity.resident_number import check_character
from gov_services.identity.service.accounts import MATCHED
from gov_services.kit import access_token
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind
from gov_services.kit.assertion import LIFETIME_S, TYPE, Assertion
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id
from gov_services.kit.manifest import FORMAT, TrustedDocument
from gov_services.kit.rates import RequestRate
from gov_services.kit.settings import Settings
from gov_services.permits.app import create_room as create_permits
from gov_services.privacy.app import create_room as create_privacy
from gov_services.subgraph.announcing import ANNOUNCED, Announcer
from gov_services.subgraph.composition import Room
from gov_services.subgraph.manifests import MANIFEST
from gov_services.subgraph.relay import Relay

CITY_URL = "http://city.test"
REQUEST_CODE = "mutation($input: RequestSignInCodeInput!) { requestSignInCode(input: $input) { sent } }"
SIGN_IN = """mutation($input: SignInInput!) {
  signIn(input: $input) { session { accessToken refreshToken } userErrors { code } } }"""


def sample_number(*, born: str = "19900307", sequence: int = 100) -> str:
    """A plainly invented resident number with a right check character; region 999999 does not exist."""
    first = f"999999{born}{sequence:03d}"
    return first + check_character(first)


@dataclass
class Parties:
    """Relying parties at their webhooks: what they were sent, and what they answer."""

    sent: list[httpx.Request] = field(default_factory=list)
    status: int = 204

    def receive(self, request: httpx.Request) -> httpx.Response:
        """One message."""
        self.sent.append(request)
        return httpx.Response(self.status)


@dataclass
class Town:
    """Rooms in this process, and what tests do with them."""

    settings: Settings
    clock: FrozenClock
    database: Database
    valkey: Redis
    rooms: dict[str, Room[Any]]
    providers: httpx.AsyncClient
    relay: Relay
    worker: Database
    staff_ids: dict[str, UUID] = field(default_factory=dict)
    parties: Parties = field(default_factory=Parties)

    async def ask(
        self,
        room: str,
        document: str,
        variables: dict[str, Any] | None = None,
        *,
        purpose: str,
        actor: Actor = ANONYMOUS,
        case: UUID | None = None,
        reason: str | None = None,
        locale: str = "en",
        registered: bool = False,
        request_id: str | None = None,
    ) -> dict[str, Any]:
        """Ask a subgraph under `purpose`, ad hoc or by a document that is `registered`; the whole answer."""
        now = self.clock.now()
        document_id = self.hold_document(room, document, purpose, actor.client_id) if registered else "adhoc"
        body = json.dumps({"query": document, "variables": variables or {}}).encode()
        assertion = Assertion(
            audience=room,
            id=os.urandom(8).hex(),
            issued_at=now,
            expires_at=now + dt.timedelta(seconds=LIFETIME_S),
            body_hash=hashlib.sha256(body).hexdigest(),
            document_id=document_id,
            manifest_version=1,
            actor=actor,
            case_id=case,
            reason=reason,
            locale=locale,
            request_id=request_id or str(new_id(now)),
            adhoc_purpose=None if registered else purpose,
        )
        token = sign_token(self.signing_key("assertion"), assertion.claims(), type=TYPE)
        answer = await self.rooms[room].subgraph.handle(body, assertion=token, access_token=self.bearer(actor))
        found: dict[str, Any] = json.loads(answer)
        return found

    def hold_document(self, room: str, document: str, purpose: str, client: str) -> str:
        """Have a room hold a document as the build would have left it; its id."""
        verifier = self.rooms[room].subgraph._verifier
        digest = hashlib.sha256(document.encode()).hexdigest()
        trusted = TrustedDocument(
            id=digest,
            name="Registered",
            kind="mutation" if document.startswith("mutation") else "query",
            body=document,
            clients=frozenset({client}),
            purpose=purpose,
            sign_in="required",
            reads=frozenset(),
            collects=frozenset(),
            personal_variables=False,
            fetches={room: frozenset({digest})},
        )
        held = verifier.manifest
        verifier.manifest = dataclasses.replace(held, documents={**held.documents, digest: trusted})
        return digest

    def signing_key(self, name: str) -> SigningKey:
        """A signing key of the installation."""
        return SigningKey.load(self.settings.secrets_directory, name)

    def bearer(self, actor: Actor) -> str | None:
        """An access token that says `actor`."""
        if actor.kind is ActorKind.ANONYMOUS:
            return None
        claims = access_token.claims_of(
            actor, issuer=self.settings.public_url, token_id=os.urandom(8).hex(), issued_at=self.clock.now()
        )
        return sign_token(self.signing_key("access-token"), claims, type=access_token.TYPE)

    async def register(
        self,
        *,
        name: str = "测试甲",
        number: str | None = None,
        phone: str = "13900000001",
        address: str = "示例市东区一号",
        assurance: int = 3,
    ) -> Actor:
        """A registered citizen, as an actor at that assurance level. A second passes, so that ids tell the newest."""
        self.clock.advance(dt.timedelta(seconds=1))
        answer = await self.ask(
            "identity",
            "mutation($input: RegisterInput!) { register(input: $input) { registered userErrors { code } } }",
            {"input": {"name": name, "nationalId": number or sample_number(), "phone": phone, "address": address}},
            purpose="registration",
        )
        assert answer == {"data": {"register": {"registered": True, "userErrors": []}}}, answer
        citizen_id = await self.value("SELECT citizen_id FROM identity.citizen ORDER BY 1 DESC LIMIT 1")
        await self.settle()
        if assurance >= MATCHED:
            await self.verified_as(citizen_id, name)
        return self.citizen(citizen_id, assurance=assurance)

    async def verified_as(self, citizen_id: UUID, name: str) -> None:
        """What identity states of a citizen whom the population register knows by that name."""
        identity = self.rooms["identity"].services.discloser
        async with identity.database.writing() as session:
            now = self.clock.now()
            keys = await identity.keys.load(session, citizen_ids=[citizen_id], data_class=DataClass.AUDIT, now=now)
            await attest(session, key=keys[citizen_id], claim=Claim.NAME, value=name, now=now)

    async def sign_in(self, phone: str = "13900000001") -> dict[str, str]:
        """A session of the citizen with that phone, by the code sent to it: `accessToken` and `refreshToken`."""
        await self.ask("identity", REQUEST_CODE, {"input": {"phone": phone}}, purpose="sign-in")
        code = re.search(r"\d{6}", (await self.messages_to(f"+86{phone}"))[-1])
        assert code
        values = {"input": {"phone": phone, "code": code[0]}}
        answer = await self.ask("identity", SIGN_IN, values, purpose="sign-in")
        session: dict[str, str] = answer["data"]["signIn"]["session"]
        return session

    def citizen(self, citizen_id: UUID, *, assurance: int = 3) -> Actor:
        """A citizen as an actor."""
        return Actor(
            kind=ActorKind.CITIZEN,
            id=citizen_id,
            client_id="citizen-app",
            assurance=assurance,
            authenticated_at=self.clock.now().replace(microsecond=0),
        )

    def staff(self, *roles: str, client: str = "counter", staff_id: UUID | None = None) -> Actor:
        """A member of staff as an actor."""
        return Actor(
            kind=ActorKind.STAFF,
            id=staff_id or new_id(self.clock.now()),
            client_id=client,
            roles=frozenset(roles),
            authenticated_at=self.clock.now().replace(microsecond=0),
            office="north-counter",
        )

    def party(self, client_id: str) -> Actor:
        """A relying party as an actor."""
        return Actor(
            kind=ActorKind.CLIENT,
            client_id=client_id,
            authenticated_at=self.clock.now().replace(microsecond=0),
        )

    async def messages_to(self, phone: str) -> list[str]:
        """What a phone has received, once nothing is on its way to it."""
        await self.rooms["identity"].services.ports.texts.settled()
        answer = await self.providers.get(f"/sms/{phone}")
        found: list[str] = answer.json()
        return found

    async def settle(self) -> None:
        """Relay every event that is due, and those that follow from it."""
        while await self.relay.run_once():
            pass

    async def integrate(self) -> None:
        """Number what waits, and sign a checkpoint."""
        database = Database(self.settings.room_database_url("audit"), pool_size=2)
        try:
            await Integrator(
                database,
                self.signing_key("log"),
                self.clock,
                keys=VerifyKeys.load(self.settings.secrets_directory, "log"),
                origin=self.settings.log_origin,
            ).run_once()
        finally:
            await database.close()

    async def map_subjects(self) -> None:
        """Describe what is numbered, take it into the map of subjects, and sign the root."""
        await self.integrate()
        database = Database(self.settings.room_database_url("audit"), pool_size=2)
        log = AuditLog(database.engine, room="audit", key=self.signing_key("writer-audit"))
        try:
            await Describer(database).run_once()
            await Mapper(database, log, self.clock).run_once()
        finally:
            await log.close()
            await database.close()
        await self.integrate()

    async def entries(self) -> list[Entry]:
        """Everything in the log, what waits for a number last; use entries that are queued are written first."""
        await asyncio.sleep(0.05)
        bodies = [row["body"] for row in await self.rows("SELECT body FROM audit.entry ORDER BY seq")]
        bodies += [row["body"] for row in await self.rows("SELECT body FROM audit.pending ORDER BY placed_at, id")]
        return [Entry.parse(bytes(body)) for body in bodies]

    async def rows(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of the database, as its owner sees them."""
        async with self.database.reading() as session:
            return [dict(row) for row in (await session.execute(text(statement), parameters)).mappings()]

    async def value(self, statement: str, **parameters: Any) -> Any:
        """The one value of the one row."""
        (row,) = await self.rows(statement, **parameters)
        (only,) = row.values()
        return only

    async def close(self) -> None:
        """Let go of everything."""
        for room in self.rooms.values():
            await room.close()
        await self.worker.close()
        await self.providers.aclose()


async def found_town(settings: Settings, *, clock: FrozenClock, database: Database, valkey: Redis) -> Town:
    """All rooms but payments on a migrated database, with the reviewed purposes in force."""
    if not (settings.graph_directory / MANIFEST).exists():
        settings.graph_directory.mkdir(parents=True, exist_ok=True)
        empty = {"format": FORMAT, "version": 1, "manifestVersion": 1, "supergraph": "", "operations": []}
        (settings.graph_directory / MANIFEST).write_text(json.dumps(empty))
    installation.sign_manifest(settings, clock=clock)
    await installation.publish_seed(settings, clock=clock)
    transport = httpx.ASGITransport(app=create_providers())
    parties = Parties()
    webhooks = httpx.MockTransport(parties.receive)
    fast = RequestRate(valkey, per_second=100_000, burst=100_000)
    rooms: dict[str, Room[Any]] = {
        "identity": await create_identity(settings, clock=clock, valkey=valkey, transport=transport),
        "permits": await create_permits(settings, clock=clock, valkey=valkey),
        "healthcode": await create_healthcode(settings, clock=clock, valkey=valkey),
        "privacy": await create_privacy(settings, clock=clock, valkey=valkey, transport=webhooks, rate=fast),
    }
    for room in rooms.values():
        await room.start()
    worker = Database(settings.room_database_url("worker"), pool_size=2)
    receivers: dict[str, list[Any]] = {}
    for room in rooms.values():
        for event_type in room.handlers:
            receivers.setdefault(event_type, []).append(room.receive)
    receivers[ANNOUNCED] = [Announcer(valkey, clock).receive]
    return Town(
        settings=settings,
        clock=clock,
        database=database,
        valkey=valkey,
        rooms=rooms,
        providers=httpx.AsyncClient(transport=transport, base_url="http://providers.test"),
        relay=Relay(worker, receivers, clock),
        worker=worker,
        parties=parties,
    )
