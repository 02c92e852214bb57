"""Signed notes (C2SP signed-note): a text, an empty line, lines of signatures; and the keys as tools write them.

It verifies nothing: what a signature is over depends on its type.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from gov_services.kit.canonical import sha256

ED25519 = 0x01
"""A log's own signature, over the text."""
COSIGNATURE_ED25519 = 0x04
COSIGNATURE_MLDSA44 = 0x06
KEY_HASH_BYTES = 4
SIGNATURES_LIMIT = 100
_SIGNATURE = re.compile(r"— (?P<name>[^\s+]+) (?P<value>[A-Za-z0-9+/]+={0,2})")
_KEY = re.compile(r"(?P<name>[^\s+]+)\+(?P<hash>[0-9a-f]{8})\+(?P<value>[A-Za-z0-9+/]+={0,2})")


class NoteRefused(Exception):
    """It is no signed note, or no key of one."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One line of signatures: whose it says it is, which of their keys, and the rest."""

    name: str
    key_hash: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key, and the name under which it signs."""

    name: str
    kind: int
    public: bytes

    @property
    def hash(self) -> bytes:
        """The four bytes that tell keys apart in a note."""
        return key_hash(self.name, self.kind, self.public)

    def __str__(self) -> str:
        """As C2SP tools take it: `name+hash+base64`."""
        return f"{self.name}+{self.hash.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> NoteKey:
        """The key that `text` writes. Raises NoteRefused, also where the hash is not the key's."""
        found = _KEY.fullmatch(text.strip())
        if found is None:
            raise NoteRefused("a key is written name+hash+base64")
        value = decode(found["value"])
        key = cls(found["name"], value[0] if value else -1, value[1:])
        if not value or key.hash.hex() != found["hash"]:
            raise NoteRefused(f"the hash in the key of {found['name']} is not that of the key")
        return key


def key_hash(name: str, kind: int, public: bytes) -> bytes:
    """SHA-256(name ‖ newline ‖ kind ‖ public key), its first four bytes."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public)[:KEY_HASH_BYTES]


def divide(note: str) -> tuple[str, list[Signature]]:
    """Text and signatures of a signed note; the last empty line divides them. Raises NoteRefused."""
    text, blank, rest = note.rpartition("\n\n")
    if not blank or not rest.endswith("\n") or any(ord(one) < 0x20 and one != "\n" for one in note):
        raise NoteRefused("it is no signed note")
    return text + "\n", signature_lines(rest)


def signature_lines(text: str) -> list[Signature]:
    """The signatures in lines of a note, each ended. Raises NoteRefused."""
    lines = text[:-1].split("\n")
    if len(lines) > SIGNATURES_LIMIT:
        raise NoteRefused(f"a note has {SIGNATURES_LIMIT} signatures at most")
    signatures = []
    for line in lines:
        found = _SIGNATURE.fullmatch(line)
        value = decode(found["value"]) if found else b""
        if found is None or len(value) <= KEY_HASH_BYTES:
            raise NoteRefused("a line of signatures is none")
        signatures.append(Signature(found["name"], value[:KEY_HASH_BYTES], value[KEY_HASH_BYTES:]))
    return signatures


def signature_line(signature: Signature) -> str:
    """The line of a note that a signature is, ended."""
    return f"— {signature.name} {base64.b64encode(signature.key_hash + signature.value).decode()}\n"


def decode(value: str) -> bytes:
    """The bytes that `value` writes in base64. Raises NoteRefused."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as malformed:
        raise NoteRefused("it is not base64") from malformed
