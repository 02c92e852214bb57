"""Tokens of another issuer, by its JWK Set. It knows no token of our own.

Sources: RFC 7519 (claims), RFC 8725.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import jwt

from gov_services.crypto.jwk_sets import FRESH_S, JwkSet
from gov_services.gateway.authenticate import VerifiedTokens
from gov_services.gateway.errors import InvalidToken
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind

LATEST = 4_102_444_800
"""The year 2100: what expires later than that might as well not."""


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
