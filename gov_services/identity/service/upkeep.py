"""What an account keeps no longer, as the purposes in force say: sessions and messages. It opens nothing."""

from __future__ import annotations

import datetime as dt

from gov_services.consent.purposes import Bundle
from gov_services.identity import store
from gov_services.identity.ports import IdentityPorts
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import commit_in_batches

REMOVE = "remove-lapsed-sessions-and-messages"
BATCH = 1000
SESSIONS, MESSAGES = "session-upkeep", "messages-to-citizens"
"""Purposes whose retention says how long a session is kept after its end, and a message after it was sent."""


async def remove_lapsed(ctx: ReadContext[IdentityPorts]) -> int:
    """Remove sessions that ended and messages that were sent longer ago than their purposes keep them; how many."""
    async with ctx.reading() as session:
        bundle = await ctx.services.discloser.bundles.current(session)
        sessions, messages = _bounds(bundle, ctx.now)
        if not await store.lapsed(session, sessions=sessions, messages=messages):
            return 0
    return await commit_in_batches(ctx, _remove, batch=BATCH)


async def _remove(ctx: WriteContext[IdentityPorts]) -> int:
    sessions, messages = _bounds(ctx.bundle, ctx.now)
    removed = await store.remove_sessions(ctx.session, before=sessions, limit=BATCH)
    removed += await store.remove_messages(ctx.session, before=messages, limit=BATCH)
    await ctx.record("account-data.removed", subject=None, object_ref=f"rows:{removed}")
    return removed


def _bounds(bundle: Bundle, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    return bundle.kept_from(SESSIONS, now), bundle.kept_from(MESSAGES, now)
