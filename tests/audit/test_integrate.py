"""The integrator: everything gets a number, a leaf and a signature, and nothing is signed over a changed past."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from gov_services.audit import integrate, store
from gov_services.audit.checkpoint import Checkpoint, CheckpointRefused, open_checkpoint
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.integrate import Integrated, Integrator, LogInconsistent
from gov_services.audit.log import AuditLog
from gov_services.audit.merkle import EMPTY_ROOT, leaf_hash, root
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database

pytestmark = pytest.mark.untraced

RoomDatabase = Callable[[str], Database]
MakeEntry = Callable[..., Entry]


async def newest(database: Database, keys: VerifyKeys, origin: str) -> Checkpoint:
    async with database.reading() as session:
        row = await store.newest_checkpoint(session)
    assert row is not None
    return open_checkpoint(row.note, keys, origin=origin)


async def count_checkpoints(database: Database) -> int:
    async with database.reading() as session:
        return len(await store.checkpoints_between(session, after=-1, upto=1 << 60))


async def run(database: Database, *statements: str) -> None:
    """Tamper as a superuser does who turns triggers off."""
    async with database.writing() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            await session.execute(text(statement))


async def test_an_empty_log_is_signed_so_that_there_is_something_to_continue(
    integrator: Integrator, database: Database, log_keys: VerifyKeys, origin: str
) -> None:
    assert await integrator.run_once() == Integrated(numbered=0, added=0, size=0)
    assert await newest(database, log_keys, origin) == Checkpoint(origin, 0, EMPTY_ROOT)


async def test_changes_are_numbered_and_everything_is_under_a_checkpoint(
    integrator: Integrator,
    permits_log: AuditLog,
    room_database: RoomDatabase,
    database: Database,
    make_entry: MakeEntry,
    log_keys: VerifyKeys,
    origin: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(integrate, "LEAF_BATCH", 3)
    monkeypatch.setattr(integrate, "PENDING_BATCH", 2)
    reads = [make_entry() for _ in range(4)]
    await permits_log.append(reads)
    changes = [make_entry(kind=EntryKind.CHANGE) for _ in range(5)]
    for change in changes:
        async with room_database("permits").writing() as session:
            await permits_log.record_change(session, change)
    assert await integrator.run_once() == Integrated(numbered=5, added=9, size=9)
    async with database.reading() as session:
        rows = await store.entries_from(session, begin=0, limit=100)
        assert await store.pending_ids(session, limit=10) == []
        assert await store.lag_s(session) is None
    assert [Entry.parse(row.body) for row in rows] == reads + changes
    leaves = [leaf_hash(row.commitment) for row in rows]
    assert await newest(database, log_keys, origin) == Checkpoint(origin, 9, root(leaves))


async def test_nothing_new_is_not_signed_again(
    integrator: Integrator, permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry()])
    await integrator.run_once()
    assert await integrator.run_once() == Integrated(numbered=0, added=0, size=1)
    assert await count_checkpoints(database) == 1


async def test_a_waiting_entry_under_the_id_of_another_is_set_aside_for_verification(
    integrator: Integrator,
    permits_log: AuditLog,
    room_database: RoomDatabase,
    database: Database,
    make_entry: MakeEntry,
) -> None:
    entry = make_entry()
    await permits_log.append([entry])
    for pending in (entry, make_entry(id=entry.id, reason="another")):
        async with room_database("permits").writing() as session:
            await permits_log.record_change(session, pending)
        await integrator.run_once()
    async with database.reading() as session:
        assert await store.pending_ids(session, limit=10) == []
        assert await store.rejected(session) == [(entry.id, "another entry of that id has a number")]
        assert (await store.head(session)).next == 1


async def test_one_integrator_works_at_a_time(
    integrator: Integrator, database: Database, permits_log: AuditLog, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry()])
    async with database.writing() as session:
        assert await store.take_lease(session)
        assert await integrator.run_once() is None
    assert await count_checkpoints(database) == 0
    assert await integrator.run_once() == Integrated(numbered=0, added=1, size=1)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit.node SET hash = sha256('x') WHERE level = 1 AND index = 0",
        "DELETE FROM audit.node WHERE level = 0 AND index = 2",
        "DELETE FROM audit.node WHERE level = 1",
        "DELETE FROM audit.checkpoint",
        "DELETE FROM audit.entry WHERE seq = 3",
    ],
)
async def test_nothing_is_signed_when_the_log_is_not_the_one_that_was_signed(
    integrator: Integrator,
    permits_log: AuditLog,
    database: Database,
    administrator: Database,
    make_entry: MakeEntry,
    tampering: str,
) -> None:
    await permits_log.append([make_entry() for _ in range(3)])
    await integrator.run_once()
    await permits_log.append([make_entry(), make_entry()])
    await run(administrator, tampering)
    before = await count_checkpoints(database)
    with pytest.raises(LogInconsistent):
        await integrator.run_once()
    assert await count_checkpoints(database) == before


async def test_a_restored_backup_does_not_become_a_fork(
    integrator: Integrator, permits_log: AuditLog, database: Database, administrator: Database, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry(), make_entry()])
    await integrator.run_once()
    await permits_log.append([make_entry(), make_entry()])
    await integrator.run_once()
    await run(
        administrator,
        "DELETE FROM audit.checkpoint WHERE size > 2",
        "DELETE FROM audit.node WHERE (index + 1) << level > 2",
        "DELETE FROM audit.entry WHERE seq >= 2",
        "UPDATE audit.head SET next = 2",
    )
    with pytest.raises(LogInconsistent, match="a checkpoint of 4 was published"):
        await integrator.run_once()
    await permits_log.append([make_entry() for _ in range(4)])
    with pytest.raises(LogInconsistent):
        await integrator.run_once()
    assert await count_checkpoints(database) == 1


async def test_a_checkpoint_of_another_key_is_not_continued(
    integrator: Integrator,
    room_database: RoomDatabase,
    permits_log: AuditLog,
    database: Database,
    make_entry: MakeEntry,
    strangers_key: SigningKey,
    origin: str,
) -> None:
    await integrator.run_once()
    keys = VerifyKeys({strangers_key.key_id: strangers_key.public_bytes})
    other = Integrator(room_database("audit"), strangers_key, SystemClock(), keys=keys, origin=origin)
    await permits_log.append([make_entry()])
    with pytest.raises(CheckpointRefused):
        await other.run_once()
    assert await count_checkpoints(database) == 1


async def test_the_background_task_integrates_until_it_is_stopped_and_survives_errors(
    integrator: Integrator,
    permits_log: AuditLog,
    database: Database,
    administrator: Database,
    make_entry: MakeEntry,
    tmp_path: Path,
) -> None:
    stop = asyncio.Event()
    task = asyncio.get_running_loop().create_task(integrator.run(stop, interval_s=0.02))
    await run(administrator, "ALTER FUNCTION audit.move_pending(integer) RENAME TO away")
    await asyncio.sleep(0.1)
    await run(administrator, "ALTER FUNCTION audit.away(integer) RENAME TO move_pending")
    await permits_log.append([make_entry()])
    for _ in range(200):
        async with database.reading() as session:
            signed = await store.newest_checkpoint(session)
        if signed is not None and signed.size == 1:
            break
        await asyncio.sleep(0.02)
    stop.set()
    await task
    assert signed is not None
    assert signed.size == 1
    assert [path.read_text() for path in (tmp_path / "published").glob("*.checkpoint")] == [signed.note]
