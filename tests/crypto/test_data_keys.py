"""A citizen's data keys: made with their registration, found out when exchanged, destroyed once and for all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gov_services.crypto.data_keys import LONGEST_CACHE_S, DataKeys
from gov_services.crypto.keys import DataClass, KeyRefused, LocalKeyProvider, Wrapped, init_keys
from gov_services.crypto.suites import Suite
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id

RoomDatabase = Callable[[str], Database]


class CountingProvider:
    """The installation's key-encryption keys, and how often one unwrapped."""

    def __init__(self, directory: Path) -> None:
        self._inner = LocalKeyProvider(directory, DataClass)
        self.unwrapped = 0

    waits = False

    @property
    def classes(self) -> list[DataClass]:
        """See KeyProvider."""
        return list(DataClass)

    def wrap(self, data_class: DataClass, key: bytes) -> Wrapped:
        """See KeyProvider."""
        return self._inner.wrap(data_class, key)

    def unwrap(self, data_class: DataClass, wrapped: Wrapped) -> bytes:
        """See KeyProvider."""
        self.unwrapped += 1
        return self._inner.unwrap(data_class, wrapped)

    def wrap_all(self, data_class: DataClass, keys: Sequence[bytes]) -> list[Wrapped]:
        """See KeyProvider."""
        return self._inner.wrap_all(data_class, keys)

    def unwrap_all(self, data_class: DataClass, wrapped: Sequence[Wrapped]) -> list[bytes]:
        """See KeyProvider."""
        return [self.unwrap(data_class, one) for one in wrapped]

    def newest(self, data_class: DataClass) -> str:
        """See KeyProvider."""
        return self._inner.newest(data_class)

    def suite(self, kek_id: str) -> Suite:
        """See KeyProvider."""
        return self._inner.suite(kek_id)


@pytest.fixture
def provider(secrets_directory: Path) -> CountingProvider:
    """Key-encryption keys of every class."""
    return CountingProvider(secrets_directory)


@pytest.fixture
def keys(provider: CountingProvider) -> DataKeys:
    """Data keys of the installation."""
    return DataKeys(provider)


@pytest.fixture
async def citizen_id(database: Database, keys: DataKeys, clock: FrozenClock) -> UUID:
    """A citizen with keys of every class."""
    made = new_id(clock.now())
    async with database.writing() as session:
        await keys.create(session, citizen_id=made, classes=DataClass, now=clock.now())
    return made


async def standing(database: Database) -> set[tuple[str, bool]]:
    """(class, whether it still has a wrapped form) of every key."""
    async with database.reading() as session:
        rows = await session.execute(text("SELECT data_class, wrapped IS NOT NULL FROM keys.data_key"))
        return {tuple(row) for row in rows}


async def load(database: Database, keys: DataKeys, citizen_id: UUID, kind: DataClass, now: dt.datetime) -> object:
    """The key as a request finds it; None where there is none."""
    async with database.reading() as session:
        return (await keys.load(session, citizen_ids=[citizen_id], data_class=kind, now=now)).get(citizen_id)


async def test_keys_of_a_registration_that_fails_are_not_left_behind(
    database: Database, keys: DataKeys, clock: FrozenClock
) -> None:
    async def register_halfway() -> None:
        async with database.writing() as session:
            await keys.create(session, citizen_id=new_id(clock.now()), classes=DataClass, now=clock.now())
            raise LookupError("the phone is somebody else's")

    with pytest.raises(LookupError):
        await register_halfway()

    assert await standing(database) == set()


async def test_every_class_has_a_key_of_its_own_and_the_database_has_none_of_them(
    database: Database, keys: DataKeys, citizen_id: UUID, clock: FrozenClock
) -> None:
    found = [await load(database, keys, citizen_id, kind, clock.now()) for kind in DataClass]

    tags = {key.tag(b"subject") for key in found}  # type: ignore[attr-defined]
    assert len(tags) == len(DataClass)
    async with database.reading() as session:
        stored = (await session.execute(text("SELECT wrapped, commitment, kek_id FROM keys.data_key"))).all()
    assert {row.kek_id for row in stored} == {f"{kind.value}/0001" for kind in DataClass}
    secrets = {key._key for key in found}  # type: ignore[attr-defined]
    assert not secrets & {bytes(value) for row in stored for value in (row.wrapped, row.commitment)}
    assert {key.commitment for key in found} == {bytes(row.commitment) for row in stored}  # type: ignore[attr-defined]


async def test_the_same_citizen_gets_no_second_keys(
    database: Database, keys: DataKeys, citizen_id: UUID, clock: FrozenClock
) -> None:
    with pytest.raises(DBAPIError, match="pk_data_key"):
        async with database.writing() as session:
            await keys.create(session, citizen_id=citizen_id, classes=[DataClass.HEALTH], now=clock.now())


async def test_a_key_that_is_not_the_one_committed_to_is_refused(
    database: Database, keys: DataKeys, provider: CountingProvider, citizen_id: UUID, clock: FrozenClock
) -> None:
    exchanged = provider.wrap(DataClass.HEALTH, b"\x01" * 32)
    async with database.writing() as session:
        await session.execute(
            text("UPDATE keys.data_key SET wrapped = :blob WHERE data_class = 'health'"), {"blob": exchanged.blob}
        )

    with pytest.raises(KeyRefused, match="not the one that was committed to"):
        await load(database, keys, citizen_id, DataClass.HEALTH, clock.now())
    assert await load(database, keys, citizen_id, DataClass.IDENTITY, clock.now()) is not None


async def test_a_destroyed_key_is_gone_at_the_commit_also_for_who_remembers_it(
    database: Database, secrets_directory: Path, keys: DataKeys, citizen_id: UUID, clock: FrozenClock
) -> None:
    other = DataKeys(LocalKeyProvider(secrets_directory, DataClass))
    now = clock.now()
    for holder in (keys, other):
        assert await load(database, holder, citizen_id, DataClass.HEALTH, now) is not None

    async with database.writing() as session:
        await keys.shred(session, citizen_id=citizen_id, data_class=DataClass.HEALTH, reason="erased", now=now)

    for holder in (keys, other):
        assert await load(database, holder, citizen_id, DataClass.HEALTH, now) is None
        assert await load(database, holder, citizen_id, DataClass.PERMITS, now) is not None
    assert await standing(database) == {(kind.value, kind is not DataClass.HEALTH) for kind in DataClass}


RESURRECTIONS = (
    (
        "INSERT INTO keys.data_key (citizen_id, data_class, version, kek_id, wrapped, commitment, created_at) "
        "SELECT citizen_id, data_class, 2, kek_id, 'w', commitment, created_at FROM keys.data_key "
        "WHERE destroyed_at IS NOT NULL",
        "a destroyed key is never made again",
    ),
    (
        "UPDATE keys.data_key SET wrapped = 'w', destroyed_at = NULL, reason = NULL WHERE destroyed_at IS NOT NULL",
        "a tombstone stays",
    ),
    ("UPDATE keys.data_key SET reason = 'other' WHERE destroyed_at IS NOT NULL", "a tombstone stays"),
    ("UPDATE keys.data_key SET commitment = sha256('x')", "a key stays whose it is"),
    ("UPDATE keys.data_key SET citizen_id = gen_random_uuid()", "a key stays whose it is"),
    ("DELETE FROM keys.data_key WHERE destroyed_at IS NOT NULL", "never by removing its row"),
    ("DELETE FROM keys.data_key", "never by removing its row"),
    ("TRUNCATE keys.data_key", "never by removing its row"),
)


async def test_not_even_the_owner_of_the_database_brings_a_destroyed_key_back(
    database: Database, keys: DataKeys, citizen_id: UUID, clock: FrozenClock
) -> None:
    async with database.writing() as session:
        await keys.shred(session, citizen_id=citizen_id, data_class=DataClass.HEALTH, reason="erased", now=clock.now())
    before = await standing(database)

    for statement, complaint in RESURRECTIONS:
        with pytest.raises(DBAPIError, match=complaint):
            async with database.writing() as session:
                await session.execute(text(statement))
    with pytest.raises(DBAPIError, match="a destroyed key is never made again"):
        async with database.writing() as session:
            await keys.create(session, citizen_id=citizen_id, classes=[DataClass.HEALTH], now=clock.now())

    assert await standing(database) == before
    assert await load(database, keys, citizen_id, DataClass.HEALTH, clock.now()) is None


async def test_a_key_is_remembered_for_a_minute_at_most_and_not_beyond_what_fits(
    database: Database, provider: CountingProvider, citizen_id: UUID, clock: FrozenClock
) -> None:
    keys, small = DataKeys(provider), DataKeys(provider, cache_size=1)
    for kind in (DataClass.HEALTH, DataClass.HEALTH):
        await load(database, keys, citizen_id, kind, clock.now())
    assert provider.unwrapped == 1
    clock.advance(dt.timedelta(seconds=LONGEST_CACHE_S))
    await load(database, keys, citizen_id, DataClass.HEALTH, clock.now())
    assert provider.unwrapped == 2
    keys.forget(citizen_id)
    await load(database, keys, citizen_id, DataClass.HEALTH, clock.now())
    assert provider.unwrapped == 3
    for kind in (DataClass.HEALTH, DataClass.PERMITS, DataClass.HEALTH):
        await load(database, small, citizen_id, kind, clock.now())
    assert provider.unwrapped == 6
    with pytest.raises(ValueError, match="60 s at most"):
        DataKeys(provider, cache_seconds=LONGEST_CACHE_S + 1)


async def test_other_key_files_of_the_same_names_make_no_keys(
    database: Database, citizen_id: UUID, clock: FrozenClock, tmp_path: Path
) -> None:
    init_keys(tmp_path / "others")
    others = DataKeys(LocalKeyProvider(tmp_path / "others", DataClass))
    before = await standing(database)

    with pytest.raises(KeyRefused, match="was not wrapped under"):
        async with database.writing() as session:
            await others.create(session, citizen_id=new_id(clock.now()), classes=DataClass, now=clock.now())

    assert await standing(database) == before


async def test_a_room_sees_the_wrapped_keys_of_its_own_class_and_of_the_logs(
    room_database: RoomDatabase, citizen_id: UUID
) -> None:
    own = {"permits": "permits", "payments": "payments", "healthcode": "health", "identity": "identity"}
    for room, data_class in own.items():
        async with room_database(room).reading() as session:
            seen = (await session.execute(text("SELECT data_class FROM keys.data_key"))).scalars()
            assert set(seen) == {data_class, "audit"}, room
    for room in ("permits", "healthcode", "worker", "audit"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with room_database(room).writing() as session:
                await session.execute(
                    text("UPDATE keys.data_key SET wrapped = NULL, destroyed_at = now(), reason = 'r'")
                )
