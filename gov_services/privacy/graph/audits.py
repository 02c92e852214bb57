"""Compliance audits in GraphQL; for officers."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import strawberry

from gov_services.privacy.models import ComplianceAuditRow
from gov_services.privacy.service import audits
from gov_services.subgraph.types import UserErrorType, context_of, user_errors
from gov_services.subgraph.unit_of_work import commit

Input = strawberry.argument(description="What it takes.")


@strawberry.type(description="A compliance audit that was done.")
class ComplianceAudit:
    """Its report lies elsewhere; its hash is here."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    done_on: dt.date = strawberry.field(description="When it was done.")
    auditor: str = strawberry.field(description="Which body did it.")
    report_hash: str = strawberry.field(description="SHA-256 of the report, in hexadecimal.")
    entered_at: dt.datetime = strawberry.field(description="When it was noted.")


@strawberry.type(description="Where compliance audits stand.")
class ComplianceAudits:
    """Counted, and not stated by anybody."""

    persons: int = strawberry.field(description="How many people's data is kept in any form.")
    every_years: int = strawberry.field(description="Within how many years after one the next is due.")
    due_on: dt.date | None = strawberry.field(description="By when the next is due; null while there is nobody.")
    overdue: bool = strawberry.field(description="Whether that day is over.")
    done: list[ComplianceAudit] = strawberry.field(description="Those that were done, newest first; twenty at most.")


@strawberry.input(description="A compliance audit that was done.")
class NoteComplianceAuditInput:
    """Its report is kept by whoever ordered it."""

    done_on: dt.date = strawberry.field(description="When it was done.")
    auditor: str = strawberry.field(description="Which body did it.")
    report_hash: str = strawberry.field(description="SHA-256 of the report, in hexadecimal.")


@strawberry.type(description="What became of noting an audit.")
class NoteComplianceAuditPayload:
    """Read anew, after the commit."""

    noted: strawberry.Private[bool]
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")

    @strawberry.field(description="Where audits stand now.")
    async def audits(self, info: strawberry.Info) -> ComplianceAudits | None:
        """Read after the commit."""
        return shown(await audits.standing_now(context_of(info))) if self.noted else None


def shown(found: audits.Standing) -> ComplianceAudits:
    """As GraphQL shows it."""
    return ComplianceAudits(
        persons=found.due.persons,
        every_years=found.due.every_years,
        due_on=found.due.due_on,
        overdue=found.is_overdue,
        done=[_audit(row) for row in found.done],
    )


def _audit(row: ComplianceAuditRow) -> ComplianceAudit:
    return ComplianceAudit(
        id=strawberry.ID(str(row.audit_id)),
        done_on=row.done_on,
        auditor=row.auditor,
        report_hash=row.report_hash.hex(),
        entered_at=row.entered_at,
    )


def _digest(text: str) -> bytes:
    """A hash as a client sends it; what is none has no length of one."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


@strawberry.type
class AuditQuery:
    """Root fields of compliance audits."""

    @strawberry.field(description="How many people are concerned, and when the next compliance audit is due.")
    async def compliance_audits(self, info: strawberry.Info) -> ComplianceAudits:
        """For officers."""
        return shown(await audits.read_standing(context_of(info)))


@strawberry.type
class AuditMutation:
    """Noting what was done."""

    @strawberry.mutation(description="Note that a compliance audit was done; the next is due from then.")
    async def note_compliance_audit(
        self, info: strawberry.Info, input: Annotated[NoteComplianceAuditInput, Input]
    ) -> NoteComplianceAuditPayload:
        """For good."""
        outcome = await commit(
            context_of(info),
            audits.note_audit,
            done_on=input.done_on,
            auditor=input.auditor,
            report_hash=_digest(input.report_hash),
        )
        return NoteComplianceAuditPayload(noted=outcome.result is not None, user_errors=user_errors(outcome, info))
