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

from cryptography.exceptions import InvalidTag

from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.keys import DataClass, KeyRefused
from gov_services.crypto.suites import CipherRefused, Decrypt, random_nonce

VERSION = 1
_HEADER = struct.Struct(">BBH8s")
_HEADER_BYTES = _HEADER.size
_ROW_LENGTH = struct.pack(">I", 16)
_ROW_OF_ZEROS = _ROW_LENGTH + bytes(16)


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


class Frame:
    """What is alike in all boxes of one column under one key, made once. It opens nothing without that key.

    A page of a thousand rows opens thousands of boxes; packing each one's place anew took twice the time of opening it.
    The key keeps its frames, and they do not keep the key: it is gone from memory with the last who holds it.
    """

    __slots__ = ("_after", "_before", "_opens")

    def __init__(self, key: DataKey, column_id: str) -> None:
        place = Binding(column_id=column_id, row_id=UUID(int=0), citizen_id=key.citizen_id, data_class=key.data_class)
        self._before, self._after = pack(place, key.version).split(_ROW_OF_ZEROS, 1)
        # By header: nonce's end, how to decrypt, and what the additional data begin with.
        self._opens: dict[bytes, tuple[int, Decrypt, bytes]] = {}

    def close(self, key: DataKey, plaintext: bytes, row_id: UUID, *, pad_to: int) -> bytes:
        """See close_box."""
        cipher = key.cipher(key.suite)
        header, nonce = _HEADER.pack(VERSION, key.suite, key.version, key.reference), random_nonce(cipher)
        aad = header + self._before + _ROW_LENGTH + row_id.bytes + self._after
        return header + nonce + cipher.encrypt(nonce, pad(plaintext, pad_to), aad)

    def open(self, key: DataKey, box: bytes, row_id: UUID) -> bytes:
        """See open_box."""
        header = box[:_HEADER_BYTES]
        sealed_at, decrypt, before = self._opens.get(header) or self._opened_by(key, header)
        try:
            padded = decrypt(box[_HEADER_BYTES:sealed_at], box[sealed_at:], before + row_id.bytes + self._after)
        except (InvalidTag, CipherRefused, ValueError):  # ValueError: cut off within the nonce
            raise BoxRefused("altered or moved") from None
        return unpad(padded)

    def _opened_by(self, key: DataKey, header: bytes) -> tuple[int, Decrypt, bytes]:
        """How boxes with that header open. Raises BoxRefused; so only headers of ours are remembered, one a suite."""
        if len(header) < _HEADER_BYTES:
            raise BoxRefused("too short")
        version, suite, key_version, reference = _HEADER.unpack(header)
        if version != VERSION:
            raise BoxRefused(f"version {version}")
        if key_version != key.version or reference != key.reference:
            raise BoxRefused("made under another key")
        try:
            cipher = key.cipher(suite)
        except KeyRefused:
            raise BoxRefused(f"suite {suite}") from None
        before = header + self._before + _ROW_LENGTH
        found = self._opens[header] = (_HEADER_BYTES + cipher.nonce_bytes, cipher.decrypt_bare, before)
        return found


def frame(key: DataKey, column_id: str, *, data_class: DataClass) -> Frame:
    """The frame of that column's boxes about the key's citizen. Raises BoxRefused for a column of another class."""
    if key.data_class is not data_class:
        raise BoxRefused("a box opens under its own citizen's key of its own class")
    found = key.frames.get(column_id)
    if found is None:
        found = key.frames[column_id] = Frame(key, column_id)
    return found


def close_box(key: DataKey, plaintext: bytes, binding: Binding, *, pad_to: int = 16) -> bytes:
    """Seal `plaintext` for its place, padded to a multiple of `pad_to` bytes so that its length tells little."""
    return _frame(key, binding).close(key, plaintext, binding.row_id, pad_to=pad_to)


def open_box(key: DataKey, box: bytes, binding: Binding) -> bytes:
    """The plaintext. Raises BoxRefused for any other box, key or place; it does not say which."""
    return _frame(key, binding).open(key, box, binding.row_id)


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
    if stripped[-1:] != b"\x80":
        raise BoxRefused("not padded")
    return stripped[:-1]


def _frame(key: DataKey, binding: Binding) -> Frame:
    if key.citizen_id != binding.citizen_id:
        raise BoxRefused("a box opens under its own citizen's key of its own class")
    return frame(key, binding.column_id, data_class=binding.data_class)
