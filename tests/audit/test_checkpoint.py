"""Checkpoints: signed notes that open under the log's key and origin, and in no other way."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gov_services.audit.checkpoint import (
    Checkpoint,
    CheckpointRefused,
    open_checkpoint,
    sign_checkpoint,
    verifier_key,
)
from gov_services.audit.merkle import leaf_hash
from gov_services.audit.note import ED25519, key_hash
from gov_services.crypto.signing import SigningKey, VerifyKeys

pytestmark = pytest.mark.untraced

ROOT = leaf_hash(b"x")


def test_a_checkpoint_is_three_lines_and_a_signature(log_key: SigningKey, log_keys: VerifyKeys, origin: str) -> None:
    checkpoint = Checkpoint(origin, 12, ROOT)
    note = sign_checkpoint(checkpoint, log_key)
    lines = note.split("\n")
    assert lines[:4] == [origin, "12", base64.b64encode(ROOT).decode(), ""]
    assert lines[4].startswith(f"— {origin} ")
    assert lines[5:] == [""]
    value = base64.b64decode(lines[4].rpartition(" ")[2])
    assert value[:4] == key_hash(origin, ED25519, log_key.public_bytes)
    assert value[4:] == log_key.sign("\n".join(lines[:3]).encode() + b"\n")
    assert open_checkpoint(note, log_keys, origin=origin) == checkpoint


def test_keys_are_written_as_other_tools_of_signed_notes_write_them() -> None:
    written = (
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"  # the key of Go's sumdb/note examples
    )
    public = base64.b64decode(written.split("+", 2)[2])[1:]
    assert key_hash("PeterNeumann", ED25519, public).hex() == "c74f20a3"
    assert verifier_key("PeterNeumann", public) == written


def test_signatures_of_witnesses_are_let_be(log_key: SigningKey, log_keys: VerifyKeys, origin: str) -> None:
    checkpoint = Checkpoint(origin, 12, ROOT)
    note = sign_checkpoint(checkpoint, log_key) + f"— witness.example {base64.b64encode(bytes(76)).decode()}\n"
    assert open_checkpoint(note, log_keys, origin=origin) == checkpoint


def test_a_checkpoint_of_another_log_or_key_is_refused(log_key: SigningKey, log_keys: VerifyKeys, origin: str) -> None:
    other_key = SigningKey(Ed25519PrivateKey.generate(), "log-2")
    with pytest.raises(CheckpointRefused, match="no key of this log"):
        open_checkpoint(sign_checkpoint(Checkpoint(origin, 12, ROOT), other_key), log_keys, origin=origin)
    with pytest.raises(CheckpointRefused, match="another log"):
        open_checkpoint(sign_checkpoint(Checkpoint("other.example/log", 12, ROOT), log_key), log_keys, origin=origin)


@given(st.data())
def test_a_note_with_one_character_changed_says_the_same_or_nothing(data: st.DataObject) -> None:
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)), "log-1")
    keys = VerifyKeys({"log-1": key.public_bytes})
    checkpoint = Checkpoint("gov.example/log", 1234, ROOT)
    note = sign_checkpoint(checkpoint, key)
    place = data.draw(st.integers(0, len(note) - 1))
    changed = note[:place] + data.draw(st.characters(exclude_characters=note[place])) + note[place + 1 :]
    with pytest.raises(CheckpointRefused):
        open_checkpoint(changed, keys, origin="gov.example/log")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gov.example/log\n1\n",
        "gov.example/log\n01\n{root}\n",
        "gov.example/log\n-1\n{root}\n",
        "gov.example/log\n1\nAAAA\n",
        "gov.example/log\n1\n{root}\nextension\n",
        "\n1\n{root}\n",
    ],
)
def test_what_is_signed_but_no_checkpoint_is_refused(
    log_key: SigningKey, log_keys: VerifyKeys, origin: str, text: str
) -> None:
    text = text.format(root=base64.b64encode(ROOT).decode())
    value = key_hash(origin, ED25519, log_key.public_bytes) + log_key.sign(text.encode())
    note = f"{text}\n— {origin} {base64.b64encode(value).decode()}\n"
    with pytest.raises(CheckpointRefused):
        open_checkpoint(note, log_keys, origin=origin)
