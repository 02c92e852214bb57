"""The log's public face: what any C2SP client can follow, and no entry."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar
from obstore.store import LocalStore
from sqlalchemy import text

from gov_services.audit.app import create_app, create_audit, create_router
from gov_services.audit.checkpoint import open_checkpoint, verifier_key
from gov_services.audit.entry import Entry
from gov_services.audit.integrate import Integrator, published_path
from gov_services.audit.log import AuditLog
from gov_services.audit.merkle import leaf_hash, root
from gov_services.audit.publish import Publisher
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.database import Database
from gov_services.kit.health import health
from gov_services.kit.settings import Settings

pytestmark = pytest.mark.untraced

RoomDatabase = Callable[[str], Database]
MakeEntry = Callable[..., Entry]


def client_of(app: Litestar) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://gov.example")  # type: ignore[arg-type]


@pytest.fixture
async def client(objects: LocalStore, log_keys: VerifyKeys, origin: str) -> AsyncIterator[AsyncClient]:
    router = create_router(objects, log_keys, origin=origin)
    async with client_of(Litestar([router], openapi_config=None)) as client:
        yield client


async def test_a_client_rebuilds_the_signed_root_from_tiles(
    client: AsyncClient,
    integrator: Integrator,
    publisher: Publisher,
    permits_log: AuditLog,
    make_entry: MakeEntry,
    log_key: SigningKey,
    log_keys: VerifyKeys,
    origin: str,
) -> None:
    await permits_log.append([make_entry() for _ in range(300)])
    await integrator.run_once()
    await publisher.run_once()
    note = (await client.get("/log/checkpoint")).text
    checkpoint = open_checkpoint(note, log_keys, origin=origin)
    assert checkpoint.size == 300
    full = (await client.get("/log/tile/0/000")).content
    partial = (await client.get("/log/tile/0/001.p/44")).content
    tiles = full + partial
    leaves = [tiles[place : place + 32] for place in range(0, len(tiles), 32)]
    assert len(leaves) == 300
    assert root(leaves) == checkpoint.root
    assert (await client.get("/log/tile/1/000.p/1")).content == root(leaves[:256])
    bundle = (await client.get("/log/tile/entries/001.p/44")).content
    committed = [bundle[place + 2 : place + 34] for place in range(0, len(bundle), 34)]
    assert {bundle[place : place + 2] for place in range(0, len(bundle), 34)} == {b"\x00\x20"}
    assert [leaf_hash(one) for one in committed] == leaves[256:]
    assert (await client.get("/log/key")).text == f"{verifier_key(origin, log_key.public_bytes)}\n"


async def test_what_is_not_under_a_checkpoint_is_not_shown(
    client: AsyncClient, integrator: Integrator, publisher: Publisher, permits_log: AuditLog, make_entry: MakeEntry
) -> None:
    assert (await client.get("/log/checkpoint")).status_code == 404
    await permits_log.append([make_entry() for _ in range(3)])
    await integrator.run_once()
    await publisher.run_once()
    await permits_log.append([make_entry() for _ in range(3)])
    for path in ("tile/0/000", "tile/0/000.p/4", "tile/entries/000.p/4", "tile/1/000.p/1", "tile/0/001.p/1"):
        answer = await client.get(f"/log/{path}", headers={"Accept-Language": "en"})
        assert (answer.status_code, answer.json()) == (
            404,
            {"code": "NOT_FOUND", "message": "There is nothing here that you can see."},
        )
    assert (await client.get("/log/tile/0/000.p/3")).status_code == 200


async def test_the_deployable_integrates_in_the_background_under_its_own_keys(
    settings: Settings, database: Database, permits_log: AuditLog, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry()])
    app = create_app(settings)
    async with app.lifespan(), client_of(app) as client:
        for _ in range(200):
            answer = await client.get("/log/checkpoint")
            if answer.status_code == 200 and answer.text.split("\n")[1] == "1":
                break
            await asyncio.sleep(0.02)
    keys = VerifyKeys.load(settings.secrets_directory, "log")
    assert open_checkpoint(answer.text, keys, origin=settings.log_origin).size == 1
    kept = published_path(settings.runtime_directory / "log", settings.log_origin)
    assert kept.read_text() == answer.text
    committed = base64.b64encode(make_entry().canonical()).decode()
    assert committed not in answer.text


async def test_the_log_is_not_ready_while_entries_wait_too_long_to_be_signed(
    settings: Settings, administrator: Database, integrator: Integrator, permits_log: AuditLog, make_entry: MakeEntry
) -> None:
    audit = create_audit(settings)  # whose integrator does not run
    app = Litestar(health(audit.ready), openapi_config=None)

    async def ask(client: AsyncClient) -> tuple[int, dict[str, bool]]:
        answer = await client.get("/readyz")
        return answer.status_code, answer.json()

    try:
        async with client_of(app) as client:
            assert await ask(client) == (200, {"database": True, "entries_signed": True})
            await permits_log.append([make_entry()])
            assert await ask(client) == (200, {"database": True, "entries_signed": True})
            async with administrator.writing() as session:
                await session.execute(text("SET LOCAL session_replication_role = replica"))
                await session.execute(text("UPDATE audit.head SET unsigned_since = unsigned_since - interval '61 s'"))
            assert await ask(client) == (200, {"database": True, "entries_signed": False})
            await integrator.run_once()
            assert (await ask(client))[0] == 200
    finally:
        await audit.close()
