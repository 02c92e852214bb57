"""Tokens: only what we signed, of this type, for this audience, now; every other token of the books is refused."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.crypto.tokens import LONGEST_TOKEN, TokenRefused, jwks, sign_token, verify_token

NOW = dt.datetime(2026, 3, 2, 1, 0, tzinfo=dt.UTC)
ISSUED = int(NOW.timestamp())
CLAIMS = {"iss": "http://city.test", "aud": "gov-services", "iat": ISSUED, "exp": ISSUED + 600, "sub": "测试"}
KEY = SigningKey(Ed25519PrivateKey.generate(), "0001-aaaaaaaa")
STRANGER = SigningKey(Ed25519PrivateKey.generate(), "0001-aaaaaaaa")
KEYS = VerifyKeys({KEY.key_id: KEY.public_bytes})


def verify(token: str, *, keys: VerifyKeys = KEYS, now: dt.datetime = NOW, leeway_s: int = 0) -> dict[str, Any]:
    """The claims, as a room that expects an access token reads them."""
    return verify_token(
        keys, token, type="at+jwt", audience="gov-services", issuer="http://city.test", now=now, leeway_s=leeway_s
    )


def a_token(*, key: SigningKey = KEY, type: str = "at+jwt", **changes: Any) -> str:
    """A good token, with `changes` of its claims."""
    return sign_token(key, {**CLAIMS, **changes}, type=type)


def part(value: object) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: dict[str, Any], claims: dict[str, Any] = CLAIMS) -> str:
    """A token under our key, with whatever header."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{base64.urlsafe_b64encode(KEY.sign(text.encode())).rstrip(b'=').decode()}"


GOOD = {"alg": "EdDSA", "typ": "at+jwt", "kid": KEY.key_id}


def under_the_public_key(secret: bytes) -> Callable[[], str]:
    """HS256 keyed with what everybody may know, the oldest trick."""

    def make() -> str:
        text = f"{part({**GOOD, 'alg': 'HS256'})}.{part(CLAIMS)}"
        digest = hmac.digest(secret, text.encode(), hashlib.sha256)
        return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    return make


PEM = Ed25519PublicKey.from_public_bytes(KEY.public_bytes).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
FORGED: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: f"{part({**GOOD, 'alg': 'none'})}.{part(CLAIMS)}.",
    "no algorithm in capitals": lambda: f"{part({**GOOD, 'alg': 'NONE'})}.{part(CLAIMS)}.",
    "HS256 with the public key": under_the_public_key(KEY.public_bytes),
    "HS256 with the public key as PEM": under_the_public_key(PEM),
    "EdDSA said, not signed": lambda: f"{part(GOOD)}.{part(CLAIMS)}.",
    "another key of the same id": lambda: a_token(key=STRANGER),
    "an unknown key": lambda: a_token(key=SigningKey(KEY.private_key, "0009-ffffffff")),
    "another type": lambda: a_token(type="gov-assertion+jwt"),
    "a type in capitals": lambda: a_token(type="AT+JWT"),
    "another audience": lambda: a_token(aud="permits"),
    "several audiences": lambda: a_token(aud=["gov-services", "permits"]),
    "another issuer": lambda: a_token(iss="http://elsewhere.test"),
    "expired": lambda: a_token(iat=ISSUED - 600, exp=ISSUED),
    "not issued yet": lambda: a_token(iat=ISSUED + 6),
    "times in fractions": lambda: a_token(exp=ISSUED + 600.5),
    "times in words": lambda: a_token(exp="2999"),
    "a time that is true": lambda: a_token(iat=True),
    "a key set of their own": lambda: signed({**GOOD, "jku": "http://elsewhere.test/jwks.json"}),
    "a key of their own": lambda: signed({**GOOD, "jwk": jwks(VerifyKeys({"x": STRANGER.public_bytes}))["keys"][0]}),
    "a critical extension": lambda: signed({**GOOD, "crit": ["b64"], "b64": False}),
    "no type": lambda: signed({"alg": "EdDSA", "kid": KEY.key_id}),
    "no key id": lambda: signed({"alg": "EdDSA", "typ": "at+jwt"}),
    "a key id that is a list": lambda: signed({**GOOD, "kid": [KEY.key_id]}),
    "no expiry": lambda: signed(GOOD, {name: value for name, value in CLAIMS.items() if name != "exp"}),
    "claims that are a list": lambda: signed(GOOD, ["exp"]),  # type: ignore[arg-type]
    "changed claims": lambda: ".".join(
        (a_token().split(".")[0], part({**CLAIMS, "sub": "x"}), a_token().split(".")[2])
    ),
    "two parts": lambda: a_token().rpartition(".")[0],
    "four parts": lambda: a_token() + ".x",
    "overlong": lambda: a_token(pad="x" * LONGEST_TOKEN),
    "a header too deep": lambda: f"{base64.urlsafe_b64encode(b'[' * 5000).decode()}.{part(CLAIMS)}.x",
    "empty": lambda: "",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(forge: Callable[[], str]) -> None:
    with pytest.raises(TokenRefused):
        verify(forge())


def test_a_good_token_says_what_was_signed_until_its_last_second() -> None:
    assert verify(a_token()) == CLAIMS
    assert verify(signed(GOOD)) == CLAIMS
    assert verify(a_token(), now=NOW + dt.timedelta(seconds=599)) == CLAIMS
    with pytest.raises(TokenRefused):
        verify(a_token(), now=NOW + dt.timedelta(seconds=600))
    assert verify(a_token(), now=NOW + dt.timedelta(seconds=629), leeway_s=30) == CLAIMS
    assert verify(a_token(iat=ISSUED + 5)) == {**CLAIMS, "iat": ISSUED + 5}


def test_chinese_stands_in_a_token_as_it_is() -> None:
    claims = a_token(sub="测试甲").split(".")[1]
    assert "测试甲".encode() in base64.urlsafe_b64decode(claims + "==")


@given(st.one_of(st.text(max_size=60), st.lists(st.text(max_size=20), min_size=3, max_size=3).map(".".join)))
def test_whatever_is_sent_is_refused_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(TokenRefused):
        verify(text)


@given(st.binary(max_size=60))
def test_a_header_of_any_bytes_is_refused(content: bytes) -> None:
    header = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
    with pytest.raises(TokenRefused):
        verify(f"{header}.{part(CLAIMS)}.x")


@pytest.mark.parametrize("absent", ["iss", "aud", "iat", "exp"])
def test_a_token_without_its_limits_is_not_signed(absent: str) -> None:
    with pytest.raises(ValueError, match=absent):
        sign_token(KEY, {name: value for name, value in CLAIMS.items() if name != absent}, type="at+jwt")


def test_published_keys_are_what_other_libraries_verify_by() -> None:
    published = jwks(VerifyKeys({KEY.key_id: KEY.public_bytes, "0002-bbbbbbbb": STRANGER.public_bytes}))

    assert [item["kid"] for item in published["keys"]] == [KEY.key_id, "0002-bbbbbbbb"]
    assert {tuple(sorted(item)) for item in published["keys"]} == {("alg", "crv", "kid", "kty", "use", "x")}
    key = jwt.PyJWKSet.from_dict(published)[KEY.key_id]
    options = {"verify_exp": False, "verify_iat": False}
    found = jwt.decode(a_token(), key.key, algorithms=["EdDSA"], audience="gov-services", options=options)  # type: ignore[arg-type]
    assert found == CLAIMS
