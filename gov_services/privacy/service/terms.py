"""What an erasure left ends with its term: the job that destroys the keys which a law had kept. It deletes no file."""

from __future__ import annotations

import datetime as dt
from typing import Any

from gov_services.audit.entry import EntryKind
from gov_services.crypto.keys import DataClass
from gov_services.privacy import terms_store
from gov_services.privacy.holds import HOLDS, log_kept_until
from gov_services.privacy.models import KeptClassRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import erasure
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import commit_in_batches

BATCH = 50
TERMS = "end-kept-terms"
REASON = "term over"
"""Why a key was destroyed, on its tombstone: the list of those is what a restored backup is given."""


async def end_terms(ctx: ReadContext[Any]) -> int:
    """Destroy the keys of what a law has kept no longer; how many terms were looked at.

    Ended in the middle, it goes on: a batch is one transaction, and what is left is due still. A restored backup, in
    which the terms stand as they did, has it destroy them again.
    """
    async with ctx.reading() as session:
        due = await terms_store.has_over_terms(session, now=ctx.now)
    return await commit_in_batches(ctx, _end, batch=BATCH) if due else 0


async def _end(ctx: WriteContext[PrivacyPorts]) -> int:
    rows = await terms_store.over_terms(ctx.session, now=ctx.now, limit=BATCH)
    for row in rows:
        until = await _term(ctx, row)
        if until > ctx.now:
            # A file or a voucher that came after the erasure, or a case that is open still.
            row.until = until
            await ctx.record("term.moved-on", subject=row.citizen_id, object_ref=f"class:{row.data_class}")
        else:
            await _destroy(ctx, row)
    if not rows:
        await ctx.record("terms.none", subject=None)  # another process was faster
    await ctx.session.flush()
    return len(rows)


async def _term(ctx: WriteContext[PrivacyPorts], row: KeptClassRow) -> dt.datetime:
    """Until when the class is kept by what is known now; never before what the citizen was told."""
    data_class = DataClass(row.data_class)
    if data_class is DataClass.AUDIT:
        others = await terms_store.other_terms(ctx.session, citizen_id=row.citizen_id, data_class=row.data_class)
        return max([row.until, *(log_kept_until(ended) for ended in others)])
    held = await erasure.held(ctx, row.citizen_id)
    return max(row.until, HOLDS[data_class].ends_at(held[data_class])) if data_class in held else row.until


async def _destroy(ctx: WriteContext[PrivacyPorts], row: KeptClassRow) -> None:
    data_class = DataClass(row.data_class)
    # Before the key is gone: the entry bears the citizen's tag, which is made with that of the log's class.
    await ctx.record("term.over", subject=row.citizen_id, object_ref=f"class:{data_class.value}", kind=EntryKind.KEY)
    keys = ctx.services.discloser.keys
    await keys.shred(ctx.session, citizen_id=row.citizen_id, data_class=data_class, reason=REASON, now=ctx.now)
    if data_class is DataClass.AUDIT:
        await terms_store.forget_subject(ctx.session, citizen_id=row.citizen_id)
    row.ended_at = ctx.now
    await ctx.publish("privacy.term_over", subject=row.citizen_id, body={"classes": [data_class.value]})
