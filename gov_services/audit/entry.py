"""One line of the log: what it says, its one canonical text, what commits to it. It holds coordinates, never values."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import orjson

from gov_services.audit.merkle import leaf_hash
from gov_services.kit.canonical import sha256

VERSION = "gov-audit/1"
COMMITMENT_VERSION = b"\x01"
SALT_BYTES = 32
BODY_LIMIT_BYTES = 65_535
"""What an entry of a C2SP tile may hold; nothing honest comes near it."""

TEXT_LIMIT_BYTES = 500
"""What an index over the log takes with ease, and far more than honest names need."""


class EntryMalformed(ValueError):
    """The values, or the bytes, are not those of an entry."""


class EntryKind(StrEnum):
    """What an entry is about."""

    READ = "read"
    """A disclosure that was decided; written before anything opens."""
    USE = "use"
    """What of a disclosure was really opened."""
    CHANGE = "change"
    REFUSAL = "refusal"
    KEY = "key"
    """A key was made, rotated or destroyed."""
    LOG_READ = "log-read"
    """Somebody read the log."""
    MANIFEST = "manifest"
    BUNDLE = "bundle"
    MAP = "map"
    """The root of the map of subjects, of all entries below a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who saw or changed what, about whom, why and on what basis."""

    id: UUID
    at: dt.datetime
    room: str
    kind: EntryKind
    action: str
    """What was done, e.g. `application.submitted`."""
    actor: str
    """`Actor.ref`; a citizen is named by `actor_tag` only."""
    actor_tag: bytes | None
    client: str
    roles: tuple[str, ...] = ()
    office: str | None = None
    """Where a staff member serves: look-ups are counted per office too."""
    purpose: str
    basis: str = ""
    entrance: str
    document: str | None = None
    subject_tag: bytes | None
    """Stands for the citizen it is about; made with their audit key, so that it says nothing once that is destroyed."""
    object: str | None = None
    """`application:<id>`; objects are named by pseudonymous ids."""
    coordinates: tuple[tuple[str, str], ...] = ()
    """(coordinate, form or refusal code) pairs."""
    case: UUID | None = None
    reason: str | None = None
    recipient: str | None = None
    policy: str = ""
    """Hash of the bundle that decided, hex."""
    consent: UUID | None = None
    outcome: Literal["allowed", "refused"]
    code: str | None = None
    """Why it was refused."""
    request: str
    parent: UUID | None = None
    """The entry that this one follows from: a use entry names its disclosure's."""
    count: int = 1
    """How many refusals of strangers this one stands for."""

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise EntryMalformed("a moment carries its timezone")
        if self.outcome not in ("allowed", "refused"):
            raise EntryMalformed("an outcome is `allowed` or `refused`")
        if self.outcome == "refused" and not self.code:
            raise EntryMalformed("a refusal says why")
        if self.count < 1:
            raise EntryMalformed("an entry stands for one event at least")
        searched_by = (self.room, self.actor, self.client, self.purpose, self.code, self.object)
        for said in (*searched_by, *(part for pair in self.coordinates for part in pair)):
            # A character takes four bytes at most, so that most need not be encoded to be measured.
            if (
                said is not None
                and len(said) > TEXT_LIMIT_BYTES // 4
                and len(said.encode(errors="replace")) > TEXT_LIMIT_BYTES
            ):
                raise EntryMalformed(f"what is searched by is at most {TEXT_LIMIT_BYTES} bytes")
        if len(self.subject_tag or b"") > TEXT_LIMIT_BYTES:
            raise EntryMalformed("a tag is short")

    def canonical(self) -> bytes:
        """The one text of this entry, UTF-8. Raises EntryMalformed for text that no database column could hold."""
        try:
            # In the order of RFC 8785, which is that of the alphabet; what is written differs from it in nothing else.
            body = orjson.dumps(
                {
                    "action": self.action,
                    "actor": self.actor,
                    "actor_tag": _hex(self.actor_tag),
                    "at": _moment(self.at),
                    "basis": self.basis,
                    "case": self.case,
                    "client": self.client,
                    "code": self.code,
                    "consent": self.consent,
                    "coordinates": self.coordinates,
                    "count": self.count,
                    "document": self.document,
                    "entrance": self.entrance,
                    "id": self.id,
                    "kind": self.kind.value,
                    "object": self.object,
                    "office": self.office,
                    "outcome": self.outcome,
                    "parent": self.parent,
                    "policy": self.policy,
                    "purpose": self.purpose,
                    "reason": self.reason,
                    "recipient": self.recipient,
                    "request": self.request,
                    "roles": self.roles,
                    "room": self.room,
                    "subject_tag": _hex(self.subject_tag),
                    "v": VERSION,
                },
                default=_id_text,  # the driver's ids are of a class of their own
            )
        except (UnicodeEncodeError, TypeError) as unwritable:
            raise EntryMalformed("the entry has no canonical text") from unwritable
        # NUL is written as this escape; a backslash that was meant is doubled and thus not mistaken for it.
        if b"\\u0000" in body and b"\\u0000" in body.replace(b"\\\\", b""):
            raise EntryMalformed("PostgreSQL text holds no NUL")
        if len(body) > BODY_LIMIT_BYTES:
            raise EntryMalformed(f"an entry is at most {BODY_LIMIT_BYTES} bytes")
        return body

    @classmethod
    def parse(cls, body: bytes) -> Entry:
        """The entry whose canonical text is `body`. Raises EntryMalformed for any other text, however similar."""
        try:
            raw: dict[str, Any] = json.loads(body)
            if raw.pop("v") != VERSION:
                raise EntryMalformed("the entry is of a version that is not known here")
            entry = cls(
                **{
                    **raw,
                    "id": UUID(raw["id"]),
                    "at": dt.datetime.fromisoformat(raw["at"]),
                    "kind": EntryKind(raw["kind"]),
                    "actor_tag": _bytes(raw["actor_tag"]),
                    "subject_tag": _bytes(raw["subject_tag"]),
                    "roles": tuple(raw["roles"]),
                    "coordinates": tuple((name, form) for name, form in raw["coordinates"]),
                    "case": _id(raw["case"]),
                    "consent": _id(raw["consent"]),
                    "parent": _id(raw["parent"]),
                }
            )
            canonical = entry.canonical()
        except EntryMalformed:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as malformed:
            raise EntryMalformed("not the text of an entry") from malformed
        if canonical != body:
            raise EntryMalformed("not the canonical text of the entry")
        return entry

    def leaf(self, salt: bytes) -> bytes:
        """The RFC 6962 leaf hash of this entry under its salt."""
        return leaf_hash(commitment(self.canonical(), salt))


def commitment(body: bytes, salt: bytes) -> bytes:
    """SHA-256(version ‖ salt ‖ canonical entry): what the public log holds, from which nobody guesses the entry."""
    if len(salt) != SALT_BYTES:
        raise EntryMalformed(f"a salt is {SALT_BYTES} bytes")
    return sha256(COMMITMENT_VERSION + salt + body)


def coordinate_names(coordinates: Sequence[tuple[str, str]]) -> list[str]:
    """The coordinates alone, in the order of the entry."""
    return [name for name, _ in coordinates]


def _moment(at: dt.datetime) -> str:
    """RFC 3339, UTC, always to the microsecond."""
    if at.tzinfo is dt.UTC:
        return at.isoformat(timespec="microseconds")[:-6] + "Z"
    return at.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def _id_text(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


def _id(value: str | None) -> UUID | None:
    return None if value is None else UUID(value)
