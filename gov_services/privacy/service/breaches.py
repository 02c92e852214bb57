"""The register of breaches: entered, reported to the authority, told to the people whom the log names. No mending."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from gov_services.audit import odd
from gov_services.kit.errors import NotFound
from gov_services.kit.ids import new_id
from gov_services.privacy import rights_store as store
from gov_services.privacy import store as people_store
from gov_services.privacy.breaches import BreachState, DoneAlready, Grade, NotComplete, NotDoneYet, report_due_at
from gov_services.privacy.findings import FindingKind
from gov_services.privacy.models import BreachRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import findings
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import commit

TOLD = ("kinds", "cause", "harm", "measures", "advice", "contact")
"""What a notice says (PIPL 57), each in words."""
LATE = "breaches-not-reported"


async def enter(
    ctx: WriteContext[PrivacyPorts],
    *,
    grade: Grade,
    told: Mapping[str, str],
    actor: str,
    since: dt.datetime,
    until: dt.datetime,
    found_at: dt.datetime,
) -> BreachRow:
    """Enter a breach: what `actor` read between two moments is in other hands. Raises NotComplete."""
    if any(not told.get(name, "").strip() for name in TOLD) or until < since:
        raise NotComplete(field="input")
    row = BreachRow(
        breach_id=new_id(ctx.now),
        grade=grade.value,
        **{name: told[name].strip() for name in TOLD},
        actor=actor,
        since=since,
        until=until,
        found_at=found_at,
        entered_by=ctx.staff_id(),
        report_due_at=report_due_at(grade, found_at),
        state=BreachState.OPEN.value,
    )
    ctx.session.add(row)
    await ctx.record("breach.entered", subject=None, object_ref=f"breach:{row.breach_id}")
    return row


async def report(ctx: WriteContext[PrivacyPorts], *, breach_id: UUID | None, number: str) -> BreachRow:
    """Note that the authority was told, under which number. Raises NotFound, DoneAlready, NotComplete."""
    row = await _locked(ctx, breach_id)
    if row.reported_at is not None:
        raise DoneAlready
    if not number.strip():
        raise NotComplete(field="input.number")
    row.reported_at, row.report_number = ctx.now, number.strip()
    await ctx.record("breach.reported", subject=None, object_ref=f"breach:{row.breach_id}")
    return row


async def tell_people(ctx: WriteContext[PrivacyPorts], *, breach_id: UUID | None) -> BreachRow:
    """Tell everybody about whom the log has an access within the breach. Raises NotFound, DoneAlready.

    Whom the log names by a tag that stands for nobody any more cannot be told; `people` counts who was.
    """
    row = await _locked(ctx, breach_id)
    if row.told_at is not None or row.not_told_because is not None:
        raise DoneAlready
    tags = await odd.subjects_read(ctx.session, actor=row.actor, since=row.since, until=row.until)
    people = await people_store.subjects_of(ctx.session, tags=tags) if tags else {}
    params = {name: getattr(row, name) for name in TOLD}
    for citizen_id in sorted(people.values()):
        await ctx.publish("message.requested", subject=citizen_id, body={"code": "breach.happened", "params": params})
    row.told_at, row.people = ctx.now, len(people)
    await ctx.record("breach.told", subject=None, object_ref=f"breach:{row.breach_id}:{len(people)}-of-{len(tags)}")
    return row


async def do_not_tell(ctx: WriteContext[PrivacyPorts], *, breach_id: UUID | None, because: str) -> BreachRow:
    """Write down why people need not be told: what was done keeps harm from them (PIPL 57 (2)). Raises as `report`."""
    row = await _locked(ctx, breach_id)
    if row.told_at is not None or row.not_told_because is not None:
        raise DoneAlready
    if not because.strip():
        raise NotComplete(field="input.because")
    row.not_told_because = because.strip()
    await ctx.record("breach.not-told", subject=None, object_ref=f"breach:{row.breach_id}")
    return row


async def close(ctx: WriteContext[PrivacyPorts], *, breach_id: UUID | None) -> BreachRow:
    """Close a breach. Raises NotFound, DoneAlready, NotDoneYet."""
    row = await _locked(ctx, breach_id)
    if row.state == BreachState.CLOSED:
        raise DoneAlready
    if row.reported_at is None or (row.told_at is None and row.not_told_because is None):
        raise NotDoneYet
    row.state = BreachState.CLOSED.value
    await ctx.record("breach.closed", subject=None, object_ref=f"breach:{row.breach_id}")
    return row


async def list_breaches(ctx: ReadContext[PrivacyPorts], *, before: UUID | None, limit: int) -> Sequence[BreachRow]:
    """The register, newest first."""
    await ctx.disclosures.require_log_read("breaches", tag=None)
    async with ctx.reading() as session:
        return await store.breaches(session, before=before, limit=limit)


async def read_breach(ctx: ReadContext[PrivacyPorts], *, breach_id: UUID) -> BreachRow:
    """One breach. Raises NotFound."""
    async with ctx.reading() as session:
        row = await store.breach(session, breach_id=breach_id)
    if row is None:
        raise NotFound
    return row


async def find_late(ctx: ReadContext[Any]) -> int:
    """Turn breaches that were not reported in time into findings; returns how many are new."""
    async with ctx.reading() as session:
        if not await store.late_breaches(session, now=ctx.now):
            return 0
    return (await commit(ctx, _find_late)).result or 0


async def _find_late(ctx: WriteContext[PrivacyPorts]) -> int:
    new = 0
    for row in await store.late_breaches(ctx.session, now=ctx.now):
        new += await findings.save_about(
            ctx,
            FindingKind.OVERDUE,
            actor=f"staff:{row.entered_by}",
            purpose="breach-register",
            about=f"breach:{row.breach_id}",
        )
    await ctx.record("findings.late-breaches", subject=None, object_ref=f"count:{new}")
    return new


async def _locked(ctx: WriteContext[PrivacyPorts], breach_id: UUID | None) -> BreachRow:
    row = await store.breach_for_update(ctx.session, breach_id=breach_id) if breach_id else None
    if row is None:
        raise NotFound
    return row
