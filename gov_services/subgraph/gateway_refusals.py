"""Takes the refusals of the gateway, which holds no database handle, into a room's log. It refuses nothing itself."""

from __future__ import annotations

import datetime as dt

from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.strangers import GATEWAY_REFUSED
from gov_services.consent.disclosures import SUBJECT_TAG, Discloser
from gov_services.crypto.keys import DataClass
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.ids import new_id


class LogSink:
    """A gateway.refusals.RefusalSink beside a room; over HTTP, what stands behind `/refusals`."""

    def __init__(self, discloser: Discloser) -> None:
        """`discloser`: of the room in whose log they go."""
        self._discloser = discloser

    async def refused(
        self, *, code: str, actor: Actor, document_id: str | None, request_id: str, now: dt.datetime
    ) -> None:
        """Log it. Raises Unavailable."""
        entry = Entry(
            id=new_id(now),
            at=now,
            room=self._discloser.room,
            kind=EntryKind.REFUSAL,
            action=GATEWAY_REFUSED,
            actor=actor.ref,
            actor_tag=await self._tag_of(actor, now),
            client=actor.client_id,
            roles=tuple(sorted(actor.roles)),
            purpose="",
            entrance="route:/graphql",
            document=document_id,
            subject_tag=None,
            outcome="refused",
            code=code,
            request=request_id,
        )
        await self._discloser.audit.refuse(entry)

    async def _tag_of(self, actor: Actor, now: dt.datetime) -> bytes | None:
        if actor.kind is not ActorKind.CITIZEN or actor.id is None:
            return None
        async with self._discloser.database.reading() as session:
            keys = await self._discloser.keys.load(session, citizen_ids=[actor.id], data_class=DataClass.AUDIT, now=now)
        return keys[actor.id].tag(SUBJECT_TAG) if actor.id in keys else None
