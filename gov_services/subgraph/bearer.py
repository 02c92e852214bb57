"""Who holds an access token of ours. It asks no database, and decides nothing about what they may do."""

from __future__ import annotations

import datetime as dt

from gov_services.crypto.signing import VerifyKeys
from gov_services.crypto.tokens import TokenRefused, verify_token
from gov_services.kit import access_token
from gov_services.kit.actor import Actor

MOST_REMEMBERED = 10_000


class BearerRefused(Exception):
    """The token is malformed, expired, forged, or meant for something else."""


class Bearers:
    """Verifies access tokens, each once."""

    def __init__(self, keys: VerifyKeys, *, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._actors: dict[str, tuple[Actor, dt.datetime]] = {}

    def actor(self, token: str, *, now: dt.datetime) -> Actor:
        """The actor that the token states. Raises BearerRefused."""
        remembered = self._actors.get(token)
        if remembered is not None and now < remembered[1]:
            return remembered[0]
        try:
            claims = verify_token(
                self._keys,
                token,
                type=access_token.TYPE,
                audience=access_token.AUDIENCE,
                issuer=self._issuer,
                now=now,
            )
            actor = access_token.actor_of(claims)
        except (TokenRefused, access_token.AccessTokenMalformed) as refused:
            raise BearerRefused from refused
        if len(self._actors) >= MOST_REMEMBERED:
            self._actors.clear()
        self._actors[token] = (actor, dt.datetime.fromtimestamp(claims["exp"], dt.UTC))
        return actor
