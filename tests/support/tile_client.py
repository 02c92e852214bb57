"""A client of a tile log, written from C2SP signed-note, tlog-checkpoint and tlog-tiles alone; nothing of ours."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Fetch = Callable[[str], Awaitable[bytes]]


class LogBroken(Exception):
    """What the log serves does not belong together."""


def tile_path(level: int | str, index: int, width: int) -> str:
    digits = str(index)
    digits = digits.zfill((len(digits) + 2) // 3 * 3)
    parts = [digits[place : place + 3] for place in range(0, len(digits), 3)]
    path = "/".join(["x" + part for part in parts[:-1]] + parts[-1:])
    return f"tile/{level}/{path}" + ("" if width == 256 else f".p/{width}")


class TileClient:
    """Follows one log by its verifier key, `name+hash+base64`."""

    def __init__(self, fetch: Fetch, key: str) -> None:
        self.fetch = fetch
        name, _, rest = key.partition("+")
        self.hash, _, encoded = rest.partition("+")
        raw = base64.b64decode(encoded)
        assert raw[0] == 1, "an Ed25519 log key"
        assert hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8] == self.hash
        self.name, self.public = name, Ed25519PublicKey.from_public_bytes(raw[1:])

    async def checkpoint(self) -> tuple[int, bytes]:
        """Size and root, once the signature holds."""
        text, _, signatures = (await self.fetch("checkpoint")).decode().rpartition("\n\n")
        for line in signatures.splitlines():
            dash, name, value = line.split(" ")
            raw = base64.b64decode(value)
            if dash == "\u2014" and name == self.name and raw[:4].hex() == self.hash:
                self.public.verify(raw[4:], (text + "\n").encode())
                origin, size, root = text.split("\n")[:3]
                assert origin == self.name
                return int(size), base64.b64decode(root)
        raise LogBroken("the log has not signed it")

    async def entries(self, size: int) -> list[bytes]:
        """Every entry below `size`."""
        found: list[bytes] = []
        for index in range((size + 255) // 256):
            width = min(256, size - index * 256)
            data = await self.fetch(tile_path("entries", index, width))
            while data:
                length = int.from_bytes(data[:2], "big")
                found.append(data[2 : 2 + length])
                data = data[2 + length :]
        return found

    async def hash_at(self, level: int, index: int, size: int) -> bytes:
        """The hash of a complete subtree of 2^level leaves, from the tiles of a tree of `size` leaves."""
        tile_level, within = divmod(level, 8)
        first = index << within
        tile = first // 256
        hashes = size >> (8 * tile_level)
        width = min(256, hashes - tile * 256)
        data = await self.fetch(tile_path(tile_level, tile, width))
        if len(data) != width * 32:
            raise LogBroken(f"a tile of {width} hashes has {len(data)} bytes")
        begin = first % 256
        row = [data[place * 32 : place * 32 + 32] for place in range(begin, begin + (1 << within))]
        while len(row) > 1:
            row = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(row[::2], row[1::2], strict=True)]
        return row[0]

    async def range_hash(self, begin: int, end: int, size: int) -> bytes:
        """MTH over the leaves from `begin` up to `end`, as RFC 6962 §2.1 defines it."""
        count = end - begin
        if count == 0:
            return hashlib.sha256(b"").digest()
        if count & (count - 1) == 0 and begin % count == 0:
            return await self.hash_at(count.bit_length() - 1, begin // count, size)
        split = 1
        while split * 2 < count:
            split *= 2
        left = await self.range_hash(begin, begin + split, size)
        right = await self.range_hash(begin + split, end, size)
        return hashlib.sha256(b"\x01" + left + right).digest()

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """PATH(index, D[size]) of RFC 6962 §2.1.1."""

        async def path(at: int, begin: int, end: int) -> list[bytes]:
            if end - begin == 1:
                return []
            split = 1
            while split * 2 < end - begin:
                split *= 2
            middle = begin + split
            if at < middle:
                return [*await path(at, begin, middle), await self.range_hash(middle, end, size)]
            return [*await path(at, middle, end), await self.range_hash(begin, middle, size)]

        return await path(index, 0, size)

    async def follow(self, known: tuple[int, bytes] | None = None) -> tuple[int, bytes]:
        """The newest checkpoint, once its tiles give its root, its entries its leaves, and it continues `known`."""
        size, root = await self.checkpoint()
        if await self.range_hash(0, size, size) != root:
            raise LogBroken("the tiles are not of this checkpoint")
        if known is not None and await self.range_hash(0, known[0], size) != known[1]:
            raise LogBroken("it does not continue the checkpoint that was known")
        for index, entry in enumerate(await self.entries(size)):
            if await self.hash_at(0, index, size) != hashlib.sha256(b"\x00" + entry).digest():
                raise LogBroken(f"entry {index} is not its leaf")
        return size, root
