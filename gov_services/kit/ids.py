"""Identifiers: UUIDv7 (RFC 9562 §5.7), so that rows made together lie together."""

from __future__ import annotations

import datetime as dt
import os
from uuid import UUID


def new_id(now: dt.datetime) -> UUID:
    """A UUIDv7 for `now`: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def parse_id(text: str) -> UUID | None:
    """The id that a client sent, or None: a malformed id names nothing, exactly as an unknown one does."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None
