"""What is kept no longer: lapsed declarations and codes, and everything of a citizen who asked for erasure."""

from __future__ import annotations

import datetime as dt

from gov_services.healthcode import store
from gov_services.healthcode.ports import HealthcodePorts
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.events import Event
from gov_services.subgraph.unit_of_work import commit

AT_ONCE = 1000
"""Rows of a kind in one transaction."""
MOST_ROUNDS = 100
"""Of one run: what is left then waits for the next, so that one run always ends."""
CODES_STAY = dt.timedelta(minutes=5)
"""After their end: long enough to tell a venue whose clock is late that a code is over, and no longer."""


async def remove_lapsed(ctx: ReadContext[HealthcodePorts]) -> int:
    """The job: remove what is kept no longer; how many rows that were."""
    removed = 0
    for _ in range(MOST_ROUNDS):
        async with ctx.reading() as session:
            if not await store.lapsed(session, now=ctx.now - CODES_STAY):
                break
        removed += (await commit(ctx, _remove)).result or 0
    return removed


async def on_citizen_erased(ctx: WriteContext[HealthcodePorts], *, event: Event) -> None:
    """`privacy.citizen_erased`: the keys are destroyed; the rows that nobody can read go too."""
    if event.citizen_id is None:
        raise ValueError("an erasure is somebody's")
    ctx.services.discloser.keys.forget(event.citizen_id)
    await store.remove_declarations(ctx.session, citizen_id=event.citizen_id)
    await ctx.record("erasure.noted", subject=event.citizen_id)


async def _remove(ctx: WriteContext[HealthcodePorts]) -> int:
    removed = await store.remove_lapsed_codes(ctx.session, before=ctx.now - CODES_STAY, limit=AT_ONCE)
    removed += await store.remove_lapsed_declarations(ctx.session, now=ctx.now, limit=AT_ONCE)
    await ctx.record("health.removed", subject=None, object_ref=f"rows:{removed}")
    return removed
