"""What the tests of the log share: entries of invented people, a log of one room. It starts no server."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from obstore.store import LocalStore
from sqlalchemy import text

from gov_services.audit.describe import Describer
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.map_subjects import Mapper
from gov_services.audit.publish import Publisher
from gov_services.audit.verify import Trust
from gov_services.audit.witnesses import NOBODY_ASKED, WitnessPolicy
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id

NOW = dt.datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=dt.UTC)
ALICE = bytes.fromhex("a1" * 16)
BOB = bytes.fromhex("b0" * 16)

MakeEntry = Callable[..., Entry]


def an_entry(**changes: Any) -> Entry:
    """A disclosure to an officer, with `changes`."""
    at = changes.pop("at", NOW)
    values: dict[str, Any] = {
        "id": new_id(at),
        "at": at,
        "room": "permits",
        "kind": EntryKind.READ,
        "action": "disclosure",
        "actor": "staff:00000000-0000-7000-8000-000000000001",
        "actor_tag": None,
        "client": "counter",
        "roles": ("officer",),
        "purpose": "permit.review",
        "basis": "STATUTORY",
        "entrance": "document:ReviewApplication",
        "document": "0d" * 32,
        "subject_tag": ALICE,
        "object": "application:00000000-0000-7000-8000-00000000000a",
        "coordinates": (("Application.applicantName", "MASKED"), ("Application.phone", "CONSENT_REQUIRED")),
        "case": UUID("00000000-0000-7000-8000-00000000000c"),
        "reason": "初审",
        "recipient": "staff:00000000-0000-7000-8000-000000000001",
        "policy": "ab" * 32,
        "outcome": "allowed",
        "request": "request-1",
    }
    return Entry(**{**values, **changes})


@pytest.fixture
def make_entry() -> MakeEntry:
    return an_entry


MakeLog = Callable[..., AuditLog]


@pytest.fixture
def trust(log_keys: VerifyKeys, writers: dict[str, VerifyKeys]) -> Trust:
    return Trust(ORIGIN, log_keys, writers)


@pytest.fixture
def writer_keys() -> dict[str, SigningKey]:
    """The key by which each room signs what it writes."""
    return {room: a_signing_key(f"writer-{room}-1") for room in ("permits", "payments", "audit")}


@pytest.fixture
def writers(writer_keys: dict[str, SigningKey]) -> dict[str, VerifyKeys]:
    """What a doubter has of them."""
    return {room: VerifyKeys({key.key_id: key.public_bytes}) for room, key in writer_keys.items()}


@pytest.fixture
def make_log(room_database: Callable[[str], Database], writer_keys: dict[str, SigningKey]) -> MakeLog:
    """A room's way into the log; `role`, where it is not its own, is the one it logs in as."""

    def made(room: str, *, role: str = "", **more: Any) -> AuditLog:
        return AuditLog(room_database(role or room).engine, room=room, key=writer_keys[room], **more)

    return made


@pytest.fixture
async def permits_log(make_log: MakeLog) -> AsyncIterator[AuditLog]:
    log = make_log("permits")
    await log.start()
    yield log
    await log.close()


ORIGIN = "gov.example/log"


def a_signing_key(key_id: str = "log-1") -> SigningKey:
    return SigningKey(Ed25519PrivateKey.generate(), key_id)


@pytest.fixture
def log_key() -> SigningKey:
    return a_signing_key()


@pytest.fixture
def strangers_key() -> SigningKey:
    """A key of the same id that is not the log's."""
    return a_signing_key()


@pytest.fixture
def log_keys(log_key: SigningKey) -> VerifyKeys:
    return VerifyKeys({log_key.key_id: log_key.public_bytes})


@pytest.fixture
def origin() -> str:
    return ORIGIN


@pytest.fixture
def objects(tmp_path: Path) -> LocalStore:
    """The folder in which the log is published."""
    return LocalStore(tmp_path / "tree", mkdir=True)


@pytest.fixture
async def make_publisher(
    room_database: Callable[[str], Database], objects: LocalStore, log_keys: VerifyKeys
) -> AsyncIterator[Callable[..., Publisher]]:
    """A publisher that asks the witnesses of a policy, which `http` reaches."""
    async with httpx.AsyncClient() as nobody:

        def made(policy: WitnessPolicy = NOBODY_ASKED, http: httpx.AsyncClient = nobody, **more: Any) -> Publisher:
            more.setdefault("clock", FrozenClock(NOW))
            return Publisher(room_database("audit"), objects, http, keys=log_keys, origin=ORIGIN, policy=policy, **more)

        yield made


@pytest.fixture
def publisher(make_publisher: Callable[..., Publisher]) -> Publisher:
    return make_publisher()


@pytest.fixture
def describer(room_database: Callable[[str], Database]) -> Describer:
    return Describer(room_database("audit"))


@pytest.fixture
def map_clock() -> FrozenClock:
    """By which the mapper tells what may be told."""
    return FrozenClock(NOW)


@pytest.fixture
async def mapper(
    room_database: Callable[[str], Database], make_log: MakeLog, map_clock: FrozenClock
) -> AsyncIterator[Mapper]:
    log = make_log("audit")
    yield Mapper(room_database("audit"), log, map_clock)
    await log.close()


@pytest.fixture
def tell(administrator: Database) -> Callable[..., Awaitable[None]]:
    """Have purposes told so from now on: (`at-once`, `embargo`, `aggregate`) and days, as a bundle has it."""

    async def told(**purposes: tuple[str, int]) -> None:
        said = {code.replace("_", "."): {"told": told, "embargo_days": days} for code, (told, days) in purposes.items()}
        async with administrator.writing() as session:
            await session.execute(
                text(
                    "INSERT INTO consent.bundle SELECT coalesce(max(version), 0) + 1, :body, 'k', '', "
                    "CASE WHEN max(version) IS NULL THEN 'seed' ELSE 'one' END, "
                    "CASE WHEN max(version) IS NULL THEN 'seed' ELSE 'two' END, 'x', now() FROM consent.bundle"
                ),
                {"body": json.dumps({"purposes": said}).encode()},
            )

    return told


@pytest.fixture
def integrator(
    room_database: Callable[[str], Database], log_key: SigningKey, log_keys: VerifyKeys, tmp_path: Path
) -> Integrator:
    return Integrator(
        room_database("audit"),
        log_key,
        FrozenClock(NOW),
        keys=log_keys,
        origin=ORIGIN,
        published=tmp_path / "published",
    )
