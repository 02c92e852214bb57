"""All SQL of compliance audits, one statement a function. It counts people and names none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import any_, exists, func, literal, select

from gov_services.kit.database import ReadSession
from gov_services.privacy.models import ComplianceAuditRow, ErasureRow, SubjectRow


async def persons(session: ReadSession, *, now: dt.datetime) -> tuple[int, dt.datetime | None]:
    """How many people's data is kept in any form, and since when the first one's.

    Whoever was erased is counted until the last term of what a law has kept of theirs is over.
    """
    gone = exists().where(ErasureRow.citizen_id == SubjectRow.citizen_id, ~(literal(now) < any_(ErasureRow.kept_until)))
    row = (await session.execute(select(func.count().filter(~gone), func.min(SubjectRow.since)))).one()
    return row[0], row[1]


async def last_audit(session: ReadSession) -> ComplianceAuditRow | None:
    """The audit that was done last."""
    return next(iter(await audits(session, limit=1)), None)


async def audits(session: ReadSession, *, limit: int) -> Sequence[ComplianceAuditRow]:
    """Audits that were done, newest first."""
    query = select(ComplianceAuditRow).order_by(ComplianceAuditRow.done_on.desc(), ComplianceAuditRow.audit_id.desc())
    return (await session.execute(query.limit(limit))).scalars().all()
