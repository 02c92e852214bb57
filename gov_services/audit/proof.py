"""Evidence that one entry is in the log: everything a doubter needs but the log's public key. It reads no log to check.

Whoever holds it can check it without us, with `verify_evidence` or with any RFC 6962 tool.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.audit import store
from gov_services.audit.checkpoint import CheckpointRefused, open_checkpoint
from gov_services.audit.entry import SALT_BYTES, Entry, EntryMalformed, commitment
from gov_services.audit.merkle import ProofRefused, hashes_of, inclusion_ranges, leaf_hash, subtrees, verify_inclusion
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.canonical import canonical_json
from gov_services.kit.database import ReadSession
from gov_services.kit.errors import Unavailable

VERSION = "gov-audit-evidence/1"


class NotYetProvable(Unavailable):
    """The entry is not under a signed checkpoint yet; it will be in moments."""

    code = "PROOF_NOT_YET"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该记录尚未纳入签名检查点,请稍后再试。",
        "en": "This entry is not under a signed checkpoint yet. Please try again in a moment.",
    }


class EvidenceRefused(Exception):
    """The evidence does not prove its entry; `step` is where it fails."""

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(f"step {step}: {reason}")
        self.step = step
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Evidence:
    """An entry, the salt that opens its commitment, and the way from there to a signed checkpoint."""

    entry: bytes
    salt: bytes
    seq: int
    proof: tuple[bytes, ...]
    checkpoint: str

    def to_json(self) -> str:
        """The evidence as text to keep or hand on."""
        return canonical_json(
            {
                "v": VERSION,
                "entry": _encode(self.entry),
                "salt": _encode(self.salt),
                "seq": self.seq,
                "proof": [_encode(digest) for digest in self.proof],
                "checkpoint": self.checkpoint,
            }
        ).decode()

    @classmethod
    def from_json(cls, text: str) -> Evidence:
        """The evidence in `text`. Raises EvidenceRefused at step 0 for what is none."""
        try:
            raw = json.loads(text)
            if raw["v"] != VERSION or not isinstance(raw["checkpoint"], str) or type(raw["seq"]) is not int:
                raise EvidenceRefused(0, "it is not evidence of a version known here")
            return cls(
                entry=_decode(raw["entry"]),
                salt=_decode(raw["salt"]),
                seq=raw["seq"],
                proof=tuple(_decode(digest) for digest in raw["proof"]),
                checkpoint=raw["checkpoint"],
            )
        except (ValueError, KeyError, TypeError, binascii.Error) as malformed:
            raise EvidenceRefused(0, "it is not evidence") from malformed


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was checked and held."""

    number: int
    title: str
    detail: str


async def make_evidence(session: ReadSession, *, entry_id: UUID) -> Evidence | None:
    """Evidence for the entry under the newest checkpoint; None where there is no such numbered entry.

    Raises NotYetProvable. Whether the asker may have the entry is for the caller to know.
    """
    row = await store.entry(session, entry_id=entry_id)
    if row is None:
        return None
    newest = await store.newest_checkpoint(session)
    if newest is None or newest.size <= row.seq:
        raise NotYetProvable
    ranges = inclusion_ranges(row.seq, newest.size)
    stored = await store.nodes(session, [name for covered in ranges for name in subtrees(covered)])
    proof = tuple(hashes_of(ranges, stored.__getitem__))
    return Evidence(row.body, row.salt, row.seq, proof, newest.note)


def verify_evidence(evidence: Evidence, keys: VerifyKeys, *, origin: str) -> tuple[Step, ...]:
    """Check evidence, step by step; what held, in order. Raises EvidenceRefused, naming the step."""
    # 1. The entry is the one canonical text of an entry.
    try:
        entry = Entry.parse(evidence.entry)
    except EntryMalformed as malformed:
        raise EvidenceRefused(1, str(malformed)) from malformed
    one = Step(1, "entry", f"{entry.action} at {entry.at.isoformat()}, {entry.outcome}")

    # 2. Salt and entry make the commitment, and that the leaf.
    if len(evidence.salt) != SALT_BYTES:
        raise EvidenceRefused(2, f"a salt is {SALT_BYTES} bytes")
    committed = commitment(evidence.entry, evidence.salt)
    leaf = leaf_hash(committed)
    two = Step(2, "commitment", committed.hex())

    # 3. The checkpoint is signed by a key of this log.
    try:
        checkpoint = open_checkpoint(evidence.checkpoint, keys, origin=origin)
    except CheckpointRefused as refused:
        raise EvidenceRefused(3, str(refused)) from refused
    three = Step(3, "checkpoint", f"{checkpoint.origin}, {checkpoint.size} entries, root {checkpoint.root.hex()}")

    # 4. The entry's number lies within the checkpoint's tree.
    if not 0 <= evidence.seq < checkpoint.size:
        raise EvidenceRefused(4, f"there is no entry {evidence.seq} in a tree of {checkpoint.size}")
    four = Step(4, "number", f"{evidence.seq} of {checkpoint.size}")

    # 5. The proof leads from the leaf to the signed root (RFC 9162 §2.1.3.2).
    try:
        verify_inclusion(
            leaf=leaf,
            index=evidence.seq,
            size=checkpoint.size,
            proof=evidence.proof,
            expected_root=checkpoint.root,
        )
    except ProofRefused as refused:
        raise EvidenceRefused(5, str(refused)) from refused
    five = Step(5, "inclusion", f"{len(evidence.proof)} hashes lead from the entry to the signed root")
    return (one, two, three, four, five)


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decode(value: str) -> bytes:
    return base64.b64decode(value, validate=True)
