"""Holding the log against what its writers signed for: nothing planted, nothing dropped. It knows no tree.

Entries and chains are read in the order of numbers, and whatever has been met on one side only is kept until the other
comes by. Little is: an entry that was appended stands where its batch says, and a change is listed within moments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from gov_services.audit import store
from gov_services.audit.chain import ChainBroken, Item, ItemKind, Reader
from gov_services.audit.entry import EntryMalformed, commitment
from gov_services.audit.models import EntryRow, PendingRow
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.database import ReadSession

BATCHES = 500
NOBODY = VerifyKeys({})


@dataclass(frozen=True, slots=True)
class _Met:
    """An entry that no batch read so far lists."""

    seq: int
    entry_id: UUID
    writer: UUID | None
    voucher: bytes | None


@dataclass(slots=True)
class Chains:
    """One pass over all chains, beside the pass over the entries."""

    session: ReadSession
    writers: Mapping[str, VerifyKeys]
    chained_from: int
    broken: list[tuple[str, str]] = field(default_factory=list)
    """(where, detail) of what does not hold."""
    planted: list[tuple[str, str]] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    _readers: dict[UUID, Reader] = field(default_factory=dict)
    _stopped: set[UUID] = field(default_factory=set)
    """Writers whose chain broke: what follows proves nothing."""
    _met: dict[bytes, _Met] = field(default_factory=dict)
    _listed: dict[bytes, tuple[Item, UUID]] = field(default_factory=dict)
    _firsts: dict[int, tuple[str, frozenset[bytes]]] = field(default_factory=dict)

    async def open(self) -> None:
        """Check who the writers are; once more, who is new."""
        for row in await store.writers(self.session):
            if row.id in self._readers:
                continue
            reader = Reader(row.id, row.room, row.key_id, self.writers.get(row.room, NOBODY))
            self._readers[row.id] = reader
            try:
                reader.open(row.signature)
            except ChainBroken as broken:
                self._stop(reader, broken)

    def meet(self, row: EntryRow) -> None:
        """Come by an entry."""
        first = self._firsts.pop(row.seq, None)
        if first is not None and row.commitment not in first[1]:
            self.broken.append((first[0], f"entry {row.seq} is not the first of it"))
        listed = self._listed.pop(row.commitment, None)
        if listed is None:
            if row.seq >= self.chained_from:
                self._met[row.commitment] = _Met(row.seq, row.id, row.writer, row.voucher)
            return
        self._compare(row.seq, row.id, row.writer, row.voucher, row.commitment, listed)

    def speaks_for(self, row: EntryRow, room: str) -> None:
        """Check that an entry's writer is of the room for which it speaks."""
        reader = self._readers.get(row.writer) if row.writer else None
        if reader is not None and reader.room != room:
            self.planted.append((f"entry {row.seq}", f"it speaks for {room}, and a writer of {reader.room} wrote it"))

    async def follow(self, begin: int, end: int) -> None:
        """Read the chains on to where the entries from `begin` up to `end` are listed."""
        for writer, number in await store.chains_between(self.session, begin=begin, end=end):
            await self._read(writer, upto=number)

    async def finish(self, end: int) -> None:
        """Read the chains to their ends; then nothing may be left over of the entries numbered below `end`."""
        for writer in self._readers:
            await self._read(writer, upto=None)
        for committed, met in self._met.items():
            self._judge_unlisted(committed, met)
        await self._judge_unmet()
        for writer, count in Counter(met.writer for met in self._met.values() if met.writer in self._stopped).items():
            self.broken.append((f"writer {writer}", f"{count} entries that name it are not proved to be its own"))
        waiting = await store.waiting(self.session)
        await self.open()  # who began meanwhile, before what waits of theirs is judged
        for row in waiting:
            self._judge_waiting(row)
        for first, (where, _) in self._firsts.items():
            if first < end:
                self.broken.append((where, "there is no entry where it says that it begins"))

    async def _read(self, writer: UUID, *, upto: int | None) -> None:
        reader = self._readers.get(writer)
        if reader is None:
            if writer not in self._stopped:
                self._stopped.add(writer)
                self.broken.append((f"writer {writer}", "nobody began this chain"))
            return
        while writer not in self._stopped and (upto is None or reader.number <= upto):
            rows = await store.batches(self.session, writer=writer, begin=reader.number, limit=BATCHES)
            if not rows:
                return
            for row in rows:
                try:
                    items = reader.follow(row.number, row.items, row.signature)
                except ChainBroken as broken:
                    self._stop(reader, broken)
                    return
                self._list(reader, row.number, row.first, items)

    def _list(self, reader: Reader, number: int, first: int, items: list[Item]) -> None:
        where = f"batch {number} of writer {reader.writer_id}"
        appended = frozenset(item.commitment for item in items if item.kind is ItemKind.APPENDED)
        if first >= 0:
            met = next((one for one in map(self._met.get, appended) if one is not None and one.seq == first), None)
            if met is None:
                self._firsts[first] = (where, appended)
        for item in items:
            met = self._met.pop(item.commitment, None)
            if met is None:
                self._listed[item.commitment] = (item, reader.writer_id)
            else:
                self._compare(met.seq, met.entry_id, met.writer, met.voucher, item.commitment, (item, reader.writer_id))

    def _compare(
        self,
        seq: int,
        entry_id: UUID,
        writer: UUID | None,
        voucher: bytes | None,
        committed: bytes,
        listed: tuple[Item, UUID],
    ) -> None:
        item, lister = listed
        where = f"entry {seq}"
        if item.entry_id != entry_id:
            self.planted.append((where, f"its writer signed for it as {item.entry_id}"))
        elif item.kind is ItemKind.CHANGED:
            reader = self._readers.get(writer) if writer else None
            if voucher is None or reader is None or not reader.vouched(entry_id, committed, voucher):
                self.planted.append((where, "the voucher it waited under is not its writer's"))
        elif writer != lister or voucher is not None:
            self.planted.append((where, f"it is writer {lister} who signed for it"))

    def _judge_unlisted(self, committed: bytes, met: _Met) -> None:
        """A change whose writer ended before it could list it has its voucher to show."""
        if met.writer in self._stopped:
            return
        reader = self._readers.get(met.writer) if met.writer else None
        if reader is None or met.voucher is None or not reader.vouched(met.entry_id, committed, met.voucher):
            self.planted.append((f"entry {met.seq}", "no writer signed for it"))

    def _judge_waiting(self, row: PendingRow) -> None:
        """What waits shows the voucher that it was laid down with; what is older than chains has none."""
        where = f"waiting entry {row.id}"
        reader = self._readers.get(row.writer) if row.writer else None
        if reader is None or row.voucher is None:
            if self.chained_from == 0 or row.writer is not None:
                self.planted.append((where, "nobody vouches for it"))
            return
        try:
            vouched = reader.vouched(row.id, commitment(row.body, row.salt), row.voucher)
        except EntryMalformed:
            vouched = False
        if not vouched:
            self.planted.append((where, "it is not what its writer vouched for"))

    async def _judge_unmet(self) -> None:
        """What was signed for and not met waits still, was numbered since, or was there under its id before."""
        ids = {item.entry_id for item, _ in self._listed.values()}
        if not ids:
            return
        # First where it waits: it goes on to a number meanwhile, and never back.
        there = await store.waiting_among(self.session, ids)
        there |= await store.numbered_among(self.session, ids)
        for item, writer in self._listed.values():
            if item.entry_id not in there:
                self.dropped.append((f"entry {item.entry_id}", f"writer {writer} signed for it, and it is not there"))

    def _stop(self, reader: Reader, broken: ChainBroken) -> None:
        self._stopped.add(reader.writer_id)
        self.broken.append((f"writer {reader.writer_id} of {reader.room}", str(broken)))
