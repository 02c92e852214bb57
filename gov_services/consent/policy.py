"""The decision: actor + purpose + subject + coordinates → Declared, or a refusal. Pure; it reads no database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from gov_services.consent.lifecycle import STANDS
from gov_services.consent.purposes import DISCLOSING, Basis, Bundle, Form, Purpose, Relation, Restriction
from gov_services.consent.terms import Terms
from gov_services.kit.actor import ActorKind
from gov_services.kit.context import Call
from gov_services.kit.errors import AssuranceTooLow, Forbidden, Refusal


class Withheld(StrEnum):
    """Why one coordinate is not given, as the client sees it in `extensions.code`."""

    CONSENT_REQUIRED = "CONSENT_REQUIRED"
    PURPOSE_NARROWED = "PURPOSE_NARROWED"


Decision = Form | Withheld


class DisclosureRefused(Refusal):
    """What was asked goes beyond the purpose; the whole request is refused, the coordinates named."""

    code = "DISCLOSURE_REFUSED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "此用途不得读取或收集:{coordinates}。",
        "en": "This purpose does not cover: {coordinates}.",
    }


class PurposeUnknown(Refusal):
    """The purpose is in no bundle in force, or has ended."""

    code = "DISCLOSURE_REFUSED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该用途未登记或已终止。",
        "en": "This purpose is not registered, or has ended.",
    }


class ReasonRequired(Refusal):
    """The purpose asks for a reason in words."""

    code = "REASON_REQUIRED"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "请说明办理事由。", "en": "Please state the reason."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The consent of one subject for one purpose and recipient, as it stands."""

    revision_id: UUID
    state: str
    scope: Mapping[str, Form]
    """Coordinates, each in the form that the notice named."""
    notice_hash: bytes
    expires_at: dt.datetime | None
    terms: Terms | None = None
    spent: bool = False
    """Whether others have read under it as often as its terms allow."""

    def stands(self, now: dt.datetime) -> bool:
        """Whether it was given, neither ended, paused nor used up since, nor run out at `now`."""
        return self.state in STANDS and not self.spent and (self.expires_at is None or now < self.expires_at)

    def covers(self, purpose: Purpose, now: dt.datetime) -> bool:
        """Whether it is about this purpose as it is now, and the recipient keeps no longer than was agreed to.

        What an earlier notice said holds as long as the bundle says (PIPL 14).
        """
        if self.terms is not None and purpose.retention_days > self.terms.keep_days:
            return False
        return purpose.honours(self.notice_hash, now)

    def narrow(self, coordinate: str, granted: Form) -> Form | None:
        """The lesser of what is `granted` and what was consented to, while the consent stands; None for neither.

        Never what the purpose has grown by since: neither another coordinate nor a wider form.
        """
        consented = self.scope.get(coordinate)
        if consented == granted:
            return granted
        # Of the forms only these two are more and less of the same.
        return Form.MASKED if {consented, granted} == {Form.PLAIN, Form.MASKED} else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the database says of one subject towards one actor."""

    subject_id: UUID
    known: bool
    """Whether there is such a citizen, with keys that still open."""
    relations: frozenset[tuple[Relation, UUID | None]] = frozenset()
    """Standing relations of the actor, each with its case."""
    consent: Consent | None = None
    restriction: Restriction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A decision on all coordinates of one request about one subject. It opens nothing until the log holds it."""

    subject_id: UUID
    purpose: Purpose
    policy_hash: bytes
    relation: Relation
    decisions: Mapping[str, Decision]
    consent_revision: UUID | None
    case_id: UUID | None
    counted: bool = False
    """Whether the consent that it rests on counts readings, and something is read under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrelated:
    """No relation holds. Absent, unrelated and unconsented subjects all end here and look alike from outside."""

    subject_id: UUID
    known: bool
    purpose: Purpose
    policy_hash: bytes
    restricted: bool = False
    """A relation holds, and the subject's data may not be processed for this now. From outside it looks the same."""


def admit(bundle: Bundle, call: Call) -> Purpose:
    """The purpose that `call` may act under. Raises a Refusal; what is unknown, missing or out of date denies."""
    # (1) The purpose is in force.
    purpose = bundle.purposes.get(call.purpose)
    if purpose is None or purpose.has_ended(call.now):
        raise PurposeUnknown
    actor = call.actor
    # (2) The client, or our own entrance, is one of the purpose's.
    if (actor.client_id or "anonymous") not in purpose.clients:
        raise Forbidden
    # (3) A staff member holds one of its roles; nobody else needs one.
    if actor.kind is ActorKind.STAFF and not (actor.roles & purpose.roles):
        raise Forbidden
    # (4) The actor is known surely enough.
    if actor.assurance < purpose.assurance:
        raise AssuranceTooLow(required=purpose.assurance)
    # (5) A reason is stated where it must be.
    if purpose.needs_reason and not call.reason:
        raise ReasonRequired
    return purpose


def decide(
    bundle: Bundle,
    purpose: Purpose,
    *,
    call: Call,
    facts: Facts,
    coordinates: Collection[str],
    case_id: UUID | None = None,
    presented: bool = False,
) -> Declared | Unrelated:
    """Decide every coordinate at once. `presented`: the subject named themselves by a code or full identifier.

    The outcome is the intersection of grant, consent scope and relation; nothing is granted by a union.
    """
    # (1) The subject exists and one of the purpose's relations holds.
    relation = _relation(purpose, call=call, facts=facts, case_id=case_id, presented=presented)
    restricted = (
        facts.restriction is not None and relation is not Relation.SELF and not purpose.goes_on(facts.restriction)
    )
    if relation is None or not facts.known or restricted:
        return Unrelated(
            subject_id=facts.subject_id,
            known=facts.known,
            purpose=purpose,
            policy_hash=bundle.hash,
            restricted=restricted and relation is not None,
        )
    # (2) Each coordinate on its own.
    consent = facts.consent if facts.consent is not None and _holds(facts.consent, purpose, call.now) else None
    decisions = {coordinate: _decide_one(purpose, coordinate, consent) for coordinate in coordinates}
    return Declared(
        subject_id=facts.subject_id,
        purpose=purpose,
        policy_hash=bundle.hash,
        relation=relation,
        decisions=decisions,
        consent_revision=facts.consent.revision_id if facts.consent and purpose.basis is Basis.CONSENT else None,
        case_id=case_id,
        counted=bool(
            purpose.basis is Basis.CONSENT
            and consent is not None
            and consent.terms is not None
            and consent.terms.counted
            and any(isinstance(decision, Form) for decision in decisions.values())
        ),
    )


def require_readable(purpose: Purpose, coordinates: Collection[str]) -> None:
    """Refuse to show what `purpose` grants in no form that is shown. Raises DisclosureRefused naming it."""
    beyond = sorted(item for item in coordinates if purpose.grants.get(item) not in DISCLOSING)
    if beyond:
        raise DisclosureRefused(coordinates=", ".join(beyond))


def require_collectable(purpose: Purpose, coordinates: Collection[str]) -> None:
    """Refuse to take in what `purpose` has no COLLECT grant for. Raises DisclosureRefused naming it."""
    beyond = sorted(item for item in coordinates if purpose.grants.get(item) is not Form.COLLECT)
    if beyond:
        raise DisclosureRefused(coordinates=", ".join(beyond))


def _holds(consent: Consent, purpose: Purpose, now: dt.datetime) -> bool:
    return consent.stands(now) and consent.covers(purpose, now)


def _relation(purpose: Purpose, *, call: Call, facts: Facts, case_id: UUID | None, presented: bool) -> Relation | None:
    actor = call.actor
    if Relation.SELF in purpose.relations and actor.kind is ActorKind.CITIZEN and actor.id == facts.subject_id:
        return Relation.SELF
    for relation, case in sorted(facts.relations, key=lambda item: item[0].value):
        # A relation to a case opens that case only; one without a case (a delegate's) opens all the purpose grants.
        if relation in purpose.relations and (case is None or case == case_id):
            return relation
    if Relation.VERIFIER in purpose.relations and presented:
        return Relation.VERIFIER
    if (
        Relation.CONSENTED in purpose.relations
        and facts.consent is not None
        and _holds(facts.consent, purpose, call.now)
    ):
        return Relation.CONSENTED
    return None


def _decide_one(purpose: Purpose, coordinate: str, consent: Consent | None) -> Decision:
    """`consent` is one that stands."""
    form = purpose.grants.get(coordinate)
    if form not in DISCLOSING:
        # The build refuses documents that ask beyond their purpose: a grant missing now was taken away since.
        return Withheld.PURPOSE_NARROWED
    if purpose.basis is not Basis.CONSENT:
        return form
    return (consent.narrow(coordinate, form) if consent else None) or Withheld.CONSENT_REQUIRED
