"""The decision is an intersection: no purpose, consent or relation alone opens anything, nor do any two of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gov_services.consent.policy import (
    Consent,
    Declared,
    DisclosureRefused,
    Facts,
    PurposeUnknown,
    ReasonRequired,
    Unrelated,
    Withheld,
    admit,
    decide,
    require_collectable,
)
from gov_services.consent.purposes import Basis, Bundle, Form, NoticeState, Party, Purpose, Relation
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind
from gov_services.kit.context import Call, Entrance, EntranceKind
from gov_services.kit.errors import AssuranceTooLow, Forbidden, Refusal

pytestmark = pytest.mark.untraced

NOW = dt.datetime(2026, 3, 2, 1, 0, tzinfo=dt.UTC)
SUBJECT, SOMEBODY, CASE, OTHER_CASE = UUID(int=1), UUID(int=2), UUID(int=3), UUID(int=4)
COORDINATES = ("Citizen.name", "Citizen.phone", "Citizen.birthDate", "Citizen.isAdult")
TEXTS = {"zh-CN": "x", "en": "x"}


def a_purpose(**changes: Any) -> Purpose:
    """A purpose of a city that keeps to the law, with `changes`."""
    given = {
        "code": "work",
        "title": TEXTS,
        "notice": TEXTS,
        "basis": Basis.STATUTORY,
        "law": "x",
        "article": "x",
        "controller": Party("x", {}, "x"),
        "notice_state": NoticeState.GIVEN,
        "grants": {"Citizen.name": Form.PLAIN, "Citizen.phone": Form.MASKED},
        "clients": frozenset({"counter", "citizen-app"}),
        "roles": frozenset({"registrar"}),
        "relations": frozenset({Relation.SELF}),
        "assurance": 0,
        "retention_days": 1,
        "ends_on": None,
        "needs_reason": False,
        "budget_hour": 10,
    }
    return Purpose(**{**given, **changes})


def a_bundle(purpose: Purpose) -> Bundle:
    """In force."""
    return Bundle(version=1, purposes={purpose.code: purpose}, body=b"{}")


CITIZEN = Actor(ActorKind.CITIZEN, id=SUBJECT, client_id="citizen-app", assurance=2)
STAFF = Actor(ActorKind.STAFF, id=SOMEBODY, client_id="counter", roles=frozenset({"registrar"}))


def a_call(actor: Actor = CITIZEN, *, purpose: str = "work", now: dt.datetime = NOW, reason: str | None = None) -> Call:
    """Through a document for that purpose."""
    return Call(actor, Entrance(EntranceKind.DOCUMENT, "Doc", purpose), now, "request", reason=reason)


@pytest.mark.parametrize(
    ("purpose", "call", "refusal"),
    [
        (a_purpose(), a_call(purpose="banana"), PurposeUnknown),
        (a_purpose(), a_call(purpose=""), PurposeUnknown),
        (a_purpose(ends_on=dt.date(2026, 3, 1)), a_call(), PurposeUnknown),
        # Four in the afternoon of the second, by UTC, is the third in Beijing.
        (
            a_purpose(ends_on=dt.date(2026, 3, 2)),
            a_call(now=dt.datetime(2026, 3, 2, 16, 0, tzinfo=dt.UTC)),
            PurposeUnknown,
        ),
        (a_purpose(), a_call(ANONYMOUS), Forbidden),
        (a_purpose(), a_call(dataclasses.replace(CITIZEN, client_id="riverside-bank")), Forbidden),
        (a_purpose(), a_call(dataclasses.replace(STAFF, roles=frozenset({"supervisor"}))), Forbidden),
        (a_purpose(roles=frozenset()), a_call(STAFF), Forbidden),
        (a_purpose(assurance=3), a_call(), AssuranceTooLow),
        (a_purpose(needs_reason=True), a_call(STAFF), ReasonRequired),
        (a_purpose(needs_reason=True), a_call(STAFF, reason=""), ReasonRequired),
    ],
)
def test_a_call_that_its_purpose_does_not_admit_is_refused(
    purpose: Purpose, call: Call, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        admit(a_bundle(purpose), call)


def test_a_call_that_its_purpose_admits_gets_it() -> None:
    for purpose, call in (
        (a_purpose(), a_call()),
        (a_purpose(roles=frozenset()), a_call()),
        (a_purpose(), a_call(STAFF)),
        (a_purpose(ends_on=dt.date(2026, 3, 2), assurance=2), a_call()),
        (a_purpose(ends_on=dt.date(2026, 3, 2)), a_call(now=dt.datetime(2026, 3, 2, 15, 59, tzinfo=dt.UTC))),
        (a_purpose(needs_reason=True), a_call(STAFF, reason="窗口办理")),
        (a_purpose(clients=frozenset({"anonymous"})), a_call(ANONYMOUS)),
    ):
        assert admit(a_bundle(purpose), call) is purpose


FORMS = st.sampled_from((*Form, None))
PURPOSES = st.builds(
    a_purpose,
    basis=st.sampled_from(Basis),
    grants=st.dictionaries(st.sampled_from(COORDINATES), st.sampled_from(Form)),
    relations=st.frozensets(st.sampled_from(Relation)),
)
CONSENTS = st.none() | st.builds(
    Consent,
    revision_id=st.just(UUID(int=9)),
    state=st.sampled_from(("requested", "given", "renewed", "withdrawn", "expired", "revoked", "refused")),
    scope=st.dictionaries(st.sampled_from(COORDINATES), st.sampled_from(Form)),
    notice_hash=st.just(b""),
    expires_at=st.sampled_from((None, NOW, NOW + dt.timedelta(seconds=1), NOW - dt.timedelta(days=1))),
)
FACTS = st.builds(
    Facts,
    subject_id=st.just(SUBJECT),
    known=st.booleans(),
    relations=st.frozensets(
        st.tuples(
            st.sampled_from((Relation.OFFICER, Relation.DELEGATE, Relation.GUARDIAN, Relation.BREAK_GLASS)),
            st.sampled_from((None, CASE, OTHER_CASE)),
        )
    ),
    consent=CONSENTS,
)
PARTY = Actor(ActorKind.CLIENT, client_id="counter")
ACTORS = st.sampled_from((CITIZEN, STAFF, PARTY, ANONYMOUS, dataclasses.replace(CITIZEN, id=SOMEBODY)))


def stands(consent: Consent | None) -> bool:
    """Whether anything may leave on it."""
    return (
        consent is not None
        and consent.state in ("given", "renewed")
        and (consent.expires_at is None or consent.expires_at > NOW)
    )


@given(PURPOSES, ACTORS, FACTS, st.sampled_from((None, CASE)), st.booleans(), st.sets(st.sampled_from(COORDINATES)))
def test_no_decision_opens_what_is_not_granted_consented_and_related(
    purpose: Purpose, actor: Actor, facts: Facts, case_id: UUID | None, presented: bool, asked: set[str]
) -> None:
    # A tie by consent is the consent itself; no purpose has one and rests on another basis.
    assume(purpose.basis is Basis.CONSENT or Relation.CONSENTED not in purpose.relations)
    decision = decide(
        a_bundle(purpose),
        purpose,
        call=a_call(actor),
        facts=facts,
        coordinates=asked,
        case_id=case_id,
        presented=presented,
    )

    ties = {relation for relation, case in facts.relations if case in (None, case_id)}
    ties |= {Relation.SELF} if actor.kind is ActorKind.CITIZEN and actor.id == SUBJECT else set()
    ties |= {Relation.VERIFIER} if presented else set()
    ties |= {Relation.CONSENTED} if stands(facts.consent) else set()
    if not facts.known or not ties & purpose.relations:
        assert isinstance(decision, Unrelated)
        return
    assert isinstance(decision, Declared)
    assert decision.relation in ties & purpose.relations
    assert set(decision.decisions) == asked
    for coordinate, given_form in decision.decisions.items():
        if isinstance(given_form, Withheld):
            continue
        granted = purpose.grants[coordinate]
        assert given_form in (Form.PLAIN, Form.MASKED, Form.DERIVED)
        assert given_form is granted or (granted, given_form) == (Form.PLAIN, Form.MASKED)
        if purpose.basis is Basis.CONSENT:
            assert stands(facts.consent)
            assert facts.consent is not None
            consented = facts.consent.scope[coordinate]
            assert given_form is consented or (consented, given_form) == (Form.PLAIN, Form.MASKED)


@given(PURPOSES, FACTS, st.sampled_from(COORDINATES))
def test_taking_a_grant_away_never_opens_anything_else(purpose: Purpose, facts: Facts, taken: str) -> None:
    narrowed = dataclasses.replace(
        purpose, grants={name: form for name, form in purpose.grants.items() if name != taken}
    )
    before, after = (
        decide(a_bundle(one), one, call=a_call(), facts=facts, coordinates=COORDINATES) for one in (purpose, narrowed)
    )
    if isinstance(before, Unrelated) or isinstance(after, Unrelated):
        assert type(before) is type(after)
        return
    assert after.decisions[taken] is Withheld.PURPOSE_NARROWED
    assert {name: after.decisions[name] for name in COORDINATES if name != taken} == {
        name: before.decisions[name] for name in COORDINATES if name != taken
    }


def test_a_case_opens_that_case_and_no_other() -> None:
    purpose = a_purpose(relations=frozenset({Relation.OFFICER}))
    facts = Facts(subject_id=SUBJECT, known=True, relations=frozenset({(Relation.OFFICER, CASE)}))
    decided = {
        case: decide(a_bundle(purpose), purpose, call=a_call(STAFF), facts=facts, coordinates=COORDINATES, case_id=case)
        for case in (CASE, OTHER_CASE, None)
    }
    assert isinstance(decided[CASE], Declared)
    assert isinstance(decided[OTHER_CASE], Unrelated)
    assert isinstance(decided[None], Unrelated)


@pytest.mark.parametrize(
    ("changes", "related"),
    [
        ({"state": "given"}, True),
        ({"state": "renewed", "expires_at": NOW + dt.timedelta(seconds=1)}, True),
        ({"state": "given", "expires_at": NOW}, False),
        ({"state": "requested"}, False),
        ({"state": "withdrawn"}, False),
    ],
)
def test_only_a_consent_that_stands_ties_a_party_to_its_giver(changes: dict[str, Any], related: bool) -> None:
    purpose = a_purpose(basis=Basis.CONSENT, relations=frozenset({Relation.CONSENTED}))
    scope = {"Citizen.name": Form.PLAIN}
    consent = Consent(**{"revision_id": UUID(int=9), "scope": scope, "notice_hash": b"", "expires_at": None, **changes})
    decision = decide(
        a_bundle(purpose),
        purpose,
        call=a_call(PARTY),
        facts=Facts(subject_id=SUBJECT, known=True, consent=consent),
        coordinates=COORDINATES,
    )
    assert isinstance(decision, Declared if related else Unrelated)


def test_the_absent_and_the_unrelated_are_told_apart_for_the_log_only() -> None:
    purpose = a_purpose()
    other = dataclasses.replace(CITIZEN, id=SOMEBODY)
    known, absent = (
        decide(
            a_bundle(purpose),
            purpose,
            call=a_call(other),
            facts=Facts(subject_id=SUBJECT, known=known),
            coordinates=COORDINATES,
        )
        for known in (True, False)
    )
    assert isinstance(known, Unrelated)
    assert isinstance(absent, Unrelated)
    assert dataclasses.replace(known, known=False) == absent


def test_what_is_taken_in_needs_a_grant_to_collect_it() -> None:
    purpose = a_purpose(grants={"In.name": Form.COLLECT, "In.phone": Form.PREDICATE, "Citizen.name": Form.PLAIN})

    require_collectable(purpose, [])
    require_collectable(purpose, ["In.name"])
    with pytest.raises(DisclosureRefused) as refused:
        require_collectable(purpose, ["In.phone", "In.name", "Citizen.name", "In.unheard"])
    assert refused.value.message("en") == "This purpose does not cover: Citizen.name, In.phone, In.unheard."
