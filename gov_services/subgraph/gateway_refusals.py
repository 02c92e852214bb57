"""Takes the refusals of the gateway, which holds no database handle, into a room's log. It refuses nothing itself."""

from __future__ import annotations

import datetime as dt

from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.log import AuditLog
from gov_services.kit.actor import Actor
from gov_services.kit.ids import new_id

LONGEST_DOCUMENT_ID = 64


class LogSink:
    """A gateway.refusals.RefusalSink beside a room; over HTTP, what stands behind `/refusals`."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    async def refused(
        self, *, code: str, actor: Actor, document_id: str | None, request_id: str, now: dt.datetime
    ) -> None:
        """Log it. Raises AuditUnavailable."""
        entry = Entry(
            id=new_id(now),
            at=now,
            room=self._audit.room,
            kind=EntryKind.REFUSAL,
            action="gateway.refused",
            actor=actor.ref,
            actor_tag=None,
            client=actor.client_id,
            roles=tuple(sorted(actor.roles)),
            purpose="",
            entrance="route:/graphql",
            document=document_id[:LONGEST_DOCUMENT_ID] if document_id else None,
            subject_tag=None,
            outcome="refused",
            code=code,
            request=request_id,
        )
        await self._audit.refuse(entry)
