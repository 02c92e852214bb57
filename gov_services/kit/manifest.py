"""The manifest of trusted documents: its shape. It plans, builds and signs nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FORMAT = "apollo-persisted-query-manifest"
"""Apollo's persisted-query manifest format, version 1, with fields of ours beside."""


class ManifestRefused(ValueError):
    """The bytes are not a manifest that we understand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedDocument:
    """One registered operation: the only kind of request that production answers."""

    id: str
    """SHA-256, hex, of `body`."""
    name: str
    kind: str
    """`query`, `mutation` or `subscription`."""
    body: str
    clients: frozenset[str]
    purpose: str
    sign_in: str
    """`none` for what precedes signing in, else `required`."""
    reads: frozenset[str]
    """Personal coordinates that any plan of it reads, `@requires` included."""
    collects: frozenset[str]
    """Personal coordinates of the input fields it can carry."""
    personal_variables: bool
    """Whether a variable can carry a personal value; such a document is never sent by GET."""
    fetches: Mapping[str, frozenset[str]]
    """Subgraph name to the SHA-256 of each fetch document in its plans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The registered operations of every client, under a version that only grows."""

    version: int
    supergraph: str
    """SHA-256, hex, of the supergraph that the plans were made with."""
    documents: Mapping[str, TrustedDocument]
    """By id."""
    hash: str
    """SHA-256, hex, of the manifest's bytes: what is signed."""

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """The manifest in `content`. Raises ManifestRefused, also where an id is not the body's hash."""
        try:
            raw = json.loads(content)
            if raw["format"] != FORMAT or raw["version"] != 1:
                raise ManifestRefused(f"not {FORMAT} version 1")
            documents = [_document(item) for item in raw["operations"]]
            version, supergraph = int(raw["manifestVersion"]), str(raw["supergraph"])
        except ManifestRefused:
            raise
        except (KeyError, TypeError, ValueError) as malformed:
            raise ManifestRefused(f"not a manifest: {type(malformed).__name__}: {malformed}") from malformed
        return cls(
            version=version,
            supergraph=supergraph,
            documents={document.id: document for document in documents},
            hash=hashlib.sha256(content).hexdigest(),
        )

    def named(self, client: str, name: str) -> TrustedDocument:
        """The document called `name` of `client`. Raises KeyError."""
        for document in self.documents.values():
            if document.name == name and client in document.clients:
                return document
        raise KeyError(f"{client}/{name}")


def _document(item: dict[str, Any]) -> TrustedDocument:
    body = str(item["body"])
    if hashlib.sha256(body.encode()).hexdigest() != item["id"]:
        raise ManifestRefused(f"the id of {item['name']} is not the hash of its body")
    return TrustedDocument(
        id=item["id"],
        name=item["name"],
        kind=item["type"],
        body=body,
        clients=frozenset(item["clients"]),
        purpose=item["purpose"],
        sign_in=item["signIn"],
        reads=frozenset(item["reads"]),
        collects=frozenset(item["collects"]),
        personal_variables=bool(item["personalVariables"]),
        fetches={name: frozenset(hashes) for name, hashes in item["fetches"].items()},
    )


def signed_text(manifest: Manifest) -> bytes:
    """What the manifest key signs: a version marker, the manifest's version and its hash."""
    return f"gov-manifest/1\n{manifest.version}\n{manifest.hash}\n".encode()
