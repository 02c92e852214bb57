"""The log's own ML-DSA-44 signature on what is published: made, verified, missed where it was taken off."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from obstore.store import LocalStore
from tile_client import TileClient

from gov_services.audit.app import create_router
from gov_services.audit.checkpoint import Checkpoint, open_checkpoint, verifier_key
from gov_services.audit.entry import Entry
from gov_services.audit.findings import Fault
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.note import NoteKey, divide, signature_line
from gov_services.audit.own_cosignature import NAME, own_cosigner, own_keys
from gov_services.audit.publish import CHECKPOINT_PATH, Publisher
from gov_services.audit.verify import Report, Trust, verify_log
from gov_services.crypto.keys import KeyRefused, add_signing_key, init_keys
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.database import Database

pytestmark = pytest.mark.untraced

NOW = dt.datetime(2026, 3, 2, 9, 30, 15, tzinfo=dt.UTC)
MakeEntry = Callable[..., Entry]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    init_keys(made)
    return made


async def published(
    log: AuditLog, integrator: Integrator, publisher: Publisher, objects: LocalStore, entry: Entry
) -> str:
    await log.append([entry])
    await integrator.run_once()
    assert await publisher.run_once() is not None
    return bytes(await (await objects.get_async(CHECKPOINT_PATH)).bytes_async()).decode()


async def test_what_is_published_bears_it_and_whoever_knows_the_key_misses_it(
    permits_log: AuditLog,
    integrator: Integrator,
    make_publisher: Callable[..., Publisher],
    objects: LocalStore,
    room_database: Callable[[str], Database],
    make_entry: MakeEntry,
    trust: Trust,
    log_key: SigningKey,
    log_keys: VerifyKeys,
    secrets: Path,
    origin: str,
) -> None:
    assert own_cosigner(secrets, origin) is None
    assert own_keys(secrets, origin) == ()
    plain = await published(permits_log, integrator, make_publisher(), objects, make_entry())
    add_signing_key(secrets, NAME)
    knowing = replace(trust, own=own_keys(secrets, origin))

    async def verified(note: str, by: Trust = knowing) -> Report:
        await objects.put_async(CHECKPOINT_PATH, note.encode())
        async with room_database("privacy").reading() as session:
            return await verify_log(session, by, objects=objects)

    assert (await verified(plain, trust)).sound
    assert [one.fault for one in (await verified(plain)).findings] == [Fault.CHECKPOINT_FORGED]

    publisher = make_publisher(own=own_cosigner(secrets, origin))
    note = await published(permits_log, integrator, publisher, objects, make_entry())
    assert (await verified(note)).sound
    assert (await verified(note, trust)).sound, "who does not know the key lets it be"

    async def fetch(path: str) -> bytes:
        return bytes(await (await objects.get_async(path)).bytes_async())

    size, _ = await TileClient(fetch, verifier_key(origin, log_key.public_bytes)).checkpoint()
    assert size == 2

    # A second key signs from now on; what the first signed is verified still.
    add_signing_key(secrets, NAME)
    both = replace(trust, own=own_keys(secrets, origin))
    assert len(both.own) == 2
    assert (await verified(note, both)).sound
    newer = make_publisher(own=own_cosigner(secrets, origin))
    later = await published(permits_log, integrator, newer, objects, make_entry())
    assert (await verified(later, both)).sound
    assert not (await verified(later)).sound, "the newer key is not known there"

    # A forgery of the Ed25519 line alone, as who can break that one would make, and one of both.
    text, lines = divide(later)
    mine = next(one for one in lines if len(one.value) > 1000)
    bent = signature_line(replace(mine, value=mine.value[:-1] + bytes([mine.value[-1] ^ 1])))
    forged = later.replace(signature_line(mine), bent)
    assert forged != later
    assert [one.fault for one in (await verified(forged, both)).findings] == [Fault.CHECKPOINT_FORGED]
    genuine = open_checkpoint(later, log_keys, origin=origin)
    other = Checkpoint(origin, genuine.size, bytes(32))
    moved = later.replace(text, other.text()).replace(
        signature_line(lines[0]),
        signature_line(replace(lines[0], value=log_key.sign(other.text().encode()))),
    )
    assert open_checkpoint(moved, log_keys, origin=origin) == other
    assert Fault.CHECKPOINT_FORGED in {one.fault for one in (await verified(moved, both)).findings}


def test_its_key_is_shown_as_tools_take_it(
    objects: LocalStore, log_keys: VerifyKeys, secrets: Path, origin: str
) -> None:
    def shown(*own: NoteKey) -> tuple[int, str]:
        router = create_router(objects, log_keys, origin=origin, own=own)
        with TestClient(Litestar([router], openapi_config=None, logging_config=None)) as client:
            answer = client.get("/log/key/ml-dsa-44")
            return answer.status_code, answer.text

    assert shown()[0] == 404
    add_signing_key(secrets, NAME)
    (key,) = own_keys(secrets, origin)
    status, text = shown(key)
    assert (status, NoteKey.parse(text)) == (200, key)


def test_a_file_that_holds_no_such_key_is_named(secrets: Path, origin: str) -> None:
    key_id = add_signing_key(secrets, NAME)
    folder = secrets / "signing" / NAME
    (other,) = (secrets / "signing" / "log").glob("*.pem")
    (folder / f"{key_id}.pem").write_bytes(other.read_bytes())
    with pytest.raises(KeyRefused, match=key_id):
        own_cosigner(secrets, origin)
    (folder / f"{key_id}.pub").write_text("00" * 32)
    with pytest.raises(KeyRefused, match=key_id):
        own_keys(secrets, origin)
