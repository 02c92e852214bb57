"""Bearer token → Actor. It verifies; what an actor may do is decided in the subgraphs."""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict

from gov_services.crypto.signing import VerifyKeys
from gov_services.crypto.tokens import TokenRefused, verify_token
from gov_services.gateway.errors import InvalidToken
from gov_services.kit import access_token
from gov_services.kit.actor import ANONYMOUS, Actor

REMEMBERED_TOKENS = 10_000


class VerifiedTokens:
    """Remembers verified tokens until they expire, so many and no more; the one longest unused is forgotten first."""

    def __init__(self, size: int = REMEMBERED_TOKENS) -> None:
        self._size = size
        self._verified: OrderedDict[str, tuple[Actor, dt.datetime, dt.datetime]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._verified)

    def get(self, bearer: str, now: dt.datetime) -> Actor | None:
        """Who bears it, where it was verified before and has not expired."""
        found = self._verified.get(bearer)
        if found is None:
            return None
        if now >= found[1]:
            del self._verified[bearer]
            return None
        self._verified.move_to_end(bearer)
        return found[0]

    def expiry(self, bearer: str | None) -> dt.datetime | None:
        """When it expires; None for one that is not remembered."""
        found = self._verified.get(bearer) if bearer is not None else None
        return found[2] if found is not None else None

    def put(self, bearer: str, actor: Actor, expires: dt.datetime, *, until: dt.datetime | None = None) -> None:
        """Remember one, no longer than `until`."""
        self._verified[bearer] = actor, until or expires, expires
        while len(self._verified) > self._size:
            self._verified.popitem(last=False)

    def clear(self) -> None:
        """Forget all: the keys changed, and one of them may have been withdrawn."""
        self._verified.clear()


class Authenticator:
    """Verifies access tokens of our own identity service."""

    def __init__(self, keys: VerifyKeys, *, issuer: str, cache_size: int = REMEMBERED_TOKENS) -> None:
        self._keys = keys
        self._issuer = issuer
        self.verified = VerifiedTokens(cache_size)

    async def actor(self, bearer: str | None, *, now: dt.datetime) -> Actor:
        """Who bears the token; ANONYMOUS without one. Raises InvalidToken."""
        if bearer is None:
            return ANONYMOUS
        remembered = self.verified.get(bearer, now)
        if remembered is not None:
            return remembered
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
        self.verified.put(bearer, actor, dt.datetime.fromtimestamp(claims["exp"], dt.UTC))
        return actor

    async def until(self, bearer: str | None, *, now: dt.datetime) -> dt.datetime | None:
        """See gateway.pipeline.Authenticates."""
        return self.verified.expiry(bearer)


def bearer_of(header: str | None) -> str | None:
    """The token in an Authorization header (RFC 6750). Raises InvalidToken for any other scheme."""
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidToken
    return token.strip()
