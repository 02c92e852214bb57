"""JSON Web Tokens, narrowed to what we sign: EdDSA, a pinned type, a known key. PyJWT alone accepts far more."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import jwt

from gov_services.crypto.signing import SignatureRefused, SigningKey, VerifyKeys

ALGORITHM = "EdDSA"
LONGEST_TOKEN = 8192
"""Characters. A token of ours has a tenth of that."""
_HEADER = frozenset({"alg", "typ", "kid"})
_REQUIRED = ("iss", "aud", "iat", "exp")


class TokenRefused(Exception):
    """The token is malformed, expired, forged, or meant for something else. The reason is for our log only."""


class _Utf8Encoder(json.JSONEncoder):
    """Claims as UTF-8 (RFC 7519 §3), not as escapes: a Chinese character takes three bytes of a QR code, not six."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": False})


def sign_token(key: SigningKey, claims: Mapping[str, Any], *, type: str) -> str:
    """A token of `type` with these claims; `iss`, `aud`, `iat` and `exp` are the caller's to give."""
    absent = [name for name in _REQUIRED if name not in claims]
    if absent:
        raise ValueError(f"a token says {', '.join(absent)}")
    return jwt.encode(
        dict(claims),
        key.private_key,
        algorithm=ALGORITHM,
        headers={"typ": type, "kid": key.key_id},
        json_encoder=_Utf8Encoder,
    )


def verify_token(
    keys: VerifyKeys,
    token: str,
    *,
    type: str,
    audience: str,
    issuer: str,
    now: dt.datetime,
    leeway_s: int = 0,
) -> dict[str, Any]:
    """The claims of a token. Raises TokenRefused; each number below is one check.

    1 not overlong, three parts   2 header has exactly alg, typ, kid, of our values   3 signed by that key
    4 for this audience, by this issuer   5 issued, and not expired
    """
    # (1)
    if len(token) > LONGEST_TOKEN or token.count(".") != 2:
        raise TokenRefused("not a token")
    # (2)
    header = _part(token.partition(".")[0])
    if set(header) != _HEADER or header["alg"] != ALGORITHM or header["typ"] != type:
        raise TokenRefused("not a token of this type")
    # (3)
    try:
        public = keys.public_key(str(header["kid"]))
        claims: dict[str, Any] = jwt.decode(
            token,
            public,
            algorithms=[ALGORITHM],
            # Time is compared below with the moment that we were given; audience and issuer exactly.
            options={
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_aud": False,
                "verify_iss": False,
                "require": list(_REQUIRED),
            },
        )
    except (SignatureRefused, jwt.PyJWTError) as refused:
        raise TokenRefused("not signed by a key known here") from refused
    # (4)
    if claims["aud"] != audience or claims["iss"] != issuer:
        raise TokenRefused("for another audience, or by another issuer")
    # (5)
    issued, expires = claims["iat"], claims["exp"]
    if type_of(issued) is not int or type_of(expires) is not int:
        raise TokenRefused("times are whole seconds")
    moment = now.timestamp()
    if expires + leeway_s <= moment or issued > moment + max(leeway_s, 5):
        raise TokenRefused("expired, or not issued yet")
    return claims


def sign_statement(key: SigningKey, payload: bytes, *, type: str) -> str:
    """A compact JWS over `payload`, of `type`: something stated for good, for anybody (RFC 7515)."""
    return jwt.api_jws.encode(payload, key.private_key, algorithm=ALGORITHM, headers={"typ": type, "kid": key.key_id})


def verify_statement(keys: VerifyKeys, statement: str, *, type: str) -> bytes:
    """The payload of a statement that one of `keys` signed. Raises TokenRefused."""
    if statement.count(".") != 2:
        raise TokenRefused("not a statement")
    header = _part(statement.partition(".")[0])
    if set(header) != _HEADER or header["alg"] != ALGORITHM or header["typ"] != type:
        raise TokenRefused("not a statement of this type")
    try:
        payload: bytes = jwt.api_jws.decode(statement, keys.public_key(str(header["kid"])), algorithms=[ALGORITHM])
    except (SignatureRefused, jwt.PyJWTError) as refused:
        raise TokenRefused("not signed by a key known here") from refused
    return payload


def jwks(keys: VerifyKeys) -> dict[str, Any]:
    """The public keys as a JWK Set (RFC 7517, RFC 8037)."""
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "use": "sig",
                "alg": ALGORITHM,
                "kid": key_id,
                "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
            }
            for key_id, raw in sorted(keys.public_keys().items())
        ]
    }


def type_of(value: object) -> type:
    """`type`, where a parameter of that name hides it. A bool is no int here."""
    return value.__class__


def _part(text: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError) as malformed:
        raise TokenRefused("not a token") from malformed
    if not isinstance(value, dict):
        raise TokenRefused("not a token")
    return value
