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

    def slot(self) -> bytes:
        """As it lies in a page."""
        return self.key + self.entries.to_bytes(NUMBER_BYTES, "big") + self.head + self.value

    @classmethod
    def of(cls, slot: bytes) -> Leaf:
        """The subject that lies there so."""
        return cls(slot[:32], int.from_bytes(slot[32:40], "big"), slot[40:72], slot[72:])


LEAF_BYTES = 3 * HASH_BYTES + NUMBER_BYTES
Slot = bytes | None
"""One subject, the hash of a page with more of them, or nobody. They are told apart by their length, and kept as bytes:
of a page that is read, most is written back as it was."""
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
                if _is_page(page[nibble]):
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
        page: Page = decode(pages[prefix]) if prefix or prefix in pages else [None] * SLOTS
        rows = [_cells(page)]
        while len(rows) <= LEVELS:
            rows.append(_above(*rows[-1]))
        nibble = _nibble(key, len(prefix))
        for level in range(LEVELS, 0, -1):
            kinds, _ = rows[level]
            if kinds[nibble >> level] != _INNER:
                return _ended(key, page, nibble >> level << level, 1 << level, siblings)
            siblings.append(rows[level - 1][1][(nibble >> (level - 1)) ^ 1])
        if not _is_page(page[nibble]):
            return _ended(key, page, nibble, 1, siblings)
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
    parts = [b""]
    for index, slot in enumerate(page):
        if slot is not None:
            parts.append(slot)
            if len(slot) == HASH_BYTES:
                deeper |= 1 << index
            else:
                subjects |= 1 << index
    parts[0] = (subjects << SLOTS | deeper).to_bytes(4, "big")
    return b"".join(parts)


def decode(stored: bytes) -> Page:
    """The page that was stored so. Raises PageMalformed."""
    standing = int.from_bytes(stored[:4], "big")
    subjects, deeper = standing >> SLOTS, standing & (1 << SLOTS) - 1
    if subjects & deeper or len(stored) != 4 + subjects.bit_count() * LEAF_BYTES + deeper.bit_count() * HASH_BYTES:
        raise PageMalformed("the bytes are those of no page")
    page: Page = [None] * SLOTS
    at, standing = 4, subjects | deeper
    while standing:
        bit = standing & -standing
        standing ^= bit
        end = at + (LEAF_BYTES if subjects & bit else HASH_BYTES)
        page[bit.bit_length() - 1] = stored[at:end]
        at = end
    return page


def page_hash(page: Page) -> bytes:
    """The hash of the subtree that a page is."""
    kinds, hashes = _cells(page)
    while len(hashes) > 1:
        kinds, hashes = _above(kinds, hashes)
    return hashes[0]


def _cells(page: Page) -> tuple[list[int], list[bytes]]:
    """What stands in each slot, and its hash."""
    kinds = [_NOTHING if slot is None else _INNER if len(slot) == HASH_BYTES else _LEAF for slot in page]
    hashes = [
        EMPTY_ROOT if slot is None else slot if len(slot) == HASH_BYTES else leaf_hash(slot[:32], slot[72:])
        for slot in page
    ]
    return kinds, hashes


def _above(kinds: list[int], hashes: list[bytes]) -> tuple[list[int], list[bytes]]:
    """The row above one: a subtree of nobody is nobody, one of one subject is that subject's leaf."""
    above, over = [], []
    for left in range(0, len(kinds), 2):
        kind = kinds[left] + kinds[left + 1]
        if kind <= _LEAF:
            over.append(hashes[left] if kinds[left] else hashes[left + 1])
            above.append(kind)
        else:
            over.append(_sha256(b"\x03" + hashes[left] + hashes[left + 1]).digest())
            above.append(_INNER)
    return above, over


def _grow(
    pages: Pages,
    prefix: Prefix,
    keys: Sequence[bytes],
    more: Mapping[bytes, More],
    pushed: Slot,
    touched: set[Prefix],
) -> bytes:
    """Grow one page; `pushed` is a subject that stood alone above, and makes way down here."""
    stored = pages.get(prefix)
    page: Page = decode(stored) if stored is not None else [None] * SLOTS
    if pushed is not None:
        page[_nibble(pushed, len(prefix))] = pushed
    for nibble, these in _by_nibble(keys, len(prefix)).items():
        slot = page[nibble]
        if slot is not None and len(slot) == HASH_BYTES:
            page[nibble] = _grow(pages, prefix + bytes([nibble]), these, more, None, touched)
        elif len(these) == 1 and (slot is None or slot[:32] == these[0]):
            page[nibble] = _with(slot, these[0], more[these[0]])
        else:
            page[nibble] = _grow(pages, prefix + bytes([nibble]), these, more, slot, touched)
    touched.add(prefix)
    pages[prefix] = encode(page)
    return page_hash(page)


def _with(slot: Slot, key: bytes, new: More) -> bytes:
    leaf = Leaf.of(slot) if slot is not None else Leaf(key, 0, NO_ENTRIES, b"")
    entries, head = leaf.entries + len(new.entries), extended(leaf.head, new.entries)
    return Leaf(key, entries, head, value_of(new.tag, entries, head)).slot()


def _ended(key: bytes, page: Page, first: int, width: int, siblings: Sequence[bytes]) -> tuple[Leaf | None, Place]:
    """The end of a way: of these slots of the page one holds a subject, or none does."""
    slot = next((one for one in page[first : first + width] if one is not None), None)
    leaf = Leaf.of(slot) if slot is not None else None
    if leaf is not None and leaf.key == key:
        return leaf, Place(tuple(siblings))
    return None, Place(tuple(siblings), None if leaf is None else (leaf.key, leaf.value))


def _is_page(slot: Slot) -> bool:
    return slot is not None and len(slot) == HASH_BYTES


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
