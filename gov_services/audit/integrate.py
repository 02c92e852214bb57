"""The integrator: numbers what waits, extends the tree, signs checkpoints. It decides nothing and reads no entry.

One works at a time, under a database lease. It signs nothing unless the stored tree is the very one of the checkpoint
before, and of the last one that was published outside the database: a restored backup must not become a silent fork.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gov_services.audit import store
from gov_services.audit.checkpoint import Checkpoint, CheckpointRefused, open_checkpoint, sign_checkpoint
from gov_services.audit.merkle import Extension, extend, leaf_hash, root_of_peaks, subtrees
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import Clock
from gov_services.kit.database import Database, ReadSession, Session
from gov_services.kit.errors import Unavailable

PENDING_BATCH = 1000
LEAF_BATCH = 4000
BATCHES_A_RUN = 25
INTERVAL_S = 1.0

_log = structlog.get_logger("gov_services.audit")


class LogInconsistent(Exception):
    """The database does not hold the log that was signed. Nothing is signed until somebody has looked into it."""


@dataclass(frozen=True, slots=True)
class Integrated:
    """What one run did."""

    numbered: int
    added: int
    size: int


@dataclass(frozen=True, slots=True)
class _Tree:
    """The tree as it stands in the database."""

    size: int
    peaks: tuple[bytes, ...]


class Elsewhere(Protocol):
    """Where checkpoints are that no database can take back: what has been published, what witnesses know."""

    async def known_elsewhere(self) -> Sequence[str]:
        """Notes that the database must hold a continuation of.

        Raises LogInconsistent where somebody contradicts it already, CheckpointRefused, OSError.
        """
        ...


class Integrator:
    """The sole holder of the log key."""

    def __init__(
        self,
        database: Database,
        key: SigningKey,
        clock: Clock,
        *,
        keys: VerifyKeys,
        origin: str,
        published: Path | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """`keys` verify earlier checkpoints; `published` is a directory where the last one is kept, by origin."""
        self._database = database
        self._key = key
        self._clock = clock
        self._keys = keys
        self._origin = origin
        self._published = published
        self._elsewhere = elsewhere

    async def run(self, stop: asyncio.Event, *, interval_s: float = INTERVAL_S) -> None:
        """Run once every `interval_s` until `stop`. What goes wrong is told and tried again, not passed over."""
        while not stop.is_set():
            try:
                await self.run_once()
            except (LogInconsistent, CheckpointRefused) as broken:
                _log.critical("log not signed", error=str(broken))
            except (Unavailable, SQLAlchemyError, OSError) as away:
                _log.error("log not integrated", error=repr(away))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), interval_s)

    async def run_once(self) -> Integrated | None:
        """Number what waits, add what is numbered, sign. None where another integrator is at work.

        Raises LogInconsistent or CheckpointRefused, having signed nothing.
        """
        numbered = await self._number_pending()
        added = size = 0
        for _ in range(BATCHES_A_RUN):
            # Asked before the transaction: others may take their time.
            elsewhere = await self._elsewhere.known_elsewhere() if self._elsewhere else ()
            step = await self._extend(elsewhere)
            if step is None:
                return None
            note, log_id, more, size = step
            if note is not None and self._published is not None:
                await asyncio.to_thread(remember, self._published, self._origin, note, log_id)
            added += more
            if more < LEAF_BATCH and (size or note is None):
                break
        return Integrated(numbered, added, size)

    async def _number_pending(self) -> int:
        numbered = 0
        for _ in range(BATCHES_A_RUN):
            async with self._database.writing() as session:
                moved, set_aside = await store.move_pending(session, batch=PENDING_BATCH)
            if set_aside:
                _log.critical("entries set aside that cannot be numbered", entries=set_aside)
            numbered += moved - set_aside
            if moved < PENDING_BATCH:
                break
        return numbered

    async def _extend(self, elsewhere: Sequence[str]) -> tuple[str | None, UUID, int, int] | None:
        """One batch of leaves and its checkpoint, in one transaction: note or None, log id, leaves added, size."""
        async with self._database.writing() as session:
            if not await store.take_lease(session):
                return None
            head = await store.head(session)
            tree, signed = await self._consistent_tree(session, head.log_id)
            for known in elsewhere:
                await self._require_continues(session, known, tree.size)
            asked = await store.now(session)
            # The first of all checkpoints is of nothing where others are to be asked by it what they know.
            leaves = [] if self._elsewhere and not signed else await _new_leaves(session, tree)
            if signed and not leaves:
                if head.unsigned_since is not None:
                    await store.signed(session, upto=tree.size, asked=asked)
                return None, head.log_id, 0, tree.size
            grown = extend(tree.size, tree.peaks, leaves)
            note = await self._sign(session, grown)
            if len(leaves) < LEAF_BATCH:
                await store.signed(session, upto=grown.size, asked=asked)
        return note, head.log_id, len(leaves), grown.size

    async def _sign(self, session: Session, grown: Extension) -> str:
        if grown.nodes:
            await store.add_nodes(session, grown.nodes)
        note = sign_checkpoint(Checkpoint(self._origin, grown.size, root_of_peaks(grown.peaks)), self._key)
        await store.add_checkpoint(session, size=grown.size, note=note, key_id=self._key.key_id)
        return note

    async def _consistent_tree(self, session: ReadSession, log_id: UUID) -> tuple[_Tree, bool]:
        """The stored tree, and whether a checkpoint over it exists."""
        size = await store.tree_size(session)
        tree = _Tree(size, await _peaks(session, size))
        newest = await store.newest_checkpoint(session)
        if newest is not None:
            signed = open_checkpoint(newest.note, self._keys, origin=self._origin)
            if (signed.size, signed.root) != (tree.size, root_of_peaks(tree.peaks)):
                raise LogInconsistent(f"the stored tree of {tree.size} is not that of the checkpoint of {signed.size}")
        elif size:
            raise LogInconsistent(f"there is a tree of {size} and no checkpoint")
        await self._require_published(session, log_id, size)
        return tree, newest is not None

    async def _require_published(self, session: ReadSession, log_id: UUID, size: int) -> None:
        if self._published is None:
            return
        note, known = await asyncio.to_thread(recall, self._published, self._origin)
        if note is None:
            return
        # By origin and not by the log's id, which is read from the very database that is in question.
        if known != str(log_id):
            raise LogInconsistent(
                f"the published checkpoint is of log {known or 'unknown'}, the database holds {log_id}: "
                "gov-services audit adopt-log"
            )
        await self._require_continues(session, note, size)

    async def _require_continues(self, session: ReadSession, note: str, size: int) -> None:
        told = open_checkpoint(note, self._keys, origin=self._origin)
        if told.size > size:
            raise LogInconsistent(f"a checkpoint of {told.size} was published, the database holds a tree of {size}")
        if root_of_peaks(await _peaks(session, told.size)) != told.root:
            raise LogInconsistent(f"the stored tree does not continue the one published at {told.size}")


async def _peaks(session: ReadSession, size: int) -> tuple[bytes, ...]:
    names = subtrees((0, size))
    stored = await store.nodes(session, names)
    if len(stored) != len(names):
        raise LogInconsistent(f"the stored tree of {size} lacks nodes")
    return tuple(stored[name] for name in names)


async def _new_leaves(session: ReadSession, tree: _Tree) -> list[bytes]:
    """Leaf hashes of the next entries, which are numbered without a gap. Raises LogInconsistent."""
    rows = await store.commitments(session, begin=tree.size, limit=LEAF_BATCH)
    for expected, (seq, _) in enumerate(rows, start=tree.size):
        if seq != expected:
            raise LogInconsistent(f"entry {expected} is missing")
    return [leaf_hash(committed) for _, committed in rows]


def published_path(directory: Path, origin: str) -> Path:
    """Where the last checkpoint of the log of that name is kept. Beside it, with suffix `.log`, lies the log's id."""
    return directory / f"{re.sub(r'[^A-Za-z0-9.-]', '_', origin)}.checkpoint"


def remember(directory: Path, origin: str, note: str, log_id: UUID) -> None:
    """Keep a checkpoint, and of which log it is. The id first: without it no checkpoint is continued."""
    path = published_path(directory, origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    adopt(directory, origin, log_id)
    _replace(path, note)


def recall(directory: Path, origin: str) -> tuple[str | None, str | None]:
    """The checkpoint that was kept, and the id of its log; None for what is not there."""
    path = published_path(directory, origin)
    named = path.with_suffix(".log")
    return path.read_text() if path.exists() else None, named.read_text().strip() if named.exists() else None


def adopt(directory: Path, origin: str, log_id: UUID) -> None:
    """State that the log of that id is the one whose checkpoints are kept there: once, and by an operator's order."""
    named = published_path(directory, origin).with_suffix(".log")
    if not named.exists() or named.read_text().strip() != str(log_id):
        named.parent.mkdir(parents=True, exist_ok=True)
        _replace(named, f"{log_id}\n")


def _replace(path: Path, content: str) -> None:
    written = path.with_name(f"{path.name}.new")
    written.write_text(content)
    written.replace(path)
