"""What follows by itself from the log and from facts of other rooms: messages, holds. It opens nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

from gov_services.audit import usage
from gov_services.audit.entry import EntryKind
from gov_services.audit.models import DescribedRow
from gov_services.consent.purposes import Told
from gov_services.crypto.keys import DataClass
from gov_services.privacy import deletions_store, store
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import findings
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.events import Event
from gov_services.subgraph.unit_of_work import commit

BATCH = 500
TELL = "tell-of-disclosures"
LONGEST_WAIT = dt.timedelta(hours=1)
"""For registration's event: an entry whose citizen is not known by then becomes a finding, and others go on."""


async def on_citizen_registered(ctx: WriteContext[PrivacyPorts], *, event: Event) -> None:
    """Keep which tag stands for the citizen, so that they can be told of what was read."""
    if event.citizen_id is None:
        raise ValueError("a registration names the citizen")
    tag = await ctx.subject_tag(ctx.session, event.citizen_id)
    if tag is not None:
        await store.save_subject(ctx.session, citizen_id=event.citizen_id, tag=tag, now=ctx.now)
    await ctx.record("subject.known", subject=event.citizen_id)


async def on_application_submitted(ctx: WriteContext[PrivacyPorts], *, event: Event) -> None:
    """`permits.application_submitted`: there is a file now, which a law has kept."""
    await _hold(ctx, event, DataClass.PERMITS)


async def on_bill_settled(ctx: WriteContext[PrivacyPorts], *, event: Event) -> None:
    """`payments.bill_settled`: there is a voucher now, which a law has kept."""
    await _hold(ctx, event, DataClass.PAYMENTS)


async def _hold(ctx: WriteContext[PrivacyPorts], event: Event, data_class: DataClass) -> None:
    if event.citizen_id is None:
        raise ValueError("data is somebody's")
    await store.save_held_class(
        ctx.session, citizen_id=event.citizen_id, data_class=data_class.value, since=event.published_at
    )
    await ctx.record("hold.noted", subject=event.citizen_id, object_ref=f"class:{data_class.value}")


async def tell_of_disclosures(ctx: ReadContext[Any]) -> int:
    """Publish a message for each field that a relying party opened; returns how many entries that took."""
    async with ctx.reading() as session:
        rows = await usage.uses_by_parties(session, after=await store.watermark(session, job=TELL), limit=1)
        ready = _ready(rows, await store.subjects_of(session, tags=_tags(rows)), now=ctx.now)
    return (await commit(ctx, _tell)).result or 0 if ready else 0


async def _tell(ctx: WriteContext[PrivacyPorts]) -> int:
    after = await store.watermark_for_update(ctx.session, job=TELL)
    rows = await usage.uses_by_parties(ctx.session, after=after, limit=BATCH)
    subjects = await store.subjects_of(ctx.session, tags=_tags(rows))
    ready = _ready(rows, subjects, now=ctx.now)
    for row in ready:
        citizen_id = subjects.get(row.subject_tag or b"")
        if citizen_id is not None:
            await deletions_store.note_reading(
                ctx.session, citizen_id=citizen_id, purpose=row.purpose, recipient=row.client, at=row.at
            )
        purpose = ctx.bundle.purposes.get(row.purpose)
        if purpose is not None and purpose.told is not Told.AT_ONCE:
            continue  # they find it in their history when its day has come
        if citizen_id is not None:
            await ctx.publish(
                "message.requested",
                subject=citizen_id,
                body={
                    "code": "disclosure.made",
                    "params": {"recipient": row.client, "purpose": row.purpose, "fields": ", ".join(row.coordinates)},
                },
            )
        elif row.subject_tag is not None:
            await findings.save_unknown_subject(ctx, actor=row.actor, purpose=row.purpose, entry_id=row.id)
    return await _read_on(ctx, TELL, ready)


def _tags(rows: Sequence[DescribedRow]) -> set[bytes]:
    return {row.subject_tag for row in rows if row.subject_tag is not None}


def _ready(rows: Sequence[DescribedRow], subjects: Collection[bytes], *, now: dt.datetime) -> Sequence[DescribedRow]:
    """The rows before the first whose citizen we have not heard of yet, though we still may."""
    for index, row in enumerate(rows):
        if row.subject_tag is not None and row.subject_tag not in subjects and now - row.at < LONGEST_WAIT:
            return rows[:index]
    return rows


async def _read_on(ctx: WriteContext[PrivacyPorts], job: str, rows: Sequence[DescribedRow]) -> int:
    if rows:
        await store.advance_watermark(ctx.session, job=job, seq=rows[-1].seq)
    await ctx.record(f"log-read:{job}", subject=None, kind=EntryKind.LOG_READ)
    return len(rows)
