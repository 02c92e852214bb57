"""Findings: what in the log somebody has to look into, found by jobs, looked into by officers. It punishes nobody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from gov_services.audit import odd, usage
from gov_services.audit.entry import Entry, EntryKind
from gov_services.consent import guardian_store
from gov_services.consent import store as consent_store
from gov_services.consent.lifecycle import STANDS
from gov_services.consent.purposes import DISCLOSING, Basis, Bundle, Relation
from gov_services.kit.clock import local_day
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import new_id
from gov_services.privacy import store
from gov_services.privacy.findings import REVIEWED_WITHIN, FindingKind, may_review
from gov_services.privacy.minimization import USUAL
from gov_services.privacy.models import FindingReviewRow, FindingRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.events import Event
from gov_services.subgraph.unit_of_work import commit, commit_in_batches

BATCH = 500
REFUSED, ODD, GROUNDLESS, OVER_ASKING = "findings", "odd-accesses", "groundless-accesses", "over-asking-documents"
CODES = {"BUDGET_EXHAUSTED": FindingKind.BUDGET_EXHAUSTED, "NOT_RELATED": FindingKind.NO_RELATION}
"""Refusals of staff and parties that an officer looks into, and what the finding is called."""
BUSINESS_WITHIN = dt.timedelta(days=1)
"""Before and after somebody is looked up, within which their matter shows in the log."""
CURIOUS_DAYS = 3
CURIOUS_OVER = dt.timedelta(days=30)
"""So many days on which one person is read about without a case, within that time, are a finding."""
ASKED_AT_LEAST = 20
"""So often a document has asked before it is said to ask for too much."""
AT_ONCE = dt.timedelta(seconds=10)
"""A decision and the change that ended its ground may cross."""


class NotYoursToReview(UserError):
    """Who is concerned, or works beside them, does not look into it."""

    code = "NOT_YOURS_TO_REVIEW"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "当事人及其所在部门的人员不得复核。",
        "en": "Neither the person concerned nor anybody of their office looks into this.",
    }


class ReviewedAlready(UserError):
    """Another officer has looked into it."""

    code = "ALREADY_REVIEWED"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "该事项已复核。", "en": "This was looked into already."}


class NoteNeeded(UserError):
    """What came of it is said in words."""

    code = "NOTE_NEEDED"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "请写明复核结论。", "en": "Please say what came of it."}


async def find_refused(ctx: ReadContext[Any]) -> int:
    """Turn refusals of staff and parties into findings; returns how many entries that took."""
    async with ctx.reading() as session:
        after = await store.watermark(session, job=REFUSED)
        rows = await usage.refusals(session, codes=CODES, after=after, limit=1)
    return await commit_in_batches(ctx, _find_refused, batch=BATCH) if rows else 0


async def find_odd(ctx: ReadContext[Any]) -> int:
    """Look at what staff read without a case, once a day has passed in which it could have become one."""
    return await _go_through(ctx, ODD, before=ctx.now - BUSINESS_WITHIN, judge=_odd)


async def find_groundless(ctx: ReadContext[Any]) -> int:
    """Judge accesses again: does what they named bear them out?"""
    return await _go_through(ctx, GROUNDLESS, before=ctx.now - AT_ONCE, judge=_groundless)


async def find_over_asking(ctx: ReadContext[Any]) -> int:
    """Find documents that ask for what they never open; returns how many are new."""
    return (await commit(ctx, _find_over_asking)).result or 0


async def on_glass_broken(ctx: WriteContext[PrivacyPorts], *, event: Event) -> None:
    """`identity.glass_broken`: somebody has to look into it, and the person it is about is told."""
    if event.citizen_id is None:
        raise ValueError("glass is broken about somebody")
    await _save(
        ctx,
        FindingKind.BREAK_GLASS,
        actor=str(event.body["actor"]),
        office=str(event.body["office"]) if event.body.get("office") else None,
        purpose=str(event.body["purpose"]),
        about=f"break-glass:{event.id}",
    )
    params = {"office": str(event.body.get("office") or "")}
    await ctx.publish("message.requested", subject=event.citizen_id, body={"code": "glass.broken", "params": params})
    await ctx.record("finding.break-glass", subject=event.citizen_id, object_ref=f"event:{event.id}")


async def list_findings(
    ctx: ReadContext[PrivacyPorts], *, before: UUID | None, limit: int, open_only: bool
) -> Sequence[tuple[FindingRow, FindingReviewRow | None]]:
    """Findings, newest first, each with what came of it."""
    await ctx.disclosures.require_log_read("findings", tag=None)
    async with ctx.reading() as session:
        return await store.findings(session, before=before, limit=limit, open_only=open_only)


async def read_finding(
    ctx: ReadContext[PrivacyPorts], *, finding_id: UUID
) -> tuple[FindingRow, FindingReviewRow | None]:
    """One finding. Raises NotFound."""
    async with ctx.reading() as session:
        found = await store.finding(session, finding_id=finding_id)
    if found is None:
        raise NotFound
    return found


async def review_finding(ctx: WriteContext[PrivacyPorts], *, finding_id: UUID | None, fault: bool, note: str) -> UUID:
    """Say what came of a finding. Raises NotFound, NotYoursToReview, ReviewedAlready, NoteNeeded."""
    found = await store.finding(ctx.session, finding_id=finding_id) if finding_id else None
    if found is None:
        raise NotFound
    finding, review = found
    if review is not None:
        raise ReviewedAlready
    if not may_review(
        actor=finding.actor, office=finding.office, reviewer=ctx.actor.ref, reviewers_office=ctx.actor.office
    ):
        raise NotYoursToReview
    if not note.strip():
        raise NoteNeeded(field="input.note")
    ctx.session.add(
        FindingReviewRow(
            finding_id=finding.finding_id,
            fault=fault,
            note=note.strip(),
            reviewed_by=ctx.staff_id(),
            reviewed_at=ctx.now,
        )
    )
    await ctx.session.flush()  # two officers at once: the second learns it here
    await ctx.record(
        "finding.fault" if fault else "finding.cleared", subject=None, object_ref=f"finding:{finding.finding_id}"
    )
    return finding.finding_id


async def save_unknown_subject(ctx: WriteContext[PrivacyPorts], *, actor: str, purpose: str, entry_id: UUID) -> None:
    """Keep that a party read about somebody whom we cannot tell."""
    await _save(ctx, FindingKind.SUBJECT_UNKNOWN, actor=actor, purpose=purpose, entry_id=entry_id)


async def save_complaint(ctx: WriteContext[PrivacyPorts], entry: Entry) -> None:
    """Keep that the citizen whom an entry is about complains about it."""
    await _save(
        ctx,
        FindingKind.COMPLAINT,
        actor=entry.actor,
        office=entry.office,
        purpose=entry.purpose,
        entry_id=entry.id,
    )


async def save_about(
    ctx: WriteContext[PrivacyPorts], kind: FindingKind, *, actor: str, purpose: str, about: str
) -> bool:
    """Keep what no one entry shows; False where it was found before."""
    return await _save(ctx, kind, actor=actor, purpose=purpose, about=about)


async def _find_refused(ctx: WriteContext[PrivacyPorts]) -> int:
    after = await store.watermark_for_update(ctx.session, job=REFUSED)
    rows = await usage.refusals(ctx.session, codes=CODES, after=after, limit=BATCH)
    for row in rows:
        if row.code is not None and row.actor.startswith(("staff:", "client:")):
            await _save(ctx, CODES[row.code], actor=row.actor, office=row.office, purpose=row.purpose, entry_id=row.id)
    return await _read_on(ctx, REFUSED, [row.seq for row in rows])


Judge = Callable[[WriteContext[PrivacyPorts], int, Entry], Awaitable[Sequence[FindingKind]]]


async def _go_through(ctx: ReadContext[Any], job: str, *, before: dt.datetime, judge: Judge) -> int:
    async with ctx.reading() as session:
        after = await store.watermark(session, job=job)
        waiting = await odd.accesses(session, after=after, before=before, limit=1)
    if not waiting:
        return 0

    async def run(write: WriteContext[PrivacyPorts]) -> int:
        after = await store.watermark_for_update(write.session, job=job)
        rows = await odd.accesses(write.session, after=after, before=before, limit=BATCH)
        for seq, entry in rows:
            for kind in await judge(write, seq, entry):
                await _save(
                    write,
                    kind,
                    actor=entry.actor,
                    office=entry.office,
                    purpose=entry.purpose,
                    entry_id=entry.id,
                )
        return await _read_on(write, job, [seq for seq, _ in rows])

    return await commit_in_batches(ctx, run, batch=BATCH)


async def _odd(ctx: WriteContext[PrivacyPorts], seq: int, entry: Entry) -> Sequence[FindingKind]:
    if not entry.actor.startswith("staff:") or entry.subject_tag is None or entry.case is not None:
        return ()
    purpose = ctx.bundle.purposes.get(entry.purpose)
    if purpose is not None and Relation.BREAK_GLASS in purpose.relations:
        return ()  # which is a finding of its own
    found = []
    if not await odd.has_business(ctx.session, entry, within=BUSINESS_WITHIN):
        found.append(FindingKind.NO_BUSINESS)
    if await odd.days_asked(ctx.session, entry, over=CURIOUS_OVER) >= CURIOUS_DAYS:
        found.append(FindingKind.CURIOSITY)
    return found


async def _groundless(ctx: WriteContext[PrivacyPorts], seq: int, entry: Entry) -> Sequence[FindingKind]:
    """A consent is held against the ledger, a case of an officer's against the relations. Others name nothing."""
    given = {name: form for name, form in entry.coordinates if form in DISCLOSING}
    if not given or entry.outcome != "allowed":
        return ()
    if entry.basis == Basis.CONSENT:
        return () if await _consented(ctx, entry, given) else (FindingKind.GROUNDLESS,)
    if entry.case is not None and entry.actor.startswith("staff:") and _needs_case(ctx.bundle, entry.purpose):
        return () if await _on_the_case(ctx, entry) else (FindingKind.GROUNDLESS,)
    return ()


async def _consented(ctx: WriteContext[PrivacyPorts], entry: Entry, given: Mapping[str, str]) -> bool:
    chain = await consent_store.revision_and_next(ctx.session, revision_id=entry.consent) if entry.consent else ()
    if not chain:
        return False
    revision, following = chain[0], chain[1] if len(chain) > 1 else None
    covered = dict(zip(revision.scope, revision.forms, strict=True))
    if revision.guardian_relation_id is not None:
        ended = await guardian_store.end_of_relation(
            ctx.session, citizen_id=revision.citizen_id, relation_id=revision.guardian_relation_id
        )
        if ended is None or ended + AT_ONCE < entry.at:
            return False
    return (
        (revision.purpose, revision.recipient) == (entry.purpose, entry.client)
        and revision.state in STANDS
        and revision.made_at <= entry.at + AT_ONCE
        and (following is None or following.made_at + AT_ONCE >= entry.at)
        and (revision.expires_at is None or entry.at < revision.expires_at)
        and all(covered.get(name) in (form, "PLAIN" if form == "MASKED" else form) for name, form in given.items())
    )


def _needs_case(bundle: Bundle, purpose: str) -> bool:
    found = bundle.purposes.get(purpose)
    return found is not None and found.relations == {Relation.OFFICER}


async def _on_the_case(ctx: WriteContext[PrivacyPorts], entry: Entry) -> bool:
    subjects = await store.subjects_of(ctx.session, tags=[entry.subject_tag] if entry.subject_tag else [])
    citizen_id = subjects.get(entry.subject_tag or b"")
    if citizen_id is None:
        return True  # whom it was about is not known any more: there is nothing to hold it against
    actor_id = UUID(entry.actor.partition(":")[2])
    rows = await consent_store.relations_ever(ctx.session, citizen_id=citizen_id, actor_id=actor_id)
    return any(
        row.case_id == entry.case
        and row.since <= entry.at + AT_ONCE
        and (row.until is None or entry.at <= row.until + AT_ONCE)
        for row in rows
    )


async def _find_over_asking(ctx: WriteContext[PrivacyPorts]) -> int:
    new = 0
    for use in await store.asked_in_vain(ctx.session, since=local_day(ctx.now - USUAL), at_least=ASKED_AT_LEAST):
        about = f"{use.document or use.client}:{use.coordinate}"
        new += await _save(ctx, FindingKind.OVER_ASKING, actor=f"client:{use.client}", purpose=use.purpose, about=about)
    await ctx.record("findings.over-asking", subject=None, object_ref=f"count:{new}")
    return new


async def _save(
    ctx: WriteContext[PrivacyPorts],
    kind: FindingKind,
    *,
    actor: str,
    purpose: str,
    office: str | None = None,
    entry_id: UUID | None = None,
    about: str = "",
) -> bool:
    term = REVIEWED_WITHIN.get(kind)
    return await store.save_finding(
        ctx.session,
        FindingRow(
            finding_id=new_id(ctx.now),
            kind=kind.value,
            actor=actor,
            office=office,
            purpose=purpose,
            entry_id=entry_id,
            about=about,
            due_at=ctx.now + term if term else None,
            found_at=ctx.now,
        ),
    )


async def _read_on(ctx: WriteContext[PrivacyPorts], job: str, numbers: Sequence[int]) -> int:
    if numbers:
        await store.advance_watermark(ctx.session, job=job, seq=numbers[-1])
    await ctx.record(f"log-read:{job}", subject=None, kind=EntryKind.LOG_READ)
    return len(numbers)
