"""Evidence that a history leaves nothing out: every entry about one subject, as of a root of the map of subjects.

Whoever holds it can check it without us: that these entries are in the log, that they are all which the map lists of
their subject, and that the map's root is itself in the log. That the root is the right one, they check who hold the
entries (`audit verify --export`): one wrong root is enough to show that the log's keeper lied.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gov_services.audit import map_store, store
from gov_services.audit.checkpoint import Checkpoint, CheckpointRefused, open_checkpoint
from gov_services.audit.entry import SALT_BYTES, Entry, EntryMalformed, commitment
from gov_services.audit.listing import NoRoot, RootStatement
from gov_services.audit.merkle import (
    HASH_BYTES,
    Node,
    ProofRefused,
    common_ranges,
    hashes_of,
    leaf_hash,
    subtrees,
    verify_common,
)
from gov_services.audit.proof import EvidenceRefused, NotYetProvable, Step
from gov_services.audit.subject_map import NO_ENTRIES, Place, extended, key_of, place_of, value_of, verify_place
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.canonical import canonical_json
from gov_services.kit.database import ReadSession

VERSION = "gov-audit-history/1"
OPENED_LIMIT = 1000
"""Entries that are opened in it, the newest ones. The others are there by number and commitment."""
NODES_AT_ONCE = 4000
Opening = tuple[bytes, bytes]
"""The canonical text of an entry, and its salt."""


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """An entry in the order in which the map lists it; opened or not."""

    number: int
    commitment: bytes
    opening: Opening | None


@dataclass(frozen=True, slots=True)
class HistoryEvidence:
    """All that is listed of one subject, and the way from there to a signed checkpoint."""

    tag: bytes
    entries: tuple[ListedEntry, ...]
    place: Place
    """In the map."""
    root_number: int
    root_opening: Opening
    """The entry that states the map's root."""
    proof: tuple[bytes, ...]
    """Hashes beside all of these entries in the tree."""
    checkpoint: str

    def to_json(self) -> str:
        """The evidence as text to keep or hand on."""
        return canonical_json(
            {
                "v": VERSION,
                "tag": self.tag.hex(),
                "entries": [_plain(one) for one in self.entries],
                "map": {
                    "siblings": [_encode(one) for one in self.place.siblings],
                    "other": [_encode(one) for one in self.place.other] if self.place.other else None,
                },
                "root": _with_opening({"seq": self.root_number}, self.root_opening),
                "proof": [_encode(one) for one in self.proof],
                "checkpoint": self.checkpoint,
            }
        ).decode()

    @classmethod
    def from_json(cls, text: str) -> HistoryEvidence:
        """The evidence in `text`. Raises EvidenceRefused at step 0 for what is none."""
        try:
            raw = json.loads(text)
            if raw["v"] != VERSION or not isinstance(raw["checkpoint"], str):
                raise EvidenceRefused(0, "it is not evidence of a version known here")
            other = raw["map"]["other"]
            evidence = cls(
                tag=bytes.fromhex(raw["tag"]),
                entries=tuple(_listed(one) for one in raw["entries"]),
                place=Place(
                    tuple(_decode(one) for one in raw["map"]["siblings"]),
                    None if other is None else (_decode(other[0]), _decode(other[1])),
                ),
                root_number=_number(raw["root"]["seq"]),
                root_opening=(_decode(raw["root"]["entry"]), _decode(raw["root"]["salt"])),
                proof=tuple(_decode(one) for one in raw["proof"]),
                checkpoint=raw["checkpoint"],
            )
        except (ValueError, KeyError, TypeError, IndexError, binascii.Error) as malformed:
            raise EvidenceRefused(0, "it is not evidence") from malformed
        if evidence.to_json() != text.strip():
            raise EvidenceRefused(0, "it is not written the one way")
        return evidence


@dataclass(frozen=True, slots=True)
class ProvedHistory:
    """What held, and what it is about."""

    steps: tuple[Step, ...]
    statement: RootStatement
    entries: int


async def make_history_evidence(
    session: ReadSession, *, tag: bytes, opens: Callable[[Entry], bool], opened: int = OPENED_LIMIT
) -> HistoryEvidence:
    """Evidence of everything that the newest map lists of a subject, under the newest checkpoint.

    The `opened` newest entries are opened, if `opens` says so. Raises NotYetProvable until the root of the newest map
    is under a checkpoint: some seconds of a minute. Whether the asker may have it is for the caller to know.
    """
    key = key_of(tag)
    nibbles = bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))
    standing, pages = await map_store.root_at(session, [nibbles[:depth] for depth in range(len(nibbles))])
    root = await store.entry(session, entry_id=standing.entry) if standing.entry is not None else None
    newest = await store.newest_checkpoint(session)
    if root is None or newest is None or newest.size <= root.seq:
        raise NotYetProvable
    rows = await map_store.listed(session, tag=tag, upto=standing.upto)
    first_opened = len(rows) - opened
    entries = tuple(
        ListedEntry(row.seq, row.commitment, _opening(row, opens) if index >= first_opened else None)
        for index, row in enumerate(rows)
    )
    return HistoryEvidence(
        tag=tag,
        entries=entries,
        place=place_of(pages, key)[1],
        root_number=root.seq,
        root_opening=(root.body, root.salt),
        proof=await _common_proof(session, [*(one.number for one in entries), root.seq], newest.size),
        checkpoint=newest.note,
    )


def verify_history(evidence: HistoryEvidence, keys: VerifyKeys, *, origin: str) -> ProvedHistory:
    """Check evidence, step by step; what held, in order. Raises EvidenceRefused, naming the step."""
    # 1. The checkpoint is signed by a key of this log.
    try:
        checkpoint = open_checkpoint(evidence.checkpoint, keys, origin=origin)
    except CheckpointRefused as refused:
        raise EvidenceRefused(1, str(refused)) from refused
    detail = f"{checkpoint.origin}, {checkpoint.size} entries, root {checkpoint.root.hex()}"
    steps = [Step(1, "checkpoint", detail)]

    # 2. The root of the map is stated by the log's own process, over entries that came before.
    statement, root_commitment = _open_root(evidence)
    when = f"the first {statement.size} of {checkpoint.size} entries, at {statement.at.isoformat()}"
    steps.append(Step(2, "root of the map of subjects", when))

    # 3. Every listed entry that is opened is about this subject and is what its commitment commits to.
    opened = _open_entries(evidence, statement)
    steps.append(Step(3, "entries", f"{len(evidence.entries)} listed, {opened} of them opened"))

    # 4. All of them, and the root's entry, are in the tree at their numbers.
    _require_in_tree(evidence, root_commitment, checkpoint)
    steps.append(Step(4, "inclusion", f"{len(evidence.proof)} hashes lead from all of them to the signed root"))

    # 5. The list of these entries, whole and in order, is what the map has for the subject: nothing was left out.
    head = extended(NO_ENTRIES, ((one.number, one.commitment) for one in evidence.entries))
    value = value_of(evidence.tag, len(evidence.entries), head) if evidence.entries else None
    try:
        verify_place(key_of(evidence.tag), value, evidence.place, root=statement.root)
    except ProofRefused as refused:
        raise EvidenceRefused(5, str(refused)) from refused
    steps.append(Step(5, "completeness", f"the map lists {len(evidence.entries)} entries, and these are they"))

    # 6. What the map does not list is said by the root's entry itself.
    told = ", ".join(
        f"{code} ({'how often only' if days is None else f'after {days} days'})"
        for code, days in sorted(statement.withheld.items())
    )
    steps.append(Step(6, "told later or not one by one", told or "nothing"))
    return ProvedHistory(tuple(steps), statement, len(evidence.entries))


def _open_root(evidence: HistoryEvidence) -> tuple[RootStatement, bytes]:
    """2. What the root's entry states, and its commitment."""
    body, salt = evidence.root_opening
    try:
        statement = RootStatement.of(Entry.parse(body))
        committed = commitment(body, salt)
    except (EntryMalformed, NoRoot) as refused:
        raise EvidenceRefused(2, str(refused)) from refused
    if statement.size > evidence.root_number:
        raise EvidenceRefused(2, "it is over entries that came after it")
    return statement, committed


def _open_entries(evidence: HistoryEvidence, statement: RootStatement) -> int:
    """3. How many of the entries are opened."""
    numbers = [one.number for one in evidence.entries]
    if len(set(numbers)) != len(numbers) or any(number >= statement.size for number in numbers):
        raise EvidenceRefused(3, "an entry is listed twice, or came after the map")
    opened = [(one, *one.opening) for one in evidence.entries if one.opening is not None]
    for one, body, salt in opened:
        try:
            entry = Entry.parse(body)
        except EntryMalformed as malformed:
            raise EvidenceRefused(3, f"entry {one.number}: {malformed}") from malformed
        if len(salt) != SALT_BYTES or commitment(body, salt) != one.commitment:
            raise EvidenceRefused(3, f"entry {one.number} is not what its commitment commits to")
        if entry.subject_tag != evidence.tag:
            raise EvidenceRefused(3, f"entry {one.number} is about somebody else")
    return len(opened)


def _require_in_tree(evidence: HistoryEvidence, root_commitment: bytes, checkpoint: Checkpoint) -> None:
    """4. Every entry is where it says."""
    leaves = {one.number: leaf_hash(one.commitment) for one in evidence.entries}
    leaves[evidence.root_number] = leaf_hash(root_commitment)
    try:
        verify_common(leaves, size=checkpoint.size, proof=evidence.proof, expected_root=checkpoint.root)
    except ProofRefused as refused:
        raise EvidenceRefused(4, str(refused)) from refused


async def _common_proof(session: ReadSession, numbers: Sequence[int], size: int) -> tuple[bytes, ...]:
    ranges = common_ranges(sorted(numbers), size)
    names = [name for covered in ranges for name in subtrees(covered)]
    stored: dict[Node, bytes] = {}
    for begin in range(0, len(names), NODES_AT_ONCE):
        stored |= await store.nodes(session, names[begin : begin + NODES_AT_ONCE])
    return tuple(hashes_of(ranges, stored.__getitem__))


def _opening(row: map_store.ListedRow, opens: Callable[[Entry], bool]) -> Opening | None:
    try:
        return (row.body, row.salt) if opens(Entry.parse(row.body)) else None
    except EntryMalformed:
        return None


def _plain(one: ListedEntry) -> dict[str, object]:
    return _with_opening({"seq": one.number, "commitment": _encode(one.commitment)}, one.opening)


def _with_opening(said: dict[str, object], opening: Opening | None) -> dict[str, object]:
    return said if opening is None else {**said, "entry": _encode(opening[0]), "salt": _encode(opening[1])}


def _listed(raw: dict[str, str]) -> ListedEntry:
    committed = _decode(raw["commitment"])
    if len(committed) != HASH_BYTES:
        raise ValueError("a commitment is 32 bytes")
    opening = (_decode(raw["entry"]), _decode(raw["salt"])) if "entry" in raw else None
    return ListedEntry(_number(raw["seq"]), committed, opening)


def _number(raw: object) -> int:
    if type(raw) is not int or not 0 <= raw < 1 << 63:
        raise ValueError("it is no number of an entry")
    return raw


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decode(value: str) -> bytes:
    return base64.b64decode(value, validate=True)
