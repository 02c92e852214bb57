"""The access token's shape: JWT claims to actor and back. It neither signs nor verifies (crypto.tokens does)."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from gov_services.kit.actor import Actor, ActorKind

TYPE = "at+jwt"
"""RFC 9068 §2.1."""
AUDIENCE = "gov-services"
LIFETIME_S = 600
"""Short, because nothing but expiry ends an access token everywhere at once."""


class AccessTokenMalformed(ValueError):
    """The claims do not have the shape of an access token of ours."""


def claims_of(actor: Actor, *, issuer: str, token_id: str, issued_at: dt.datetime) -> dict[str, Any]:
    """The claims that state `actor`, valid for LIFETIME_S from `issued_at`."""
    issued = int(issued_at.timestamp())
    subject = str(actor.id) if actor.id else actor.client_id
    return {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": subject,
        "jti": token_id,
        "iat": issued,
        "exp": issued + LIFETIME_S,
        "client_id": actor.client_id,
        "kind": actor.kind.value,
        "roles": sorted(actor.roles),
        "ial": actor.assurance,
        **({"auth_time": int(actor.authenticated_at.timestamp())} if actor.authenticated_at else {}),
        **({"sid": str(actor.session_id)} if actor.session_id else {}),
        **({"office": actor.office} if actor.office else {}),
    }


def actor_of(claims: dict[str, Any]) -> Actor:
    """The actor that verified `claims` state. Raises AccessTokenMalformed."""
    try:
        kind = ActorKind(claims["kind"])
        if kind in (ActorKind.ANONYMOUS, ActorKind.SYSTEM):
            raise AccessTokenMalformed("nobody signs in as that")
        return Actor(
            kind=kind,
            id=None if kind is ActorKind.CLIENT else UUID(claims["sub"]),
            client_id=str(claims["client_id"]),
            roles=frozenset(map(str, claims["roles"])),
            assurance=int(claims["ial"]),
            authenticated_at=dt.datetime.fromtimestamp(claims["auth_time"], dt.UTC) if "auth_time" in claims else None,
            session_id=UUID(claims["sid"]) if "sid" in claims else None,
            office=claims.get("office"),
        )
    except AccessTokenMalformed:
        raise
    except (KeyError, TypeError, ValueError) as malformed:
        raise AccessTokenMalformed("not the claims of an access token") from malformed
