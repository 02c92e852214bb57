"""Checkpoints: a signed statement of the tree's size and root (C2SP tlog-checkpoint in a signed-note). No tree here.

The log's own signature is Ed25519 (type 0x01); lines of witnesses may follow and are let be.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from gov_services.audit.merkle import HASH_BYTES
from gov_services.audit.note import ED25519, NoteKey, NoteRefused, Signature, decode, divide, key_hash, signature_line
from gov_services.crypto.signing import SignatureRefused, SigningKey, VerifyKeys

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class CheckpointRefused(Exception):
    """The note is no checkpoint of this log, or nobody we know signed it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree at one moment."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed: three lines, each ended."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint that `text` writes. Raises CheckpointRefused for any other way to write it."""
        lines = text[:-1].split("\n")
        if len(lines) != 3 or not lines[0] or not _NUMBER.fullmatch(lines[1]):
            raise CheckpointRefused("it is no checkpoint")
        try:
            root = decode(lines[2])
        except NoteRefused as refused:
            raise CheckpointRefused(str(refused)) from refused
        if len(root) != HASH_BYTES:
            raise CheckpointRefused("a root is 32 bytes")
        checkpoint = cls(lines[0], int(lines[1]), root)
        if checkpoint.text() != text:
            raise CheckpointRefused("it is not written the one way")
        return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """The signed note of `checkpoint`."""
    text = checkpoint.text()
    named = key_hash(checkpoint.origin, ED25519, key.public_bytes)
    return f"{text}\n{signature_line(Signature(checkpoint.origin, named, key.sign(text.encode())))}"


def open_checkpoint(note: str, keys: VerifyKeys, *, origin: str) -> Checkpoint:
    """The checkpoint in `note`, once a key of this log is found to have signed it. Raises CheckpointRefused."""
    try:
        text, signatures = divide(note)
    except NoteRefused as refused:
        raise CheckpointRefused(str(refused)) from refused
    checkpoint = Checkpoint.parse(text)
    if checkpoint.origin != origin:
        raise CheckpointRefused("it is of another log")
    hashes = {key_hash(origin, ED25519, public): key_id for key_id, public in keys.public_keys().items()}
    signed = False
    for one in signatures:
        key_id = hashes.get(one.key_hash)
        if one.name == origin and key_id is not None:
            try:
                keys.verify(key_id, text.encode(), one.value)
            except SignatureRefused as refused:
                raise CheckpointRefused("the signature is not that of the key it names") from refused
            signed = True
    if not signed:
        raise CheckpointRefused("no key of this log signed it")
    return checkpoint


def verifier_key(origin: str, public: bytes) -> str:
    """The log's key as C2SP tools take it: `origin+hash+base64`."""
    return str(NoteKey(origin, ED25519, public))
