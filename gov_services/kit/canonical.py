"""Canonical JSON (RFC 8785) for what is hashed or signed; of ours, without floats. It is no general serializer."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

_LAST_OF_BASIC_PLANE = "\uffff"


class NotCanonical(TypeError):
    """The value has a form whose canonical text is not unique here (a float, a non-string key, an unknown type)."""


def canonical_json(value: object) -> bytes:
    """The one UTF-8 text of `value`, as `jcs` writes it; floats are refused, since languages read them apart.

    Raises NotCanonical.
    """
    if _check(value):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return jcs(value)


def jcs(value: object) -> bytes:
    """The text of any JSON value by RFC 8785: for what others signed. Raises NotCanonical."""
    return "".join(_written(value)).encode()


def sha256(data: bytes) -> bytes:
    """SHA-256 of `data`, 32 bytes."""
    return hashlib.sha256(data).digest()


def _check(value: object) -> bool:
    """Whether the keys sort by code point as they do by UTF-16, which they do within the basic plane."""
    if isinstance(value, float):
        raise NotCanonical("floats have no place in what is signed")
    plain = True
    if isinstance(value, dict):
        _check_keys(value)
        for key, item in value.items():
            # Asked first: keys of ours are ASCII, and every entry of the log is written here.
            plain &= _check(item) and (key.isascii() or max(key) <= _LAST_OF_BASIC_PLANE)
    elif isinstance(value, list | tuple):
        for item in value:
            plain &= _check(item)
    elif not (value is None or isinstance(value, str | int | bool)):
        raise NotCanonical(f"{type(value).__name__} has no canonical form")
    return plain


def _written(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        _check_keys(value)
        mark = "{"
        # §3.2.3: by UTF-16 code units, in which what lies beyond the basic plane comes before its last part.
        for key in sorted(value, key=lambda one: one.encode("utf-16-be", errors="surrogatepass")):
            yield f"{mark}{json.dumps(key, ensure_ascii=False)}:"
            yield from _written(value[key])
            mark = ","
        yield "{}" if mark == "{" else "}"
    elif isinstance(value, list | tuple):
        mark = "["
        for item in value:
            yield mark
            yield from _written(item)
            mark = ","
        yield "[]" if mark == "[" else "]"
    elif isinstance(value, float):
        yield number_text(value)
    else:
        _check(value)
        yield json.dumps(value, ensure_ascii=False)


def _check_keys(value: dict[Any, object]) -> None:
    for key in value:
        if not isinstance(key, str):
            raise NotCanonical(f"key {key!r} is not a string")


def number_text(number: float) -> str:
    """A number as ECMAScript writes it (ECMA-262 §6.1.6.1.20). Raises NotCanonical for what is none."""
    if not math.isfinite(number):
        raise NotCanonical("JSON has finite numbers only")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    # Both languages write the fewest digits that read back as the number.
    _, found, exponent = Decimal(repr(abs(number))).as_tuple()
    assert isinstance(exponent, int), "a finite number has an exponent"
    every = "".join(map(str, found))
    digits = every.rstrip("0")
    point = len(every) + exponent
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"
