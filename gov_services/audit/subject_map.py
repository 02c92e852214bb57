"""The map of subjects: for each tag how many entries are about it, and which. Pure: no database, no rule of listing.

A binary tree over keys of 256 bits, in which a subtree of one key is that key's leaf: a function of what is in it and
of nothing else, of a depth that is the logarithm of how many there are. It shows what is there and what is not.

    key    SHA-256(tag)                                     so that the tree is even, whatever tags are like
    list   SHA-256(0x04 ‖ list before ‖ number ‖ commitment)     from 32 zero bytes, numbers of 8 bytes
    value  SHA-256(0x05 ‖ count ‖ list ‖ tag)               the tag hides it from whoever is shown a neighbour
    leaf   SHA-256(0x02 ‖ key ‖ value)
    inner  SHA-256(0x03 ‖ left ‖ right)                     an empty side is SHA-256(nothing)

Four levels lie in one page, which is what is stored, read and written: a page for each place with two keys or more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gov_services.audit.merkle import EMPTY_ROOT, HASH_BYTES, ProofRefused

KEY_BITS = 256
SLOTS = 16
LEVELS = 4
"""Of the tree, in a page."""
NO_ENTRIES = bytes(HASH_BYTES)
NUMBER_BYTES = 8

_NOTHING, _LEAF, _INNER = 0, 1, 2
_sha256 = hashlib.sha256

Numbered = tuple[int, bytes]
"""An entry's number and its commitment."""
Prefix = bytes
"""Where a page lies: a byte for each four bits of the keys below it."""


class PageMalformed(ValueError):
    """The bytes are not those of a page."""


class Leaf(NamedTuple):
    """What the map says of one subject."""

    key: bytes
    entries: int
    """How many are listed."""
    head: bytes
    """Of the list of its entries."""
    value: bytes

    def hash(self) -> bytes:
        """What stands in the tree for it."""
        return leaf_hash(self.key, self.value)


Slot = Leaf | bytes | None
"""One subject, the hash of a page with more of them, or nobody."""
Page = list[Slot]
Pages = MutableMapping[Prefix, bytes]


class More(NamedTuple):
    """What is new about one subject, in the order in which it is listed."""

    tag: bytes
    entries: Sequence[Numbered]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key is, or would be: the hashes beside the way there, from the root down, and what stands at its end."""

    siblings: tuple[bytes, ...]
    other: tuple[bytes, bytes] | None = None
    """(key, value) of the one subject that is there instead; None for the key's own, and for nobody."""


def key_of(tag: bytes) -> bytes:
    """Where a tag belongs."""
    return _sha256(tag).digest()


def leaf_hash(key: bytes, value: bytes) -> bytes:
    """The hash of one key with its value."""
    return _sha256(b"\x02" + key + value).digest()


def inner_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two sides."""
    return _sha256(b"\x03" + left + right).digest()


def extended(head: bytes, entries: Iterable[Numbered]) -> bytes:
    """The head of a list to which entries are added."""
    for number, committed in entries:
        head = _sha256(b"\x04" + head + number.to_bytes(NUMBER_BYTES, "big") + committed).digest()
    return head


def value_of(tag: bytes, count: int, head: bytes) -> bytes:
    """What a leaf commits to."""
    return _sha256(b"\x05" + count.to_bytes(NUMBER_BYTES, "big") + head + tag).digest()


def by_key(listed: Iterable[tuple[bytes, int, bytes]]) -> dict[bytes, More]:
    """(tag, number, commitment) of entries in the order in which they are listed, by the keys of their subjects."""
    found: dict[bytes, list[Numbered]] = {}
    for tag, number, committed in listed:
        found.setdefault(tag, []).append((number, committed))
    return {key_of(tag): More(tag, entries) for tag, entries in found.items()}


def lacking(pages: Mapping[Prefix, bytes], keys: Collection[bytes]) -> set[Prefix]:
    """Pages that are to be read before `grow` or `place_of` can go on: ask until it is none. The root is always named.

    One call goes down as far as `pages` reach.
    """
    wanted: set[Prefix] = set()
    going: dict[Prefix, Collection[bytes]] = {b"": keys}
    while going:
        below: dict[Prefix, Collection[bytes]] = {}
        for prefix, these in going.items():
            stored = pages.get(prefix)
            if stored is None:
                wanted.add(prefix)
                continue
            page = decode(stored)
            for nibble, some in _by_nibble(these, len(prefix)).items():
                if isinstance(page[nibble], bytes):
                    below[prefix + bytes([nibble])] = some
        going = below
    return wanted


def require_whole(pages: Mapping[Prefix, bytes]) -> None:
    """Check that pages are those that the pages above them name. Raises PageMalformed, KeyError for one above."""
    decoded = {prefix: decode(stored) for prefix, stored in pages.items()}
    for prefix, page in decoded.items():
        if prefix and decoded[prefix[:-1]][prefix[-1]] != page_hash(page):
            raise PageMalformed(f"page {prefix.hex()} is not the one that was mapped")


def grow(pages: Pages, more: Mapping[bytes, More]) -> tuple[bytes, set[Prefix]]:
    """Add to the lists of subjects, by their keys: the new root, and the pages that are new or changed, each once.

    `pages` hold every page on the way to these keys, and are changed; an empty map has none.
    """
    touched: set[Prefix] = set()
    if not more:
        return root_of(pages), touched
    return _grow(pages, b"", list(more), more, None, touched), touched


def root_of(pages: Mapping[Prefix, bytes]) -> bytes:
    """The root of the map."""
    return page_hash(decode(pages[b""])) if b"" in pages else EMPTY_ROOT


def place_of(pages: Mapping[Prefix, bytes], key: bytes) -> tuple[Leaf | None, Place]:
    """What the map says of a key, and the proof of that. Raises KeyError for a page that is not among `pages`."""
    siblings: list[bytes] = []
    prefix = b""
    while True:
        rows = _rows(decode(pages[prefix])) if prefix or prefix in pages else _rows([None] * SLOTS)
        nibble = _nibble(key, len(prefix))
        for level in range(LEVELS, 0, -1):
            index = nibble >> level
            kind, _, leaf = rows[level][index]
            if kind != _INNER:
                return _ended(key, leaf, siblings)
            siblings.append(rows[level - 1][(nibble >> (level - 1)) ^ 1][1])
        kind, _, leaf = rows[0][nibble]
        if kind != _INNER:
            return _ended(key, leaf, siblings)
        prefix += bytes([nibble])


def verify_place(key: bytes, value: bytes | None, place: Place, *, root: bytes) -> None:
    """Check that the map of that root has this value at a key; None: that it has nothing there. Raises ProofRefused."""
    depth = len(place.siblings)
    if depth > KEY_BITS or any(len(one) != HASH_BYTES for one in (key, root, *place.siblings)):
        raise ProofRefused("it is no place in a map")
    if value is not None:
        if place.other is not None:
            raise ProofRefused("one place holds one subject")
        computed = leaf_hash(key, value)
    elif place.other is not None:
        other, its_value = place.other
        if len(other) != HASH_BYTES or len(its_value) != HASH_BYTES or other == key or not _shares(other, key, depth):
            raise ProofRefused("the subject that is shown stands elsewhere")
        computed = leaf_hash(other, its_value)
    else:
        computed = EMPTY_ROOT
    for bit in range(depth - 1, -1, -1):
        sibling = place.siblings[bit]
        computed = inner_hash(sibling, computed) if _bit(key, bit) else inner_hash(computed, sibling)
    if computed != root:
        raise ProofRefused("the proof leads to another root")


def encode(page: Page) -> bytes:
    """A page as it is stored: which slots are subjects, which are pages, then each in turn."""
    subjects = deeper = 0
    parts = []
    for index, slot in enumerate(page):
        if slot is None:
            continue
        if isinstance(slot, bytes):
            deeper |= 1 << index
            parts.append(slot)
        else:
            subjects |= 1 << index
            parts.append(slot.key + slot.entries.to_bytes(NUMBER_BYTES, "big") + slot.head + slot.value)
    return subjects.to_bytes(2, "big") + deeper.to_bytes(2, "big") + b"".join(parts)


def decode(stored: bytes) -> Page:
    """The page that was stored so. Raises PageMalformed."""
    subjects, deeper = int.from_bytes(stored[:2], "big"), int.from_bytes(stored[2:4], "big")
    leaf_bytes = 3 * HASH_BYTES + NUMBER_BYTES
    if subjects & deeper or len(stored) != 4 + subjects.bit_count() * leaf_bytes + deeper.bit_count() * HASH_BYTES:
        raise PageMalformed("the bytes are those of no page")
    page: Page = [None] * SLOTS
    at, standing = 4, subjects | deeper
    while standing:
        bit = standing & -standing
        standing ^= bit
        if subjects & bit:
            key, value = stored[at : at + 32], stored[at + 72 : at + 104]
            page[bit.bit_length() - 1] = Leaf(
                key, int.from_bytes(stored[at + 32 : at + 40], "big"), stored[at + 40 : at + 72], value
            )
            at += leaf_bytes
        else:
            page[bit.bit_length() - 1] = stored[at : at + HASH_BYTES]
            at += HASH_BYTES
    return page


def page_hash(page: Page) -> bytes:
    """The hash of the subtree that a page is."""
    return _rows(page)[LEVELS][0][1]


_Cell = tuple[int, bytes, Leaf | None]
_EMPTY: _Cell = (_NOTHING, EMPTY_ROOT, None)


def _rows(page: Page) -> list[list[_Cell]]:
    """The subtrees of a page, a row a level, its slots first: what each is, its hash, its one subject."""
    row: list[_Cell] = [
        _EMPTY if slot is None else (_INNER, slot, None) if isinstance(slot, bytes) else (_LEAF, slot.hash(), slot)
        for slot in page
    ]
    rows = [row]
    while len(row) > 1:
        row = [_over(row[index], row[index + 1]) for index in range(0, len(row), 2)]
        rows.append(row)
    return rows


def _over(left: _Cell, right: _Cell) -> _Cell:
    if left[0] == _NOTHING and right[0] != _INNER:
        return right
    if right[0] == _NOTHING and left[0] != _INNER:
        return left
    return _INNER, inner_hash(left[1], right[1]), None


def _grow(
    pages: Pages,
    prefix: Prefix,
    keys: Sequence[bytes],
    more: Mapping[bytes, More],
    pushed: Leaf | None,
    touched: set[Prefix],
) -> bytes:
    """Grow one page; `pushed` is a subject that stood alone above, and makes way down here."""
    stored = pages.get(prefix)
    page: Page = decode(stored) if stored is not None else [None] * SLOTS
    if pushed is not None:
        page[_nibble(pushed.key, len(prefix))] = pushed
    for nibble, these in _by_nibble(keys, len(prefix)).items():
        slot = page[nibble]
        if isinstance(slot, bytes):
            page[nibble] = _grow(pages, prefix + bytes([nibble]), these, more, None, touched)
        elif len(these) == 1 and (slot is None or slot.key == these[0]):
            page[nibble] = _with(slot, these[0], more[these[0]])
        else:
            page[nibble] = _grow(pages, prefix + bytes([nibble]), these, more, slot, touched)
    touched.add(prefix)
    pages[prefix] = encode(page)
    return page_hash(page)


def _with(leaf: Leaf | None, key: bytes, new: More) -> Leaf:
    count = (leaf.entries if leaf else 0) + len(new.entries)
    head = extended(leaf.head if leaf else NO_ENTRIES, new.entries)
    return Leaf(key, count, head, value_of(new.tag, count, head))


def _ended(key: bytes, leaf: Leaf | None, siblings: Sequence[bytes]) -> tuple[Leaf | None, Place]:
    if leaf is not None and leaf.key == key:
        return leaf, Place(tuple(siblings))
    return None, Place(tuple(siblings), None if leaf is None else (leaf.key, leaf.value))


def _by_nibble(keys: Collection[bytes], depth: int) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    for key in keys:
        found.setdefault(_nibble(key, depth), []).append(key)
    return found


def _nibble(key: bytes, depth: int) -> int:
    return key[depth >> 1] & 15 if depth & 1 else key[depth >> 1] >> 4


def _bit(key: bytes, depth: int) -> int:
    return key[depth >> 3] >> (7 - (depth & 7)) & 1


def _shares(one: bytes, other: bytes, bits: int) -> bool:
    return bits == 0 or int.from_bytes(one, "big") >> (KEY_BITS - bits) == int.from_bytes(other, "big") >> (
        KEY_BITS - bits
    )
