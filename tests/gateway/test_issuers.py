"""Tokens of another issuer: only as its keys and the token itself allow."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gov_services.crypto import jwk_sets
from gov_services.crypto.jwk_sets import JwkSet, KeySetRefused, from_file, parse_jwks
from gov_services.gateway import issuers
from gov_services.gateway.authenticate import VerifiedTokens
from gov_services.gateway.errors import InvalidToken
from gov_services.gateway.issuers import IssuedTokens
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind

pytestmark = pytest.mark.untraced
NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
ISSUER, AUDIENCE = "https://issuer.example", "city"
KEY = Ed25519PrivateKey.generate()


def public(key: Any, key_id: str, **members: Any) -> dict[str, Any]:
    kind = {ec.EllipticCurvePrivateKey: "ES256", rsa.RSAPrivateKey: "RS256"}
    name = next((name for type_, name in kind.items() if isinstance(key, type_)), "EdDSA")
    found: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(name).to_jwk(key.public_key()))
    return {**{k: v for k, v in found.items() if k != "key_ops"}, "kid": key_id, **members}


def token(key: Any = KEY, key_id: str = "a", algorithm: str = "EdDSA", **claims: Any) -> str:
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bank", "exp": int(NOW.timestamp()) + 600, "scope": "read write"}
    said = {name: value for name, value in {**said, **claims}.items() if value is not None}
    return jwt.encode(said, key, algorithm=algorithm, headers={"kid": key_id})


def reading(*sets: dict[str, Any] | Exception) -> tuple[Callable[[], Awaitable[bytes]], list[int]]:
    """Gives one set after the other, the last for ever; and how often it was read."""
    read = []

    async def source() -> bytes:
        read.append(1)
        found = sets[min(len(read), len(sets)) - 1]
        if isinstance(found, Exception):
            raise found
        return json.dumps(found).encode()

    return source, read


async def tokens(*keys: dict[str, Any], is_required: bool = True) -> IssuedTokens:
    source, _ = reading({"keys": list(keys or (public(KEY, "a"),))})
    found = JwkSet(source)
    await found.load()
    return IssuedTokens(found, issuer=ISSUER, audience=AUDIENCE, is_required=is_required)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (KEY, "EdDSA"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (rsa.generate_private_key(65537, 2048), "RS256"),
    ],
)
async def test_a_good_token_names_its_bearer_and_scopes(key: Any, algorithm: str) -> None:
    found = await tokens(public(key, "a"))
    actor = await found.actor(token(key, algorithm=algorithm), now=NOW)
    assert (actor.kind, actor.client_id, actor.roles) == (ActorKind.CLIENT, "bank", {"read", "write"})


@pytest.mark.parametrize(
    "bearer",
    [
        "",
        "a.b",
        token(Ed25519PrivateKey.generate()),
        token(key_id="unknown"),
        token(iss="https://other.example"),
        token(aud="other"),
        token(aud=None),
        token(sub=None),
        token(exp=None),
        token(exp=int(NOW.timestamp())),
        token(exp="never"),
        token(nbf=int(NOW.timestamp()) + 60),
        token(iat=int(NOW.timestamp()) + 60),
        jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": 2**33}, "k" * 32, "HS256", headers={"kid": "a"}),
        jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": 2**33}, None, "none", headers={"kid": "a"}),
    ],
)
async def test_any_other_is_refused(bearer: str) -> None:
    found = await tokens()
    with pytest.raises(InvalidToken):
        await found.actor(bearer, now=NOW)


async def test_without_a_token() -> None:
    with pytest.raises(InvalidToken):
        await (await tokens()).actor(None, now=NOW)
    assert await (await tokens(is_required=False)).actor(None, now=NOW) is ANONYMOUS


@pytest.mark.parametrize(
    "key",
    [
        public(KEY, "a", use="enc"),
        public(KEY, "a", key_ops=["sign"]),
        public(rsa.generate_private_key(65537, 1024), "a"),
        public(rsa.generate_private_key(65537, 2048), "a", alg="HS256"),
        {"kty": "oct", "k": base64.urlsafe_b64encode(b"k" * 32).decode(), "kid": "a"},
        {k: v for k, v in public(KEY, "a").items() if k != "kid"},
        {"kty": "EC"},
    ],
)
def test_a_key_that_must_not_verify_does_not(key: dict[str, Any]) -> None:
    with pytest.raises(KeySetRefused):
        parse_jwks(json.dumps({"keys": [key]}).encode())


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [' + b"{}," * 50 + b"{}]}"]
)
def test_what_is_no_key_set(content: bytes) -> None:
    with pytest.raises(KeySetRefused):
        parse_jwks(content)


async def test_a_new_key_is_found_when_it_is_first_used_and_not_looked_for_too_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new = Ed25519PrivateKey.generate()
    first, both = {"keys": [public(KEY, "a")]}, {"keys": [public(KEY, "a"), public(new, "b")]}
    source, read = reading(first, OSError("away"), both)
    keys = JwkSet(source)
    await keys.load()
    assert await keys.key("b") is None
    assert len(read) == 1, "read a moment ago"
    monkeypatch.setattr(jwk_sets, "AGAIN_S", 0)
    assert await keys.key("b") is None
    assert await keys.key("a") is not None, "the old ones serve on while the source is away"
    assert await keys.key("b") is not None
    found = IssuedTokens(keys, issuer=ISSUER, audience=AUDIENCE)
    assert (await found.actor(token(new, "b"), now=NOW)).client_id == "bank"


async def test_a_set_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [public(KEY, "a")]}))
    keys = JwkSet(from_file(path))
    await keys.load()
    assert await keys.key("a") is not None


async def test_a_token_is_remembered_until_it_expires_and_no_longer() -> None:
    found = await tokens()
    bearer = token(exp=int(NOW.timestamp()) + 60)
    await found.actor(bearer, now=NOW)
    assert len(found.verified) == 1
    assert (await found.actor(bearer, now=NOW + dt.timedelta(seconds=59))).client_id == "bank"
    with pytest.raises(InvalidToken):
        await found.actor(bearer, now=NOW + dt.timedelta(seconds=60))


async def test_a_socket_learns_when_a_token_really_expires() -> None:
    issued = await tokens()
    hour = int(NOW.timestamp()) + 3_600
    for expires, told in ((hour, hour), (10**30, issuers.LATEST)):
        bearer = token(exp=expires)
        await issued.actor(bearer, now=NOW)
        assert await issued.until(bearer, now=NOW) == dt.datetime.fromtimestamp(told, dt.UTC)
    assert await issued.until("another", now=NOW) is None


def test_the_longest_unused_token_is_forgotten_first() -> None:
    verified, expires = VerifiedTokens(2), NOW + dt.timedelta(hours=1)
    for bearer in ("a", "b"):
        verified.put(bearer, Actor(kind=ActorKind.CLIENT, client_id=bearer), expires)
    verified.get("a", NOW)
    verified.put("c", Actor(kind=ActorKind.CLIENT, client_id="c"), expires)
    assert [verified.get(bearer, NOW) is not None for bearer in "abc"] == [True, False, True]
    verified.clear()
    assert len(verified) == 0
