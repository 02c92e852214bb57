"""Who is under fourteen: stated by identity for all rooms, since it alone knows birth dates; forgotten with erasure."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from gov_services.consent import guardian_store
from gov_services.consent.purposes import Relation
from gov_services.identity import store
from gov_services.identity.ports import IdentityPorts
from gov_services.identity.resident_number import has_turned
from gov_services.kit.clock import start_of_day
from gov_services.subgraph.context import WriteContext

FOURTEEN = 14
"""Below it, all data is sensitive and a guardian consents (PIPL 28, 31)."""


def ends_at(born: dt.date) -> dt.datetime:
    """When a childhood is over: at the end of the day of the fourteenth birthday, where the city is."""
    return start_of_day(has_turned(FOURTEEN, born))


async def state(ctx: WriteContext[IdentityPorts], citizen_id: UUID, born: dt.date) -> None:
    """State a childhood that is not over; of nobody else anything is stated."""
    until = ends_at(born)
    if until > ctx.now:
        await guardian_store.state_childhood(ctx.session, citizen_id=citizen_id, until=until)


async def forget(ctx: WriteContext[IdentityPorts], citizen_id: UUID) -> None:
    """With an erasure: what tells the birthday goes, and every guardianship that the citizen has or is under ends."""
    for row in await store.guardianships_of(ctx.session, citizen_id=citizen_id):
        row.ended_at = ctx.now
        await ctx.end_relation(row.citizen_id, row.guardian_id, Relation.GUARDIAN)
    await guardian_store.forget_ends(ctx.session, citizen_id=citizen_id)
    await guardian_store.forget_childhood(ctx.session, citizen_id=citizen_id)
