"""The tree: incremental and pure agree, every proof holds, every altered proof is refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from gov_services.audit.merkle import (
    EMPTY_ROOT,
    Node,
    ProofRefused,
    consistency_proof,
    consistency_ranges,
    extend,
    hashes_of,
    inclusion_proof,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    root,
    root_of_peaks,
    subtrees,
    verify_consistency,
    verify_inclusion,
)

LIMIT = 130
LEAVES = [leaf_hash(number.to_bytes(2, "big")) for number in range(LIMIT)]
sizes = st.integers(1, LIMIT)


def recursive_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 §2.1 writes it."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256().digest()
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return node_hash(recursive_root(leaves[:middle]), recursive_root(leaves[middle:]))


def test_roots_are_those_of_the_rfc_and_of_another_library() -> None:
    oracle = InmemoryTree(algorithm="sha256")
    assert root([]) == EMPTY_ROOT
    for size in range(1, LIMIT + 1):
        oracle.append_entry((size - 1).to_bytes(2, "big"))
        assert root(LEAVES[:size]) == recursive_root(LEAVES[:size]) == oracle.get_root(size)


@given(st.lists(st.integers(0, 40), max_size=6))
def test_a_tree_that_grows_by_batches_is_the_tree_made_at_once(batches: list[int]) -> None:
    size, peaks = 0, ()
    stored: dict[Node, bytes] = {}
    for batch in batches:
        grown = extend(size, peaks, LEAVES[size % LIMIT : size % LIMIT + batch])
        assert not stored.keys() & dict(grown.nodes).keys()
        stored.update(grown.nodes)
        size, peaks = grown.size, grown.peaks
    leaves = [stored[0, index] for index in range(size)]
    assert root_of_peaks(peaks) == recursive_root(leaves)
    assert len(stored) == 2 * size - size.bit_count()
    for (level, index), digest in stored.items():
        assert digest == recursive_root(leaves[index << level : (index + 1) << level])


@given(sizes, st.data())
def test_every_inclusion_proof_holds_and_stored_nodes_make_the_same(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = LEAVES[:size]
    proof = inclusion_proof(leaves, index)
    verify_inclusion(leaf=leaves[index], index=index, size=size, proof=proof, expected_root=root(leaves))
    stored = dict(extend(0, (), leaves).nodes)
    assert hashes_of(inclusion_ranges(index, size), stored.__getitem__) == proof


@given(sizes, st.data())
def test_every_consistency_proof_holds_and_stored_nodes_make_the_same(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(LEAVES[:new], old)
    verify_consistency(old=old, new=new, old_root=root(LEAVES[:old]), new_root=root(LEAVES[:new]), proof=proof)
    stored = dict(extend(0, (), LEAVES[:new]).nodes)
    assert hashes_of(consistency_ranges(old, new), stored.__getitem__) == proof


def altered(proof: list[bytes], data: st.DataObject) -> list[bytes]:
    """`proof` with one hash changed, dropped or added."""
    changed = list(proof)
    place = data.draw(st.integers(0, len(proof)))
    how = data.draw(st.sampled_from(["add", "drop", "flip", "short"] if proof else ["add"]))
    if how == "add":
        changed.insert(place, data.draw(st.sampled_from([bytes(32), *proof])))
        return changed
    place = min(place, len(proof) - 1)
    match how:
        case "drop":
            del changed[place]
        case "short":
            changed[place] = changed[place][:-1]
        case _:
            bit = data.draw(st.integers(0, 255))
            changed[place] = (int.from_bytes(changed[place], "big") ^ (1 << bit)).to_bytes(32, "big")
    return changed


@settings(max_examples=300)
@given(sizes, st.data())
def test_every_altered_inclusion_proof_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = LEAVES[:size]
    proof = altered(inclusion_proof(leaves, index), data)
    with pytest.raises(ProofRefused):
        verify_inclusion(leaf=leaves[index], index=index, size=size, proof=proof, expected_root=root(leaves))


@settings(max_examples=300)
@given(sizes, st.data())
def test_every_altered_consistency_proof_is_refused(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    proof = altered(consistency_proof(LEAVES[:new], old), data)
    with pytest.raises(ProofRefused):
        verify_consistency(old=old, new=new, old_root=root(LEAVES[:old]), new_root=root(LEAVES[:new]), proof=proof)


@given(sizes, st.data())
def test_a_proof_is_of_its_own_leaf_number_and_root_only(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = LEAVES[:size]
    proof, head = inclusion_proof(leaves, index), root(leaves)
    for leaf, number, expected in [
        (leaf_hash(b"another"), index, head),
        (leaves[index], size, head),
        (leaves[index], -1, head),
        (leaves[index], index, leaf_hash(b"another")),
    ]:
        with pytest.raises(ProofRefused):
            verify_inclusion(leaf=leaf, index=number, size=size, proof=proof, expected_root=expected)
    if size > 1:
        other = (index + 1) % size
        with pytest.raises(ProofRefused):
            verify_inclusion(leaf=leaves[index], index=other, size=size, proof=proof, expected_root=head)


def test_nothing_is_consistent_with_the_empty_tree_or_a_larger_one() -> None:
    for old, new in [(0, 0), (0, 3), (4, 3), (-1, 3)]:
        with pytest.raises(ProofRefused):
            verify_consistency(old=old, new=new, old_root=EMPTY_ROOT, new_root=EMPTY_ROOT, proof=[])
        with pytest.raises(ProofRefused):
            consistency_ranges(old, new)


@given(st.integers(0, 10**12))
def test_the_peaks_of_a_tree_are_the_bits_of_its_size(size: int) -> None:
    names = subtrees((0, size))
    assert sum(1 << level for level, _ in names) == size
    assert len(names) == size.bit_count()
    assert [level for level, _ in names] == sorted((level for level, _ in names), reverse=True)
