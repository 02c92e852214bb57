"""Tiles (C2SP tlog-tiles): how a tree is cut into files that never change, and where each lies. No database, no files.

An entry, there, is the 32-byte commitment: who reads the tiles learns how many entries there were by when, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gov_services.audit.merkle import EMPTY_ROOT, HASH_BYTES, Node, leaf_hash, node_hash, root_of_peaks

TILE_WIDTH = 256
TILE_HEIGHT = 8
LEVELS = 8
"""Of tiles, up to 2^64 leaves."""
_PLACE = re.compile(
    r"(?P<level>[0-5]?[0-9]|entries)/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class NoSuchTile(Exception):
    """No tile lies at that path."""


class TileRefused(Exception):
    """What lies there is not what the tree has in that place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which tile: a level of the tree, or the entries themselves (None); its number; how many of its hashes."""

    level: int | None
    index: int
    width: int

    @property
    def begin(self) -> int:
        """Index, at its level, of its first hash."""
        return self.index * TILE_WIDTH

    @property
    def is_partial(self) -> bool:
        """Whether it will be superseded by a wider one."""
        return self.width < TILE_WIDTH

    @property
    def folder(self) -> str:
        """Where its partial forms lie."""
        return f"{_whole_path(self)}.p/"

    @property
    def path(self) -> str:
        """Its number in groups of three digits, all but the last marked with x."""
        return f"{self.folder}{self.width}" if self.is_partial else _whole_path(self)

    @classmethod
    def parse(cls, path: str) -> Place:
        """The tile that a path names. Raises NoSuchTile."""
        found = _PLACE.fullmatch(path)
        if found is None:
            raise NoSuchTile(path)
        level = None if found["level"] == "entries" else int(found["level"])
        index = int(found["index"].replace("x", "").replace("/", ""))
        place = cls(level, index, int(found["width"] or TILE_WIDTH))
        # A tile has one path: no leading zeros, and a full one is not also a partial one.
        if (found["width"] and not place.is_partial) or index >= 1 << 54 or path != place.path:
            raise NoSuchTile(path)
        return place


def _whole_path(place: Place) -> str:
    groups = [f"{place.index % 1000:03d}"]
    rest = place.index // 1000
    while rest:
        groups.insert(0, f"x{rest % 1000:03d}")
        rest //= 1000
    return f"{'entries' if place.level is None else place.level}/{'/'.join(groups)}"


def tiles_between(old: int, new: int) -> Iterator[Place]:
    """Tiles and entry bundles that a tree of `new` leaves has and one of `old` had not, those of entries first."""
    yield from _grown(None, old, new)
    for level in range(LEVELS):
        hashes = new >> (TILE_HEIGHT * level)
        if not hashes:
            return
        yield from _grown(level, old >> (TILE_HEIGHT * level), hashes)


def _grown(level: int | None, old: int, new: int) -> Iterator[Place]:
    if old == new:
        return
    for index in range(old // TILE_WIDTH, new // TILE_WIDTH):
        yield Place(level, index, TILE_WIDTH)
    if new % TILE_WIDTH:
        yield Place(level, new // TILE_WIDTH, new % TILE_WIDTH)


def bundle(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry behind its length."""
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def unbundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises TileRefused."""
    entries, place = [], 0
    while place < len(data):
        end = place + 2 + int.from_bytes(data[place : place + 2], "big")
        if end > len(data) or place + 2 > len(data):
            raise TileRefused("a bundle ends within an entry")
        entries.append(data[place + 2 : end])
        place = end
    return entries


def hashes_in(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile. Raises TileRefused for another number of them."""
    if len(data) != width * HASH_BYTES:
        raise TileRefused(f"it holds {len(data)} bytes, and not {width} hashes")
    return [data[place : place + HASH_BYTES] for place in range(0, len(data), HASH_BYTES)]


def leaves_of(entries: Sequence[bytes]) -> list[bytes]:
    """The hashes of a level-0 tile over entries."""
    return [leaf_hash(entry) for entry in entries]


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash over a full tile: what the level above has in its place."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[place], row[place + 1]) for place in range(0, len(row), 2)]
    return row[0]


def root_over(size: int, edges: Sequence[Sequence[bytes]]) -> bytes:
    """The tree head from the partial tiles on its right edge, level 0 first; an empty row where there is none."""
    if size == 0:
        return EMPTY_ROOT
    peaks: list[bytes] = []
    for row in reversed(edges):
        place = 0
        for bit in range(TILE_HEIGHT - 1, -1, -1):
            if len(row) >> bit & 1:
                peaks.append(fold(row[place : place + (1 << bit)]))
                place += 1 << bit
    return root_of_peaks(peaks)


def node_of(place: Place, offset: int) -> Node:
    """Which stored node a tile's hash is."""
    assert place.level is not None, "entries are no nodes"
    return place.level * TILE_HEIGHT, place.begin + offset
