"""What follows from the log by itself: telling citizens of what parties read, and findings. It opens nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gov_services.audit import usage
from gov_services.audit.entry import EntryKind
from gov_services.audit.models import EntryRow
from gov_services.kit.ids import new_id
from gov_services.privacy import store
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.events import Event
from gov_services.subgraph.unit_of_work import commit

BATCH = 500
TELL, FIND = "tell-of-disclosures", "findings"
FINDING_CODES = {"BUDGET_EXHAUSTED": "budget-exhausted", "NOT_RELATED": "no-relation"}
"""Refusals of staff and parties that an officer looks into, and what the finding is called."""


async def on_citizen_registered(ctx: WriteContext[PrivacyPorts], *, event: Event) -> None:
    """Keep which tag stands for the citizen, so that they can be told of what was read."""
    if event.citizen_id is None:
        raise ValueError("a registration names the citizen")
    tag = await ctx.subject_tag(ctx.session, event.citizen_id)
    if tag is not None:
        await store.save_subject(ctx.session, citizen_id=event.citizen_id, tag=tag, now=ctx.now)
    await ctx.record("subject.known", subject=event.citizen_id)


async def tell_of_disclosures(ctx: ReadContext[Any]) -> int:
    """Publish a message for each field that a relying party opened; returns how many entries that took."""
    async with ctx.reading() as session:
        rows = await usage.uses_by_parties(session, after=await store.watermark(session, job=TELL), limit=1)
    return (await commit(ctx, _tell)).result or 0 if rows else 0


async def find(ctx: ReadContext[Any]) -> int:
    """Turn refusals of staff and parties into findings; returns how many entries that took."""
    async with ctx.reading() as session:
        after = await store.watermark(session, job=FIND)
        rows = await usage.refusals(session, codes=FINDING_CODES, after=after, limit=1)
    return (await commit(ctx, _find)).result or 0 if rows else 0


async def _tell(ctx: WriteContext[PrivacyPorts]) -> int:
    after = await store.watermark_for_update(ctx.session, job=TELL)
    rows = await usage.uses_by_parties(ctx.session, after=after, limit=BATCH)
    subjects = await store.subjects_of(ctx.session, tags={row.subject_tag for row in rows if row.subject_tag})
    for row in rows:
        citizen_id = subjects.get(row.subject_tag or b"")
        if citizen_id is not None:
            await ctx.publish(
                "message.requested",
                subject=citizen_id,
                body={
                    "code": "disclosure.made",
                    "params": {"recipient": row.client, "purpose": row.purpose, "fields": ", ".join(row.coordinates)},
                },
            )
    return await _read_on(ctx, TELL, rows)


async def _find(ctx: WriteContext[PrivacyPorts]) -> int:
    after = await store.watermark_for_update(ctx.session, job=FIND)
    rows = await usage.refusals(ctx.session, codes=FINDING_CODES, after=after, limit=BATCH)
    for row in rows:
        if row.code is not None and row.actor.startswith(("staff:", "client:")):
            await store.save_finding(
                ctx.session,
                finding_id=new_id(ctx.now),
                kind=FINDING_CODES[row.code],
                actor=row.actor,
                purpose=row.purpose,
                entry_id=row.id,
                now=ctx.now,
            )
    return await _read_on(ctx, FIND, rows)


async def _read_on(ctx: WriteContext[PrivacyPorts], job: str, rows: Sequence[EntryRow]) -> int:
    if rows:
        await store.advance_watermark(ctx.session, job=job, seq=rows[-1].seq)
    await ctx.record(f"log-read:{job}", subject=None, kind=EntryKind.LOG_READ)
    return len(rows)
