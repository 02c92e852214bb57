"""Rotating key-encryption keys: online, begun again where it ended; old dumps open nothing once a key is retired."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gov_services.crypto import rotation
from gov_services.crypto.data_keys import DataKey, DataKeys
from gov_services.crypto.envelope import Binding, close_box, open_box
from gov_services.crypto.keys import (
    DataClass,
    KeyRefused,
    LocalKeyProvider,
    Wrapped,
    add_kek,
    destroy_file,
    init_keys,
    kek_path,
)
from gov_services.crypto.suites import Suite
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id

HEALTH = DataClass.HEALTH


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Key files that this test alone adds to and takes from."""
    init_keys(tmp_path / "secrets")
    return tmp_path / "secrets"


def provider(secrets: Path) -> LocalKeyProvider:
    """A process that starts now."""
    return LocalKeyProvider(secrets, [HEALTH])


async def registered(database: Database, keys: DataKeys, clock: FrozenClock, count: int) -> list[UUID]:
    """Citizens with a key of the class."""
    made = [new_id(clock.now()) for _ in range(count)]
    for citizen_id in made:
        async with database.writing() as session:
            await keys.create(session, citizen_id=citizen_id, classes=[HEALTH], now=clock.now())
    return sorted(made)


async def key_of(database: Database, keys: DataKeys, citizen_id: UUID, clock: FrozenClock) -> DataKey | None:
    """The citizen's key, as a request finds it."""
    async with database.reading() as session:
        found = await keys.load(session, citizen_ids=[citizen_id], data_class=HEALTH, now=clock.now())
    return found.get(citizen_id)


async def rotate(database: Database, secrets: Path, *, batch: int = 2, steps: int | None = None) -> int:
    """Re-wrap in batches, each a transaction; how many were. With `steps` it is ended after so many."""
    after, total = None, 0
    while steps is None or steps > 0:
        async with database.writing() as session:
            step = await rotation.rewrap(session, provider(secrets), data_class=HEALTH, after=after, batch=batch)
        if step.last is None:
            break
        after, total = step.last, total + step.rewrapped
        steps = None if steps is None else steps - 1
    return total


async def standings(database: Database) -> dict[str, tuple[int, int]]:
    """Key-encryption key → keys that stand under it, destroyed ones."""
    async with database.reading() as session:
        return {one.kek_id: (one.keys, one.destroyed) for one in await rotation.standings(session, data_class=HEALTH)}


async def test_what_was_sealed_before_opens_after_and_the_newer_suite_seals_from_then_on(
    database: Database, secrets: Path, clock: FrozenClock
) -> None:
    (citizen_id,) = await registered(database, DataKeys(provider(secrets)), clock, 1)
    place = Binding(column_id="c", row_id=UUID(int=1), citizen_id=citizen_id, data_class=HEALTH)
    before = await key_of(database, DataKeys(provider(secrets)), citizen_id, clock)
    assert before is not None
    box = close_box(before, b"value", place)

    assert add_kek(secrets, HEALTH, sm=True) == "health/0002.sm"
    assert await rotate(database, secrets) == 1

    after = await key_of(database, DataKeys(provider(secrets)), citizen_id, clock)
    assert after is not None
    newer = close_box(after, b"value", place)
    assert (box[1], newer[1]) == (Suite.AES_256_GCM, Suite.SM4_GCM)
    assert open_box(after, box, place) == open_box(after, newer, place) == b"value"
    # A process that remembers the key from before opens what was sealed since.
    assert open_box(before, newer, place) == b"value"
    assert after.commitment == before.commitment
    assert after.tag(b"subject") == before.tag(b"subject")


async def test_it_is_begun_again_where_it_ended_and_does_nothing_twice(
    database: Database, secrets: Path, clock: FrozenClock
) -> None:
    keys = DataKeys(provider(secrets))
    citizens = await registered(database, keys, clock, 7)
    async with database.writing() as session:
        await keys.shred(session, citizen_id=citizens[3], data_class=HEALTH, reason="erased", now=clock.now())
    add_kek(secrets, HEALTH)

    assert await rotate(database, secrets, steps=1) == 2
    assert await standings(database) == {"health/0001": (4, 1), "health/0002": (2, 0)}
    assert await rotate(database, secrets) == 4
    assert await rotate(database, secrets) == 0

    # The tombstone keeps the name of what once wrapped it.
    assert await standings(database) == {"health/0001": (0, 1), "health/0002": (6, 0)}
    fresh = DataKeys(provider(secrets))
    found = [await key_of(database, fresh, citizen_id, clock) is not None for citizen_id in citizens]
    assert found == [True, True, True, False, True, True, True]


async def test_an_erasure_that_meets_it_wins(database: Database, secrets: Path, clock: FrozenClock) -> None:
    keys = DataKeys(provider(secrets))
    citizens = await registered(database, keys, clock, 2)
    add_kek(secrets, HEALTH)

    async def erase() -> None:
        async with database.writing() as session:
            await keys.shred(session, citizen_id=citizens[0], data_class=HEALTH, reason="erased", now=clock.now())

    async with database.writing() as session:
        await rotation.rewrap(session, provider(secrets), data_class=HEALTH, after=None)
        erasing = asyncio.create_task(erase())
        await asyncio.sleep(0.1)
        assert not erasing.done(), "it waits for the rows, and then destroys the newer form"
    await erasing

    assert await key_of(database, DataKeys(provider(secrets)), citizens[0], clock) is None
    assert await standings(database) == {"health/0002": (1, 1)}


async def test_a_key_that_is_not_the_one_committed_to_is_named_and_left(
    database: Database, secrets: Path, clock: FrozenClock
) -> None:
    citizens = await registered(database, DataKeys(provider(secrets)), clock, 2)
    async with database.writing() as session:
        await session.execute(
            text(
                "UPDATE keys.data_key SET wrapped = (SELECT wrapped FROM keys.data_key WHERE citizen_id = :other)"
                " WHERE citizen_id = :one"
            ),
            {"one": citizens[1], "other": citizens[0]},
        )
    add_kek(secrets, HEALTH)

    with pytest.raises(KeyRefused, match=f"health key of citizen {citizens[1]} is not the one committed to"):
        await rotate(database, secrets)
    assert await standings(database) == {"health/0001": (2, 0)}


async def test_a_dump_from_before_opens_nothing_once_the_older_key_is_retired(
    database: Database, secrets: Path, clock: FrozenClock
) -> None:
    keys = DataKeys(provider(secrets))
    erased, kept = await registered(database, keys, clock, 2)
    async with database.reading() as session:
        rows = (await session.execute(text("SELECT citizen_id, wrapped FROM keys.data_key"))).all()
        dump = {row.citizen_id: row.wrapped for row in rows}
    async with database.writing() as session:
        await keys.shred(session, citizen_id=erased, data_class=HEALTH, reason="erased", now=clock.now())
    # Until then an erasure is not complete against that dump.
    assert provider(secrets).unwrap(HEALTH, Wrapped("health/0001", bytes(dump[erased])))

    add_kek(secrets, HEALTH)
    await rotate(database, secrets)
    async with database.writing() as session:
        assert await rotation.retire(session, data_class=HEALTH, kek_id="health/0001", now=clock.now())
    destroy_file(kek_path(secrets, "health/0001"))

    for citizen_id in (erased, kept):
        with pytest.raises(KeyRefused, match="health/0001 is not held here"):
            provider(secrets).unwrap(HEALTH, Wrapped("health/0001", bytes(dump[citizen_id])))
    assert await key_of(database, DataKeys(provider(secrets)), kept, clock) is not None
    assert await key_of(database, DataKeys(provider(secrets)), erased, clock) is None


async def test_a_key_that_still_wraps_is_not_retired_and_a_retired_one_wraps_no_more(
    database: Database, secrets: Path, clock: FrozenClock
) -> None:
    # Started before the rotation, it goes on to wrap under the older key: what it wraps would be lost with the file.
    started_before = DataKeys(provider(secrets))
    await registered(database, started_before, clock, 1)
    add_kek(secrets, HEALTH)

    async def retire() -> bool:
        async with database.writing() as session:
            return await rotation.retire(session, data_class=HEALTH, kek_id="health/0001", now=clock.now())

    with pytest.raises(KeyRefused, match="1 data keys are wrapped under health/0001: keys rotate health"):
        await retire()
    await rotate(database, secrets)
    assert await retire()
    assert not await retire(), "once is enough, and twice is no error"

    with pytest.raises(DBAPIError, match="key-encryption key health/0001 is retired"):
        await registered(database, started_before, clock, 1)
    await registered(database, DataKeys(provider(secrets)), clock, 1)
    assert await standings(database) == {"health/0002": (2, 0)}
    for statement in ("DELETE FROM keys.retired", "UPDATE keys.retired SET kek_id = 'x'"):
        with pytest.raises(DBAPIError):
            async with database.writing() as session:
                await session.execute(text(statement))


async def test_a_tombstone_of_a_key_that_is_gone_is_restored_and_a_key_is_not(
    database: Database, clock: FrozenClock
) -> None:
    async with database.writing() as session:
        await rotation.retire(session, data_class=HEALTH, kek_id="health/0001", now=clock.now())
    row = (
        "INSERT INTO keys.data_key VALUES (gen_random_uuid(), 'health', 1, 'health/0001', "
        "{wrapped}, sha256('x'), now(), {destroyed}, {reason})"
    )
    async with database.writing() as session:
        await session.execute(text(row.format(wrapped="NULL", destroyed="now()", reason="'erasure'")))
    with pytest.raises(DBAPIError, match="key-encryption key health/0001 is retired"):
        async with database.writing() as session:
            await session.execute(text(row.format(wrapped="'w'", destroyed="NULL", reason="NULL")))
    assert await standings(database) == {"health/0001": (0, 1)}


async def test_registrations_go_on_meanwhile(database: Database, secrets: Path, clock: FrozenClock) -> None:
    await registered(database, DataKeys(provider(secrets)), clock, 30)
    add_kek(secrets, HEALTH)
    restarted = DataKeys(provider(secrets))

    (rewrapped, citizens) = await asyncio.gather(
        rotate(database, secrets, batch=3), registered(database, restarted, clock, 20)
    )

    assert rewrapped == 30
    assert len(citizens) == 20
    assert await standings(database) == {"health/0002": (50, 0)}
