"""Gathers what policy needs to know of several subjects at once, in one short read. It decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gov_services.consent import store
from gov_services.consent.ledger import terms_of
from gov_services.consent.models import StandingRow
from gov_services.consent.policy import Consent, Facts
from gov_services.consent.purposes import Form, Purpose, Relation
from gov_services.crypto.data_keys import DataKey, DataKeys
from gov_services.crypto.keys import DataClass
from gov_services.kit.actor import ActorKind
from gov_services.kit.context import Call
from gov_services.kit.database import ReadSession

OF_ROWS = (Relation.OFFICER, Relation.DELEGATE, Relation.GUARDIAN, Relation.BREAK_GLASS, Relation.HANDLER)
"""Relations that rooms state; all others follow from the request itself, or from a consent."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Facts per subject, and the keys that a disclosure and its log entry will need."""

    facts: dict[UUID, Facts]
    keys: dict[UUID, dict[DataClass, DataKey]]


async def gather(
    session: ReadSession,
    *,
    call: Call,
    purpose: Purpose,
    subject_ids: Sequence[UUID],
    keys: DataKeys,
    data_class: DataClass,
) -> Gathered:
    """Relations, consent and keys of all subjects. One whose keys are destroyed is as unknown as one who never was."""
    actor = call.actor
    involved = set(subject_ids)
    if actor.kind is ActorKind.CITIZEN and actor.id is not None:
        involved.add(actor.id)
    wanted = {DataClass.AUDIT: involved, data_class: set(subject_ids)}
    loaded = await keys.load_classes(session, wanted=wanted, now=call.now)
    tags, boxes = loaded[DataClass.AUDIT], loaded[data_class]
    relations: dict[UUID, set[tuple[Relation, UUID | None]]] = {}
    if actor.id is not None and {*OF_ROWS} & purpose.relations:
        for row in await store.relations(session, citizen_ids=subject_ids, actor_id=actor.id, now=call.now):
            relations.setdefault(row.citizen_id, set()).add((Relation(row.relation), row.case_id))
    standing = await store.standing(
        session, citizen_ids=subject_ids, purpose=purpose.code, recipient=actor.client_id, now=call.now
    )
    counted = [row for row in standing if row.uses is not None or row.times is not None]
    readings = await store.readings(session, consents=counted, but=call.request_id, now=call.now)
    consents = {row.citizen_id: consent_of(row, readings.get(row.citizen_id, (0, 0))) for row in standing}
    restrictions = await store.restrictions(session, citizen_ids=subject_ids)
    facts = {
        subject_id: Facts(
            subject_id=subject_id,
            known=subject_id in tags and subject_id in boxes,
            relations=frozenset(relations.get(subject_id, ())),
            consent=consents.get(subject_id),
            restriction=restrictions.get(subject_id),
        )
        for subject_id in subject_ids
    }
    held: dict[UUID, dict[DataClass, DataKey]] = {}
    for citizen_id in involved:
        held[citizen_id] = {kind: of_kind[citizen_id] for kind, of_kind in loaded.items() if citizen_id in of_kind}
    return Gathered(facts, held)


def consent_of(row: StandingRow, readings: tuple[int, int]) -> Consent:
    """The consent as the decision sees it; `readings` under it: since it was given, and in its period."""
    terms, (given, lately) = terms_of(row), readings
    spent = terms is not None and (
        (terms.uses is not None and given >= terms.uses)
        or (terms.frequency is not None and lately >= terms.frequency.times)
    )
    return Consent(
        revision_id=row.revision_id,
        state=row.state,
        scope={coordinate: Form(form) for coordinate, form in zip(row.scope, row.forms, strict=True)},
        notice_hash=row.notice_hash,
        expires_at=row.expires_at,
        terms=terms,
        spent=spent,
    )
