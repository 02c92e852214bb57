"""Checkpoints: a signed statement of the tree's size and root (C2SP tlog-checkpoint in a signed-note). No tree here.

The note's one signature of ours is Ed25519 (signature type 0x01); lines of witnesses may follow and are let be.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from gov_services.audit.merkle import HASH_BYTES
from gov_services.crypto.signing import SignatureRefused, SigningKey, VerifyKeys
from gov_services.kit.canonical import sha256

ED25519 = b"\x01"
KEY_HASH_BYTES = 4
_SIGNATURE = re.compile(r"— (?P<name>[^\s+]+) (?P<value>[A-Za-z0-9+/]+={0,2})")
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


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """The signed note of `checkpoint`."""
    text = checkpoint.text()
    value = key_hash(checkpoint.origin, key.public_bytes) + key.sign(text.encode())
    return f"{text}\n— {checkpoint.origin} {base64.b64encode(value).decode()}\n"


def open_checkpoint(note: str, keys: VerifyKeys, *, origin: str) -> Checkpoint:
    """The checkpoint in `note`, once a key of this log is found to have signed it. Raises CheckpointRefused."""
    text, signatures = _divide(note)
    checkpoint = _parse(text)
    if checkpoint.origin != origin:
        raise CheckpointRefused("it is of another log")
    hashes = {key_hash(origin, public): key_id for key_id, public in keys.public_keys().items()}
    for name, value in signatures:
        key_id = hashes.get(value[:KEY_HASH_BYTES])
        if name == origin and key_id is not None:
            try:
                keys.verify(key_id, text.encode(), value[KEY_HASH_BYTES:])
            except SignatureRefused as refused:
                raise CheckpointRefused("the signature is not that of the key it names") from refused
            return checkpoint
    raise CheckpointRefused("no key of this log signed it")


def key_hash(name: str, public: bytes) -> bytes:
    """The four bytes that tell keys apart in a signed note."""
    return sha256(name.encode() + b"\n" + ED25519 + public)[:KEY_HASH_BYTES]


def verifier_key(origin: str, public: bytes) -> str:
    """The key as C2SP tools take it: `origin+hash+base64`."""
    return f"{origin}+{key_hash(origin, public).hex()}+{base64.b64encode(ED25519 + public).decode()}"


def _divide(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Text and signatures of a signed note. The last empty line divides them."""
    text, blank, rest = note.rpartition("\n\n")
    if not blank or not rest.endswith("\n") or any(ord(one) < 0x20 and one != "\n" for one in note):
        raise CheckpointRefused("it is no signed note")
    signatures = []
    for line in rest[:-1].split("\n"):
        found = _SIGNATURE.fullmatch(line)
        if found is None:
            raise CheckpointRefused("a line of signatures is none")
        signatures.append((found["name"], _decode(found["value"])))
    return text + "\n", signatures


def _parse(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) != 3 or not lines[0] or not _NUMBER.fullmatch(lines[1]):
        raise CheckpointRefused("it is no checkpoint")
    root = _decode(lines[2])
    if len(root) != HASH_BYTES:
        raise CheckpointRefused("a root is 32 bytes")
    checkpoint = Checkpoint(lines[0], int(lines[1]), root)
    if checkpoint.text() != text:
        raise CheckpointRefused("it is not written the one way")
    return checkpoint


def _decode(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as malformed:
        raise CheckpointRefused("it is not base64") from malformed
