"""The code: what stands in it, who can read it, and every way in which one is refused."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.crypto.tokens import jwks
from gov_services.healthcode import base45, cose
from gov_services.healthcode.code import (
    CLOCK_SKEW,
    KIND,
    LONGEST_TEXT,
    PREFIX,
    CodeRefused,
    Shown,
    open_code,
    qr_code,
    sign_code,
)
from gov_services.healthcode.offline import OfflineVerifier
from gov_services.healthcode.rules import Colour

NOW = dt.datetime(2026, 3, 2, 1, 0, tzinfo=dt.UTC)
ISSUER = "https://city.example"
KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), "a-key")
KEYS = VerifyKeys({"a-key": KEY.public_bytes})
SHOWN = Shown(
    id=UUID(int=5),
    colour=Colour.YELLOW,
    masked_name="测**",
    valid_until=NOW + dt.timedelta(days=2),
    expires_at=NOW + dt.timedelta(minutes=10),
)
TEXT = sign_code(KEY, SHOWN, issuer=ISSUER, now=NOW)


@pytest.mark.parametrize(
    ("data", "text"), [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")]
)
def test_base45_is_that_of_the_standard(data: bytes, text: str) -> None:
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@given(st.binary(max_size=200))
def test_base45_goes_there_and_back(data: bytes) -> None:
    assert base45.decode(base45.encode(data)) == data


@pytest.mark.parametrize("text", ["GGW", "A", ":::", "::", "a b", "健康"])
def test_base45_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(base45.NotBase45):
        base45.decode(text)


def test_a_code_says_four_things_and_its_issuer() -> None:
    assert open_code(TEXT, keys=KEYS, issuer=ISSUER, now=NOW) == SHOWN
    message = cbor2.loads(base45.decode(TEXT.removeprefix(PREFIX)))
    claims = cbor2.loads(message.value[2])
    assert set(claims) == {1, 4, 6, 7, "c", "n", "u"}
    assert qr_code(TEXT).startswith("<svg")


def test_it_verifies_by_the_letter_of_the_standard() -> None:
    """RFC 9052 §4.4 with the bytes of RFC 8949 written out: none of our own code but Base45."""
    message = base45.decode(TEXT.removeprefix(PREFIX))
    assert message[:2] == b"\xd2\x84"  # tag 18 on an array of four
    protected, unprotected, payload, signature = cbor2.loads(message).value

    def string(data: bytes) -> bytes:
        head = bytes([0x40 + len(data)]) if len(data) < 24 else bytes([0x58, len(data)])
        return head + data

    signed = b"\x84" + b"\x6aSignature1" + string(protected) + b"\x40" + string(payload)
    KEY.private_key.public_key().verify(signature, signed)
    assert unprotected == {}
    assert cbor2.loads(protected) == {1: -8, 4: b"a-key", 16: KIND}


@given(st.integers(len(PREFIX), len(TEXT) - 1), st.sampled_from(base45.ALPHABET))
def test_a_changed_character_is_refused(place: int, letter: str) -> None:
    changed = TEXT[:place] + letter + TEXT[place + 1 :]
    if changed == TEXT:
        assert open_code(changed, keys=KEYS, issuer=ISSUER, now=NOW) == SHOWN
        return
    with pytest.raises(CodeRefused):
        open_code(changed, keys=KEYS, issuer=ISSUER, now=NOW)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "prefix"),
        ("HC1:" + TEXT[5:], "prefix"),
        (PREFIX + "0" * LONGEST_TEXT, "prefix"),
        (PREFIX + "健康码", "alphabet"),
        (PREFIX, "signature"),
        (PREFIX + base45.encode(b"\xa0"), "signature"),
    ],
)
def test_what_is_no_code_is_refused_with_the_check_that_failed(text: str, reason: str) -> None:
    with pytest.raises(CodeRefused) as refused:
        open_code(text, keys=KEYS, issuer=ISSUER, now=NOW)
    assert refused.value.reason == reason


def test_another_issuer_another_key_and_another_kind_are_refused() -> None:
    stranger = SigningKey(Ed25519PrivateKey.generate(), "a-key")
    unknown = SigningKey(Ed25519PrivateKey.generate(), "other-key")
    payload = cose.dumps({1: ISSUER})
    wrong_kind = PREFIX + base45.encode(cose.sign1(payload, key=KEY, kind="gov-health-code/2"))
    few_claims = PREFIX + base45.encode(cose.sign1(payload, key=KEY, kind=KIND))
    for text, reason in (
        (sign_code(KEY, SHOWN, issuer="https://other.example", now=NOW), "issuer"),
        (sign_code(stranger, SHOWN, issuer=ISSUER, now=NOW), "signature"),
        (sign_code(unknown, SHOWN, issuer=ISSUER, now=NOW), "signature"),
        (wrong_kind, "signature"),
        (few_claims, "claims"),
    ):
        with pytest.raises(CodeRefused) as refused:
            open_code(text, keys=KEYS, issuer=ISSUER, now=NOW)
        assert refused.value.reason == reason


@pytest.mark.parametrize(
    "changed",
    [{7: b"short"}, {"c": "PURPLE"}, {"u": "tomorrow"}, {4: 2**80}, {6: None}],
)
def test_claims_that_cannot_be_meant_are_refused(changed: dict[object, object]) -> None:
    message = cbor2.loads(base45.decode(TEXT.removeprefix(PREFIX)))
    claims = {**cbor2.loads(message.value[2]), **changed}
    text = PREFIX + base45.encode(cose.sign1(cose.dumps(claims), key=KEY, kind=KIND))
    with pytest.raises(CodeRefused) as refused:
        open_code(text, keys=KEYS, issuer=ISSUER, now=NOW)
    assert refused.value.reason == "claims"


def test_a_code_has_its_time_to_the_second() -> None:
    last = SHOWN.expires_at - dt.timedelta(seconds=1)
    assert open_code(TEXT, keys=KEYS, issuer=ISSUER, now=last) == SHOWN
    assert open_code(TEXT, keys=KEYS, issuer=ISSUER, now=NOW - CLOCK_SKEW) == SHOWN
    for now in (SHOWN.expires_at, NOW - CLOCK_SKEW - dt.timedelta(seconds=1)):
        with pytest.raises(CodeRefused) as refused:
            open_code(TEXT, keys=KEYS, issuer=ISSUER, now=now)
        assert refused.value.reason == "time"


def test_a_venue_needs_the_published_keys_and_nothing_else() -> None:
    published = jwks(KEYS)
    published["keys"].append({"kty": "EC", "crv": "P-256", "kid": "of-another-kind", "x": "", "y": ""})

    venue = OfflineVerifier(published, issuer=ISSUER)

    assert venue.verify(TEXT, now=NOW) == SHOWN
    with pytest.raises(CodeRefused):
        OfflineVerifier({"keys": []}, issuer=ISSUER).verify(TEXT, now=NOW)


@pytest.mark.parametrize(
    "message",
    [
        cbor2.dumps(cbor2.CBORTag(17, [b"", {}, b"", b""])),
        cbor2.dumps(cbor2.CBORTag(18, [b"", {}, b""])),
        cbor2.dumps(cbor2.CBORTag(18, [b"", {4: b"kid"}, b"", b""])),
        cbor2.dumps(cbor2.CBORTag(18, [b"\xa0", {}, b"", b""])),
        b"\xd2\x9f\xff",
        b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        bytes(cose.MOST_BYTES + 1),
        b"\x81" * 100 + b"\x00",
        cbor2.dumps(1) + b"\x00",
        b"\x18\x01",
    ],
)
def test_what_is_no_strict_message_is_refused_whatever_the_bytes(message: bytes) -> None:
    with pytest.raises(cose.CoseRefused):
        cose.open_sign1(message, keys=KEYS, kind=KIND)


@given(st.binary(max_size=300))
def test_no_bytes_do_worse_than_being_refused(data: bytes) -> None:
    with pytest.raises(cose.CoseRefused):
        cose.open_sign1(data, keys=KEYS, kind=KIND)
