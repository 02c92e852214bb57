"""All SQL of `audit`, one statement a function. It decides nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, Select, bindparam, func, insert, select, text, tuple_
from sqlalchemy.dialects.postgresql import BYTEA
from sqlalchemy.ext.asyncio import AsyncConnection

from gov_services.audit.merkle import Node
from gov_services.audit.models import CheckpointRow, EntryRow, HeadRow, NodeRow, PendingRow, RejectedRow
from gov_services.kit.database import ReadSession, Session

LEASE = 0x676F762D6C6F6701
"""Key of the advisory lock under which one integrator works at a time: `gov-log`, version 1."""


@dataclass(frozen=True, slots=True)
class Unnumbered:
    """An entry as it is handed to the database: its id, its salt, its canonical text."""

    entry_id: UUID
    salt: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Numbered:
    """What the database answered for one entry."""

    seq: int
    same: bool
    """False where the id belongs to an entry that says something else."""
    lag_s: float | None


_BYTES = ARRAY(BYTEA)
_APPEND = text("SELECT entry_id, entry_seq, same, lag_s FROM audit.append(:salts, :bodies)").bindparams(
    bindparam("salts", type_=_BYTES), bindparam("bodies", type_=_BYTES)
)


async def append(connection: AsyncConnection, entries: Sequence[Unnumbered]) -> dict[UUID, Numbered]:
    """Number and store `entries`, or find the numbers that they have. On a connection of the log's own."""
    values = {"salts": [entry.salt for entry in entries], "bodies": [entry.body for entry in entries]}
    rows = await connection.execute(_APPEND, values)
    return {row.entry_id: Numbered(row.entry_seq, row.same, row.lag_s) for row in rows}


async def place_pending(session: Session, entry: Unnumbered) -> None:
    """Leave an entry to be numbered once the transaction has committed."""
    values = {"id": entry.entry_id, "salt": entry.salt, "body": entry.body}
    await session.execute(insert(PendingRow.__table__).values(values))  # type: ignore[arg-type]  # a Table, for mypy a FromClause


async def move_pending(session: Session, *, batch: int) -> tuple[int, int]:
    """Number up to `batch` waiting entries; how many were taken, and how many of these were set aside instead."""
    statement = text("SELECT taken, set_aside FROM audit.move_pending(:batch)")
    moved = (await session.execute(statement, {"batch": batch})).one()
    return int(moved.taken), int(moved.set_aside)


async def pending_ids(session: ReadSession, *, limit: int) -> Sequence[UUID]:
    """Ids of waiting entries, longest waiting first."""
    query = select(PendingRow.id).order_by(PendingRow.placed_at, PendingRow.id).limit(limit)
    return (await session.execute(query)).scalars().all()


async def contradicting_pending(session: ReadSession) -> Sequence[UUID]:
    """Ids under which an entry waits that says something else than the numbered entry of that id."""
    query = select(PendingRow.id).join(EntryRow, EntryRow.id == PendingRow.id).where(EntryRow.body != PendingRow.body)
    return (await session.execute(query)).scalars().all()


async def rejected(session: ReadSession) -> Sequence[tuple[UUID, str]]:
    """(id, reason) of entries that were set aside, oldest first."""
    query = select(RejectedRow.id, RejectedRow.reason).order_by(RejectedRow.rejected_at)
    return [(entry_id, reason) for entry_id, reason in await session.execute(query)]


async def take_lease(session: Session) -> bool:
    """Whether this transaction is the one integrator at work. Held until it ends."""
    return bool((await session.execute(select(func.pg_try_advisory_xact_lock(LEASE)))).scalar_one())


async def head(session: ReadSession) -> HeadRow:
    """The log's identity and the next number."""
    return (await session.execute(select(HeadRow))).scalar_one()


async def lag_s(session: ReadSession) -> float | None:
    """Seconds that the oldest entry has been waiting to be under a checkpoint; None when none waits."""
    waiting: float | None = (await session.execute(text("SELECT audit.lag_s()"))).scalar_one()
    return waiting


async def commitments(session: ReadSession, *, begin: int, limit: int) -> Sequence[tuple[int, bytes]]:
    """(number, commitment) of entries from `begin` on, in order."""
    query = select(EntryRow.seq, EntryRow.commitment).where(EntryRow.seq >= begin).order_by(EntryRow.seq).limit(limit)
    return [(seq, committed) for seq, committed in await session.execute(query)]


async def tree_size(session: ReadSession) -> int:
    """How many leaves the stored tree has."""
    last = await session.execute(select(func.max(NodeRow.index)).where(NodeRow.level == 0))
    index = last.scalar_one()
    return 0 if index is None else index + 1


async def nodes(session: ReadSession, names: Iterable[Node]) -> dict[Node, bytes]:
    """The stored hashes of those complete subtrees; absent ones are left out."""
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}
    query = select(NodeRow.level, NodeRow.index, NodeRow.hash).where(tuple_(NodeRow.level, NodeRow.index).in_(wanted))
    return {(level, index): digest for level, index, digest in await session.execute(query)}


async def nodes_from(session: ReadSession, *, level: int, begin: int, limit: int) -> dict[int, bytes]:
    """Stored hashes of one level, by index, from `begin` up to, not including, `begin + limit`."""
    query = select(NodeRow.index, NodeRow.hash).where(
        NodeRow.level == level, NodeRow.index >= begin, NodeRow.index < begin + limit
    )
    return {index: digest for index, digest in await session.execute(query)}


async def places_of_leaf(session: ReadSession, *, leaf: bytes) -> Sequence[int]:
    """Where the stored tree holds that leaf. Reads every leaf: for findings only."""
    query = select(NodeRow.index).where(NodeRow.level == 0, NodeRow.hash == leaf).order_by(NodeRow.index)
    return (await session.execute(query)).scalars().all()


async def add_nodes(session: Session, new: Sequence[tuple[Node, bytes]]) -> None:
    """Store complete subtrees. One that is stored already is refused by its key."""
    rows = text(
        "INSERT INTO audit.node (level, index, hash) "
        "SELECT * FROM unnest(CAST(:levels AS integer[]), CAST(:indexes AS bigint[]), :hashes)"
    ).bindparams(bindparam("hashes", type_=_BYTES))
    values = {
        "levels": [level for (level, _), _ in new],
        "indexes": [index for (_, index), _ in new],
        "hashes": [digest for _, digest in new],
    }
    await session.execute(rows, values)


async def newest_checkpoint(session: ReadSession) -> CheckpointRow | None:
    """The checkpoint over the largest tree."""
    query = select(CheckpointRow).order_by(CheckpointRow.size.desc()).limit(1)
    return (await session.execute(query)).scalar_one_or_none()


async def checkpoints_between(session: ReadSession, *, after: int, upto: int) -> Sequence[CheckpointRow]:
    """Checkpoints over trees larger than `after` and of `upto` leaves at most, smallest first."""
    query = select(CheckpointRow).where(CheckpointRow.size > after, CheckpointRow.size <= upto)
    return (await session.execute(query.order_by(CheckpointRow.size))).scalars().all()


async def add_checkpoint(session: Session, *, size: int, note: str, key_id: str, now: dt.datetime) -> None:
    """Store a signed checkpoint. A second one over a tree of that size is refused by its key."""
    row = {"size": size, "note": note, "key_id": key_id, "signed_at": now}
    await session.execute(insert(CheckpointRow).values(row))


async def entry(session: ReadSession, *, entry_id: UUID) -> EntryRow | None:
    """The numbered entry of that id."""
    return (await session.execute(select(EntryRow).where(EntryRow.id == entry_id))).scalar_one_or_none()


async def entries_from(session: ReadSession, *, begin: int, limit: int) -> Sequence[EntryRow]:
    """Entries numbered from `begin` on, in order."""
    query = select(EntryRow).where(EntryRow.seq >= begin).order_by(EntryRow.seq).limit(limit)
    return (await session.execute(query)).scalars().all()


async def behind_the_end(session: ReadSession, *, limit: int) -> Sequence[int]:
    """Numbers of entries that nobody has given out yet. One statement, so that one appended meanwhile is none."""
    following = select(HeadRow.next).scalar_subquery()
    query = select(EntryRow.seq).where(EntryRow.seq >= following).order_by(EntryRow.seq).limit(limit)
    return (await session.execute(query)).scalars().all()


async def found(session: ReadSession, query: Select[EntryRow]) -> Sequence[EntryRow]:
    """What a query that `history` built finds."""
    return (await session.execute(query)).scalars().all()
