"""What a city costs as it grows: one citizen's keys and consents among ten thousand, a hundred thousand, a million.

Most citizens are filled in by the database, with keys that nobody can unwrap; those who are asked about have real ones.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from gov_services.consent import ledger, store
from gov_services.consent.facts import gather
from gov_services.consent.lifecycle import ConsentEvent
from gov_services.consent.purpose_files import load_seed
from gov_services.consent.purposes import Bundle, Purpose
from gov_services.consent.terms import Terms
from gov_services.crypto.data_keys import DataKeys
from gov_services.crypto.keys import DataClass, LocalKeyProvider
from gov_services.devstack.bench.appending import ROOM, Place, Tell
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.clock import SystemClock
from gov_services.kit.context import Call, Entrance, EntranceKind
from gov_services.kit.database import Database

ASKED = 400
"""Citizens with real keys, at each size. No key is remembered from one question to the next."""
PARTY, PURPOSE = "riverside-bank", "adult-check"
CLASSES = (DataClass.PERMITS, DataClass.AUDIT)
_CLOCK = SystemClock()
_FILL = """
    WITH made AS (SELECT gen_random_uuid() AS citizen_id FROM generate_series(1, $1)),
         keys AS (
      INSERT INTO keys.data_key
      SELECT citizen_id, class, 1, class || '/0001', decode(repeat('00', 40), 'hex'), decode(repeat('00', 32), 'hex'),
             now(), NULL, NULL
        FROM made CROSS JOIN unnest(ARRAY['permits', 'audit']) AS class RETURNING 1),
         said AS (
      INSERT INTO consent.revision (citizen_id, purpose, recipient, number, revision_id, consent_id, state, scope,
                                    forms, notice_hash, bundle_version, made_by, made_at, previous, hash)
      SELECT citizen_id, $2, $3, 1, gen_random_uuid(), gen_random_uuid(), 'given', ARRAY['Citizen.isAdult'],
             ARRAY['DERIVED'], '\\x00', 1, 'citizen', now(), decode(repeat('00', 32), 'hex'),
             decode(repeat('00', 32), 'hex') FROM made RETURNING 1),
         stands AS (
      INSERT INTO consent.standing (citizen_id, purpose, recipient, number, revision_id, consent_id, state, scope,
                                    forms, notice_hash, head)
      SELECT citizen_id, $2, $3, 1, gen_random_uuid(), gen_random_uuid(), 'given', ARRAY['Citizen.isAdult'],
             ARRAY['DERIVED'], '\\x00', decode(repeat('00', 32), 'hex') FROM made RETURNING 1)
    SELECT (SELECT count(*) FROM keys) + (SELECT count(*) FROM said) + (SELECT count(*) FROM stands)
"""


async def grow(place: Place, *, sizes: Sequence[int], tell: Tell) -> dict[str, dict[str, float]]:
    """Medians at each size, smallest first: registering, finding keys, all that a decision needs, a counted reading."""
    owner, room = Database(place.owner_url, pool_size=2), Database(place.urls[ROOM], pool_size=2)
    keys = DataKeys(LocalKeyProvider(place.secrets, CLASSES), cache_seconds=0)
    bundle = load_seed((files("gov_services.consent") / "purposes.toml").read_text())
    figures, held = {}, 0
    try:
        # Whoever starts looks whether the first and the last key are of its files.
        async with owner.writing() as session:
            for end in (UUID(int=0), UUID(int=2**128 - 1)):
                await keys.create(session, citizen_id=end, classes=CLASSES, now=_CLOCK.now())
        for size in sizes:
            tell(f"filling up to {size:,} citizens")
            await _fill(place.owner_url, size - held - ASKED)
            held = size
            figures[str(size)] = await _at(owner, room, keys, bundle)
    finally:
        await owner.close()
        await room.close()
    return figures


async def _fill(url: str, people: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        for begin in range(0, people, 20_000):
            await connection.execute(_FILL, min(20_000, people - begin), PURPOSE, PARTY)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def _at(owner: Database, room: Database, keys: DataKeys, bundle: Bundle) -> dict[str, float]:
    purpose = bundle.purposes[PURPOSE]
    people = [uuid4() for _ in range(ASKED)]

    async def register(citizen_id: UUID) -> object:
        async with owner.writing() as session:
            await keys.create(session, citizen_id=citizen_id, classes=CLASSES, now=_CLOCK.now())
        return None

    async def consent(citizen_id: UUID) -> object:
        async with owner.writing() as session:
            return await _give(session, bundle, purpose, citizen_id)

    async def find_keys(citizen_id: UUID) -> object:
        async with room.reading() as session:
            wanted = {data_class: {citizen_id} for data_class in CLASSES}
            return await keys.load_classes(session, wanted=wanted, now=_CLOCK.now())

    async def decide_by(citizen_id: UUID) -> object:
        async with room.reading() as session:
            return await gather(
                session,
                call=_call(),
                purpose=purpose,
                subject_ids=[citizen_id],
                keys=keys,
                data_class=DataClass.PERMITS,
            )

    async def read_under(citizen_id: UUID) -> object:
        async with room.reading() as session:
            (row,) = await store.standing(
                session, citizen_ids=[citizen_id], purpose=PURPOSE, recipient=PARTY, now=_CLOCK.now()
            )
        async with room.writing() as session:
            return await store.take_reading(
                session,
                citizen_id=citizen_id,
                purpose=PURPOSE,
                recipient=PARTY,
                revision_id=row.revision_id,
                request=str(uuid4()),
                now=_CLOCK.now(),
            )

    figures = {"register_us": await _median(register, people), "consent_us": await _median(consent, people)}
    figures["keys_us"] = await _median(find_keys, people)
    figures["facts_us"] = await _median(decide_by, people)
    figures["reading_us"] = await _median(read_under, people)
    return figures


async def _give(session: Any, bundle: Bundle, purpose: Purpose, citizen_id: UUID) -> object:
    return await ledger.append(
        session,
        bundle=bundle,
        purpose=purpose,
        citizen_id=citizen_id,
        recipient=PARTY,
        event=ConsentEvent.GIVE,
        scope=("Citizen.isAdult",),
        notice_hash=purpose.notice_hash,
        made_by="citizen",
        now=_CLOCK.now(),
        terms=Terms(keep_days=30, uses=100),
    )


def _call() -> Call:
    entrance = Entrance(EntranceKind.DOCUMENT, "IsAdult", PURPOSE)
    return Call(Actor(ActorKind.CLIENT, client_id=PARTY), entrance, _CLOCK.now(), str(uuid4()))


async def _median(work: Callable[[UUID], Awaitable[object]], people: Sequence[UUID]) -> float:
    return round(statistics.median([took async for took in _took(work, people)]) * 1e6)


async def _took(work: Callable[[UUID], Awaitable[object]], people: Sequence[UUID]) -> AsyncIterator[float]:
    for citizen_id in people:
        begun = time.perf_counter()
        await work(citizen_id)
        yield time.perf_counter() - begun
