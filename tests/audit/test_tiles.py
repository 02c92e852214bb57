"""How a tree is cut into tiles: one path each, all of a tree and no more, and the root from what lies there."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gov_services.audit.merkle import extend, leaf_hash, root
from gov_services.audit.tiles import (
    TILE_HEIGHT,
    NoSuchTile,
    Place,
    TileRefused,
    bundle,
    fold,
    hashes_in,
    root_over,
    tiles_between,
    unbundle,
)

LEAVES = [leaf_hash(hashlib.sha256(str(number).encode()).digest()) for number in range(70_000)]
NODES = dict(extend(0, (), LEAVES).nodes)


def laid_down(size: int) -> dict[str, list[bytes]]:
    """Every tile of the first `size` leaves, by its path."""
    return {
        place.path: [NODES[place.level * TILE_HEIGHT, place.begin + offset] for offset in range(place.width)]
        for place in tiles_between(0, size)
        if place.level is not None
    }


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000])
def test_the_root_comes_from_the_edge_of_the_tiles(size: int) -> None:
    tiles = laid_down(size)
    edges: list[list[bytes]] = []
    for level in range(3):
        hashes = size >> (TILE_HEIGHT * level)
        place = Place(level, hashes // 256, hashes % 256)
        edges.append(tiles[place.path] if place.width else [])
    assert root_over(size, edges) == root(LEAVES[:size])


def test_the_specification_s_example_has_those_tiles() -> None:
    """70,000 entries, as C2SP tlog-tiles counts them out."""
    places = [place for place in tiles_between(0, 70_000) if place.level is not None]
    full = [sum(not one.is_partial and one.level == level for one in places) for level in range(3)]
    partial = {one.level: one.width for one in places if one.is_partial}
    assert (full, partial) == ([273, 1, 0], {0: 112, 1: 17, 2: 1})


@given(st.integers(0, 70_000), st.integers(0, 70_000))
def test_what_is_new_is_what_one_has_and_the_other_had_not(one: int, two: int) -> None:
    old, new = sorted((one, two))
    before = {place.path for place in tiles_between(0, old)}
    after = {place.path for place in tiles_between(0, new)}
    added = [place.path for place in tiles_between(old, new)]
    assert set(added) == after - before
    assert len(added) == len(set(added))
    # What is not there any more was partial.
    assert all(".p/" in path for path in before - after)


def test_a_full_tile_folds_to_the_hash_above() -> None:
    tiles = laid_down(65_536)
    assert fold(tiles["0/003"]) == tiles["1/000"][3]


def test_a_bundle_holds_what_went_in() -> None:
    entries = [b"", b"a" * 32, bytes(65_535)]
    assert unbundle(bundle(entries)) == entries
    for cut in (1, 3, 40):
        with pytest.raises(TileRefused):
            unbundle(bundle(entries[1:])[:-cut])
    with pytest.raises(TileRefused):
        hashes_in(bytes(33), 1)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("0/000", Place(0, 0, 256)),
        ("1/999", Place(1, 999, 256)),
        ("0/x001/000", Place(0, 1000, 256)),
        ("entries/x001/x234/067.p/3", Place(None, 1_234_067, 3)),
    ],
)
def test_a_tile_has_one_path(path: str, place: Place) -> None:
    assert Place.parse(path) == place
    assert place.path == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0/0",
        "00/000",
        "64/000",
        "0/001/000",
        "0/x000/000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000/",
        "-1/000",
        "entry/000",
        "0/" + "x999/" * 6 + "999",
        "../checkpoint",
        "0/٠٠٠",
    ],
)
def test_no_other_path_is_a_tile(path: str) -> None:
    with pytest.raises(NoSuchTile):
        Place.parse(path)


def test_a_tile_of_endless_groups_is_not_found() -> None:
    with pytest.raises(NoSuchTile):
        Place.parse("0/" + "x001/" * 2000 + "000")
