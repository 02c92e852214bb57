"""The assertion from the gateway to one subgraph: its shape. It neither signs nor verifies."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gov_services.kit.actor import Actor

TYPE = "gov-assertion+jwt"
ISSUER = "gov-gateway"
ADHOC = "adhoc"
"""Stands for the id of a document that is not registered: in development only."""
LIFETIME_S = 30
"""The longest an assertion may live."""


class AssertionMalformed(ValueError):
    """The claims do not have the shape of an assertion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What the gateway states to one subgraph about one fetch."""

    audience: str
    """Name of the subgraph, e.g. `identity`."""
    id: str
    issued_at: dt.datetime
    expires_at: dt.datetime
    body_hash: str
    """SHA-256, hex, of the very bytes of the fetch's body."""
    document_id: str
    """SHA-256, hex, of the trusted document that the fetch is part of; `adhoc` in development."""
    manifest_version: int
    actor: Actor
    case_id: UUID | None = None
    reason: str | None = None
    locale: str = "zh-CN"
    request_id: str
    adhoc_purpose: str | None = None
    """Only with `document_id` `adhoc`, which production subgraphs refuse."""
    about: UUID | None = None
    """What has changed, where the fetch answers one event of a subscription."""

    def claims(self) -> dict[str, Any]:
        """The claims of the JWT; absent values are left out."""
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": self.audience,
            "jti": self.id,
            "iat": int(self.issued_at.timestamp()),
            "exp": int(self.expires_at.timestamp()),
            "bh": self.body_hash,
            "doc": self.document_id,
            "man": self.manifest_version,
            "rid": self.request_id,
            "loc": self.locale,
            "act": self.actor.claims(),
        }
        if self.case_id is not None:
            claims["case"] = str(self.case_id)
        if self.reason is not None:
            claims["reason"] = self.reason
        if self.adhoc_purpose is not None:
            claims["adhoc"] = self.adhoc_purpose
        if self.about is not None:
            claims["abt"] = str(self.about)
        return claims

    @classmethod
    def parse(cls, claims: dict[str, Any]) -> Assertion:
        """The assertion that `claims` state. Raises AssertionMalformed; verifies nothing but the shape."""
        try:
            return cls(
                audience=str(claims["aud"]),
                id=str(claims["jti"]),
                issued_at=_moment(claims["iat"]),
                expires_at=_moment(claims["exp"]),
                body_hash=str(claims["bh"]),
                document_id=str(claims["doc"]),
                manifest_version=int(claims["man"]),
                actor=Actor.parse(claims["act"]),
                case_id=UUID(claims["case"]) if "case" in claims else None,
                reason=claims.get("reason"),
                locale=str(claims["loc"]),
                request_id=str(claims["rid"]),
                adhoc_purpose=claims.get("adhoc"),
                about=UUID(claims["abt"]) if "abt" in claims else None,
            )
        except (KeyError, TypeError, ValueError) as malformed:
            raise AssertionMalformed("not the claims of an assertion") from malformed


def _moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
