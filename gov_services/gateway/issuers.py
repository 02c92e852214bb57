"""Tokens of another issuer, by its JWK Set: from a file or an address, kept fresh. It knows no token of our own.

Sources: RFC 7517 (JWK, `use`, `key_ops`), RFC 7519 (claims), RFC 8725 (one algorithm a key, nothing taken from `jku`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import orjson
import structlog

from gov_services.gateway.authenticate import VerifiedTokens
from gov_services.gateway.errors import InvalidToken
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind

ALGORITHMS = {"OKP": ("EdDSA",), "EC": ("ES256", "ES384"), "RSA": ("RS256", "PS256", "RS384", "RS512")}
"""What a key of each kind may be used with. None is symmetric: whoever can verify by such a key can sign by it."""
LEAST_RSA_BITS = 2048
MOST_KEYS = 50
FRESH_S = 300.0
AGAIN_S = 10.0
"""A key id that is not known makes the set be read again, but not more often than this."""
LATEST = 4_102_444_800
"""The year 2100: what expires later than that might as well not."""
_FETCH_S = 5.0
_MOST_BYTES = 256 * 1024
_log = structlog.get_logger("gov_services.gateway")


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


class IssuedTokens:
    """Verifies the tokens of one issuer for one audience. Scopes become the actor's roles."""

    def __init__(self, keys: JwkSet, *, issuer: str, audience: str, is_required: bool = True) -> None:
        self._keys = keys
        self._issuer, self._audience = issuer, audience
        self._is_required = is_required
        self.verified = VerifiedTokens()

    async def actor(self, bearer: str | None, *, now: dt.datetime) -> Actor:
        """See gateway.pipeline.Authenticates. Raises InvalidToken, also without a token where one is required."""
        if bearer is None:
            if self._is_required:
                raise InvalidToken
            return ANONYMOUS
        remembered = self.verified.get(bearer, now)
        if remembered is not None:
            return remembered
        claims = await self._claims(bearer, now)
        scopes = claims.get("scope") or claims.get("scp") or ()
        named = scopes.split() if isinstance(scopes, str) else [str(item) for item in scopes]
        actor = Actor(kind=ActorKind.CLIENT, client_id=str(claims["sub"])[:200], roles=frozenset(named))
        # It is asked again before the key set could be older than it may be: a key can be withdrawn.
        until = dt.datetime.fromtimestamp(min(claims["exp"], now.timestamp() + FRESH_S), dt.UTC)
        expires = dt.datetime.fromtimestamp(min(claims["exp"], LATEST), dt.UTC)
        self.verified.put(bearer, actor, expires, until=until)
        return actor

    async def until(self, bearer: str | None, *, now: dt.datetime) -> dt.datetime | None:
        """See gateway.pipeline.Authenticates."""
        return self.verified.expiry(bearer)

    async def _claims(self, bearer: str, now: dt.datetime) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(bearer)
            key = await self._keys.key(str(header.get("kid", "")))
            if key is None or header.get("crit"):
                raise InvalidToken
            claims: dict[str, Any] = jwt.decode(
                bearer,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["exp", "sub"]},
            )
        except jwt.PyJWTError:
            raise InvalidToken from None
        moment = now.timestamp()
        times = [claims["exp"], claims.get("nbf", 0), claims.get("iat", 0)]
        if not all(isinstance(item, int | float) for item in times):
            raise InvalidToken
        if claims["exp"] <= moment or times[1] > moment + 5 or times[2] > moment + 5:
            raise InvalidToken
        return claims


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
