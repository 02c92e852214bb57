"""All SQL of drafts of purposes, one statement a function."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from gov_services.kit.database import ReadSession, Session
from gov_services.privacy.models import PurposeDraftRow


async def draft_for_update(session: Session, *, draft_id: UUID) -> PurposeDraftRow | None:
    """A draft, locked until the transaction ends."""
    return await session.get(PurposeDraftRow, draft_id, with_for_update=True)


async def draft(session: ReadSession, *, draft_id: UUID) -> PurposeDraftRow | None:
    """A draft, as it stands."""
    return await session.get(PurposeDraftRow, draft_id)


async def drafts(session: ReadSession, *, before: UUID | None, limit: int) -> Sequence[PurposeDraftRow]:
    """Drafts, newest first."""
    query = select(PurposeDraftRow).order_by(PurposeDraftRow.draft_id.desc()).limit(limit)
    if before is not None:
        query = query.where(PurposeDraftRow.draft_id < before)
    return (await session.execute(query)).scalars().all()
