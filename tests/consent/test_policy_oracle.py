"""The decision held against another policy engine: Cedar, given the same rules as its own policies, agrees.

A purpose becomes a Cedar policy for each coordinate and form that it can give; a request becomes a principal's wish for
each form. What we have not heard of is simply not in Cedar's context, which then permits nothing: so must we.
"""

from __future__ import annotations

import datetime as dt
import random
from typing import Any
from uuid import UUID

import cedarpy
import pytest

from gov_services.consent.policy import Consent, Declared, Facts, admit, decide
from gov_services.consent.purposes import (
    DISCLOSING,
    Basis,
    Bundle,
    Form,
    NoticeState,
    Party,
    Purpose,
    Relation,
    Restriction,
)
from gov_services.consent.terms import Terms
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind
from gov_services.kit.clock import local_day
from gov_services.kit.context import Call, Entrance, EntranceKind
from gov_services.kit.errors import Refusal

pytestmark = pytest.mark.untraced

TO_A_BUNDLE = 50
NOW = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
SUBJECT, OTHER = UUID(int=1), UUID(int=2)
CASES = (UUID(int=11), UUID(int=12))
COORDINATES = tuple(f"Citizen.field{number}" for number in range(6))
CLIENTS = ("citizen-app", "counter", "bank")
ROLES = ("registrar", "officer")
STATES = ("requested", "given", "given", "renewed", "paused", "withdrawn", "expired", "refused")
TEXTS = {"zh-CN": "x", "en": "x"}


def some(chance: random.Random, of: tuple[Any, ...], *, least: int = 0) -> frozenset[Any]:
    return frozenset(chance.sample(of, chance.randint(least, len(of))))


def a_purpose(chance: random.Random, code: str) -> Purpose:
    return Purpose(
        code=code,
        title=TEXTS,
        notice=TEXTS,
        basis=chance.choice(tuple(Basis)),
        law="x",
        article="x",
        controller=Party("x", TEXTS, "x"),
        earlier_notices_until=chance.choice((None, None, dt.date(2026, 3, 1), dt.date(2026, 3, 2))),
        notice_state=NoticeState.GIVEN,
        grants={coordinate: chance.choice(tuple(Form)) for coordinate in some(chance, COORDINATES)},
        clients=some(chance, (*CLIENTS, "anonymous"), least=1),
        roles=some(chance, ROLES),
        relations=some(chance, tuple(Relation)),
        assurance=chance.randint(0, 3),
        retention_days=chance.choice((1, 30)),
        ends_on=chance.choice((None, None, dt.date(2026, 3, 1), dt.date(2026, 3, 2), dt.date(2026, 3, 3))),
        needs_reason=chance.random() < 0.3,
        budget_hour=0,
        despite_storage=chance.random() < 0.3,
    )


def a_call(chance: random.Random) -> Call:
    kind = chance.choice(tuple(ActorKind))
    if kind is ActorKind.ANONYMOUS:
        actor = ANONYMOUS
    else:
        actor = Actor(
            kind,
            id=chance.choice((SUBJECT, OTHER, None)),
            client_id=chance.choice((*CLIENTS, None)),
            roles=some(chance, ROLES) if kind is ActorKind.STAFF else frozenset(),
            assurance=chance.randint(0, 3),
        )
    purpose = chance.choice(("p0", "p1", "p2", "p9"))
    entrance = Entrance(EntranceKind.DOCUMENT, "Doc", purpose)
    return Call(actor, entrance, NOW, "request", reason=chance.choice((None, "", "a reason")))


def some_facts(chance: random.Random, hashes: tuple[bytes, ...]) -> Facts:
    consent = Consent(
        revision_id=UUID(int=5),
        state=chance.choice(STATES),
        scope={coordinate: chance.choice(DISCLOSING) for coordinate in some(chance, COORDINATES)},
        notice_hash=chance.choice((*hashes, b"of an earlier notice")),
        terms=chance.choice((None, Terms(keep_days=7), Terms(keep_days=30))),
        spent=chance.random() < 0.15,
        expires_at=chance.choice((None, NOW, NOW - dt.timedelta(1), NOW + dt.timedelta(1))),
    )
    held = (Relation.OFFICER, Relation.DELEGATE, Relation.GUARDIAN, Relation.BREAK_GLASS)
    return Facts(
        subject_id=SUBJECT,
        known=chance.random() < 0.9,
        relations=frozenset((one, chance.choice((None, *CASES))) for one in some(chance, held)),
        consent=consent if chance.random() < 0.7 else None,
        restriction=chance.choice((None, None, None, *Restriction)),
    )


def texts(values: Any) -> str:
    return "[" + ", ".join(f'"{value}"' for value in sorted(values)) + "]"


def in_cedar(purpose: Purpose) -> str:
    """The rules of one purpose, written from what the decision page says and not from the code."""
    conditions = [
        f'context.purpose == "{purpose.code}"',
        f"{texts(purpose.clients)}.contains(context.client)",
        f"context.assurance >= {purpose.assurance}",
        "context.known",
        f'(context.kind != "staff" || context.roles.containsAny({texts(purpose.roles)}))',
    ]
    if purpose.needs_reason:
        conditions.append('context has reason && context.reason != ""')
    if purpose.ends_on is not None:
        conditions.append(f"context.today <= {purpose.ends_on.toordinal()}")
    stands = (
        'context has consentState && ["given", "renewed"].contains(context.consentState) && '
        "(!(context has consentEnds) || context.now < context.consentEnds) && !context.spent && "
        f"(!(context has keepDays) || {purpose.retention_days} <= context.keepDays)"
    )
    if purpose.earlier_notices_until is not None:
        stands += (
            f' && (context.notice == "{purpose.notice_hash.hex()}" '
            f"|| context.today <= {purpose.earlier_notices_until.toordinal()})"
        )
    itself = '(context.kind == "citizen" && context has actor && context.actor == context.subject)'
    ways = ["false"]
    for relation in purpose.relations:
        if relation is Relation.SELF:
            ways.append(itself)
        elif relation is Relation.VERIFIER:
            ways.append("context.presented")
        elif relation is Relation.CONSENTED:
            ways.append(f"({stands})")
        else:
            ways.append(
                f'(context.relations.contains("{relation.value}") || '
                f'(context has case && context.caseRelations.contains("{relation.value}")))'
            )
    conditions.append(f"({' || '.join(ways)})")
    # Their own always; an objection stops what rests on agreement or contract, storage all but what is for that.
    free = [itself] if Relation.SELF in purpose.relations else []
    if purpose.basis not in (Basis.CONSENT, Basis.CONTRACT):
        free.append('context.restriction == "objected"')
    if purpose.despite_storage:
        free.append('context.restriction == "storage-only"')
    conditions.append(f"({' || '.join(['!(context has restriction)', *free])})")
    policies = []
    for coordinate, granted in purpose.grants.items():
        if granted not in DISCLOSING:
            continue
        for form in DISCLOSING:
            extra = gives(purpose, coordinate, granted, form, stands)
            if extra is not None:
                policies.append(
                    f'permit(principal, action == Action::"{form.value}", resource == Coordinate::"{coordinate}")\n'
                    f"when {{ {' && '.join([*conditions, *extra])} }};"
                )
    return "\n".join(policies)


def gives(purpose: Purpose, coordinate: str, granted: Form, form: Form, stands: str) -> list[str] | None:
    """On which further conditions a grant in one form gives another; None where it never does."""
    if purpose.basis is not Basis.CONSENT:
        return [] if form is granted else None

    def consented(*forms: Form) -> list[str]:
        return [f"({stands})", f"context.scope.containsAny({texts(f'{coordinate}={one.value}' for one in forms)})"]

    if form is granted is Form.MASKED:
        return consented(Form.MASKED, Form.PLAIN)
    if form is granted:
        return consented(form)
    # The lesser of what was granted in clear and consented to in part.
    return consented(Form.MASKED) if (granted, form) == (Form.PLAIN, Form.MASKED) else None


def context_of(call: Call, facts: Facts, case_id: UUID | None, presented: bool) -> dict[str, Any]:
    """What Cedar hears: nothing is there in place of what is not known."""
    actor, consent = call.actor, facts.consent
    heard: dict[str, Any] = {
        "purpose": call.purpose,
        "kind": actor.kind.value,
        "client": actor.client_id or "anonymous",
        "roles": sorted(actor.roles),
        "assurance": actor.assurance,
        "today": local_day(call.now).toordinal(),
        "now": int(call.now.timestamp()),
        "known": facts.known,
        "subject": str(facts.subject_id),
        "presented": presented,
        "relations": sorted(relation.value for relation, case in facts.relations if case is None),
        "caseRelations": sorted(relation.value for relation, case in facts.relations if case and case == case_id),
        "scope": sorted(f"{name}={form.value}" for name, form in consent.scope.items()) if consent else [],
    }
    if actor.id is not None:
        heard["actor"] = str(actor.id)
    if call.reason is not None:
        heard["reason"] = call.reason
    if case_id is not None:
        heard["case"] = str(case_id)
    if facts.restriction is not None:
        heard["restriction"] = facts.restriction.value
    if consent is not None:
        heard["consentState"] = consent.state
        heard["spent"] = consent.spent
        heard["notice"] = consent.notice_hash.hex()
        if consent.terms is not None:
            heard["keepDays"] = consent.terms.keep_days
        if consent.expires_at is not None:
            heard["consentEnds"] = int(consent.expires_at.timestamp())
    return heard


def ours(bundle: Bundle, call: Call, facts: Facts, case_id: UUID | None, presented: bool) -> dict[str, Form]:
    """What is given, by coordinate."""
    try:
        purpose = admit(bundle, call)
    except Refusal:
        return {}
    decided = decide(
        bundle, purpose, call=call, facts=facts, coordinates=COORDINATES, case_id=case_id, presented=presented
    )
    if not isinstance(decided, Declared):
        return {}
    return {name: form for name, form in decided.decisions.items() if isinstance(form, Form)}


def cedars(policies: str, heard: dict[str, Any]) -> dict[str, Form]:
    wishes = [(coordinate, form) for coordinate in COORDINATES for form in DISCLOSING]
    requests = [
        {
            "principal": 'Actor::"a"',
            "action": f'Action::"{form.value}"',
            "resource": f'Coordinate::"{coordinate}"',
            "context": heard,
        }
        for coordinate, form in wishes
    ]
    answers = cedarpy.is_authorized_batch(requests, policies, [])
    given: dict[str, Form] = {}
    for (coordinate, form), answer in zip(wishes, answers, strict=True):
        if answer.decision is cedarpy.Decision.Allow:
            assert coordinate not in given, "one coordinate is given in one form"
            given[coordinate] = form
    return given


@pytest.mark.parametrize("requests", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_cedar_decides_the_same_on_random_requests(requests: int) -> None:
    chance = random.Random(20260302)
    given = compared = 0
    while compared < requests:
        purposes = {code: a_purpose(chance, code) for code in ("p0", "p1", "p2")}
        bundle = Bundle(version=1, purposes=purposes, body=b"{}")
        policies = "\n".join(in_cedar(one) for one in purposes.values())
        for _ in range(TO_A_BUNDLE):
            call = a_call(chance)
            told = purposes.get(call.purpose)
            facts = some_facts(chance, (told.notice_hash,) * 3 if told else ())
            case_id, presented = chance.choice((None, *CASES)), chance.random() < 0.3
            heard = context_of(call, facts, case_id, presented)
            mine = ours(bundle, call, facts, case_id, presented)
            assert mine == cedars(policies, heard), (purposes.get(call.purpose), call, facts, case_id, presented)
            given += bool(mine)
            compared += 1
    # Both would agree on nothing but refusals, too.
    assert given > compared / 50
