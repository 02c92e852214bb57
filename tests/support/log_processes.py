"""Processes that a test kills: writers that say what was acknowledged to them, and one that signs. No test here."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

from gov_services.audit.describe import Describer
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog, AuditUnavailable
from gov_services.audit.map_subjects import Mapper
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database
from gov_services.kit.errors import DatabaseUnavailable
from gov_services.kit.ids import new_id
from gov_services.kit.settings import Settings

CALLERS = 8
READS_TO_A_CHANGE = 5


def an_entry(room: str, kind: EntryKind) -> Entry:
    now = dt.datetime.now(dt.UTC)
    entry_id = new_id(now)
    return Entry(
        **{"id": entry_id, "at": now, "room": room, "kind": kind, "action": "a", "actor": "system", "actor_tag": None},
        **{"client": "c", "purpose": "p", "entrance": "e", "subject_tag": bytes(16), "outcome": "allowed"},
        request=str(entry_id),
    )


def write(settings: Settings, room: str, answered: str) -> None:
    """Append and change until killed; what was acknowledged goes to the file `answered`, a line each, at once."""
    asyncio.run(_write(settings, room, Path(answered)))


async def _write(settings: Settings, room: str, answered: Path) -> None:
    database = Database(settings.room_database_url(room), pool_size=4)
    key = SigningKey.load(settings.secrets_directory, f"writer-{room}")
    log = AuditLog(database.engine, room=room, key=key)
    with answered.open("a", buffering=1) as file:

        async def call() -> None:
            while True:
                try:
                    for _ in range(READS_TO_A_CHANGE):
                        (logged,) = await log.append([an_entry(room, EntryKind.READ)])
                        file.write(f"{logged.entry_id} {logged.seq}\n")
                    changed = an_entry(room, EntryKind.CHANGE)
                    async with database.writing() as session:
                        await log.record_change(session, changed)
                    file.write(f"{changed.id} -1\n")
                except (AuditUnavailable, DatabaseUnavailable):
                    await asyncio.sleep(0.05)

        await asyncio.gather(*(call() for _ in range(CALLERS)))


def sign(settings: Settings, stop: str) -> None:
    """Number, sign, describe and map until there is a file `stop`: what is killed can hold no lock of others."""
    asyncio.run(_sign(settings, Path(stop)))


async def _sign(settings: Settings, stop: Path) -> None:
    database = Database(settings.room_database_url("audit"), pool_size=6)
    key, keys = (kind.load(settings.secrets_directory, "log") for kind in (SigningKey, VerifyKeys))
    assert isinstance(key, SigningKey)
    assert isinstance(keys, VerifyKeys)
    integrator = Integrator(
        database,
        key,
        SystemClock(),
        keys=keys,
        origin=settings.log_origin,
        published=settings.runtime_directory / "log",
    )
    ended = asyncio.Event()
    own = AuditLog(database.engine, room="audit", key=SigningKey.load(settings.secrets_directory, "writer-audit"))
    mapper = Mapper(database, own, SystemClock())
    tasks = [asyncio.create_task(one.run(ended, interval_s=0.1)) for one in (integrator, Describer(database), mapper)]
    while not await asyncio.to_thread(stop.exists):  # noqa: ASYNC110  # a file is what one process can tell another
        await asyncio.sleep(0.05)
    ended.set()
    await asyncio.gather(*tasks)
    await own.close()
    await database.close()
