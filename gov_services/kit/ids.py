"""Identifiers: UUIDv7 (RFC 9562 §5.7), so that rows made together lie together."""

from __future__ import annotations

import datetime as dt
import os
import random
from uuid import UUID


def new_id(now: dt.datetime) -> UUID:
    """A UUIDv7 for `now`: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def new_request_id(now: dt.datetime) -> str:
    """The same as text, for what is named in answers and log entries and kept from nobody: it may be foreseen."""
    milliseconds = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    value = (milliseconds << 80) | random.getrandbits(80)
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_id(text: str) -> UUID | None:
    """The id that a client sent, or None: a malformed id names nothing, exactly as an unknown one does."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None
