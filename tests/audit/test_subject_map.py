"""The map of subjects against its definition written anew: roots, what is there and is not, and no bit may differ."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gov_services.audit.merkle import ProofRefused
from gov_services.audit.subject_map import (
    NO_ENTRIES,
    Leaf,
    PageMalformed,
    Place,
    by_key,
    decode,
    encode,
    extended,
    grow,
    key_of,
    lacking,
    place_of,
    require_whole,
    root_of,
    value_of,
    verify_place,
)

Listed = tuple[bytes, int, bytes]

TAGS = st.integers(0, 60).map(b"%d".__mod__)
"""Few, so that some come again."""


@st.composite
def histories(draw: st.DrawFn) -> list[list[Listed]]:
    """Entries about somebody, in batches: (tag, number, commitment)."""
    tags = draw(st.lists(TAGS, max_size=60))
    listed = [(tag, number, hashlib.sha256(b"entry %d" % number).digest()) for number, tag in enumerate(tags)]
    cuts = sorted(draw(st.sets(st.integers(0, len(listed)), max_size=6)) | {0, len(listed)})
    return [listed[begin:end] for begin, end in itertools.pairwise(cuts)]


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def reference_root(listed: Sequence[Listed]) -> bytes:
    """The definition, from scratch: no page, no batch, nothing kept."""
    heads: dict[bytes, tuple[int, bytes]] = {}
    for tag, number, committed in listed:
        count, head = heads.get(tag, (0, bytes(32)))
        heads[tag] = (count + 1, sha(b"\x04", head, number.to_bytes(8, "big"), committed))
    leaves = {
        sha(tag): sha(b"\x02", sha(tag), sha(b"\x05", count.to_bytes(8, "big"), head, tag))
        for tag, (count, head) in heads.items()
    }

    def over(keys: list[bytes], depth: int) -> bytes:
        if not keys:
            return hashlib.sha256(b"").digest()
        if len(keys) == 1:
            return leaves[keys[0]]
        right = [key for key in keys if int.from_bytes(key, "big") >> (255 - depth) & 1]
        left = [key for key in keys if key not in right]
        return sha(b"\x03", over(left, depth + 1), over(right, depth + 1))

    return over(sorted(leaves), 0)


def grown(batches: Sequence[Sequence[Listed]]) -> dict[bytes, bytes]:
    """The pages after all batches; each batch is given only the pages that it asks for."""
    stored: dict[bytes, bytes] = {}
    for batch in batches:
        more = by_key(batch)
        loaded: dict[bytes, bytes] = {}
        while wanted := {prefix for prefix in lacking(loaded, more) if prefix in stored}:
            loaded |= {prefix: stored[prefix] for prefix in wanted}
        before = dict(loaded)
        root, touched = grow(loaded, more)
        assert root == root_of(loaded)
        assert {prefix for prefix in loaded if loaded[prefix] != before.get(prefix)} == touched
        stored |= {prefix: loaded[prefix] for prefix in touched}
    return stored


@given(histories())
def test_the_root_is_that_of_the_definition_however_the_entries_come_in(batches: list[list[Listed]]) -> None:
    pages = grown(batches)
    assert root_of(pages) == reference_root([one for batch in batches for one in batch])
    require_whole(pages)
    assert all(encode(decode(stored)) == stored for stored in pages.values())


@given(histories(), TAGS)
def test_who_is_there_and_who_is_not_is_proved(batches: list[list[Listed]], tag: bytes) -> None:
    pages, listed = grown(batches), [one for batch in batches for one in batch]
    mine = [(number, committed) for whose, number, committed in listed if whose == tag]
    leaf, place = place_of(pages, key_of(tag))
    assert (leaf.entries if leaf else 0) == len(mine)
    value = value_of(tag, len(mine), extended(NO_ENTRIES, mine)) if mine else None
    assert (leaf.value if leaf else None) == value
    verify_place(key_of(tag), value, place, root=root_of(pages))
    # The other answer has no proof there.
    lie = None if mine else value_of(tag, 1, NO_ENTRIES)
    with pytest.raises(ProofRefused):
        verify_place(key_of(tag), lie, place, root=root_of(pages))


@given(histories().filter(any), st.data())
def test_an_entry_that_is_left_out_moved_or_put_in_is_found(batches: list[list[Listed]], data: st.DataObject) -> None:
    listed = [one for batch in batches for one in batch]
    tag = data.draw(st.sampled_from(listed))[0]
    mine = [(number, committed) for whose, number, committed in listed if whose == tag]
    pages = grown(batches)
    _, place = place_of(pages, key_of(tag))
    at = data.draw(st.integers(0, len(mine) - 1))
    told = data.draw(
        st.sampled_from(
            [
                mine[:at] + mine[at + 1 :],
                [*mine[:at], mine[at], *mine[at:]],
                [*mine[:at], (mine[at][0] + 1, mine[at][1]), *mine[at + 1 :]],
                [*mine[:at], (mine[at][0], sha(mine[at][1])), *mine[at + 1 :]],
                *([mine[at:] + mine[:at]] if at > 0 else []),
            ]
        )
    )
    count = data.draw(st.sampled_from([len(mine), len(told)]))
    with pytest.raises(ProofRefused):
        verify_place(key_of(tag), value_of(tag, count, extended(NO_ENTRIES, told)), place, root=root_of(pages))


@given(histories(), TAGS, st.data())
def test_a_bit_anywhere_in_a_proof_makes_it_fail(batches: list[list[Listed]], tag: bytes, data: st.DataObject) -> None:
    pages, key = grown(batches), key_of(tag)
    leaf, place = place_of(pages, key)
    value, root = leaf.value if leaf else None, root_of(pages)
    parts = {"root": root, **{f"sibling {index}": one for index, one in enumerate(place.siblings)}}
    if value is not None:
        parts |= {"key": key, "value": value}
    if place.other is not None:
        parts |= {"other key": place.other[0], "other value": place.other[1]}
    name = data.draw(st.sampled_from(sorted(parts)))
    bit = data.draw(st.integers(0, 255))
    flipped = (int.from_bytes(parts[name], "big") ^ (1 << bit)).to_bytes(32, "big")
    parts[name] = flipped
    siblings = tuple(parts[f"sibling {index}"] for index in range(len(place.siblings)))
    other = (parts["other key"], parts["other value"]) if place.other else None
    with pytest.raises(ProofRefused):
        verify_place(parts.get("key", key), parts.get("value"), Place(siblings, other), root=parts["root"])
    for told in (siblings[:-1], (*siblings, root)) if siblings else ((root,),):
        with pytest.raises(ProofRefused):
            verify_place(key, value, Place(told, place.other), root=root)


def test_a_subject_that_stands_elsewhere_proves_no_absence() -> None:
    """Keys that part at the first bit: the one that is shown is not on the other's way."""
    left = next(tag for tag in map(b"%d".__mod__, range(100)) if not key_of(tag)[0] >> 7)
    right = next(tag for tag in map(b"%d".__mod__, range(100)) if key_of(tag)[0] >> 7)
    pages = grown([[(left, 0, bytes(32)), (right, 1, bytes(32))]])
    leaf, place = place_of(pages, key_of(left))
    assert leaf is not None
    shown = Place(place.siblings, (key_of(right), leaf.value))
    with pytest.raises(ProofRefused, match="stands elsewhere"):
        verify_place(key_of(left), None, shown, root=root_of(pages))
    itself = Place(place.siblings, (key_of(left), leaf.value))
    with pytest.raises(ProofRefused, match="stands elsewhere"):
        verify_place(key_of(left), None, itself, root=root_of(pages))


@pytest.mark.parametrize("size", [0, 3, 5, 107, 200])
def test_bytes_that_are_no_page_are_refused(size: int) -> None:
    page = encode([Leaf(bytes(32), 1, bytes(32), bytes(32)).slot(), *[None] * 15])
    with pytest.raises(PageMalformed):
        decode((page * 2)[:size])
    with pytest.raises(PageMalformed):
        decode(b"\x00\x01\x00\x01" + page[4:])


def test_a_page_that_was_changed_is_not_gone_on_from() -> None:
    tags = [b"%d" % number for number in range(200)]
    pages = grown([[(tag, number, bytes(32)) for number, tag in enumerate(tags)]])
    deepest = max(pages, key=len)
    assert deepest
    page = decode(pages[deepest])
    at = next(index for index, slot in enumerate(page) if slot is not None and len(slot) > 32)
    page[at] = Leaf.of(page[at])._replace(value=bytes(32)).slot()
    with pytest.raises(PageMalformed):
        require_whole({**pages, deepest: encode(page)})
