"""Relations as facts: written by the owning room with the change that makes them true. It judges none."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from gov_services.consent import store
from gov_services.consent.models import RelationRow
from gov_services.consent.purposes import Relation
from gov_services.kit.database import Session
from gov_services.kit.ids import new_id


async def relate(
    session: Session,
    *,
    citizen_id: UUID,
    actor_id: UUID,
    relation: Relation,
    case_id: UUID | None,
    now: dt.datetime,
    until: dt.datetime | None = None,
) -> UUID:
    """State that `actor_id` stands in `relation` to the citizen from now on; the relation's id."""
    relation_id = new_id(now)
    session.add(
        RelationRow(
            citizen_id=citizen_id,
            relation_id=relation_id,
            actor_id=actor_id,
            relation=relation.value,
            case_id=case_id,
            since=now,
            until=until,
        )
    )
    return relation_id


async def end_relation(
    session: Session, *, citizen_id: UUID, actor_id: UUID, relation: Relation, case_id: UUID | None, now: dt.datetime
) -> None:
    """State that the relation holds no more."""
    await store.end_relations(
        session, citizen_id=citizen_id, actor_id=actor_id, relation=relation.value, case_id=case_id, now=now
    )
