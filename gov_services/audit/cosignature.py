"""Cosignatures (C2SP tlog-cosignature): a witness's statement of what it saw of a log, and when. It sees nothing.

Two kinds: Ed25519 over the text and the time, and ML-DSA-44 (FIPS 204), which stands against quantum computers too and
commits to the witness's name.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from gov_services.audit.checkpoint import Checkpoint
from gov_services.audit.note import COSIGNATURE_ED25519, COSIGNATURE_MLDSA44, NoteKey, Signature

TIMESTAMP_BYTES = 8
NAME_LIMIT_BYTES = 255
_LABEL = b"subtree/v1\n\x00"


class CosignatureRefused(Exception):
    """The signature is not that witness's of this checkpoint."""


class Cosigner(Protocol):
    """Whoever can state what it saw."""

    @property
    def key(self) -> NoteKey:
        """By which the statement is verified."""
        ...

    def cosign(self, checkpoint: Checkpoint, now: dt.datetime) -> Signature:
        """That, as of `now`, this is the largest consistent tree it saw of the log."""
        ...


@dataclass(frozen=True, slots=True)
class Ed25519Cosigner:
    """Type 0x04. The message does not commit to the name: one key serves one name."""

    name: str
    private: Ed25519PrivateKey

    @property
    def key(self) -> NoteKey:
        """See Cosigner."""
        return NoteKey(self.name, COSIGNATURE_ED25519, self.private.public_key().public_bytes_raw())

    def cosign(self, checkpoint: Checkpoint, now: dt.datetime) -> Signature:
        """See Cosigner."""
        seconds = int(now.timestamp())
        signed = self.private.sign(_ed25519_message(checkpoint, seconds))
        return Signature(self.name, self.key.hash, seconds.to_bytes(TIMESTAMP_BYTES, "big") + signed)


@dataclass(frozen=True, slots=True)
class MlDsa44Cosigner:
    """Type 0x06."""

    name: str
    private: MLDSA44PrivateKey

    @property
    def key(self) -> NoteKey:
        """See Cosigner."""
        return NoteKey(self.name, COSIGNATURE_MLDSA44, self.private.public_key().public_bytes_raw())

    def cosign(self, checkpoint: Checkpoint, now: dt.datetime) -> Signature:
        """See Cosigner."""
        seconds = int(now.timestamp())
        signed = self.private.sign(_mldsa_message(self.name, checkpoint, seconds))
        return Signature(self.name, self.key.hash, seconds.to_bytes(TIMESTAMP_BYTES, "big") + signed)


def cosigned_at(signature: Signature, key: NoteKey, checkpoint: Checkpoint) -> dt.datetime:
    """When the witness of that key stated that it saw `checkpoint`. Raises CosignatureRefused."""
    if (signature.name, signature.key_hash) != (key.name, key.hash) or len(signature.value) <= TIMESTAMP_BYTES:
        raise CosignatureRefused(f"it is not by {key.name}")
    seconds = int.from_bytes(signature.value[:TIMESTAMP_BYTES], "big")
    signed = signature.value[TIMESTAMP_BYTES:]
    try:
        if key.kind == COSIGNATURE_ED25519:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signed, _ed25519_message(checkpoint, seconds))
        elif key.kind == COSIGNATURE_MLDSA44:
            MLDSA44PublicKey.from_public_bytes(key.public).verify(signed, _mldsa_message(key.name, checkpoint, seconds))
        else:
            raise CosignatureRefused(f"keys of kind {key.kind} cosign nothing")
        if seconds == 0:
            raise CosignatureRefused("it does not say when")
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (InvalidSignature, ValueError, OverflowError, OSError) as refused:
        raise CosignatureRefused(f"it is not the signature of {key.name}") from refused


def _ed25519_message(checkpoint: Checkpoint, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{checkpoint.text()}".encode()


def _mldsa_message(name: str, checkpoint: Checkpoint, seconds: int) -> bytes:
    return b"".join(
        [
            _LABEL,
            _with_length(name),
            seconds.to_bytes(8, "big"),
            _with_length(checkpoint.origin),
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        ]
    )


def _with_length(text: str) -> bytes:
    value = text.encode()
    if not 0 < len(value) <= NAME_LIMIT_BYTES:
        raise CosignatureRefused(f"a name has 1 to {NAME_LIMIT_BYTES} bytes")
    return bytes([len(value)]) + value
