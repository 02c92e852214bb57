"""Holding an export against what its writers signed for, where no database is: nothing planted, nothing dropped.

The same questions as `verify_chains` asks the database. It knows no tree, and takes the entries to be those of the
checkpoints, which is `verify_export`'s to say. What still waited for its number when the export was made is in none: so
a change is missed only where entries a minute younger have their numbers, since by then nobody is answered any more.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from gov_services.audit.chain import ChainBroken, Item, ItemKind, Reader
from gov_services.audit.entry import SALT_BYTES, commitment
from gov_services.audit.export_files import FILE_ENTRIES, ExportRefused, entries_file
from gov_services.audit.findings import Fault, Finding
from gov_services.audit.log import LAG_LIMIT_S
from gov_services.crypto.signing import VerifyKeys

CHECKS = {
    9: "every writer's chain is unbroken and signed by its room",
    10: "every entry was signed for by its writer, and none of those is missing",
}
NOBODY = VerifyKeys({})
HASH_BYTES = 32
ID_BYTES = 16
MALFORMED = (ValueError, TypeError, KeyError, AttributeError)
"""What reading a line of another shape raises; `UUID` of a number the last."""


@dataclass(frozen=True, slots=True)
class ChainsReport:
    """What was found, of how many batches; from which entry on there are chains."""

    batches: int
    chained_from: int
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Entries:
    """What the chains are held against: by commitment the number, and of each number the id and the room."""

    numbers: dict[bytes, int] = field(default_factory=dict)
    committed: list[bytes] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    rooms: list[str] = field(default_factory=list)

    def newest_ms(self) -> int:
        """When the youngest of the last entries was made, by its id (RFC 9562 §5.7)."""
        return max((int.from_bytes(entry_id[:6], "big") for entry_id in self.ids[-1000:]), default=0)


def verify_chains(folder: Path, writers: Mapping[str, VerifyKeys], *, processes: int | None = None) -> ChainsReport:
    """Verify the chains in an export by the public keys of writers, by room. Raises ExportRefused for what is none.

    Raises nothing for a chain that is broken, or altered into what cannot be read: the report names it.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        size, chained_from = int(manifest["entries"]), int(manifest.get("chained_from", 0))
    except (OSError, ValueError, KeyError, TypeError) as malformed:
        raise ExportRefused(f"{folder} holds no export") from malformed
    entries = _read_entries(folder, size, processes)
    walk = _Walk(writers, entries, _vouchers(folder))
    batches = walk.follow(folder)
    walk.finish(chained_from, size)
    ordered = tuple(sorted(walk.findings, key=lambda one: one.check))
    return ChainsReport(batches, chained_from, ordered)


def _read_entries(folder: Path, size: int, processes: int | None) -> _Entries:
    entries = _Entries()
    begins = range(0, size, FILE_ENTRIES)
    count = min(processes or len(os.sched_getaffinity(0)), max(1, len(begins)))
    with ProcessPoolExecutor(count, mp_context=get_context("forkserver")) as pool:
        for packed, rooms in pool.map(_read_file, [entries_file(folder, begin) for begin in begins]):
            width = HASH_BYTES + ID_BYTES
            for place in range(0, len(packed), width):
                committed = packed[place : place + HASH_BYTES]
                entries.numbers[committed] = len(entries.ids)
                entries.committed.append(committed)
                entries.ids.append(packed[place + HASH_BYTES : place + width])
            entries.rooms += rooms
    return entries


def _read_file(path: Path) -> tuple[bytes, list[str]]:
    """Commitment and id of each entry, packed, and the rooms; zeros for a line that is none, which check 3 names."""
    packed, rooms = bytearray(), []
    with path.open("rb") if path.exists() else open(os.devnull, "rb") as file:
        for line in file:
            body = line[SALT_BYTES * 2 + 1 : -1]
            try:
                entry = orjson.loads(body)
                packed += commitment(body, bytes.fromhex(line[: SALT_BYTES * 2].decode()))
                packed += UUID(entry["id"]).bytes
                rooms.append(str(entry["room"]))
            except MALFORMED:
                packed += bytes((HASH_BYTES + ID_BYTES) * (len(rooms) + 1) - len(packed))
                rooms.append("")
    return bytes(packed), rooms


class _Walk:
    """One pass over all chains."""

    def __init__(
        self, writers: Mapping[str, VerifyKeys], entries: _Entries, vouchers: Mapping[int, tuple[UUID, bytes]]
    ) -> None:
        self.findings: list[Finding] = []
        self._writers = writers
        self._entries = entries
        self._vouchers = vouchers
        self._readers: dict[UUID, Reader] = {}
        self._stopped: set[UUID] = set()
        self._unmet: list[tuple[Item, UUID, int]] = []
        self._met: set[int] = set()

    def follow(self, folder: Path) -> int:
        """Read every chain to its end; how many batches there were."""
        for number, said in enumerate(_lines(folder / "writers.jsonl")):
            try:
                room = str(said["room"])
                writer = UUID(said["id"])
                reader = Reader(writer, room, str(said["key_id"]), self._writers.get(room, NOBODY))
                self._readers[writer] = reader
                reader.open(_bytes(said["signature"]))
            except ChainBroken as broken:
                self._stop(reader, broken)
            except MALFORMED as malformed:
                self._find(9, Fault.CHAIN_BROKEN, f"line {number + 1} of writers.jsonl", str(malformed))
        batches = 0
        for number, said in enumerate(_lines(folder / "batches.jsonl")):
            batches += 1
            try:
                self._take(UUID(said["writer"]), int(said["number"]), int(said["first"]), said)
            except MALFORMED as malformed:
                self._find(9, Fault.CHAIN_BROKEN, f"line {number + 1} of batches.jsonl", str(malformed))
        return batches

    def finish(self, chained_from: int, size: int) -> None:
        """Nothing may be left over on either side."""
        for number in range(chained_from, size):
            if number not in self._met and number < len(self._entries.ids):
                self._judge_unlisted(number)
        self._judge_unmet(size)

    def _take(self, writer: UUID, number: int, first: int, said: Mapping[str, Any]) -> None:
        reader = self._readers.get(writer)
        if writer in self._stopped:
            return
        if reader is None:
            self._stopped.add(writer)
            self._find(9, Fault.CHAIN_BROKEN, f"writer {writer}", "nobody began this chain")
            return
        try:
            items = reader.follow(number, _bytes(said["items"]), _bytes(said["signature"]))
        except ChainBroken as broken:
            self._stop(reader, broken)
            return
        appended: set[int] = set()
        for item in items:
            seq = self._entries.numbers.get(item.commitment)
            if seq is None:
                self._unmet.append((item, writer, first))
                continue
            self._met.add(seq)
            if item.kind is ItemKind.APPENDED:
                appended.add(seq)
            self._compare(seq, item, reader)
        # Of a batch from beyond the export nothing is in it.
        if first >= 0 and not (first in appended if first < len(self._entries.ids) else not appended):
            where = f"batch {number} of writer {writer}"
            self._find(9, Fault.CHAIN_BROKEN, where, f"entry {first} is not the first of it")

    def _compare(self, seq: int, item: Item, reader: Reader) -> None:
        where = f"entry {seq}"
        if self._entries.ids[seq] != item.entry_id.bytes:
            self._find(10, Fault.ENTRY_PLANTED, where, f"its writer signed for it as {item.entry_id}")
        elif item.kind is ItemKind.CHANGED:
            if not self._is_vouched(seq, item.commitment):
                self._find(10, Fault.ENTRY_PLANTED, where, "the voucher it waited under is not its writer's")
        elif seq in self._vouchers:
            self._find(10, Fault.ENTRY_PLANTED, where, f"it is writer {reader.writer_id} who signed for it")
        elif self._entries.rooms[seq] != reader.room:
            self._find(10, Fault.ENTRY_PLANTED, where, _speaks_for(self._entries.rooms[seq], reader.room))

    def _judge_unlisted(self, seq: int) -> None:
        """A change whose writer ended before it could list it has its voucher to show."""
        said = self._vouchers.get(seq)
        if said is not None and said[0] in self._stopped:
            return
        if not self._is_vouched(seq, self._entries.committed[seq]):
            self._find(10, Fault.ENTRY_PLANTED, f"entry {seq}", "no writer signed for it")

    def _is_vouched(self, seq: int, committed: bytes) -> bool:
        writer, voucher = self._vouchers.get(seq, (None, b""))
        reader = self._readers.get(writer) if writer else None
        if reader is None or not reader.vouched(UUID(bytes=self._entries.ids[seq]), committed, voucher):
            return False
        if self._entries.rooms[seq] != reader.room:
            self._find(10, Fault.ENTRY_PLANTED, f"entry {seq}", _speaks_for(self._entries.rooms[seq], reader.room))
        return True

    def _judge_unmet(self, size: int) -> None:
        """What was signed for and not met was there under its id before, or waited still, or was numbered later."""
        known, overdue = set(self._entries.ids), self._entries.newest_ms() - round(LAG_LIMIT_S * 1000)
        for item, writer, first in self._unmet:
            appended = item.kind is ItemKind.APPENDED and 0 <= first < size
            late = item.kind is ItemKind.CHANGED and item.entry_id.int >> 80 < overdue
            if item.entry_id.bytes not in known and (appended or late):
                detail = f"writer {writer} signed for it, and it is not there"
                self._find(10, Fault.ENTRY_DROPPED, f"entry {item.entry_id}", detail)

    def _stop(self, reader: Reader, broken: ChainBroken) -> None:
        self._stopped.add(reader.writer_id)
        self._find(9, Fault.CHAIN_BROKEN, f"writer {reader.writer_id} of {reader.room}", str(broken))

    def _find(self, check: int, fault: Fault, where: str, detail: str) -> None:
        self.findings.append(Finding(check, fault, where, detail))


def _speaks_for(room: str, writers: str) -> str:
    return f"it speaks for {room}, and a writer of {writers} wrote it"


def _vouchers(folder: Path) -> dict[int, tuple[UUID, bytes]]:
    """Number → writer and voucher. A line that cannot be read vouches for nothing."""
    found = {}
    for said in _lines(folder / "vouchers.jsonl"):
        try:
            found[int(said["seq"])] = UUID(said["writer"]), _bytes(said["voucher"])
        except MALFORMED:
            continue
    return found


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Each line's object; an empty one for what is none."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                said = orjson.loads(line)
            except ValueError:
                said = {}
            yield said if isinstance(said, dict) else {}


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("it is no text")
    return base64.b64decode(text, validate=True)


def exported_writers(folder: Path) -> Sequence[str]:
    """Rooms whose writers are in the export."""
    return sorted({str(said.get("room", "")) for said in _lines(folder / "writers.jsonl")})
