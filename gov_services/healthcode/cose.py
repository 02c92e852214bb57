"""COSE_Sign1 (RFC 9052 §4.2) with EdDSA, strict and small. It knows no claim; it signs and opens bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cbor2

from gov_services.crypto.signing import SignatureRefused, SigningKey, VerifyKeys

SIGN1_TAG: Final = 18
ALGORITHM, KEY_ID, TYPE = 1, 4, 16
"""Header parameters (RFC 9052 §3.1; the type is RFC 9596)."""
EDDSA: Final = -8
MOST_BYTES: Final = 1024
_MOST_DEPTH = 6


class CoseRefused(ValueError):
    """The bytes are not a COSE_Sign1 message of ours; the text says which check failed, and quotes nothing."""


def sign1(payload: bytes, *, key: SigningKey, kind: str) -> bytes:
    """`payload` signed as a tagged COSE_Sign1 message; `kind` is its type, which carries the format's version."""
    protected = dumps({ALGORITHM: EDDSA, KEY_ID: key.key_id.encode(), TYPE: kind})
    signature = key.sign(_signed_bytes(protected, payload))
    return dumps(cbor2.CBORTag(SIGN1_TAG, [protected, {}, payload, signature]))


def open_sign1(message: bytes, *, keys: VerifyKeys, kind: str) -> bytes:
    """The payload of a message that one of `keys` signed. Raises CoseRefused; each number below is one check.

    1 one deterministic CBOR item of bounded size   2 COSE_Sign1 with nothing unprotected   3 EdDSA, and our type
    4 names a key that is known   5 that key's signature over headers and payload
    """
    # (1)
    tagged = loads(message)
    # (2)
    if not isinstance(tagged, cbor2.CBORTag) or tagged.tag != SIGN1_TAG:
        raise CoseRefused("not a COSE_Sign1 message")
    match tagged.value:
        case [bytes() as protected, Mapping() as unprotected, bytes() as payload, bytes() as signature]:
            pass
        case _:
            raise CoseRefused("not four parts")
    if unprotected:
        raise CoseRefused("something is left unsigned")
    # (3)
    headers = loads(protected)
    if not isinstance(headers, Mapping) or set(headers) != {ALGORITHM, KEY_ID, TYPE}:
        raise CoseRefused("not our headers")
    if headers[ALGORITHM] != EDDSA or headers[TYPE] != kind:
        raise CoseRefused("another algorithm or another type")
    # (4)
    key_id = _text(headers[KEY_ID])
    if key_id not in keys:
        raise CoseRefused("made by a key that is not known here")
    # (5)
    try:
        keys.verify(key_id, _signed_bytes(protected, payload), signature)
    except SignatureRefused as forged:
        raise CoseRefused("not signed by the key that it names") from forged
    return payload


def dumps(value: object) -> bytes:
    """Deterministic CBOR (RFC 8949 §4.2)."""
    return cbor2.dumps(value, canonical=True)


def loads(data: bytes) -> Any:
    """The one CBOR item in `data`, if that is its deterministic form. Raises CoseRefused, whatever the bytes.

    One value has one text: no trailing bytes, doubled keys, long integers or indefinite lengths to differ over.
    """
    if len(data) > MOST_BYTES:
        raise CoseRefused(f"more than {MOST_BYTES} bytes")
    try:
        value = cbor2.loads(data, max_depth=_MOST_DEPTH, allow_indefinite=False, allow_duplicate_keys=False)
        again = dumps(value)
    except Exception as malformed:
        raise CoseRefused("not CBOR") from malformed
    if again != data:
        raise CoseRefused("not deterministic CBOR")
    return value


def _signed_bytes(protected: bytes, payload: bytes) -> bytes:
    """RFC 9052 §4.4, with no external data."""
    return dumps(["Signature1", protected, b"", payload])


def _text(value: object) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else ""
    except UnicodeDecodeError:
        return ""
