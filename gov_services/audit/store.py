"""All SQL of `audit`, one statement a function. It decides nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Row, Select, Uuid, any_, bindparam, func, insert, literal, select, text, tuple_, union
from sqlalchemy.dialects.postgresql import BYTEA

from gov_services.audit.chain import Batch, Writer
from gov_services.audit.merkle import Node
from gov_services.audit.models import (
    BatchRow,
    CheckpointRow,
    DescriptionRow,
    EntryRow,
    HeadRow,
    NodeRow,
    PendingRow,
    RejectedRow,
    WriterRow,
)
from gov_services.kit.database import ReadSession, Session

LEASE = 0x676F762D6C6F6701
"""Key of the advisory lock under which one integrator works at a time: `gov-log`, version 1."""
PUBLISHING = LEASE + 2


@dataclass(slots=True)
class Unnumbered:
    """An entry as it is handed to the database: its id, its salt, its canonical text, and what these commit to."""

    entry_id: UUID
    salt: bytes
    body: bytes
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the database answered for a batch, in its order."""

    seqs: Sequence[int]
    contradicted: frozenset[UUID]
    """Ids that belong to entries that say something else."""
    lag_s: float | None
    """Where it was asked for: see `lag_s`."""


_BYTES = ARRAY(BYTEA)
_IDS = ARRAY(Uuid(as_uuid=True))
"""One parameter, however many there are."""
_OPEN_WRITER = "SELECT audit.open_writer($1, $2, $3, $4)"
_APPEND = "SELECT first, lag_s FROM audit.append($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_APPEND_AGAIN = "SELECT entry_id, entry_seq, same, lag_s FROM audit.append_again($1, $2, $3, $4, $5, $6, $7, $8)"


async def open_writer(connection: asyncpg.Connection, writer: Writer) -> None:
    """Make a chain known, unless it is. On a connection of the log's own."""
    await connection.execute(_OPEN_WRITER, writer.writer_id, writer.room, writer.key_id, writer.opening_signature)


async def append(
    connection: asyncpg.Connection, writer: Writer, batch: Batch, entries: Sequence[Unnumbered], *, asks_lag: bool
) -> Numbers:
    """Number and store new `entries`. Raises asyncpg.UniqueViolationError where one, or the batch, is there already."""
    first, lag_s = await connection.fetchrow(_APPEND, *_handed(writer, batch, entries), asks_lag)
    return Numbers(range(first, first + len(entries)), frozenset(), lag_s)


async def append_again(
    connection: asyncpg.Connection, writer: Writer, batch: Batch, entries: Sequence[Unnumbered]
) -> Numbers:
    """The same where some may be there already: these keep the numbers that they have."""
    rows = await connection.fetch(_APPEND_AGAIN, *_handed(writer, batch, entries))
    found = {row["entry_id"]: row["entry_seq"] for row in rows}
    contradicted = frozenset(row["entry_id"] for row in rows if not row["same"])
    return Numbers([found[entry.entry_id] for entry in entries], contradicted, rows[0]["lag_s"] if rows else None)


def _handed(writer: Writer, batch: Batch, entries: Sequence[Unnumbered]) -> tuple[object, ...]:
    ids = [entry.entry_id for entry in entries]
    salts = [entry.salt for entry in entries]
    bodies = [entry.body for entry in entries]
    commitments = [entry.commitment for entry in entries]
    return (writer.writer_id, batch.number, ids, salts, bodies, commitments, batch.items, batch.signature)


async def place_pending(session: Session, entry: Unnumbered, *, writer_id: UUID, voucher: bytes) -> None:
    """Leave an entry to be numbered once the transaction has committed."""
    values = {"id": entry.entry_id, "salt": entry.salt, "body": entry.body, "writer": writer_id, "voucher": voucher}
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


async def take_publishing(session: Session) -> bool:
    """Whether this transaction is the one that brings a checkpoint out. Held until it ends."""
    return bool((await session.execute(select(func.pg_try_advisory_xact_lock(PUBLISHING)))).scalar_one())


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


@dataclass(frozen=True, slots=True)
class Standing:
    """The stored tree and what is signed of it, of one moment: they are written together."""

    leaves: int
    signed: int
    """Leaves under the newest checkpoint; -1 for none."""
    beside: int
    """Stored nodes that are of no complete subtree of such a tree."""


async def standing(session: ReadSession) -> Standing:
    """In one statement, so that what is written meanwhile is in all of it or in none."""
    statement = text(
        "WITH tree AS MATERIALIZED (SELECT coalesce(max(index) + 1, 0) AS leaves FROM audit.node WHERE level = 0) "
        "SELECT leaves, (SELECT coalesce(max(size), -1) FROM audit.checkpoint) AS signed, "
        "(SELECT sum(more) FROM generate_series(0, 62) AS at CROSS JOIN LATERAL (SELECT count(*) AS more "
        "FROM audit.node WHERE level = at AND index >= leaves >> at) AS these) AS beside FROM tree"
    )
    row = (await session.execute(statement)).one()
    return Standing(row.leaves, row.signed, int(row.beside))


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


async def add_checkpoint(session: Session, *, size: int, note: str, key_id: str) -> None:
    """Store a signed checkpoint. A second one over a tree of that size is refused by its key."""
    row = {"size": size, "note": note, "key_id": key_id}
    await session.execute(insert(CheckpointRow).values(row))


async def texts(session: ReadSession, *, begin: int, limit: int) -> Sequence[tuple[bytes, bytes]]:
    """(salt, canonical text) of entries from number `begin` on, in order."""
    query = select(EntryRow.salt, EntryRow.body).where(EntryRow.seq >= begin).order_by(EntryRow.seq).limit(limit)
    return [(salt, body) for salt, body in await session.execute(query)]


async def vouchers(session: ReadSession, *, begin: int, end: int) -> Sequence[Row[int, UUID | None, bytes | None]]:
    """Number, writer and voucher of entries from `begin` up to `end` that waited for their number."""
    query = (
        select(EntryRow.seq, EntryRow.writer, EntryRow.voucher)
        .where(EntryRow.seq >= begin, EntryRow.seq < end, EntryRow.voucher.is_not(None))
        .order_by(EntryRow.seq)
    )
    return (await session.execute(query)).all()


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


async def found(session: ReadSession, numbers: Select[int]) -> Sequence[EntryRow]:
    """The entries whose numbers a query finds that `history` built, newest first."""
    query = select(EntryRow).where(EntryRow.seq.in_(numbers.scalar_subquery())).order_by(EntryRow.seq.desc())
    return (await session.execute(query)).scalars().all()


async def describe_next(session: Session, *, batch: int) -> int:
    """Write the descriptions of the next entries; how many."""
    written: int = (await session.execute(text("SELECT audit.describe_next(:batch)"), {"batch": batch})).scalar_one()
    return written


async def descriptions_from(session: ReadSession, *, begin: int, limit: int) -> dict[int, DescriptionRow]:
    """Stored descriptions of entries numbered from `begin` on, by number."""
    query = select(DescriptionRow).where(DescriptionRow.seq >= begin, DescriptionRow.seq < begin + limit)
    return {row.seq: row for row in (await session.execute(query)).scalars()}


async def described_upto(session: ReadSession) -> int:
    """The first number that has no description yet."""
    last = (await session.execute(select(func.max(DescriptionRow.seq)))).scalar_one()
    return 0 if last is None else last + 1


async def now(session: ReadSession) -> dt.datetime:
    """The database's clock, by which the lag is told."""
    moment: dt.datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return moment


async def signed(session: Session, *, upto: int, asked: dt.datetime) -> None:
    """Tell the lag that all numbers below `upto` are signed for, and that what was left came after `asked`."""
    await session.execute(text("SELECT audit.signed(:upto, :asked)"), {"upto": upto, "asked": asked})


async def writers(session: ReadSession) -> Sequence[WriterRow]:
    """Everyone who ever began a chain."""
    return (await session.execute(select(WriterRow))).scalars().all()


async def chains_between(session: ReadSession, *, begin: int, end: int) -> Sequence[tuple[UUID, int]]:
    """(writer, number of the last batch) of those who appended entries numbered from `begin` up to, not with, `end`."""
    query = select(BatchRow.writer, func.max(BatchRow.number)).where(BatchRow.first >= begin, BatchRow.first < end)
    return [(writer, number) for writer, number in await session.execute(query.group_by(BatchRow.writer))]


async def batches(session: ReadSession, *, writer: UUID, begin: int, limit: int) -> Sequence[BatchRow]:
    """Batches of a chain from number `begin` on, in order."""
    query = select(BatchRow).where(BatchRow.writer == writer, BatchRow.number >= begin)
    return (await session.execute(query.order_by(BatchRow.number).limit(limit))).scalars().all()


async def waiting(session: ReadSession) -> Sequence[PendingRow]:
    """Everything that waits for a number."""
    return (await session.execute(select(PendingRow))).scalars().all()


async def numbered_among(session: ReadSession, ids: Iterable[UUID]) -> set[UUID]:
    """Those ids that an entry with a number has."""
    query = select(EntryRow.id).where(EntryRow.id == any_(literal(list(ids), _IDS)))
    return set((await session.execute(query)).scalars())


async def waiting_among(session: ReadSession, ids: Iterable[UUID]) -> set[UUID]:
    """Those ids under which an entry waits for a number, or was set aside."""
    named = any_(literal(list(ids), _IDS))
    query = union(
        select(PendingRow.id).where(PendingRow.id == named), select(RejectedRow.id).where(RejectedRow.id == named)
    )
    return set((await session.execute(query)).scalars())
