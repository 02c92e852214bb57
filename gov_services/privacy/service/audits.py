"""Compliance audits: how many people are concerned, when the next is due, which were done. It audits nothing itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gov_services.kit.clock import local_day
from gov_services.kit.database import ReadSession
from gov_services.kit.ids import new_id
from gov_services.privacy import audits_store as store
from gov_services.privacy.audits import AuditNotComplete, Due, due
from gov_services.privacy.findings import FindingKind
from gov_services.privacy.models import ComplianceAuditRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import findings
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import commit

OVERDUE = "compliance-audit-due"
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """Where audits stand."""

    due: Due
    is_overdue: bool
    done: Sequence[ComplianceAuditRow]
    """Newest first."""


async def count_due(session: ReadSession, *, now: dt.datetime) -> Due:
    """By when the next audit is due, of how many people."""
    people, since = await store.persons(session, now=now)
    last = await store.last_audit(session)
    return due(
        persons=people, since=local_day(since) if since else None, last_on=last.done_on if last is not None else None
    )


async def read_standing(ctx: ReadContext[PrivacyPorts]) -> Standing:
    """Where audits stand; for officers."""
    await ctx.disclosures.require_log_read("compliance-audits", tag=None)
    return await standing_now(ctx)


async def standing_now(ctx: ReadContext[PrivacyPorts]) -> Standing:
    """The same, for who was admitted already."""
    async with ctx.reading() as session:
        counted = await count_due(session, now=ctx.now)
        done = await store.audits(session, limit=MOST_SHOWN)
    return Standing(counted, counted.is_overdue(local_day(ctx.now)), done)


async def note_audit(
    ctx: WriteContext[PrivacyPorts], *, done_on: dt.date, auditor: str, report_hash: bytes
) -> ComplianceAuditRow:
    """Note that an audit was done, by whom, and the hash of its report. Raises AuditNotComplete."""
    if done_on > local_day(ctx.now):
        raise AuditNotComplete(field="input.doneOn")
    if not auditor.strip():
        raise AuditNotComplete(field="input.auditor")
    if len(report_hash) != 32:
        raise AuditNotComplete(field="input.reportHash")
    row = ComplianceAuditRow(
        audit_id=new_id(ctx.now),
        done_on=done_on,
        auditor=auditor.strip(),
        report_hash=report_hash,
        entered_by=ctx.staff_id(),
        entered_at=ctx.now,
    )
    ctx.session.add(row)
    await ctx.record("compliance-audit.noted", subject=None, object_ref=f"report:{report_hash.hex()}")
    return row


async def find_overdue(ctx: ReadContext[Any]) -> int:
    """Turn an audit whose day is over into a finding; returns how many are new."""
    async with ctx.reading() as session:
        if not (await count_due(session, now=ctx.now)).is_overdue(local_day(ctx.now)):
            return 0
    return (await commit(ctx, _find_overdue)).result or 0


async def _find_overdue(ctx: WriteContext[PrivacyPorts]) -> int:
    due_on = (await count_due(ctx.session, now=ctx.now)).due_on
    new = await findings.save_about(
        ctx, FindingKind.OVERDUE, actor="nobody", purpose="log-review", about=f"compliance-audit:{due_on}"
    )
    await ctx.record("findings.compliance-audit", subject=None, object_ref=f"count:{int(new)}")
    return int(new)
