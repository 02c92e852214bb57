"""Publishing: a signed checkpoint goes to the witnesses, and once enough of them cosigned, to a folder or bucket.

Tiles first and the checkpoint last, so that whoever reads it finds what it is over. What has been published is where it
lies: a process that is started anew, or a database that was restored, is held against it (`known_elsewhere`).

The public sees the log grow at fixed times alone, so that nobody reads off it that somebody was looked up just now.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog
from obstore.exceptions import BaseError as StoreFailed
from obstore.store import LocalStore, ObjectStore, from_url
from sqlalchemy.exc import SQLAlchemyError

from gov_services.audit import store
from gov_services.audit.checkpoint import Checkpoint, CheckpointRefused, open_checkpoint
from gov_services.audit.cosignature import CosignatureRefused, Cosigner, cosigned_at
from gov_services.audit.integrate import LogInconsistent
from gov_services.audit.merkle import consistency_ranges, hashes_of, subtrees
from gov_services.audit.note import NoteRefused, Signature, signature_line, signature_lines
from gov_services.audit.tiles import TILE_HEIGHT, Place, bundle, tiles_between
from gov_services.audit.witness import request_body
from gov_services.audit.witnesses import KnownWitness, WitnessPolicy
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.clock import Clock
from gov_services.kit.database import Database, ReadSession
from gov_services.kit.errors import Unavailable

INTERVAL_S = 1.0
WITNESS_TIMEOUT_S = 3.0
RUN_TIMEOUT_S = 8.0
ANSWER_LIMIT_BYTES = 1 << 16
ATTEMPTS = 2
"""At one witness: the first may only tell which checkpoint it knows."""
CLOCKS_APART_S = 2.0
TILES_AT_ONCE = 4
TILES_STEP = 1 << 16
"""Entries: whole tiles at the lower levels, and a second's work or so."""
CHECKPOINT_PATH = "checkpoint"

_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\n", re.ASCII)
_log = structlog.get_logger("gov_services.audit")


@dataclass(frozen=True, slots=True)
class Published:
    """The newest checkpoint that is out: its note with the cosignatures, and what it says."""

    note: str
    checkpoint: Checkpoint


def open_store(where: str, default: Path) -> ObjectStore:
    """A bucket by its URL (`s3://bucket/prefix`), a folder by its path; `default` where nothing is said."""
    if "://" in where:
        return from_url(where)
    return LocalStore(where or default, mkdir=True)


class Publisher:
    """Brings checkpoints out, one at a time."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        http: httpx.AsyncClient,
        clock: Clock,
        *,
        keys: VerifyKeys,
        origin: str,
        policy: WitnessPolicy,
        cadence_s: int = 1,
        own: Cosigner | None = None,
    ) -> None:
        """What is signed comes out at multiples of `cadence_s` seconds of the clock, however much or little that is.

        `own` signs what comes out under the log's name once more: see own_cosignature.
        """
        self._own = own
        self._cadence_s = cadence_s
        self._database = database
        self._objects = objects
        self._http = http
        self._clock = clock
        self._keys = keys
        self._origin = origin
        self._policy = policy
        self._sizes: dict[str, int] = {}
        """By witness: of the checkpoint that it cosigned last, as far as is known here."""
        self._newest: Published | None = None
        self._out = self._tiled = 0
        """How many entries are out, and how many have their tiles: of a long log, some before the checkpoint can be."""
        self._contradiction: str | None = None
        self._asked = False
        self._out_at = self._moment()

    async def run(self, stop: asyncio.Event, *, interval_s: float = INTERVAL_S) -> None:
        """Run once every `interval_s` until `stop`. What goes wrong is told and tried again."""
        while not stop.is_set():
            moment = self._moment()
            # Once a time, whatever it comes to: when what had failed came out would tell something.
            due, self._out_at = moment != self._out_at, moment
            try:
                await self.run_once(bring_out=due and not await self._is_out_since(moment))
            except (LogInconsistent, CheckpointRefused) as broken:
                _log.critical("log not published", error=str(broken))
            except (Unavailable, SQLAlchemyError, StoreFailed, OSError) as away:
                _log.error("log not published", error=repr(away))
            try:
                await asyncio.wait_for(stop.wait(), interval_s)
            except TimeoutError:
                continue

    async def run_once(self, *, bring_out: bool = True) -> Published | None:
        """Bring the newest checkpoint out; what is out then, if anything. Raises LogInconsistent, CheckpointRefused.

        Where it is not to come out yet, the witnesses see it all the same. The first of all comes out at once.
        """
        async with self._database.writing() as session, asyncio.timeout(RUN_TIMEOUT_S):
            # One process at a time, or a slower one would put an older checkpoint over a newer.
            if not await store.take_publishing(session):
                return self._newest
            self._newest = None
            out = await self.newest()
            row = await store.newest_checkpoint(session)
            if row is None or (out is not None and row.size <= out.checkpoint.size):
                return out
            checkpoint = open_checkpoint(row.note, self._keys, origin=self._origin)
            lines = await self._cosignatures(row.note, checkpoint)
            if not self._policy.is_met(lines):
                _log.error("too few witnesses", size=checkpoint.size, cosigned=sorted(lines))
                return out
            if out is not None and not bring_out:
                return out
            own = [self._own.cosign(checkpoint, self._clock.now())] if self._own else []
            note = row.note + "".join(signature_line(one) for one in (*own, *lines.values()))
            await self._lay_down(out.checkpoint.size if out else 0, checkpoint.size)
            await self._objects.put_async(CHECKPOINT_PATH, note.encode())
            self._out = checkpoint.size
            self._newest = Published(note, checkpoint)
            return self._newest

    async def _is_out_since(self, moment: int) -> bool:
        """Whether another process brought something out at this very time: a second one shows what came in between."""
        try:
            found = await self._objects.head_async(CHECKPOINT_PATH)
        except FileNotFoundError:
            return False
        return int(found["last_modified"].timestamp()) // self._cadence_s == moment

    def _moment(self) -> int:
        """Which of the times at which something may come out was the last, counted from 1970 on."""
        return int(self._clock.now().timestamp()) // self._cadence_s

    async def newest(self) -> Published | None:
        """What is out. Raises CheckpointRefused for what is no checkpoint of this log."""
        if self._newest is None:
            note = await self._get(CHECKPOINT_PATH)
            if note is not None:
                text = note.decode(errors="replace")
                self._newest = Published(text, open_checkpoint(text, self._keys, origin=self._origin))
        return self._newest

    async def known_elsewhere(self) -> list[str]:
        """Notes of checkpoints that are out, for whoever signs next; before the first answer the witnesses are asked.

        Raises LogInconsistent, CheckpointRefused; OSError where the store, or too many of the witnesses, do not answer.
        """
        if self._contradiction is not None:
            raise LogInconsistent(self._contradiction)
        if not self._asked:
            await self._ask_all()
        try:
            out = await self.newest()
        except StoreFailed as failed:
            raise OSError("what has been published cannot be read") from failed
        return [out.note] if out else []

    async def _get(self, path: str) -> bytes | None:
        try:
            found = await self._objects.get_async(path)
        except FileNotFoundError:
            return None
        return bytes(await found.bytes_async())

    async def _lay_down(self, out: int, new: int) -> None:
        """The tiles from what is `out` to `new`. What time does not suffice for goes on in the next run."""
        if out != self._out:  # another process published, or the folder was moved away
            self._out = self._tiled = out
        while self._tiled < new:
            step = min(new, (self._tiled // TILES_STEP + 1) * TILES_STEP)
            await self._put_tiles(self._tiled, step)
            self._tiled = step

    async def _put_tiles(self, old: int, new: int) -> None:
        turns = asyncio.Semaphore(TILES_AT_ONCE)

        async def put(place: Place) -> None:
            async with turns:
                async with self._database.reading() as session:
                    data = await tile_data(session, place)
                await self._objects.put_async(f"tile/{place.path}", data)
                if not place.is_partial:
                    await self._drop_partial(place)

        await asyncio.gather(*(put(place) for place in tiles_between(old, new)))

    async def _drop_partial(self, place: Place) -> None:
        """A tile that is whole has no more use for the forms it had while it grew."""
        async for batch in self._objects.list(f"tile/{place.folder}"):
            await self._objects.delete_async([one["path"] for one in batch])

    async def _ask_all(self) -> None:
        """Before anything is signed by this process: whether what is signed already is what the witnesses know."""
        async with self._database.reading() as session:
            row = await store.newest_checkpoint(session)
        if row is None:
            return
        checkpoint = open_checkpoint(row.note, self._keys, origin=self._origin)
        lines = await self._cosignatures(row.note, checkpoint)
        if not self._policy.is_met(lines):
            raise OSError("too few witnesses answer to know what they have seen")
        self._asked = True

    async def _cosignatures(self, note: str, checkpoint: Checkpoint) -> Mapping[str, Signature]:
        """What the witnesses who answer say, by their names in the policy."""
        asked = [one for one in self._policy.witnesses.values() if one.url]
        answers = await asyncio.gather(*(self._ask(one, note, checkpoint) for one in asked))
        return {one.name: answer for one, answer in zip(asked, answers, strict=True) if answer is not None}

    async def _ask(self, witness: KnownWitness, note: str, checkpoint: Checkpoint) -> Signature | None:
        """One witness's cosignature; None where it does not answer. Raises LogInconsistent where it contradicts us."""
        for _ in range(ATTEMPTS):
            old = self._sizes.get(witness.name, 0)
            if old > checkpoint.size:
                raise self._contradicted(f"witness {witness.name} knows {old} entries, and there are {checkpoint.size}")
            async with self._database.reading() as session:
                proof = await _consistency(session, old, checkpoint.size)
            try:
                status, text = await self._post(witness, request_body(old, proof, note))
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as away:
                _log.warning("witness does not answer", witness=witness.name, error=repr(away))
                return None
            if status == 200:
                return self._accepted(witness, text, checkpoint)
            if status == 422:
                raise self._contradicted(f"witness {witness.name}, which knows {old} entries, finds them changed")
            if status != 409 or not _SIZE.fullmatch(text):
                _log.error("witness refuses", witness=witness.name, status=status)
                return None
            self._sizes[witness.name] = int(text)
        return None

    async def _post(self, witness: KnownWitness, body: str) -> tuple[int, str]:
        """Status and the beginning of the answer. Raises httpx.HTTPError, OSError: also for one that takes its time.

        In all and not for each piece: a witness that drips would hold up the others.
        """
        found = b""
        url = f"{witness.url.rstrip('/')}/add-checkpoint"
        async with asyncio.timeout(WITNESS_TIMEOUT_S), self._http.stream("POST", url, content=body) as answer:
            async for piece in answer.aiter_bytes():
                found += piece
                if len(found) > ANSWER_LIMIT_BYTES:
                    break
        return answer.status_code, found[:ANSWER_LIMIT_BYTES].decode(errors="replace")

    def _accepted(self, witness: KnownWitness, text: str, checkpoint: Checkpoint) -> Signature | None:
        """The witness's own line of an answer, once it is found to be of this checkpoint."""
        try:
            mine = [one for one in signature_lines(text) if one.key_hash == witness.key.hash]
            at = cosigned_at(mine[0], witness.key, checkpoint)
        except (NoteRefused, CosignatureRefused, IndexError) as refused:
            _log.error("witness signs something else", witness=witness.name, error=str(refused))
            return None
        self._sizes[witness.name] = checkpoint.size
        apart = abs((at - self._clock.now().replace(microsecond=0)) / dt.timedelta(seconds=1))
        if apart > CLOCKS_APART_S:
            _log.critical("clocks are apart", witness=witness.name, seconds=apart)
        return mine[0]

    def _contradicted(self, what: str) -> LogInconsistent:
        self._contradiction = what
        return LogInconsistent(what)


async def tile_data(session: ReadSession, place: Place) -> bytes:
    """The bytes of a tile, from the stored tree. Raises LogInconsistent where it is not all there."""
    if place.level is None:
        rows = await store.commitments(session, begin=place.begin, limit=place.width)
        found = [committed for _, committed in rows]
        data = bundle(found)
    else:
        hashes = await store.nodes_from(session, level=place.level * TILE_HEIGHT, begin=place.begin, limit=place.width)
        found = [hashes[index] for index in sorted(hashes)]
        data = b"".join(found)
    if len(found) != place.width:
        raise LogInconsistent(f"the stored tree lacks some of tile {place.path}")
    return data


async def _consistency(session: ReadSession, old: int, new: int) -> list[bytes]:
    if old in (0, new):
        return []
    ranges = consistency_ranges(old, new)
    stored = await store.nodes(session, [name for covered in ranges for name in subtrees(covered)])
    try:
        return hashes_of(ranges, stored.__getitem__)
    except KeyError as lacking:
        raise LogInconsistent(f"the stored tree lacks node {lacking}") from lacking
