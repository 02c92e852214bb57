"""Bringing data keys under the newest key-encryption key, batch by batch while all serves, and ending an old one.

It makes no key and takes no file away. What was sealed stays as it is: only the wrapping changes, so that a dump made
before opens nothing once the key that it was wrapped under is gone (NIST SP 800-57 part 1 §8.3.4).
"""

from __future__ import annotations

import datetime as dt
import hmac
from dataclasses import dataclass
from uuid import UUID

from gov_services.crypto import store
from gov_services.crypto.asking import LONGEST_UPKEEP_S, Asking
from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.keys import DataClass, KeyProvider, KeyRefused, Wrapped
from gov_services.kit.database import ReadSession, Session


class StillWraps(KeyRefused):
    """Data keys are wrapped under it."""


BATCH = 1_000
BATCH_OUTSIDE = 200
"""Where keys are outside this process: an erasure that meets a batch waits for it, a second at most."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How many data keys there are under one key-encryption key."""

    kek_id: str
    keys: int
    destroyed: int
    """Tombstones of keys that it wrapped."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch did."""

    seen: int
    """Keys that were looked at; none: it is done."""
    rewrapped: int
    last: tuple[UUID, int] | None
    """Citizen and version to go on after."""


async def standings(session: ReadSession, *, data_class: DataClass) -> list[Standing]:
    """Of every key-encryption key that wraps, or wrapped, keys of the class; oldest first."""
    return [Standing(*row) for row in await store.counted(session, data_class=data_class.value)]


async def rewrap(
    session: Session,
    provider: KeyProvider,
    *,
    data_class: DataClass,
    after: tuple[UUID, int] | None,
    batch: int | None = None,
) -> Step:
    """Wrap the next `batch` keys of the class under the newest epoch, those that are not, in this transaction.

    Two that run at once wait for each other's rows, and neither does what the other has done.
    It holds their rows until it ends, so that an erasure waits and then destroys the newer form. Ended in the middle,
    it is begun again from the first citizen and passes over what is done. Raises KeyRefused for a key that does not
    come out as the one that was committed to: it is left, and named. Raises KeysUnavailable; then nothing of the
    batch is changed.
    """
    asking = Asking(provider, wait_s=LONGEST_UPKEEP_S)
    # Asked before rows are held: nobody waits for it.
    newest = await asking.of(provider.newest, data_class)
    limit = batch or (BATCH_OUTSIDE if provider.waits else BATCH)
    rows = await store.locked_after(session, data_class=data_class.value, after=after, limit=limit)
    older = [
        (row, Wrapped(row.kek_id, row.wrapped)) for row in rows if row.kek_id != newest and row.wrapped is not None
    ]
    keys = await asking.of(provider.unwrap_all, data_class, [wrapped for _, wrapped in older])
    for (row, _), key in zip(older, keys, strict=True):
        held = DataKey(key, citizen_id=row.citizen_id, data_class=data_class, version=row.version)
        if not hmac.compare_digest(held.commitment, row.commitment):
            raise KeyRefused(f"the {data_class.value} key of citizen {row.citizen_id} is not the one committed to")
    made = await asking.of(provider.wrap_all, data_class, keys)
    for (row, _), wrapped in zip(older, made, strict=True):
        row.kek_id, row.wrapped = wrapped.kek_id, wrapped.blob
    await session.flush()
    return Step(len(rows), len(older), (rows[-1].citizen_id, rows[-1].version) if rows else None)


async def retire(session: Session, *, data_class: DataClass, kek_id: str, now: dt.datetime) -> bool:
    """Have the database take nothing more under a key-encryption key; whether it had not been so before.

    From the commit on its file may go. Raises StillWraps where a data key is still wrapped under it.
    """
    await _require_unused(session, data_class, kek_id)  # before anybody is held up, since there may be many to count
    await store.hold_still(session)
    await _require_unused(session, data_class, kek_id)
    return await store.retire(session, kek_id=kek_id, now=now)


async def _require_unused(session: Session, data_class: DataClass, kek_id: str) -> None:
    if under := await store.under(session, kek_id=kek_id):
        raise StillWraps(f"{under} data keys are wrapped under {kek_id}: keys rotate {data_class.value}")
