"""All SQL of `crypto`: the wrapped data keys, and what wraps no more. It wraps and unwraps nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from gov_services.crypto.models import DataKeyRow, HolderRow, RetiredRow
from gov_services.kit.database import ReadSession, Session


async def standing(session: ReadSession, *, pairs: Collection[tuple[UUID, str]]) -> Sequence[DataKeyRow]:
    """Keys of these citizens and classes that are not destroyed."""
    query = select(DataKeyRow).where(
        tuple_(DataKeyRow.citizen_id, DataKeyRow.data_class).in_(pairs), DataKeyRow.destroyed_at.is_(None)
    )
    return (await session.execute(query)).scalars().all()


async def at_the_ends(session: ReadSession, *, data_class: str) -> Sequence[DataKeyRow]:
    """The standing keys of a class that belong to the first and to the last citizen; none where there is none."""
    query = select(DataKeyRow).where(DataKeyRow.data_class == data_class, DataKeyRow.destroyed_at.is_(None)).limit(1)
    found: list[DataKeyRow] = []
    for order in (DataKeyRow.citizen_id.asc(), DataKeyRow.citizen_id.desc()):
        found += (await session.execute(query.order_by(order))).scalars().all()
    return found


async def destroy(session: Session, *, citizen_id: UUID, data_class: str, reason: str, now: dt.datetime) -> int:
    """Overwrite the wrapped keys of one citizen and class; how many stood. The trigger lets nothing bring them back."""
    statement = (
        update(DataKeyRow)
        .where(
            DataKeyRow.citizen_id == citizen_id,
            DataKeyRow.data_class == data_class,
            DataKeyRow.destroyed_at.is_(None),
        )
        .values(wrapped=None, destroyed_at=now, reason=reason)
        .returning(DataKeyRow.version)
    )
    return len((await session.execute(statement)).all())


async def counted(session: ReadSession, *, data_class: str) -> list[tuple[str, int, int]]:
    """(key-encryption key, keys that stand under it, destroyed ones that did), by name. It reads the whole class."""
    await session.execute(text("SET LOCAL statement_timeout = '10min'"))
    stands = DataKeyRow.destroyed_at.is_(None)
    query = (
        select(DataKeyRow.kek_id, func.count().filter(stands), func.count().filter(~stands))
        .where(DataKeyRow.data_class == data_class)
        .group_by(DataKeyRow.kek_id)
        .order_by(DataKeyRow.kek_id)
    )
    return [(kek_id, keys, destroyed) for kek_id, keys, destroyed in await session.execute(query)]


async def under(session: ReadSession, *, kek_id: str) -> int:
    """How many keys stand under a key-encryption key: by an index, so that none is soon told."""
    query = select(func.count()).where(DataKeyRow.kek_id == kek_id, DataKeyRow.destroyed_at.is_(None))
    return int((await session.execute(query)).scalar_one())


async def locked_after(
    session: Session, *, data_class: str, after: tuple[UUID, int] | None, limit: int
) -> Sequence[DataKeyRow]:
    """The next keys of the class that are not destroyed, by citizen and version, held until the transaction ends.

    It waits longer for them than a request would: another rotation may hold them.
    """
    await session.execute(text("SET LOCAL lock_timeout = '30s'"))
    query = (
        select(DataKeyRow)
        .where(DataKeyRow.data_class == data_class, DataKeyRow.destroyed_at.is_(None))
        .order_by(DataKeyRow.citizen_id, DataKeyRow.version)
        .limit(limit)
        .with_for_update()
    )
    if after is not None:
        query = query.where(tuple_(DataKeyRow.citizen_id, DataKeyRow.version) > after)
    return (await session.execute(query)).scalars().all()


async def hold_still(session: Session) -> None:
    """Let no key be made, re-wrapped or destroyed until this transaction ends; reading goes on."""
    await session.execute(text("LOCK TABLE keys.data_key IN SHARE ROW EXCLUSIVE MODE"))


async def retire(session: Session, *, kek_id: str, now: dt.datetime) -> bool:
    """Have nothing more be wrapped under a key-encryption key; whether it had not been so before."""
    statement = insert(RetiredRow).values(kek_id=kek_id, retired_at=now).on_conflict_do_nothing()
    return (await session.execute(statement.returning(RetiredRow.kek_id))).scalar() is not None


async def retired(session: ReadSession) -> dict[str, dt.datetime]:
    """All key-encryption keys under which nothing is wrapped any more, and since when."""
    rows = await session.execute(select(RetiredRow.kek_id, RetiredRow.retired_at))
    return {kek_id: retired_at for kek_id, retired_at in rows}


async def state_holding(session: Session, *, holder: str, data_class: str, kek_id: str, now: dt.datetime) -> None:
    """Have it stand by which key-encryption key `holder` wraps; since when it does is kept while it stays that one."""
    statement = insert(HolderRow).values(holder=holder, data_class=data_class, kek_id=kek_id, since=now)
    changed = statement.on_conflict_do_update(
        index_elements=[HolderRow.holder, HolderRow.data_class],
        set_={"kek_id": statement.excluded.kek_id, "since": statement.excluded.since},
        where=HolderRow.kek_id != statement.excluded.kek_id,
    )
    await session.execute(changed)


async def holders(session: ReadSession, *, data_class: str) -> Sequence[HolderRow]:
    """What each holder of the class has said."""
    return (await session.execute(select(HolderRow).where(HolderRow.data_class == data_class))).scalars().all()
