"""What every provider of key-encryption keys keeps: files, a PKCS#11 token, Vault's transit engine, and going over."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import soft_tokens
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from transit_server import Transit, transit_server

from gov_services.crypto import rotation
from gov_services.crypto.data_keys import LONGEST_CACHE_S, DataKey, DataKeys
from gov_services.crypto.key_ring import KeyPlaces, open_ring, provider_of
from gov_services.crypto.keys import DataClass, KekKeeper, KeyRefused, KeysUnavailable, Wrapped, init_keys
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id

HEALTH, PERMITS = DataClass.HEALTH, DataClass.PERMITS
KEY = bytes(range(32))
Open = Callable[..., KekKeeper]


@pytest.fixture
def transit() -> Iterator[Transit]:
    """A transit engine of this test's own."""
    with transit_server() as served:
        yield served


@pytest.fixture
def opening(tmp_path: Path, transit: Transit) -> Open:
    """Opens providers by name, as a process does that starts now."""
    init_keys(tmp_path)
    write_token(tmp_path, "operator")
    prefix: list[str] = []

    def go(*names: str, classes: tuple[DataClass, ...] = tuple(DataClass), holder: str = "operator") -> KekKeeper:
        module = ""
        if "pkcs11" in names:
            soft_tokens.write_pins(tmp_path / "pkcs11")
            module, prefix[:] = soft_tokens.module(), prefix or [soft_tokens.fresh_prefix()]
        places = KeyPlaces(
            providers=names,
            directory=tmp_path,
            pkcs11_module=module,
            pkcs11_prefix=prefix[0] if prefix else "",
            vault_url=transit.url,
        )
        return open_ring(places, classes, holder=holder)

    return go


def write_token(secrets: Path, holder: str, token: str | None = None) -> None:
    """The token file of a holder."""
    path = secrets / "vault" / f"{holder}.token"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(f"{token or holder}\n")
    path.chmod(0o600)


async def registered(database: Database, keys: DataKeys, clock: FrozenClock, count: int) -> list[UUID]:
    """Citizens with a health key."""
    made = sorted(new_id(clock.now()) for _ in range(count))
    async with database.writing() as session:
        for citizen_id in made:
            await keys.create(session, citizen_id=citizen_id, classes=[HEALTH], now=clock.now())
    return made


async def found(database: Database, keys: DataKeys, citizens: list[UUID], now: dt.datetime) -> dict[UUID, DataKey]:
    """Their keys, as a request finds them."""
    async with database.reading() as session:
        return await keys.load(session, citizen_ids=citizens, data_class=HEALTH, now=now)


EVERY = pytest.mark.parametrize("name", ["file", "pkcs11", "vault"])


@EVERY
def test_a_key_comes_back_from_under_its_own_key_encryption_key_only(opening: Open, name: str) -> None:
    keeper = opening(name)
    first = [keeper.add(data_class) for data_class in DataClass]
    keeper = opening(name)

    wrapped = keeper.wrap(HEALTH, KEY)
    assert keeper.newest(HEALTH) == wrapped.kek_id == keeper.held(HEALTH)[-1]
    assert wrapped.kek_id in first
    assert provider_of(wrapped.kek_id) == name
    assert KEY not in wrapped.blob
    assert opening(name).unwrap(HEALTH, wrapped) == KEY

    for data_class, one in (
        (PERMITS, wrapped),
        (PERMITS, Wrapped(wrapped.kek_id.replace("health", "permits"), wrapped.blob)),
        (HEALTH, Wrapped(wrapped.kek_id.replace("/0", "/7"), wrapped.blob)),
        (HEALTH, Wrapped(wrapped.kek_id, wrapped.blob[:-1])),
        (HEALTH, Wrapped(wrapped.kek_id, b"")),
        (HEALTH, Wrapped("health/none", wrapped.blob)),
        (HEALTH, Wrapped("", wrapped.blob)),
    ):
        with pytest.raises(KeyRefused):
            keeper.unwrap(data_class, one)
    with pytest.raises(KeyRefused):
        keeper.unwrap_all(HEALTH, [wrapped, Wrapped(wrapped.kek_id, wrapped.blob[::-1])])


@EVERY
def test_a_room_uses_the_keys_of_its_own_classes(opening: Open, name: str) -> None:
    everything = opening(name)
    for data_class in DataClass:
        everything.add(data_class)
    room = opening(name, classes=(PERMITS, DataClass.AUDIT))

    other = opening(name).wrap(HEALTH, KEY)
    for call in (
        lambda: room.unwrap(HEALTH, other),
        lambda: room.wrap(HEALTH, KEY),
        lambda: room.newest(HEALTH),
        lambda: room.held(HEALTH),
    ):
        with pytest.raises(KeyRefused, match="keys of class health are not held here"):
            call()
    assert room.unwrap(PERMITS, room.wrap(PERMITS, KEY)) == KEY


@EVERY
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(st.binary(min_size=32, max_size=32), max_size=5), flip=st.integers(min_value=0))
def test_many_come_back_in_their_order_and_no_flipped_bit_passes(
    opening: Open, name: str, keys: list[bytes], flip: int
) -> None:
    keeper = opening(name)
    if not keeper.held(HEALTH):
        keeper.add(HEALTH)
    wrapped = keeper.wrap_all(HEALTH, keys)
    assert keeper.unwrap_all(HEALTH, wrapped) == keys
    for one in wrapped:
        altered = bytearray(one.blob)
        altered[(flip // 8) % len(altered)] ^= 1 << flip % 8
        with pytest.raises(KeyRefused):
            keeper.unwrap(HEALTH, Wrapped(one.kek_id, bytes(altered)))


@EVERY
def test_a_destroyed_epoch_opens_nothing_and_the_next_is_no_other_of_its_name(opening: Open, name: str) -> None:
    keeper = opening(name)
    old = keeper.held(HEALTH)[-1] if keeper.held(HEALTH) else keeper.add(HEALTH)
    wrapped = keeper.wrap(HEALTH, KEY)
    newer = keeper.add(HEALTH)
    keeper = opening(name)
    assert keeper.gone_with(old) == [old]

    keeper.destroy(old)
    keeper.destroy(old)

    again = opening(name)
    with pytest.raises(KeyRefused):
        again.unwrap(HEALTH, wrapped)
    assert again.held(HEALTH) == [newer]
    assert again.wrap(HEALTH, KEY).kek_id == newer
    assert again.add(HEALTH) not in (old, newer)


@EVERY
async def test_citizens_are_registered_read_rotated_and_exchanged_keys_are_refused(
    opening: Open, database: Database, clock: FrozenClock, name: str
) -> None:
    opening(name).add(HEALTH)
    keys = DataKeys(opening(name, classes=(HEALTH,)))
    citizens = await registered(database, keys, clock, 5)
    before = await found(database, DataKeys(opening(name)), citizens, clock.now())
    assert set(before) == set(citizens)

    newest = opening(name).add(HEALTH)
    keeper = opening(name, classes=(HEALTH,))
    # Ended after the first batch, begun again by two at once.
    async with database.writing() as session:
        step = await rotation.rewrap(session, keeper, data_class=HEALTH, after=None, batch=2)
    assert step.rewrapped == 2
    assert sum(await asyncio.gather(*(rotated(database, keeper) for _ in range(2)))) == 3

    async with database.reading() as session:
        standings = {one.kek_id: one.keys for one in await rotation.standings(session, data_class=HEALTH)}
    assert standings == {newest: 5}
    after = await found(database, DataKeys(opening(name)), citizens, clock.now())
    assert {one: key.commitment for one, key in after.items()} == {one: key.commitment for one, key in before.items()}

    async with database.writing() as session:
        moved = "UPDATE keys.data_key SET wrapped = (SELECT wrapped FROM keys.data_key WHERE citizen_id = :a)"
        await session.execute(text(f"{moved} WHERE citizen_id = :b"), {"a": citizens[0], "b": citizens[1]})
    with pytest.raises(KeyRefused, match="not the one that was committed to"):
        await found(database, DataKeys(opening(name)), citizens[1:2], clock.now())


async def rotated(database: Database, keeper: KekKeeper) -> int:
    """Rewrap to the end, two in a transaction; how many were."""
    after, total = None, 0
    while True:
        async with database.writing() as session:
            step = await rotation.rewrap(session, keeper, data_class=HEALTH, after=after, batch=2)
        if step.last is None:
            return total
        after, total = step.last, total + step.rewrapped


@pytest.mark.parametrize("name", ["pkcs11", "vault"])
async def test_going_over_from_files_is_a_rotation_and_back_too(
    opening: Open, database: Database, clock: FrozenClock, tmp_path: Path, name: str
) -> None:
    citizens = await registered(database, DataKeys(opening("file")), clock, 2)
    # The setting changed, and the class has no key there yet: nobody waits for it.
    ring = opening(name, "file")
    assert ring.newest(HEALTH) == "health/0001"
    citizens += await registered(database, DataKeys(ring), clock, 1)
    assert ring.add(HEALTH) == ring.newest(HEALTH)
    ring = opening(name, "file", classes=(HEALTH,))
    assert ring.held(HEALTH) == ["health/0001", ring.newest(HEALTH)]

    citizens += await registered(database, DataKeys(ring), clock, 1)
    assert len(await found(database, DataKeys(ring), citizens, clock.now())) == 4
    assert await rotated(database, ring) == 3
    ring.destroy("health/0001")
    assert not (tmp_path / "kek/health/0001.key").exists()
    assert len(await found(database, DataKeys(opening(name, "file")), citizens, clock.now())) == 4
    with pytest.raises(KeyRefused, match="there is no key-encryption key of class health"):
        opening("file")
    # Who was forgotten when the setting changed opens nothing, and says why.
    init_keys(tmp_path)
    with pytest.raises(KeyRefused, match=f"key-encryption key {ring.newest(HEALTH)} is not held here"):
        await found(database, DataKeys(opening("file")), citizens, clock.now())


async def test_what_does_not_answer_opens_nothing_and_is_remembered_for_a_minute_at_most(
    opening: Open, database: Database, clock: FrozenClock, transit: Transit
) -> None:
    opening("vault").add(HEALTH)
    keys = DataKeys(opening("vault", classes=(HEALTH,)))
    citizens = await registered(database, keys, clock, 2)
    await found(database, keys, citizens[:1], clock.now())

    transit.status = 503
    assert list(await found(database, keys, citizens[:1], clock.now())) == citizens[:1]
    with pytest.raises(KeysUnavailable):
        await found(database, keys, citizens[1:], clock.now())
    with pytest.raises(KeysUnavailable):
        await registered(database, keys, clock, 1)
    clock.advance(dt.timedelta(seconds=LONGEST_CACHE_S))
    with pytest.raises(KeysUnavailable):
        await found(database, keys, citizens, clock.now())
    with pytest.raises(KeysUnavailable):
        await rotated(database, opening("vault", classes=(HEALTH,)))

    transit.status = None
    assert len(await found(database, keys, citizens, clock.now())) == 2
    async with database.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM keys.data_key"))).scalar() == 2
