"""The suites and key wrap, by what their specifications print; other published vectors: `make conformance`."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from hypothesis import given
from hypothesis import strategies as st

from gov_services.crypto.blind_index import hmac_sm3
from gov_services.crypto.suites import SUITES, CipherRefused, Sm4Gcm, Suite, XAes256Gcm, random_nonce
from gov_services.crypto.wrapping import UnwrapRefused, unwrap, unwrap_aes, unwrap_sm4, wrap, wrap_aes, wrap_sm4


@pytest.mark.parametrize(
    ("key", "aad", "sealed"),
    [
        (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (b"\x03" * 32, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ],
    ids=["most significant bit of the subkey 0", "1"],
)
def test_xaes_256_gcm_as_its_specification_prints_it(key: bytes, aad: bytes, sealed: str) -> None:
    cipher, nonce = XAes256Gcm(key), b"ABCDEFGHIJKLMNOPQRSTUVWX"
    assert cipher.encrypt(nonce, b"XAES-256-GCM", aad).hex() == sealed
    assert cipher.decrypt(nonce, bytes.fromhex(sealed), aad) == b"XAES-256-GCM"


def test_sm4_gcm_as_rfc_8998_prints_it() -> None:
    cipher = Sm4Gcm(bytes.fromhex("0123456789abcdeffedcba9876543210"))
    nonce, aad = bytes.fromhex("00001234567800000000abcd"), bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plaintext = bytes.fromhex("".join(digit * 16 for digit in "abcdefea"))
    sealed = cipher.encrypt(nonce, plaintext, aad)

    assert sealed.hex() == (
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
        "83de3541e4c2b58177e065a9bf7b62ec"
    )
    assert cipher.decrypt(nonce, sealed, aad) == plaintext


def test_key_wrap_as_rfc_3394_prints_it() -> None:
    kek = bytes(range(32))
    key = bytes.fromhex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f")
    wrapped = "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"
    assert wrap(algorithms.AES(kek), key).hex() == wrap_aes(kek, key).hex() == wrapped


@given(st.binary(min_size=32, max_size=32), st.integers(2, 6))
def test_key_wrap_over_aes_is_the_librarys_and_over_sm4_comes_back(kek: bytes, halves: int) -> None:
    key = os.urandom(8 * halves)
    over_aes, over_sm4 = wrap_aes(kek, key), wrap_sm4(kek[:16], key)

    assert wrap(algorithms.AES(kek), key) == over_aes
    assert unwrap(algorithms.AES(kek), over_aes) == unwrap_aes(kek, over_aes) == unwrap_sm4(kek[:16], over_sm4) == key
    for place in range(len(over_sm4)):
        altered = bytearray(over_sm4)
        altered[place] ^= 1 << (place % 8)
        with pytest.raises(UnwrapRefused):
            unwrap_sm4(kek[:16], bytes(altered))


@given(st.binary(max_size=60))
def test_what_was_not_wrapped_is_refused_and_nothing_else_is_raised(blob: bytes) -> None:
    for refuse in (unwrap_sm4, unwrap_aes):
        with pytest.raises(UnwrapRefused):
            refuse(bytes(16), blob)


@pytest.mark.parametrize("length", [0, 8, 15, 17, 31])
def test_keys_of_odd_lengths_are_not_wrapped(length: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        wrap_sm4(bytes(16), bytes(length))


@pytest.mark.parametrize("suite", Suite)
def test_keys_and_nonces_of_other_lengths_are_refused(suite: Suite) -> None:
    kind = SUITES[suite]
    cipher = kind.cipher(os.urandom(kind.key_bytes))
    assert len({random_nonce(cipher) for _ in range(100)}) == 100
    for length in (0, 8, cipher.nonce_bytes - 1, cipher.nonce_bytes + 1, 64):
        with pytest.raises(CipherRefused, match=f"a nonce is {cipher.nonce_bytes} bytes"):
            cipher.encrypt(bytes(length), b"", b"")
        with pytest.raises(CipherRefused, match=f"a nonce is {cipher.nonce_bytes} bytes"):
            cipher.decrypt(bytes(length), bytes(16), b"")
    for length in (0, kind.key_bytes - 1, kind.key_bytes + 1):
        with pytest.raises(CipherRefused, match=f"a key is {kind.key_bytes} bytes"):
            kind.cipher(bytes(length))


@pytest.mark.parametrize("suite", Suite)
def test_a_text_opens_under_its_own_key_nonce_and_additional_data_only(suite: Suite) -> None:
    kind = SUITES[suite]
    cipher, other = (kind.cipher(bytes([fill]) * kind.key_bytes) for fill in (1, 2))
    nonce = bytes(cipher.nonce_bytes)
    sealed = cipher.encrypt(nonce, b"value", b"place")

    assert cipher.decrypt(nonce, sealed, b"place") == b"value"
    for opener, by, text, aad in (
        (other, nonce, sealed, b"place"),
        (cipher, b"\x01" + nonce[1:], sealed, b"place"),
        (cipher, nonce[:-1] + b"\x01", sealed, b"place"),
        (cipher, nonce, sealed, b"elsewhere"),
        (cipher, nonce, sealed[:-1], b"place"),
        (cipher, nonce, sealed[:10], b"place"),
    ):
        with pytest.raises(CipherRefused):
            opener.decrypt(by, text, aad)


def test_hmac_sm3_differs_by_key_and_text() -> None:
    digests = {hmac_sm3(bytes([key]) * 32, text) for key in (1, 2) for text in (b"", b"a", b"b")}
    assert len(digests) == 6
    assert {len(digest) for digest in digests} == {32}
