"""The Merkle tree of RFC 6962 §2.1 and RFC 9162 §2.1, SHA-256. Pure: it reads no database and knows no entry.

A tree of any size is a row of complete subtrees, largest first: its peaks. A complete subtree is named by (level,
index) and covers the leaves index·2^level up to (index + 1)·2^level; once complete it never changes, so it can be
stored. Every hash of a proof covers a range of leaves: `inclusion_ranges` and `consistency_ranges` say which, and
`subtrees` of which stored nodes it is made.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Node = tuple[int, int]
"""(level, index) of a complete subtree."""
Range = tuple[int, int]
"""Leaves from the first up to, not including, the second."""

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32


class ProofRefused(Exception):
    """The proof does not prove what it is said to."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The tree head over leaf hashes."""
    return root_of_peaks(extend(0, (), leaves).peaks)


def root_of_peaks(peaks: Sequence[bytes]) -> bytes:
    """The tree head over the hashes of a tree's complete subtrees, largest first."""
    if not peaks:
        return EMPTY_ROOT
    folded = peaks[-1]
    for peak in reversed(peaks[:-1]):
        folded = node_hash(peak, folded)
    return folded


@dataclass(frozen=True, slots=True)
class Extension:
    """A tree that has grown: its size, its peaks and the complete subtrees that are new."""

    size: int
    peaks: tuple[bytes, ...]
    nodes: tuple[tuple[Node, bytes], ...]


def extend(size: int, peaks: Sequence[bytes], leaves: Iterable[bytes]) -> Extension:
    """Append leaf hashes to the tree of `size` leaves with these `peaks`. Costs one inner hash a leaf, at any size."""
    assert len(peaks) == size.bit_count(), "a tree has one peak for each bit of its size"
    standing = list(peaks)
    new: list[tuple[Node, bytes]] = []
    for leaf in leaves:
        level, index, digest = 0, size, leaf
        new.append(((level, index), digest))
        while index & 1:
            digest = node_hash(standing.pop(), digest)
            level, index = level + 1, index >> 1
            new.append(((level, index), digest))
        standing.append(digest)
        size += 1
    return Extension(size, tuple(standing), tuple(new))


def rows_over(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All complete subtrees over leaf hashes, a row a level. For many leaves at once: half the time of `extend`."""
    rows, new = [list(leaves)], hashlib.sha256
    while len(below := rows[-1]) > 1:
        pairs = zip(below[::2], below[1::2], strict=False)
        rows.append([new(b"\x01" + left + right).digest() for left, right in pairs])
    return rows


def subtrees(covered: Range) -> list[Node]:
    """The complete subtrees that make up a range of leaves, from the left. The ranges of a proof start aligned."""
    begin, end = covered
    found: list[Node] = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        found.append((level, begin >> level))
        begin += 1 << level
    return found


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """What each hash of the inclusion proof covers, from the leaf up (RFC 9162 §2.1.3.1). Raises ProofRefused."""
    if not 0 <= index < size:
        raise ProofRefused("there is no such leaf in a tree of that size")
    begin, end = 0, size
    downwards: list[Range] = []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            downwards.append((middle, end))
            end = middle
        else:
            downwards.append((begin, middle))
            begin = middle
    return downwards[::-1]


def common_ranges(indexes: Sequence[int], size: int) -> list[Range]:
    """What each hash of a proof of many leaves covers, from the left: what is beside all of them. Raises ProofRefused.

    `indexes` rise. One hash serves all leaves that are on one side of it.
    """
    if any(index < 0 for index in indexes) or (indexes and indexes[-1] >= size):
        raise ProofRefused("there is no such leaf in a tree of that size")
    found: list[Range] = []

    def go(begin: int, end: int) -> None:
        first = bisect_left(indexes, begin)
        if first == len(indexes) or indexes[first] >= end:
            found.append((begin, end))
        elif end - begin > 1:
            middle = begin + _split(end - begin)
            go(begin, middle)
            go(middle, end)

    if size:
        go(0, size)
    return found


def verify_common(leaves: Mapping[int, bytes], *, size: int, proof: Sequence[bytes], expected_root: bytes) -> None:
    """Check that all of these leaf hashes, by index, are in the tree. Raises ProofRefused."""
    _require_hashes([*leaves.values(), *proof, expected_root])
    ranges = common_ranges(sorted(leaves), size)
    if len(ranges) != len(proof):
        raise ProofRefused("the proof is too long or too short")
    beside = dict(zip(ranges, proof, strict=True))

    def over(begin: int, end: int) -> bytes:
        if (begin, end) in beside:
            return beside[begin, end]
        if end - begin == 1:
            return leaves[begin]
        middle = begin + _split(end - begin)
        return node_hash(over(begin, middle), over(middle, end))

    if (over(0, size) if size else EMPTY_ROOT) != expected_root:
        raise ProofRefused("the proof leads to another root")


def consistency_ranges(old: int, new: int) -> list[Range]:
    """What each hash of the consistency proof covers (RFC 9162 §2.1.4.1). Raises ProofRefused."""
    if not 0 < old <= new:
        raise ProofRefused("a tree is consistent with one of its own size or larger, and not with the empty one")
    if old == new:
        return []
    begin, end, whole = 0, new, True
    downwards: list[Range] = []
    while end != old:
        middle = begin + _split(end - begin)
        if old <= middle:
            downwards.append((middle, end))
            end = middle
        else:
            downwards.append((begin, middle))
            begin, whole = middle, False
    if not whole:
        downwards.append((begin, end))
    return downwards[::-1]


def hashes_of(ranges: Iterable[Range], node: Callable[[Node], bytes]) -> list[bytes]:
    """The hash over each range, from stored complete subtrees."""
    return [root_of_peaks([node(name) for name in subtrees(covered)]) for covered in ranges]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The proof that leaf `index` is in the tree over `leaves`."""
    return [root(leaves[begin:end]) for begin, end in inclusion_ranges(index, len(leaves))]


def consistency_proof(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """The proof that the tree over `leaves` continues the one over the first `old` of them."""
    return [root(leaves[begin:end]) for begin, end in consistency_ranges(old, len(leaves))]


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> None:
    """Check that leaf hash `leaf` is number `index` of the tree (RFC 9162 §2.1.3.2). Raises ProofRefused."""
    if not 0 <= index < size:
        raise ProofRefused("there is no such leaf in a tree of that size")
    _require_hashes([leaf, expected_root, *proof])
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofRefused("the proof is too long")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofRefused("the proof is too short")
    if computed != expected_root:
        raise ProofRefused("the proof leads to another root")


def verify_consistency(*, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the newer tree only appends to the older (RFC 9162 §2.1.4.2). Raises ProofRefused."""
    if not 0 < old <= new:
        raise ProofRefused("a tree is consistent with one of its own size or larger, and not with the empty one")
    if old == new:
        if proof or old_root != new_root:
            raise ProofRefused("trees of one size are consistent only when they are the same")
        return
    _require_hashes([old_root, new_root, *proof])
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        raise ProofRefused("the proof is too short")
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    computed_old = computed_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofRefused("the proof is too long")
        if position & 1 or position == last:
            computed_old, computed_new = node_hash(sibling, computed_old), node_hash(sibling, computed_new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed_new = node_hash(computed_new, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofRefused("the proof is too short")
    if computed_old != old_root or computed_new != new_root:
        raise ProofRefused("the proof leads to another root")


def _split(count: int) -> int:
    """The largest power of two that is smaller than `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _require_hashes(values: Sequence[bytes]) -> None:
    if any(len(value) != HASH_BYTES for value in values):
        raise ProofRefused("a hash is 32 bytes")
