"""What ends by itself: consents that have run out, lost their ground or guardian, and requests that nobody answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gov_services.audit import odd
from gov_services.consent import guardian_store
from gov_services.consent import store as consent_store
from gov_services.consent.lifecycle import ConsentEvent, ConsentState
from gov_services.consent.models import StandingRow
from gov_services.consent.purposes import Basis, Bundle
from gov_services.kit.clock import local_day
from gov_services.privacy import store, terms_store
from gov_services.privacy.lifecycle import RequestState
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import consents
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import commit_in_batches

BATCH = 100
END, LAPSE, NOTICES = "end-consents", "lapse-consent-requests", "deferred-notices"
REMOVE, REQUESTS = "remove-old-consent-requests", "consent-requests"
"""The job, and the purpose whose retention says how long a request for consent is kept after it was over."""


async def end_consents(ctx: ReadContext[Any]) -> int:
    """Write into the ledger which consents are over; returns how many. They opened nothing since they were."""
    async with ctx.reading() as session:
        bundle = await ctx.services.discloser.bundles.current(session)
        over = await consent_store.over(session, now=ctx.now, limit=1)
        left = await guardian_store.without_guardian(session, now=ctx.now, limit=1)
        checked = await store.watermark(session, job=END)
    ended = await commit_in_batches(ctx, _expire, batch=BATCH) if over else 0
    ended += await commit_in_batches(ctx, _end_guardians, batch=BATCH) if left else 0
    # Only another bundle takes a consent's ground away, so that all consents are looked at once a bundle.
    return ended + (await commit_in_batches(ctx, _revoke, batch=BATCH) if checked != bundle.version else 0)


async def lapse_requests(ctx: ReadContext[Any]) -> int:
    """Close requests whose time is over; returns how many."""
    async with ctx.reading() as session:
        ready = await store.has_lapsed_requests(session, now=ctx.now)
    return await commit_in_batches(ctx, _lapse, batch=BATCH) if ready else 0


async def remove_old_requests(ctx: ReadContext[Any]) -> int:
    """Remove requests for consent that were over longer ago than their purpose keeps them; how many that were.

    What came of one stands in the ledger; the request itself says no more than that somebody asked.
    """
    async with ctx.reading() as session:
        bundle = await ctx.services.discloser.bundles.current(session)
        ready = await terms_store.has_old_requests(session, before=bundle.kept_from(REQUESTS, ctx.now))
    return await commit_in_batches(ctx, _remove, batch=BATCH) if ready else 0


async def _remove(ctx: WriteContext[PrivacyPorts]) -> int:
    before = ctx.bundle.kept_from(REQUESTS, ctx.now)
    removed = await terms_store.remove_old_requests(ctx.session, before=before, limit=BATCH)
    await ctx.record("consent-requests.removed", subject=None, object_ref=f"count:{removed}")
    return removed


def _grounds(bundle: Bundle) -> list[tuple[str, str]]:
    return [
        (purpose.code, client)
        for purpose in bundle.purposes.values()
        if purpose.basis is Basis.CONSENT
        for client in purpose.clients
    ]


async def _expire(ctx: WriteContext[PrivacyPorts]) -> int:
    """Those that have run out, or whose readings are used up."""
    rows = await consent_store.over(ctx.session, now=ctx.now, limit=BATCH)
    return await _end(ctx, rows, ConsentEvent.EXPIRE)


async def _end_guardians(ctx: WriteContext[PrivacyPorts]) -> int:
    """Those that a guardian gave who may give them no more: the child has turned fourteen, or the relation ended."""
    rows = await guardian_store.without_guardian(ctx.session, now=ctx.now, limit=BATCH)
    for row, of_age in rows:
        event = ConsentEvent.EXPIRE if of_age else ConsentEvent.REVOKE
        await consents.change(ctx, row, event, made_by="system", tell=False)
        await _tell_of_end(ctx, row, "consent.of-age" if of_age else "consent.ended")
    await ctx.record("consents.without-guardian", subject=None, object_ref=f"count:{len(rows)}")
    return len(rows)


async def _revoke(ctx: WriteContext[PrivacyPorts]) -> int:
    """Those for a purpose or a recipient that the bundle in force has no more."""
    await store.watermark_for_update(ctx.session, job=END)
    rows = await consent_store.without_ground(ctx.session, grounds=_grounds(ctx.bundle), limit=BATCH)
    if len(rows) < BATCH:
        await store.advance_watermark(ctx.session, job=END, seq=ctx.bundle.version)
    return await _end(ctx, rows, ConsentEvent.REVOKE)


async def _end(ctx: WriteContext[PrivacyPorts], rows: Sequence[StandingRow], event: ConsentEvent) -> int:
    for row in rows:
        await consents.change(ctx, row, event, made_by="system", tell=False)
        await _tell_of_end(ctx, row, "consent.ended")
    await ctx.record(f"consents.{event.value}", subject=None, object_ref=f"count:{len(rows)}")
    return len(rows)


async def _tell_of_end(ctx: WriteContext[PrivacyPorts], row: StandingRow, code: str) -> None:
    params = {"recipient": row.recipient, "purpose": row.purpose}
    await ctx.publish("message.requested", subject=row.citizen_id, body={"code": code, "params": params})


async def _lapse(ctx: WriteContext[PrivacyPorts]) -> int:
    rows = await store.lapsed_requests(ctx.session, now=ctx.now, limit=BATCH)
    for row in rows:
        row.state = RequestState.LAPSED.value
        if row.citizen_id is not None and not row.silent:
            standing = await consent_store.standing_for_update(
                ctx.session, citizen_id=row.citizen_id, purpose=row.purpose, recipient=row.recipient
            )
            if standing is not None and standing.state in (ConsentState.REQUESTED, ConsentState.DEFERRED):
                await consents.change(ctx, standing, ConsentEvent.EXPIRE, made_by="system", tell=False)
    await ctx.record("consent-requests.lapsed", subject=None, object_ref=f"count:{len(rows)}")
    return len(rows)


async def give_deferred_notices(ctx: ReadContext[Any]) -> int:
    """Give the notice that an emergency put off, to everybody whom it touched, once its day has come (PIPL 18).

    Returns how many people it was about.
    """
    told = 0
    async with ctx.reading() as session:
        bundle = await ctx.services.discloser.bundles.current(session)
    for purpose in bundle.purposes.values():
        if purpose.notice_due is not None and (local_day(ctx.now) >= purpose.notice_due or purpose.has_ended(ctx.now)):
            told += await _give_notice(ctx, purpose.code)
    return told


async def _give_notice(ctx: ReadContext[Any], code: str) -> int:
    job = f"notice:{code}"
    async with ctx.reading() as session:
        after = await store.watermark(session, job=job)
        if not await odd.first_touched(session, purpose=code, after=after, limit=1):
            return 0

    async def give(write: WriteContext[PrivacyPorts]) -> int:
        after = await store.watermark_for_update(write.session, job=job)
        touched = await odd.first_touched(write.session, purpose=code, after=after, limit=BATCH)
        people = await store.subjects_of(write.session, tags=[tag for _, tag in touched])
        for citizen_id in people.values():
            body = {"code": "notice.given", "params": {"purpose": code}}
            await write.publish("message.requested", subject=citizen_id, body=body)
        if touched:
            await store.advance_watermark(write.session, job=job, seq=touched[-1][0])
        await write.record(f"notices.given:{code}", subject=None, object_ref=f"count:{len(people)}")
        return len(touched)

    return await commit_in_batches(ctx, give, batch=BATCH)
