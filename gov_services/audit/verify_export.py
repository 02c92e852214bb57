"""Verifying an exported log on as many cores as there are: entries parsed, hashed, the tree, every checkpoint.

It needs the export and the log's public key, and neither the database nor its keeper. Each file is an aligned subtree,
so that files are hashed side by side; what checkpoints say in the middle of one is told by its peaks up to there.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from gov_services.audit import recompute
from gov_services.audit.checkpoint import Checkpoint, CheckpointRefused, open_checkpoint
from gov_services.audit.entry import SALT_BYTES, Entry, EntryMalformed, commitment
from gov_services.audit.export_files import BETWEEN_NOTES, FILE_ENTRIES, VERSION, ExportRefused, entries_file
from gov_services.audit.fast_entry import require_entry
from gov_services.audit.findings import Fault, Finding
from gov_services.audit.listing import Mention
from gov_services.audit.merkle import HASH_BYTES, extend, leaf_hash, root_of_peaks, rows_over, subtrees
from gov_services.crypto.signing import VerifyKeys

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
NAMED = 50
"""Findings of a file that are told one by one."""
CHECKS = {
    1: "every checkpoint is signed by a key of this log",
    2: "there are as many entries as the newest checkpoint says",
    3: "every entry is a canonical text with its salt",
    6: "every checkpoint's root is that of the tree of its size",
    7: "checkpoints that were published elsewhere are of this log",
    recompute.CHECK: recompute.TITLE,
}


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was found."""

    entries: int
    checkpoints: int
    findings: tuple[Finding, ...]
    roots: int = 0
    """Of the map of subjects, all recomputed."""

    @property
    def sound(self) -> bool:
        """Whether everything holds."""
        return not self.findings


class _Mentions(NamedTuple):
    """Entries about somebody, a column a part: from process to process, objects would cost as much as all the rest."""

    numbers: array[int]
    commitments: bytes
    tags: list[bytes]
    purposes: list[str]
    moments: array[int]
    """Microseconds since 1970."""

    def each(self) -> Iterator[Mention]:
        """One by one."""
        for place, number in enumerate(self.numbers):
            committed = self.commitments[place * HASH_BYTES : (place + 1) * HASH_BYTES]
            at = EPOCH + dt.timedelta(microseconds=self.moments[place])
            yield Mention(number, committed, self.tags[place], self.purposes[place], at)


@dataclass(frozen=True, slots=True)
class _File:
    """What one process found in one file."""

    entries: int
    peaks: tuple[bytes, ...]
    stops: tuple[tuple[int, tuple[bytes, ...]], ...]
    """(size, peaks of this file up to there) at each checkpoint within it."""
    findings: tuple[Finding, ...]
    mentions: _Mentions
    statements: tuple[tuple[int, Entry], ...]
    """Entries that are to state a root of the map of subjects, by number."""


def verify_export(
    folder: Path, keys: VerifyKeys, *, origin: str, published: Sequence[str] = (), processes: int | None = None
) -> ExportReport:
    """Verify everything in the export. Raises ExportRefused for what is none.

    `published` are notes of checkpoints kept elsewhere, by a witness above all: that the export is of the same log.
    """
    size = _entries(folder)
    findings: list[Finding] = []
    checkpoints = list(_checkpoints(folder, keys, origin, findings))
    elsewhere = list(_published(published, keys, origin, size, findings))
    stops = sorted({one.size for one in (*checkpoints, *elsewhere)})
    jobs = []
    for begin in range(0, size, FILE_ENTRIES):
        end = min(begin + FILE_ENTRIES, size)
        within = stops[bisect_left(stops, begin + 1) : bisect_left(stops, end + 1)]
        jobs.append((folder, begin, end, within))
    count = processes or len(os.sched_getaffinity(0))
    roots: dict[int, bytes] = {0: root_of_peaks(())}
    standing: tuple[bytes, ...] = ()
    entries = 0
    subjects = recompute.Recomputed()
    with ProcessPoolExecutor(min(count, max(1, len(jobs))), mp_context=get_context("forkserver")) as pool:
        for place, found in enumerate(pool.map(_verify_file, jobs)):
            entries += found.entries
            findings += found.findings
            for stop, peaks in found.stops:
                roots[stop] = root_of_peaks((*standing, *peaks))
            _recompute(subjects, found)
            # A whole file is a leaf of the tree of files.
            standing = extend(place, standing, [root_of_peaks(found.peaks)]).peaks
    said = max((one.size for one in checkpoints), default=0)
    if not checkpoints or said != size:
        findings.append(Finding(2, Fault.ENTRY_MISSING, "export", f"{size} entries, a checkpoint of {said}"))
    for one in checkpoints:
        if roots.get(one.size) != one.root:
            detail = f"entries up to {one.size - 1} are not those that were signed"
            findings.append(Finding(6, Fault.HISTORY_REWRITTEN, f"checkpoint {one.size}", detail))
    for one in elsewhere:
        if roots.get(one.size) != one.root:
            detail = f"entries up to {one.size - 1} are not those that were published"
            findings.append(Finding(7, Fault.HISTORY_REWRITTEN, f"published checkpoint {one.size}", detail))
    findings += subjects.findings()
    ordered = tuple(sorted(findings, key=lambda one: one.check))
    return ExportReport(entries, len(checkpoints), ordered, subjects.roots)


def _published(
    notes: Sequence[str], keys: VerifyKeys, origin: str, size: int, findings: list[Finding]
) -> Iterable[Checkpoint]:
    """7. Those of them that are over no more than the export has."""
    for note in notes:
        try:
            checkpoint = open_checkpoint(note, keys, origin=origin)
        except CheckpointRefused as refused:
            findings.append(Finding(7, Fault.CHECKPOINT_FORGED, "published checkpoint", str(refused)))
            continue
        if checkpoint.size <= size:
            yield checkpoint
        else:
            where, detail = f"published checkpoint {checkpoint.size}", f"the export ends at {size}"
            findings.append(Finding(7, Fault.ENTRY_MISSING, where, detail))


def _recompute(subjects: recompute.Recomputed, found: _File) -> None:
    """12. Every root that was stated in a file is that of the entries up to there."""
    waiting = deque(found.statements)
    for mention in found.mentions.each():
        while waiting and waiting[0][0] < mention.number:
            subjects.meet_statement(*waiting.popleft())
        subjects.meet(mention)
    for number, entry in waiting:
        subjects.meet_statement(number, entry)


def _entries(folder: Path) -> int:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if manifest["v"] != VERSION or manifest["file_entries"] != FILE_ENTRIES:
            raise ExportRefused("it is an export of a version that is not known here")
        return int(manifest["entries"])
    except (OSError, ValueError, KeyError, TypeError) as malformed:
        raise ExportRefused(f"{folder} holds no export") from malformed


def _checkpoints(folder: Path, keys: VerifyKeys, origin: str, findings: list[Finding]) -> Iterable[Checkpoint]:
    notes = (folder / "checkpoints.txt").read_text().split(BETWEEN_NOTES)
    for place, note in enumerate(note for note in notes if note):
        try:
            yield open_checkpoint(note, keys, origin=origin)
        except CheckpointRefused as refused:
            findings.append(Finding(1, Fault.CHECKPOINT_FORGED, f"checkpoint {place} of the export", str(refused)))


def _verify_file(job: tuple[Path, int, int, Sequence[int]]) -> _File:
    folder, begin, end, stops = job
    findings: list[Finding] = []
    path = entries_file(folder, begin)
    leaves: list[bytes] = []
    mentions = _Mentions(array("q"), b"", [], [], array("q"))
    commitments = []
    statements: list[tuple[int, Entry]] = []
    with path.open("rb") if path.exists() else open(os.devnull, "rb") as file:
        for line in file:
            body = line[SALT_BYTES * 2 + 1 : -1]
            try:
                salt = bytes.fromhex(line[: SALT_BYTES * 2].decode())
                said = require_entry(body)
                committed = commitment(body, salt)
                if recompute.is_statement(said.kind):
                    statements.append((begin + len(leaves), Entry.parse(body)))
                elif said.tag is not None:
                    mentions.numbers.append(begin + len(leaves))
                    commitments.append(committed)
                    mentions.tags.append(said.tag)
                    mentions.purposes.append(sys.intern(said.purpose))
                    mentions.moments.append((said.at - EPOCH) // MICROSECOND)
                leaves.append(leaf_hash(committed))
            except (ValueError, EntryMalformed) as malformed:
                leaves.append(leaf_hash(line))
                findings.append(Finding(3, Fault.ENTRY_ALTERED, f"entry {begin + len(leaves) - 1}", str(malformed)))
    if len(leaves) != end - begin:
        where, detail = f"entries {begin} to {end - 1}", f"there are {len(leaves)} in {path.name}"
        findings.append(Finding(2, Fault.ENTRY_MISSING, where, detail))
    rows = rows_over(leaves)

    def peaks(size: int) -> tuple[bytes, ...]:
        return tuple([rows[level][index] for level, index in subtrees((0, min(size, len(leaves))))])

    told = tuple([(stop, peaks(stop - begin)) for stop in stops])
    return _File(
        len(leaves),
        peaks(end - begin),
        told,
        tuple(findings[:NAMED]),
        mentions._replace(commitments=b"".join(commitments)),
        tuple(statements),
    )
