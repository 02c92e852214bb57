"""What one process of ours hands another beside the graph, signed: by whom, to whom, to which path, these bytes.

The worker hands events and jobs to a room, the gateway hands its refusals to whoever logs them. It carries nothing.
"""

from __future__ import annotations

import datetime as dt

from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.crypto.tokens import TokenRefused, sign_token, verify_token
from gov_services.kit.canonical import sha256

TYPE = "gov-delivery+jwt"
HEADER = "gov-delivery"
"""The HTTP header that a delivery's token comes in."""
WORKER, GATEWAY = "gov-worker", "gov-gateway"
"""Who sends; each signs with a key of its own."""
LIFETIME_S = 30


class DeliveryRefused(Exception):
    """It was not sent by whom it should be, or not here, or not so. The reason is for our log only."""


def sign_delivery(key: SigningKey, *, sender: str, audience: str, path: str, body: bytes, now: dt.datetime) -> str:
    """The token that goes with `body` to `path` of the room `audience`."""
    issued = int(now.timestamp())
    claims = {"iss": sender, "aud": audience, "iat": issued, "exp": issued + LIFETIME_S}
    return sign_token(key, {**claims, "path": path, "bh": sha256(body).hex()}, type=TYPE)


def verify_delivery(
    keys: VerifyKeys, token: str, *, sender: str, audience: str, path: str, body: bytes, now: dt.datetime
) -> None:
    """Return where the delivery is what its token says. Raises DeliveryRefused; each number below is one check.

    1 signed by that sender, of our type, for this room, not expired   2 lives no longer than 30 s
    3 to this path, of these very bytes

    One that comes twice is not told from one that is sent twice: events are made once by the inbox, and jobs do what
    is due and nothing more.
    """
    # (1)
    try:
        claims = verify_token(keys, token, type=TYPE, audience=audience, issuer=sender, now=now)
    except TokenRefused as refused:
        raise DeliveryRefused(str(refused)) from refused
    # (2)
    if claims["exp"] - claims["iat"] > LIFETIME_S:
        raise DeliveryRefused("lives too long")
    # (3)
    if claims.get("path") != path or claims.get("bh") != sha256(body).hex():
        raise DeliveryRefused("to another path, or of other bytes")
