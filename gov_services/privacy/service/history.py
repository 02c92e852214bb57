"""Reading the log: a citizen's own access history with proofs, an officer's search. All of it is logged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gov_services.audit import history
from gov_services.audit.entry import Entry
from gov_services.audit.history_proof import HistoryEvidence, ProvedHistory, make_history_evidence, verify_history
from gov_services.audit.models import EntryRow
from gov_services.audit.proof import Evidence, NotYetProvable, Step, make_evidence, verify_evidence
from gov_services.audit.verify import Report, verify_log
from gov_services.consent.purposes import Bundle, Told
from gov_services.kit.errors import NotFound
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import ReadContext


@dataclass(frozen=True, slots=True)
class Proved:
    """Evidence for one entry, and the steps by which it was checked before it was shown."""

    evidence: Evidence
    steps: tuple[Step, ...]


async def read_own_history(ctx: ReadContext[PrivacyPorts], *, before: int | None, limit: int) -> Sequence[EntryRow]:
    """Who saw or changed what of the citizen who asks, newest first. Raises NotFound once their log key is gone."""
    tag = await own_tag(ctx)
    bundle = await ctx.disclosures.require_log_read("access-history", tag=tag)
    async with ctx.reading() as session:
        hidden = hidden_from_subjects(bundle, now=ctx.now)
        return await history.of_subject(session, tag=tag, hidden=hidden, before=before, limit=limit)


async def read_own_totals(ctx: ReadContext[PrivacyPorts]) -> Sequence[tuple[str, dt.date, int]]:
    """How often data of the citizen who asks was read, by purpose and month; what is under embargo is not counted."""
    tag = await own_tag(ctx)
    bundle = await ctx.disclosures.require_log_read("access-totals", tag=tag)
    embargoed = [code for code, purpose in bundle.purposes.items() if purpose.told is Told.EMBARGO]
    async with ctx.reading() as session:
        return await history.totals(session, tag=tag, hidden=embargoed)


def hidden_from_subjects(bundle: Bundle, *, now: dt.datetime) -> dict[str, dt.datetime | None]:
    """Purposes whose entries their subjects do not see one by one: since a moment, or (None) ever."""
    return {
        code: now - dt.timedelta(days=purpose.embargo_days) if purpose.told is Told.EMBARGO else None
        for code, purpose in bundle.purposes.items()
        if purpose.told is not Told.AT_ONCE
    }


async def prove_own_entry(ctx: ReadContext[PrivacyPorts], *, entry_id: UUID | None) -> Proved:
    """The evidence that an entry about the citizen is in the log. Raises NotFound for any other entry."""
    tag = await own_tag(ctx)
    bundle = await ctx.disclosures.require_log_read("access-proof", tag=tag)
    proved = await _prove(ctx, entry_id=entry_id, tag=tag)
    entry = Entry.parse(proved.evidence.entry)
    purpose = bundle.purposes.get(entry.purpose)
    if purpose is not None and not purpose.is_told(entry.at, ctx.now):
        raise NotFound
    return proved


async def prove_own_history(ctx: ReadContext[PrivacyPorts]) -> tuple[HistoryEvidence, ProvedHistory]:
    """The evidence that nothing which may be told about the citizen was left out, checked before it is shown.

    As of the newest root of the map of subjects, a minute ago or so. Raises NotYetProvable, also where that root keeps
    back something else than the signed bundle in force would: then the next one will not. Raises NotFound.
    """
    tag = await own_tag(ctx)
    bundle = await ctx.disclosures.require_log_read("access-history-proof", tag=tag)

    def opens(entry: Entry) -> bool:
        # What was told when it was listed may be of a purpose that is told late since.
        purpose = bundle.purposes.get(entry.purpose)
        return purpose is None or purpose.is_told(entry.at, ctx.now)

    async with ctx.reading() as session:
        evidence = await make_history_evidence(session, tag=tag, opens=opens)
    proved = verify_history(evidence, ctx.ports.trust.log, origin=ctx.ports.trust.origin)
    if proved.statement.withheld != withheld_by(bundle):
        raise NotYetProvable
    return evidence, proved


def withheld_by(bundle: Bundle) -> dict[str, int | None]:
    """Purposes that are told after so many days, or (None) by number only."""
    return {
        code: purpose.embargo_days if purpose.told is Told.EMBARGO else None
        for code, purpose in bundle.purposes.items()
        if purpose.told is not Told.AT_ONCE
    }


async def prove_entry(ctx: ReadContext[PrivacyPorts], *, entry_id: UUID | None) -> Proved:
    """The evidence for any entry, for an officer. Raises NotFound."""
    await ctx.disclosures.require_log_read("entry-proof", tag=None)
    return await _prove(ctx, entry_id=entry_id, tag=None)


async def search(
    ctx: ReadContext[PrivacyPorts], *, criteria: history.Search, before: int | None, limit: int
) -> Sequence[EntryRow]:
    """Entries that an officer looks for, newest first."""
    await ctx.disclosures.require_log_read("search", tag=None)
    async with ctx.reading() as session:
        return await history.search(session, criteria, before=before, limit=limit)


async def verify(ctx: ReadContext[PrivacyPorts], *, published: str | None = None) -> Report:
    """Check the whole log against itself, its signed checkpoints, and the note of one that was kept elsewhere."""
    notes = () if published is None else (published,)
    await ctx.disclosures.require_log_read("verification", tag=None)
    async with ctx.reading() as session:
        return await verify_log(session, ctx.ports.trust, published=notes)


async def own_tag(ctx: ReadContext[PrivacyPorts]) -> bytes:
    """What stands in the log for the citizen who asks. Raises NotFound once their key is gone."""
    citizen_id = ctx.citizen_id()
    async with ctx.reading() as session:
        tag = await ctx.subject_tag(session, citizen_id)
    if tag is None:
        raise NotFound
    return tag


async def _prove(ctx: ReadContext[PrivacyPorts], *, entry_id: UUID | None, tag: bytes | None) -> Proved:
    async with ctx.reading() as session:
        evidence = await make_evidence(session, entry_id=entry_id) if entry_id else None
    if evidence is None or (tag is not None and Entry.parse(evidence.entry).subject_tag != tag):
        raise NotFound
    return Proved(evidence, verify_evidence(evidence, ctx.ports.trust.log, origin=ctx.ports.trust.origin))
