"""Signing keys: the newest signs, all verify, and a key that is not known, or not a key, verifies nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from gov_services.crypto.keys import KeyRefused, add_signing_key, init_keys, read_root
from gov_services.crypto.signing import SignatureRefused, SigningKey, VerifyKeys

MESSAGE = b"message"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Keys of an installation of this test's own."""
    directory = tmp_path / "secrets"
    init_keys(directory)
    return directory


def test_after_rotation_the_newest_signs_and_what_the_older_signed_stands(secrets: Path) -> None:
    older = SigningKey.load(secrets, "licence")
    signature = older.sign(MESSAGE)
    ids = [older.key_id, *(add_signing_key(secrets, "licence") for _ in range(10))]

    newest, keys = SigningKey.load(secrets, "licence"), VerifyKeys.load(secrets, "licence")

    assert newest.key_id == ids[-1]
    assert [key_id[:4] for key_id in ids] == [f"{number:04d}" for number in range(1, 12)]
    assert set(keys.public_keys()) == set(ids)
    keys.verify(older.key_id, MESSAGE, signature)
    keys.verify(newest.key_id, MESSAGE, newest.sign(MESSAGE))


def test_a_private_key_that_was_retired_signs_no_more_and_its_number_is_not_used_again(secrets: Path) -> None:
    older = SigningKey.load(secrets, "licence")
    signature = older.sign(MESSAGE)
    second = add_signing_key(secrets, "licence")
    for key_id in (older.key_id, second):
        (secrets / "signing" / "licence" / f"{key_id}.pem").unlink()

    with pytest.raises(KeyRefused, match="there is no signing key licence"):
        SigningKey.load(secrets, "licence")
    third = add_signing_key(secrets, "licence")

    assert third.startswith("0003-")
    assert SigningKey.load(secrets, "licence").key_id == third
    VerifyKeys.load(secrets, "licence").verify(older.key_id, MESSAGE, signature)


def test_a_public_half_that_was_not_kept_is_the_private_ones(secrets: Path) -> None:
    key = SigningKey.load(secrets, "log")
    (secrets / "signing" / "log" / f"{key.key_id}.pub").unlink()
    VerifyKeys.load(secrets, "log").verify(key.key_id, MESSAGE, key.sign(MESSAGE))


def test_a_signature_is_one_keys_of_one_message(secrets: Path) -> None:
    key, keys = SigningKey.load(secrets, "log"), VerifyKeys.load(secrets, "log")
    signature = key.sign(MESSAGE)
    altered = bytes((signature[0] ^ 1, *signature[1:]))

    for key_id, message, given in (
        (key.key_id, b"another", signature),
        (key.key_id, MESSAGE, altered),
        (key.key_id, MESSAGE, signature[:63]),
        (key.key_id, MESSAGE, signature + b"\x00"),
        (key.key_id, MESSAGE, b""),
        ("0009-ffffffff", MESSAGE, signature),
        (SigningKey.load(secrets, "bundle").key_id, MESSAGE, signature),
    ):
        with pytest.raises(SignatureRefused):
            keys.verify(key_id, message, given)
    with pytest.raises(SignatureRefused):
        VerifyKeys.load(secrets, "bundle").verify(key.key_id, MESSAGE, signature)


def test_a_key_says_its_id_alone(secrets: Path) -> None:
    key, keys = SigningKey.load(secrets, "log"), VerifyKeys.load(secrets, "log")
    assert repr(key) == f"SigningKey({key.key_id!r})"
    assert repr(keys) == f"VerifyKeys([{key.key_id!r}])"
    assert key.key_id in keys
    assert "0009-ffffffff" not in keys
    assert len(key.public_bytes) == 32


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_public_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(KeyRefused, match="public key x is not 32 bytes"):
        VerifyKeys({"x": b"x" * length})


def test_a_key_of_another_kind_signs_nothing(secrets: Path) -> None:
    (path,) = (secrets / "signing" / "log").glob("*.pem")
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyRefused, match="is no Ed25519 key"):
        SigningKey.load(secrets, "log")


def test_a_name_without_keys_is_refused(secrets: Path) -> None:
    for load in (SigningKey.load, VerifyKeys.load):
        with pytest.raises(KeyRefused):
            load(secrets, "nothing")


@pytest.mark.parametrize("content", [b"", b"zz", b"ab", b"00" * 33, "é".encode(), b"\xff\xfe"])
def test_a_file_that_holds_no_key_is_refused_by_its_name(secrets: Path, content: bytes) -> None:
    (public,) = (secrets / "signing" / "licence").glob("*.pub")
    public.write_bytes(content)
    with pytest.raises(KeyRefused, match=f"{public.name} is not 32 bytes in hexadecimal"):
        VerifyKeys.load(secrets, "licence")

    (private,) = (secrets / "signing" / "upload").glob("*.pem")
    private.write_bytes(content)
    with pytest.raises(KeyRefused, match=f"{private.name} is no Ed25519 key"):
        SigningKey.load(secrets, "upload")
    private.with_suffix(".pub").unlink()
    with pytest.raises(KeyRefused, match=f"{private.name} is no Ed25519 key"):
        VerifyKeys.load(secrets, "upload")

    root = secrets / "blind-index" / "0001.key"
    root.write_bytes(content)
    with pytest.raises(KeyRefused, match=r"0001\.key is not 32 bytes in hexadecimal"):
        read_root(secrets, "blind-index")


def test_a_private_key_under_a_password_is_refused_by_its_name(secrets: Path) -> None:
    (path,) = (secrets / "signing" / "licence").glob("*.pem")
    encrypted = BestAvailableEncryption(b"invented")
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encrypted))
    with pytest.raises(KeyRefused, match=f"{path.name} is no Ed25519 key"):
        SigningKey.load(secrets, "licence")
