"""Bearer token → Actor. It verifies; what an actor may do is decided in the subgraphs."""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict

from gov_services.crypto.signing import VerifyKeys
from gov_services.crypto.tokens import TokenRefused, verify_token
from gov_services.gateway.errors import InvalidToken
from gov_services.kit import access_token
from gov_services.kit.actor import ANONYMOUS, Actor


class Authenticator:
    """Verifies access tokens, and remembers the verified ones until they expire, so many and no more."""

    def __init__(self, keys: VerifyKeys, *, issuer: str, cache_size: int = 10_000) -> None:
        self._keys = keys
        self._issuer = issuer
        self._cache_size = cache_size
        self._verified: OrderedDict[str, tuple[Actor, dt.datetime]] = OrderedDict()

    def actor(self, bearer: str | None, *, now: dt.datetime) -> Actor:
        """Who bears the token; ANONYMOUS without one. Raises InvalidToken."""
        if bearer is None:
            return ANONYMOUS
        remembered = self._verified.get(bearer)
        if remembered is not None and now < remembered[1]:
            return remembered[0]
        try:
            claims = verify_token(
                self._keys,
                bearer,
                type=access_token.TYPE,
                audience=access_token.AUDIENCE,
                issuer=self._issuer,
                now=now,
            )
            actor = access_token.actor_of(claims)
        except (TokenRefused, access_token.AccessTokenMalformed):
            raise InvalidToken from None
        self._verified[bearer] = (actor, dt.datetime.fromtimestamp(claims["exp"], dt.UTC))
        while len(self._verified) > self._cache_size:
            self._verified.popitem(last=False)
        return actor


def bearer_of(header: str | None) -> str | None:
    """The token in an Authorization header (RFC 6750). Raises InvalidToken for any other scheme."""
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidToken
    return token.strip()
