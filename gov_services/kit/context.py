"""What every call carries, as plain values: who, why, when, for which case. It opens and writes nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from gov_services.kit.actor import Actor


class EntranceKind(StrEnum):
    """The registered ways into the system; there is no other."""

    DOCUMENT = "document"
    ROUTE = "route"
    JOB = "job"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Entrance:
    """The registered way in that proves the purpose: a trusted document, a route, a job, an event handler."""

    kind: EntranceKind
    name: str
    """Operation name, route template, job name or event type."""
    purpose: str
    """Code of the purpose that this entrance serves."""
    document_id: str | None = None
    """SHA-256 of the trusted document, for documents."""
    manifest_version: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One request's values. Nothing here can open, read or write anything."""

    actor: Actor
    entrance: Entrance
    now: dt.datetime
    request_id: str
    locale: str = "zh-CN"
    case_id: UUID | None = None
    reason: str | None = None
    """Why, in a staff member's words, where the purpose asks for it."""
    about: UUID | None = None
    """What has changed, where the call answers one event of a subscription."""

    @property
    def purpose(self) -> str:
        """Code of the purpose, from the entrance and never from the client."""
        return self.entrance.purpose
