"""The envelope of a sealed value. Only `crypto` and `consent.disclosure` import it: opening needs a Disclosure.

    version 1 | suite 1 | key version 2 | key reference 8 | nonce 12 or 24 | ciphertext and tag

The suite (crypto.suites) seals with a random nonce, under a key derived from the citizen's data key for it alone; a box
opens by the suite that it names, whichever the key seals by today. The additional data bind a box to its header and its
place: column, row, citizen, class and key version, each with its length before it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.keys import DataClass, KeyRefused
from gov_services.crypto.suites import TAG_BYTES, CipherRefused, random_nonce

VERSION = 1
_HEADER = struct.Struct(">BBH8s")


class BoxRefused(Exception):
    """The box was altered, moved, made under another key, or is of a version that is not known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The one place where a box opens."""

    column_id: str
    """Never changes, whatever the column is renamed to."""
    row_id: UUID
    citizen_id: UUID
    data_class: DataClass


def close_box(key: DataKey, plaintext: bytes, binding: Binding, *, pad_to: int = 16) -> bytes:
    """Seal `plaintext` for its place, padded to a multiple of `pad_to` bytes so that its length tells little."""
    _require_own(key, binding)
    cipher = key.cipher(key.suite)
    header = _HEADER.pack(VERSION, key.suite, key.version, key.reference)
    nonce = random_nonce(cipher)
    return header + nonce + cipher.encrypt(nonce, pad(plaintext, pad_to), header + pack(binding, key.version))


def open_box(key: DataKey, box: bytes, binding: Binding) -> bytes:
    """The plaintext. Raises BoxRefused for any other box, key or place; it does not say which."""
    _require_own(key, binding)
    if len(box) < _HEADER.size:
        raise BoxRefused("too short")
    header = box[: _HEADER.size]
    version, suite, key_version, reference = _HEADER.unpack(header)
    if version != VERSION:
        raise BoxRefused(f"version {version}")
    if key_version != key.version or reference != key.reference:
        raise BoxRefused("made under another key")
    try:
        cipher = key.cipher(suite)
    except KeyRefused:
        raise BoxRefused(f"suite {suite}") from None
    sealed_at = _HEADER.size + cipher.nonce_bytes
    if len(box) < sealed_at + TAG_BYTES:
        raise BoxRefused("too short")
    try:
        padded = cipher.decrypt(box[_HEADER.size : sealed_at], box[sealed_at:], header + pack(binding, key.version))
    except CipherRefused:
        raise BoxRefused("altered or moved") from None
    return unpad(padded)


def pack(binding: Binding, key_version: int) -> bytes:
    """The additional data: unambiguous, because every part has its length before it."""
    parts = (
        b"gov-box",
        binding.column_id.encode(),
        binding.row_id.bytes,
        binding.citizen_id.bytes,
        binding.data_class.value.encode(),
        struct.pack(">H", key_version),
    )
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def pad(plaintext: bytes, pad_to: int) -> bytes:
    """ISO/IEC 7816-4: a one bit, then zeros up to the bucket."""
    marked = plaintext + b"\x80"
    return marked + bytes(-len(marked) % pad_to)


def unpad(padded: bytes) -> bytes:
    """What was padded. Raises BoxRefused."""
    stripped = padded.rstrip(b"\x00")
    if not stripped.endswith(b"\x80"):
        raise BoxRefused("not padded")
    return stripped[:-1]


def _require_own(key: DataKey, binding: Binding) -> None:
    if key.citizen_id != binding.citizen_id or key.data_class is not binding.data_class:
        raise BoxRefused("a box opens under its own citizen's key of its own class")
