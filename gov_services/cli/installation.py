"""Brings an installation to where it can be served: keys, schema, passwords, manifest, purposes. Safe to run again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from gov_services.audit import history
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.log import AuditLog
from gov_services.cli import documents, manifest_signing
from gov_services.cli.database import set_room_passwords, upgrade
from gov_services.cli.key_making import make_missing
from gov_services.consent import bundles, store
from gov_services.consent.purposes import Bundle
from gov_services.crypto.signing import SigningKey
from gov_services.kit.clock import Clock
from gov_services.kit.database import Database, ReadSession, Session, create_engine
from gov_services.kit.ids import new_id
from gov_services.kit.manifest import Manifest
from gov_services.kit.settings import Settings
from gov_services.privacy.consent_bb import policies
from gov_services.subgraph.manifests import load_manifest

PURPOSE = "log-upkeep"
UPKEEP_ROOM, UPKEEP_KEY = "privacy", "writer-privacy"


class NotInstalled(Exception):
    """Something that an installation needs before it serves is missing; the message is one line for a person."""


async def prepare(settings: Settings, *, clock: Clock) -> Manifest:
    """Everything, for development and tests: missing keys are made too. Returns the signed manifest."""
    await asyncio.to_thread(make_missing, settings)
    await migrate(settings)
    manifest = sign_manifest(settings, clock=clock)
    await publish_seed(settings, clock=clock)
    await log_manifest(settings, manifest, clock=clock)
    return manifest


async def migrate(settings: Settings) -> None:
    """Bring the schema up to date, and give the rooms' roles the passwords in the files."""
    await asyncio.to_thread(upgrade, settings.database_url, role_prefix=settings.role_prefix)
    engine = create_engine(settings.database_url, pool_size=1, application="gov-services migrator")
    try:
        async with engine.begin() as connection:
            directory = settings.secrets_directory / "db"
            await set_room_passwords(connection, role_prefix=settings.role_prefix, directory=directory)
    finally:
        await engine.dispose()


def sign_manifest(settings: Settings, *, clock: Clock) -> Manifest:
    """Sign the committed manifest of trusted documents as author and as officer: for development and tests alone."""
    manifest_signing.sign_both(settings, now=clock.now())
    return load_manifest(settings, now=clock.now())


async def publish_seed(settings: Settings, *, clock: Clock, seed: Bundle | None = None) -> bool:
    """Put the reviewed purposes in force where no bundle is yet; whether it did.

    A bundle that is in force stays: what officers took away since must not come back with a restart.
    """
    bundle = seed or documents.seed_bundle()
    key = SigningKey.load(settings.secrets_directory, "bundle")
    now = clock.now()
    async with (
        opened(settings, settings.room_database_url("privacy")) as (database, log),
        database.writing() as session,
    ):
        await _publish_policy(session, log, clock)
        if await store.newest_bundle_version(session) is not None:
            return False
        await bundles.publish(
            session,
            bundle,
            key=key,
            proposed_by="seed",
            approved_by="seed",
            note="the reviewed file",
            now=now,
        )
        entry = upkeep_entry(
            clock, EntryKind.BUNDLE, "bundle.published", f"bundle:{bundle.version}:{bundle.hash.hex()}"
        )
        await log.record_change(session, entry)
    return True


async def _publish_policy(session: Session, log: AuditLog, clock: Clock) -> None:
    """Publish the city's own policy, where there is none yet."""
    row = await policies.first(session, now=clock.now())
    if row is not None:
        name = f"policy:{row.number}:{row.hash.hex()}"
        await log.record_change(session, upkeep_entry(clock, EntryKind.CHANGE, "policy.created", name))


async def log_manifest(settings: Settings, manifest: Manifest, *, clock: Clock) -> None:
    """State in the log which documents are trusted from now on. Raises ManifestRefused.

    Older ones than before are refused, and what is not signed, or no longer.
    """
    async with (
        opened(settings, settings.room_database_url("privacy")) as (database, log),
        database.writing() as session,
    ):
        manifest.require_in_force(clock.now())
        manifest.require_not_before(await _newest_announced(session))
        name = f"manifest:{manifest.version}:{manifest.hash}"
        until = f"until {manifest.until:%Y-%m-%dT%H:%M:%SZ}"
        entry = upkeep_entry(clock, EntryKind.MANIFEST, "manifest.trusted", name, reason=until)
        await log.record_change(session, entry)


async def require_newest_manifest(settings: Settings, *, clock: Clock) -> Manifest:
    """The signed manifest, held against what the log says was in force. Raises ManifestRefused for an older one."""
    manifest = load_manifest(settings, now=clock.now())
    database = Database(settings.room_database_url("privacy"), pool_size=1, application="gov-services manifest")
    try:
        async with database.reading() as session:
            manifest.require_not_before(await _newest_announced(session))
    finally:
        await database.close()
    return manifest


async def _newest_announced(session: ReadSession) -> int:
    """The highest version that was ever announced, numbered in the log or waiting for a number; 0 for none."""
    return await history.highest_named(
        session, purpose=PURPOSE, kind=EntryKind.MANIFEST, room="privacy", name="manifest"
    )


@contextlib.asynccontextmanager
async def opened(settings: Settings, url: str) -> AsyncIterator[tuple[Database, AuditLog]]:
    """A database, and the log through which an operator's command says what it does there. Raises KeyRefused."""
    database = Database(url, pool_size=2, application="gov-services command")
    log = AuditLog(database.engine, room=UPKEEP_ROOM, key=SigningKey.load(settings.secrets_directory, UPKEEP_KEY))
    try:
        yield database, log
    finally:
        await log.close()
        await database.close()


def upkeep_entry(clock: Clock, kind: EntryKind, action: str, name: str, *, reason: str | None = None) -> Entry:
    """What an operator's command did to `name`."""
    now = clock.now()
    entry_id = new_id(now)
    return Entry(
        id=entry_id,
        at=now,
        room=UPKEEP_ROOM,
        kind=kind,
        action=action,
        actor="system",
        actor_tag=None,
        client="installation",
        purpose=PURPOSE,
        entrance="command:gov-services",
        subject_tag=None,
        object=name,
        reason=reason,
        outcome="allowed",
        request=str(entry_id),
    )


def require_database(settings: Settings) -> None:
    """Refuse to serve without a database address: only `serve` and `demo` bring one. Raises NotInstalled."""
    if not settings.database_url:
        raise NotInstalled("DATABASE_URL is not set")


def require_valkey(settings: Settings) -> None:
    """The same of Valkey. Raises NotInstalled."""
    if not settings.valkey_url:
        raise NotInstalled("VALKEY_URL is not set")


def require_ready(settings: Settings) -> Path:
    """Refuse to serve an installation without a database address or keys. Raises NotInstalled."""
    require_database(settings)
    if not (settings.secrets_directory / "signing").is_dir():
        raise NotInstalled(f"there are no keys in {settings.secrets_directory}: gov-services keys init")
    return settings.secrets_directory
