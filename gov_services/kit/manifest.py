"""The manifest of trusted documents: its shape. It plans, builds and signs nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FORMAT = "apollo-persisted-query-manifest"
"""Apollo's persisted-query manifest format, version 1, with fields of ours beside."""

KINDS = ("query", "mutation", "subscription")
SIGN_IN = ("none", "required")


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
    until: dt.datetime | None = None
    """The end that both signatures name; None: not signed, and nothing is served by it."""

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """The manifest in `content`. Raises ManifestRefused for whatever else it is.

        1 our format   2 a version   3 operations of the right shape   4 each under its body's hash, and once
        """
        try:
            raw = json.loads(content)
        except (ValueError, RecursionError) as malformed:
            raise ManifestRefused(f"not a manifest: {type(malformed).__name__}") from None
        if not isinstance(raw, dict):
            raise ManifestRefused("not a manifest: no object")
        # (1)
        if raw.get("format") != FORMAT or raw.get("version") != 1:
            raise ManifestRefused(f"not {FORMAT} version 1")
        # (2)
        version = raw.get("manifestVersion")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise ManifestRefused("manifestVersion is no number from 1")
        operations = raw.get("operations")
        if not isinstance(operations, list):
            raise ManifestRefused("operations is no list")
        documents: dict[str, TrustedDocument] = {}
        for item in operations:
            # (3)
            document = _document(item)
            # (4)
            if documents.setdefault(document.id, document) is not document:
                raise ManifestRefused(f"{document.name} has the id of another operation")
        return cls(
            version=version,
            supergraph=_text(raw, "supergraph"),
            documents=documents,
            hash=hashlib.sha256(content).hexdigest(),
        )

    def require_not_before(self, version: int) -> None:
        """Refuse to go back behind `version`, the newest that was ever in force. Raises ManifestRefused.

        What was taken out of a manifest since, signed or not, must not be answered again.
        """
        if self.version < version:
            raise ManifestRefused(
                f"manifest version {self.version} is older than {version}, which is in force: "
                f"gov-services documents build --above {version} makes a newer one"
            )

    def require_in_force(self, now: dt.datetime) -> None:
        """Refuse to serve by what nobody signed, or signed until an earlier moment. Raises ManifestRefused."""
        if self.until is None:
            raise ManifestRefused(f"manifest version {self.version} is not signed")
        if now >= self.until:
            raise ManifestRefused(
                f"the signatures of manifest version {self.version} ended {self.until:%Y-%m-%d %H:%M} UTC: "
                "author and officer sign it anew (gov-services documents sign)"
            )

    def named(self, client: str, name: str) -> TrustedDocument:
        """The document called `name` of `client`. Raises KeyError."""
        for document in self.documents.values():
            if document.name == name and client in document.clients:
                return document
        raise KeyError(f"{client}/{name}")


def _document(item: object) -> TrustedDocument:
    if not isinstance(item, dict):
        raise ManifestRefused("an operation is no object")
    document = TrustedDocument(
        id=_text(item, "id"),
        name=_text(item, "name"),
        kind=_one_of(item, "type", KINDS),
        body=_text(item, "body"),
        clients=_texts(item, "clients"),
        purpose=_text(item, "purpose"),
        sign_in=_one_of(item, "signIn", SIGN_IN),
        reads=_texts(item, "reads"),
        collects=_texts(item, "collects"),
        personal_variables=_flag(item, "personalVariables"),
        fetches=_fetches(item),
    )
    if hashlib.sha256(document.body.encode()).hexdigest() != document.id:
        raise ManifestRefused(f"the id of {document.name} is not the hash of its body")
    return document


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    # A lone surrogate is no text: nothing can write it.
    if not isinstance(value, str) or any("\ud800" <= one <= "\udfff" for one in value):
        raise ManifestRefused(f"{name} is no text")
    return value


def _one_of(item: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = _text(item, name)
    if value not in allowed:
        raise ManifestRefused(f"{name} is {value!r}; it is one of {', '.join(allowed)}")
    return value


def _texts(item: Mapping[str, Any], name: str) -> frozenset[str]:
    value = item.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ManifestRefused(f"{name} is no list of texts")
    return frozenset(value)


def _flag(item: Mapping[str, Any], name: str) -> bool:
    value = item.get(name)
    if not isinstance(value, bool):
        raise ManifestRefused(f"{name} is neither true nor false")
    return value


def _fetches(item: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    value = item.get("fetches")
    if not isinstance(value, dict):
        raise ManifestRefused("fetches is no object")
    try:
        return {subgraph: _texts(value, subgraph) for subgraph in value}
    except ManifestRefused as refused:
        raise ManifestRefused(f"fetches of {refused}") from None
