"""SQL of what parties read and delete, one statement a function; beside `store.py`, which is full."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from gov_services.consent.lifecycle import UNDER_WAY
from gov_services.consent.models import RevisionRow, StandingRow
from gov_services.kit.database import ReadSession, Session
from gov_services.privacy.findings import FindingKind
from gov_services.privacy.models import DeletionRow, FindingRow, PartyReadingRow


@dataclass(frozen=True, slots=True)
class Ended:
    """A consent that was given and has ended."""

    consent_id: UUID
    purpose: str
    recipient: str
    given: int
    keep_days: int
    ended_at: dt.datetime
    read_at: dt.datetime | None
    """When the party last read under it since it was last given; None: never, as far as the log was read."""
    deletion: DeletionRow | None


def named(consent_id: UUID, given: int) -> str:
    """What a finding about a deletion calls it."""
    return f"deletion:{consent_id}:{given}"


async def note_reading(session: Session, *, citizen_id: UUID, purpose: str, recipient: str, at: dt.datetime) -> None:
    """Remember when a party last read about a citizen for a purpose."""
    statement = insert(PartyReadingRow).values(citizen_id=citizen_id, purpose=purpose, recipient=recipient, last_at=at)
    later = func.greatest(PartyReadingRow.last_at, statement.excluded.last_at)
    await session.execute(
        statement.on_conflict_do_update(index_elements=["citizen_id", "purpose", "recipient"], set_={"last_at": later})
    )


async def consent_of_party(session: ReadSession, *, consent_id: UUID, recipient: str) -> StandingRow | None:
    """The consent of that name, if it was given to that recipient, wherever it stands."""
    query = select(StandingRow).where(StandingRow.consent_id == consent_id, StandingRow.recipient == recipient)
    return (await session.execute(query)).scalar_one_or_none()


async def ended(session: ReadSession, *, consents: Collection[UUID]) -> Sequence[Ended]:
    """Of these consents those that were given and have ended."""
    return [_ended(row) for row in await session.execute(_query().where(StandingRow.consent_id.in_(consents)))]


async def undeleted(session: ReadSession, *, now: dt.datetime, limit: int) -> Sequence[Ended]:
    """Consents that have ended, were read under, whose term of keeping is over, and of which no deletion was attested.

    Those that were found before are left out.
    """
    found = select(FindingRow.finding_id).where(
        FindingRow.entry_id.is_(None),
        FindingRow.kind == FindingKind.NOT_DELETED,
        FindingRow.about == func.concat("deletion:", StandingRow.consent_id, ":", _LAST.c.given),
    )
    due = _ENDED.c.ended_at + func.make_interval(0, 0, 0, _LAST.c.keep_days)
    query = (
        _query()
        .where(PartyReadingRow.last_at.is_not(None), DeletionRow.attested_at.is_(None), due <= now, ~found.exists())
        .order_by(StandingRow.citizen_id, StandingRow.purpose, StandingRow.recipient)
        .limit(limit)
    )
    return [_ended(row) for row in await session.execute(query)]


def _of_standing(revision: type[RevisionRow]) -> ColumnElement[bool]:
    return and_(
        revision.citizen_id == StandingRow.citizen_id,
        revision.purpose == StandingRow.purpose,
        revision.recipient == StandingRow.recipient,
    )


# The ledger has no terms of what has ended: they are those of the last revision under way.
_LAST = (
    select(RevisionRow.number, RevisionRow.given, RevisionRow.keep_days)
    .where(_of_standing(RevisionRow), RevisionRow.given.is_not(None))
    .order_by(RevisionRow.number.desc())
    .limit(1)
    .correlate(StandingRow)
    .lateral("last")
)
_Giving, _After = aliased(RevisionRow), aliased(RevisionRow)
_ENDED = (
    select(func.min(_After.made_at).label("ended_at"))
    .where(_of_standing(_After), _After.number > _LAST.c.number)
    .correlate(StandingRow, _LAST)
    .lateral("ended")
)


def _query() -> Select[Any]:
    read = and_(
        PartyReadingRow.citizen_id == StandingRow.citizen_id,
        PartyReadingRow.purpose == StandingRow.purpose,
        PartyReadingRow.recipient == StandingRow.recipient,
        PartyReadingRow.last_at >= _Giving.made_at,
    )
    attested = and_(
        DeletionRow.citizen_id == StandingRow.citizen_id,
        DeletionRow.consent_id == StandingRow.consent_id,
        DeletionRow.given == _LAST.c.given,
    )
    return (
        select(
            StandingRow.consent_id,
            StandingRow.purpose,
            StandingRow.recipient,
            _LAST.c.given,
            _LAST.c.keep_days,
            _ENDED.c.ended_at,
            PartyReadingRow.last_at,
            DeletionRow,
        )
        .select_from(StandingRow)
        .join(_LAST, true())
        .join(_Giving, and_(_of_standing(_Giving), _Giving.number == _LAST.c.given))
        .join(_ENDED, true())
        .outerjoin(PartyReadingRow, read)
        .outerjoin(DeletionRow, attested)
        .where(StandingRow.state.not_in(UNDER_WAY))
    )


def _ended(row: Any) -> Ended:
    return Ended(*row)
