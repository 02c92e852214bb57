"""A writer's chain: each batch that a process appends is signed, and names the one before. It stores nothing.

Numbers and the tree begin where the database gave a number. What becomes of an entry before that, in the database, only
its writer can say: so each writer says what it wrote, under a key that whoever keeps the database does not have. A
change waits in its own transaction, which may yet fail; its writer vouches for it there, and lists it in the chain once
it knows that the change was committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID, uuid4

from gov_services.crypto.signing import SignatureRefused, SigningKey, VerifyKeys
from gov_services.kit.canonical import sha256

ITEM_BYTES = 49
"""Kind, id and commitment."""
_WRITER = b"gov-audit/writer/1\n"
_BATCH = b"gov-audit/batch/1\n"
_CHANGE = b"gov-audit/change/1\n"


class ChainBroken(Exception):
    """A statement of a writer is not signed by its room's key, or does not follow on the one before."""


class ItemKind(IntEnum):
    """What a writer says of an entry."""

    APPENDED = 1
    """It was handed over to be numbered with this batch."""
    CHANGED = 2
    """The change that it is about has been committed."""
    END = 255
    """There is no entry: the writer ended in good order, and nothing follows."""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a batch."""

    kind: ItemKind
    entry_id: UUID
    commitment: bytes


END_ITEM = bytes([ItemKind.END]) + bytes(48)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call to the database appends to the chain."""

    number: int
    items: bytes
    digest: bytes
    signature: bytes


class Writer:
    """One process's chain, as its writer has it. Each batch is signed, handed over, and then taken as written."""

    def __init__(self, room: str, key: SigningKey) -> None:
        self.writer_id = uuid4()
        self.room = room
        self.key_id = key.key_id
        self._key = key
        self._number = 0
        opening = opening_digest(self.writer_id, room, key.key_id)
        self._previous = opening
        self.opening_signature = key.sign(opening)

    def __repr__(self) -> str:
        return f"Writer({self.room!r}, {self.writer_id})"

    @property
    def has_written(self) -> bool:
        """Whether there is anything to end."""
        return self._number > 0

    def sign(self, items: bytes) -> Batch:
        """The next batch. It is the next until it is taken as written."""
        digest = batch_digest(self.writer_id, self._number, self._previous, items)
        return Batch(self._number, items, digest, self._key.sign(digest))

    def written(self, batch: Batch) -> None:
        """The batch is in the database: what follows is signed over it."""
        assert batch.number == self._number, "a chain has one batch of each number"
        self._number, self._previous = batch.number + 1, batch.digest

    def vouch(self, entry_id: UUID, commitment: bytes) -> bytes:
        """The signature under which a change's entry waits to be numbered."""
        return self._key.sign(change_digest(self.writer_id, entry_id, commitment))


@dataclass(slots=True)
class Reader:
    """The same chain, as a doubter follows it from its first batch on."""

    writer_id: UUID
    room: str
    key_id: str
    keys: VerifyKeys
    """Public keys of this room's writers."""
    number: int = 0
    previous: bytes = b""
    ended: bool = False

    def open(self, signature: bytes) -> None:
        """Check who writes it. Raises ChainBroken."""
        self.previous = opening_digest(self.writer_id, self.room, self.key_id)
        self._verify(self.previous, signature, "it was not begun by its room")

    def follow(self, number: int, items: bytes, signature: bytes) -> list[Item]:
        """Check the next batch; what it lists. Raises ChainBroken."""
        if self.ended:
            raise ChainBroken("it goes on past its end")
        if number != self.number:
            raise ChainBroken(f"batch {self.number} is missing")
        digest = batch_digest(self.writer_id, number, self.previous, items)
        self._verify(digest, signature, f"batch {number} is not as it was signed")
        self.number, self.previous = number + 1, digest
        listed = list(parse_items(items))
        self.ended = bool(listed) and listed[-1].kind is ItemKind.END
        return [item for item in listed if item.kind is not ItemKind.END]

    def vouched(self, entry_id: UUID, commitment: bytes, signature: bytes) -> bool:
        """Whether this writer laid down that change's entry."""
        try:
            self.keys.verify(self.key_id, change_digest(self.writer_id, entry_id, commitment), signature)
        except SignatureRefused:
            return False
        return True

    def _verify(self, digest: bytes, signature: bytes, otherwise: str) -> None:
        try:
            self.keys.verify(self.key_id, digest, signature)
        except SignatureRefused as refused:
            raise ChainBroken(f"{otherwise}: {refused}") from refused


def pack_items(kind: ItemKind, entries: Sequence[tuple[UUID, bytes]]) -> bytes:
    """The bytes of the lines of a batch that say the same of entries: each by its id and its commitment."""
    mark = bytes([kind])
    return b"".join([mark + entry_id.bytes + commitment for entry_id, commitment in entries])


def parse_items(items: bytes) -> Iterator[Item]:
    """The lines of a batch. Raises ChainBroken."""
    if len(items) % ITEM_BYTES:
        raise ChainBroken("a batch is a row of whole items")
    for begin in range(0, len(items), ITEM_BYTES):
        try:
            kind = ItemKind(items[begin])
        except ValueError as unknown:
            raise ChainBroken(f"an item is of unknown kind {items[begin]}") from unknown
        yield Item(kind, UUID(bytes=items[begin + 1 : begin + 17]), items[begin + 17 : begin + ITEM_BYTES])


def opening_digest(writer_id: UUID, room: str, key_id: str) -> bytes:
    """What a writer signs before all else, and its first batch names."""
    return sha256(b"".join([_WRITER, writer_id.bytes, room.encode(), b"\n", key_id.encode()]))


def batch_digest(writer_id: UUID, number: int, previous: bytes, items: bytes) -> bytes:
    """What is signed of a batch, and the next one names."""
    return sha256(b"".join([_BATCH, writer_id.bytes, number.to_bytes(8, "big"), previous, items]))


def change_digest(writer_id: UUID, entry_id: UUID, commitment: bytes) -> bytes:
    """What is signed of a change's entry while it waits."""
    return sha256(b"".join([_CHANGE, writer_id.bytes, entry_id.bytes, commitment]))
