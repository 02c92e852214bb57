"""Whether bytes are the canonical text of an entry, told fast where it is plain; in doubt `Entry.parse` decides.

The shape below takes a part of what `Entry` takes, and nothing else: what it takes and writes again the same way, is
canonical. It is for going through millions.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

import msgspec

from gov_services.audit.entry import BODY_LIMIT_BYTES, TEXT_LIMIT_BYTES, Entry, EntryKind

_Text = Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT_BYTES // 4)]
"""What is searched by; of four bytes a character, so that no text is encoded to be measured."""


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields in the order in which they are written."""

    action: str
    actor: _Text
    actor_tag: str | None
    at: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    basis: str
    case: UUID | None
    client: _Text
    code: _Text | None
    consent: UUID | None
    coordinates: list[tuple[_Text, _Text]]
    count: Annotated[int, msgspec.Meta(ge=1)]
    document: str | None
    entrance: str
    id: UUID
    kind: EntryKind
    object: _Text | None
    office: str | None
    outcome: Literal["allowed", "refused"]
    parent: UUID | None
    policy: str
    purpose: _Text
    reason: str | None
    recipient: str | None
    request: str
    roles: list[str]
    room: _Text
    subject_tag: str | None
    v: Literal["gov-audit/1"]


_decode = msgspec.json.Decoder(_Plain).decode
_encode = msgspec.json.Encoder().encode


class Said(NamedTuple):
    """What the map of subjects needs of an entry."""

    kind: EntryKind
    tag: bytes | None
    purpose: str
    at: dt.datetime


def require_entry(body: bytes) -> Said:
    """What an entry says whose canonical text is `body`. Raises EntryMalformed for any other text."""
    try:
        said = _decode(body)
        if (
            _encode(said) == body
            and (said.outcome == "allowed" or said.code)
            and _is_tag(said.subject_tag)
            and _is_tag(said.actor_tag)
            and said.at.microsecond
            and b"\\" not in body
            and len(body) <= BODY_LIMIT_BYTES
        ):
            tag = bytes.fromhex(said.subject_tag) if said.subject_tag is not None else None
            return Said(said.kind, tag, said.purpose, said.at)
    except (msgspec.DecodeError, ValueError):
        pass
    entry = Entry.parse(body)
    return Said(entry.kind, entry.subject_tag, entry.purpose, entry.at)


def _is_tag(text: str | None) -> bool:
    return text is None or (len(text) <= TEXT_LIMIT_BYTES and bytes.fromhex(text).hex() == text)
