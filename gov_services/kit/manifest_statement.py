"""What two people say of a manifest of trusted documents: its shape, on paper and signed. It verifies nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gov_services.kit.manifest import Manifest, ManifestRefused

VERSION = "gov-manifest/2"
MOST_DAYS = 366
"""Nothing is signed for longer: once a year somebody looks at every document that is still trusted."""


class Office(StrEnum):
    """Whose signatures a manifest needs. No key serves in both."""

    AUTHOR = "author"
    """Who wrote the documents."""
    OFFICER = "officer"
    """A compliance officer, who was shown what changes."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One of them, not verified yet."""

    key_id: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """That these documents are trusted until a moment, with the signatures that it bears."""

    version: int
    hash: str
    """SHA-256, hex, of the manifest's bytes."""
    until: dt.datetime
    """From this moment on (UTC, whole seconds) nothing is served by them."""
    signatures: Mapping[Office, Signature]

    def signed_text(self, office: Office) -> bytes:
        """What `office` signs. The office is part of it, so that no signature stands for the other's."""
        return f"{VERSION}\n{office.value}\n{self.version}\n{self.hash}\n{_written(self.until)}\n".encode()

    def encode(self) -> str:
        """The file, a line an item."""
        lines = [VERSION, f"version {self.version}", f"hash {self.hash}", f"until {_written(self.until)}"]
        for office in Office:
            signature = self.signatures.get(office)
            if signature is not None:
                lines.append(f"{office.value} {signature.key_id} {signature.raw.hex()}")
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str) -> Statement:
        """The statement in a file. Raises ManifestRefused for whatever else it is."""
        first, *lines = text.split("\n")
        if first != VERSION:
            raise ManifestRefused(f"the signatures of the trusted documents are no {VERSION}")
        found: dict[str, str] = {}
        for line in filter(None, lines):
            name, _, value = line.partition(" ")
            if name in found:
                raise ManifestRefused(f"the signatures of the trusted documents say {name} twice")
            found[name] = value
        if not {"version", "hash", "until"} <= found.keys() <= {"version", "hash", "until", *Office}:
            raise ManifestRefused("the signatures of the trusted documents lack an item, or have one too many")
        try:
            return cls(
                version=int(found["version"]),
                hash=found["hash"],
                until=dt.datetime.strptime(found["until"], _TIME).replace(tzinfo=dt.UTC),
                signatures={office: _signature(found[office]) for office in Office if office in found},
            )
        except ValueError:
            raise ManifestRefused("the signatures of the trusted documents are not well-formed") from None

    def require_about(self, manifest: Manifest) -> None:
        """Raises ManifestRefused where it is about another manifest."""
        if (self.version, self.hash) != (manifest.version, manifest.hash):
            raise ManifestRefused(
                f"what was signed is manifest version {self.version}, and here is {manifest.version}, or other bytes"
            )


_TIME = "%Y-%m-%dT%H:%M:%SZ"


def _written(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime(_TIME)


def _signature(value: str) -> Signature:
    key_id, _, raw = value.partition(" ")
    return Signature(key_id, bytes.fromhex(raw))
