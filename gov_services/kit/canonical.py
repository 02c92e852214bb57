"""Canonical JSON for what is hashed or signed: RFC 8785 without floats. It is no general serializer."""

from __future__ import annotations

import hashlib
import json


class NotCanonical(TypeError):
    """The value has a form whose canonical text is not unique here (a float, a non-string key, an unknown type)."""


def canonical_json(value: object) -> bytes:
    """The one UTF-8 text of `value`. Equals RFC 8785 because floats are refused and keys sort alike below U+10000."""
    _check(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sha256(data: bytes) -> bytes:
    """SHA-256 of `data`, 32 bytes."""
    return hashlib.sha256(data).digest()


def _check(value: object) -> None:
    if isinstance(value, float):
        raise NotCanonical("floats have no place in what is signed")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotCanonical(f"key {key!r} is not a string")
            _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    elif not (value is None or isinstance(value, str | int | bool)):
        raise NotCanonical(f"{type(value).__name__} has no canonical form")
