"""Who is asking. It says who someone is and how surely; what they may do is `consent.policy`'s."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID


class ActorKind(StrEnum):
    """The kinds of party that can act."""

    ANONYMOUS = "anonymous"
    CITIZEN = "citizen"
    STAFF = "staff"
    CLIENT = "client"
    """A relying party acting for itself: a bank, a venue, another department."""
    SYSTEM = "system"
    """A due job or an event of ours."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A party as its token, or our own entrance, proved it to be."""

    kind: ActorKind
    id: UUID | None = None
    """Citizen id or staff id; None for anonymous, clients and the system."""
    client_id: str = ""
    """The registered client that the request came through, e.g. `citizen-app`, `riverside-bank`."""
    roles: frozenset[str] = frozenset()
    assurance: int = 0
    """Assurance level reached, 0 to 5 (广东省统一身份认证平台: 二级 self-declared … 五级 at the counter)."""
    authenticated_at: dt.datetime | None = None
    session_id: UUID | None = None
    office: str | None = None
    """The office a staff member serves in; budgets are counted per office too."""

    @property
    def ref(self) -> str:
        """How the log names a party that is not a citizen. A citizen is named by subject tag only, never by id."""
        match self.kind:
            case ActorKind.STAFF:
                return f"staff:{self.id}"
            case ActorKind.CLIENT:
                return f"client:{self.client_id}"
            case _:
                return self.kind.value

    def claims(self) -> dict[str, Any]:
        """The actor as it travels between processes of ours; absent values are left out."""
        return {
            "kind": self.kind.value,
            "client": self.client_id,
            "roles": sorted(self.roles),
            "ial": self.assurance,
            **({"id": str(self.id)} if self.id else {}),
            **({"at": int(self.authenticated_at.timestamp())} if self.authenticated_at else {}),
            **({"sid": str(self.session_id)} if self.session_id else {}),
            **({"office": self.office} if self.office else {}),
        }

    @classmethod
    def parse(cls, claims: Mapping[str, Any]) -> Actor:
        """The actor that `claims` state. Raises KeyError, TypeError, ValueError."""
        at = claims.get("at")
        return cls(
            kind=ActorKind(claims["kind"]),
            id=UUID(claims["id"]) if "id" in claims else None,
            client_id=str(claims["client"]),
            roles=frozenset(map(str, claims["roles"])),
            assurance=int(claims["ial"]),
            authenticated_at=None if at is None else dt.datetime.fromtimestamp(at, dt.UTC),
            session_id=UUID(claims["sid"]) if "sid" in claims else None,
            office=claims.get("office"),
        )


ANONYMOUS = Actor(ActorKind.ANONYMOUS)


def system(name: str) -> Actor:
    """The actor of a due job or an event handler called `name`."""
    return Actor(ActorKind.SYSTEM, client_id=name)
