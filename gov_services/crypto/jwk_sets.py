"""JSON Web Key Sets of others: read from a file or an address, kept fresh. It verifies no token.

Sources: RFC 7517 (JWK, `use`, `key_ops`), RFC 8725 (one algorithm a key, nothing taken from `jku`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import orjson
import structlog

ALGORITHMS = {"OKP": ("EdDSA",), "EC": ("ES256", "ES384"), "RSA": ("RS256", "PS256", "RS384", "RS512")}
"""What a key of each kind may be used with. None is symmetric: whoever can verify by such a key can sign by it."""
LEAST_RSA_BITS = 2048
MOST_KEYS = 50
FRESH_S = 300.0
AGAIN_S = 10.0
"""A key id that is not known makes the set be read again, but not more often than this."""
_FETCH_S = 5.0
_MOST_BYTES = 256 * 1024
_log = structlog.get_logger("gov_services.crypto")


class KeySetRefused(ValueError):
    """The set cannot be read, or has no key to verify by."""


class JwkSet:
    """The keys of one issuer. What could be read last serves on while the source is away."""

    def __init__(self, read: Callable[[], Awaitable[bytes]]) -> None:
        self._read = read
        self._keys: dict[str, jwt.PyJWK] = {}
        self._tried_at = self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def load(self) -> None:
        """Read it a first time. Raises KeySetRefused."""
        self._keys = parse_jwks(await self._read())
        self._read_at = self._tried_at = time.monotonic()

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """The key of that id; reads the set again where it is old or does not know it."""
        found, now = self._keys.get(key_id), time.monotonic()
        if (found is None or now - self._read_at > FRESH_S) and now - self._tried_at > AGAIN_S:
            await self._refresh(now)
            found = self._keys.get(key_id)
        return found

    async def _refresh(self, since: float) -> None:
        async with self._reading:
            if self._tried_at > since:
                return  # another request did it meanwhile
            self._tried_at = time.monotonic()
            try:
                await self.load()
            except (KeySetRefused, OSError, httpx.HTTPError) as away:
                _log.warning("a key set could not be read, the old one serves on", problem=str(away))


def parse_jwks(content: bytes) -> dict[str, jwt.PyJWK]:
    """The keys of a set that verify signatures, by id. Raises KeySetRefused where there is none, or too many."""
    try:
        items = orjson.loads(content)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as malformed:
        raise KeySetRefused("not a JWK Set") from malformed
    if not isinstance(items, list) or len(items) > MOST_KEYS:
        raise KeySetRefused(f"a set has at most {MOST_KEYS} keys")
    found = {str(item["kid"]): key for item in items if (key := _usable(item)) is not None}
    if not found:
        raise KeySetRefused("the set has no key to verify by")
    return found


def _usable(item: Any) -> jwt.PyJWK | None:
    """The key, where it may verify: PyJWT alone minds neither `use` nor `key_ops`, and takes symmetric ones."""
    if not isinstance(item, dict) or "kid" not in item or item.get("kty") not in ALGORITHMS:
        return None
    if item.get("use", "sig") != "sig" or "verify" not in item.get("key_ops", ["verify"]):
        return None
    try:
        key = jwt.PyJWK(item)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if key.algorithm_name not in ALGORITHMS[item["kty"]] or getattr(key.key, "key_size", LEAST_RSA_BITS) < 256:
        return None
    return None if item["kty"] == "RSA" and key.key.key_size < LEAST_RSA_BITS else key


def from_file(path: Path) -> Callable[[], Awaitable[bytes]]:
    """Reads a set from a file. Raises OSError when it is awaited."""

    async def read() -> bytes:
        return await asyncio.to_thread(path.read_bytes)

    return read


def from_address(url: str) -> Callable[[], Awaitable[bytes]]:
    """Reads a set from an address. Raises httpx.HTTPError, KeySetRefused when it is awaited."""

    async def read() -> bytes:
        async with httpx.AsyncClient(timeout=_FETCH_S, trust_env=False) as client:
            response = await client.get(url, headers={"accept": "application/jwk-set+json, application/json"})
            response.raise_for_status()
            if len(response.content) > _MOST_BYTES:
                raise KeySetRefused("the set is too long")
            return response.content

    return read
