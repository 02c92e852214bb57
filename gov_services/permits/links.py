"""Signed links to a document: who asked for it, for which document, until when. A link discloses nothing by itself."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.crypto.tokens import TokenRefused, sign_token, verify_token
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.ids import parse_id

UPLOAD_LIFETIME = dt.timedelta(minutes=15)
DOWNLOAD_LIFETIME = dt.timedelta(minutes=5)
UPLOAD_TYPE = "upload+jwt"
DOWNLOAD_TYPE = "download+jwt"


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says. A citizen is not named in it: they are the document's own subject."""

    document_id: UUID
    staff_id: UUID | None
    client_id: str
    roles: frozenset[str]
    assurance: int
    office: str | None

    def actor(self, citizen_id: UUID) -> Actor:
        """Whoever asked for the link, given whose document it is. What they may do is decided anew."""
        return Actor(
            kind=ActorKind.STAFF if self.staff_id else ActorKind.CITIZEN,
            id=self.staff_id or citizen_id,
            client_id=self.client_id,
            roles=self.roles,
            assurance=self.assurance,
            office=self.office,
        )


def sign_link(
    key: SigningKey, *, type: str, document_id: UUID, actor: Actor, issuer: str, now: dt.datetime, expires: dt.datetime
) -> str:
    """A token for the path of an upload or a download that `actor` may make until `expires`."""
    claims = {
        "v": 1,
        "iss": issuer,
        "aud": type,
        "iat": int(now.timestamp()),
        "exp": int(expires.timestamp()),
        "sub": str(document_id),
        "staff": str(actor.id) if actor.kind is ActorKind.STAFF else None,
        "client": actor.client_id,
        "roles": sorted(actor.roles),
        "aal": actor.assurance,
        "office": actor.office,
    }
    return sign_token(key, claims, type=type)


def read_link(keys: VerifyKeys, token: str, *, type: str, issuer: str, now: dt.datetime) -> Link:
    """What a token says. Raises TokenRefused."""
    claims = verify_token(keys, token, type=type, audience=type, issuer=issuer, now=now)
    document_id = parse_id(str(claims.get("sub")))
    if claims.get("v") != 1 or document_id is None:
        raise TokenRefused("not a link, version 1")
    return Link(
        document_id=document_id,
        staff_id=UUID(claims["staff"]) if claims["staff"] else None,
        client_id=claims["client"],
        roles=frozenset(claims["roles"]),
        assurance=claims["aal"],
        office=claims["office"],
    )
