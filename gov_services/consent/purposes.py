"""Purposes and the bundle that holds them: why a field may leave, on what basis, in what form. It does not decide."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gov_services.consent.assessments import Assessment
from gov_services.consent.terms import Frequency, Period, Terms
from gov_services.kit.canonical import canonical_json, sha256
from gov_services.kit.clock import local_day

FORMAT = "gov-purposes/2"


class Basis(StrEnum):
    """Legal basis of processing (PIPL 13)."""

    CONSENT = "CONSENT"
    CONTRACT = "CONTRACT"
    STATUTORY = "STATUTORY"
    LEGAL_OBLIGATION = "LEGAL_OBLIGATION"
    EMERGENCY = "EMERGENCY"


class Form(StrEnum):
    """How much of a coordinate a grant gives."""

    PLAIN = "PLAIN"
    MASKED = "MASKED"
    DERIVED = "DERIVED"
    """A computed answer, such as `isAdult`, never the value that it was computed from."""
    PREDICATE = "PREDICATE"
    """Only filtered, sorted or counted by."""
    COLLECT = "COLLECT"
    """Taken in: a field of an input object."""


DISCLOSING = (Form.PLAIN, Form.MASKED, Form.DERIVED)
"""Forms of a grant by which something is shown."""


class Relation(StrEnum):
    """What ties an actor to the subject of a disclosure."""

    SELF = "self"
    DELEGATE = "delegate"
    GUARDIAN = "guardian"
    """Guardian of a child under fourteen, as a counter has seen in a document; it ends by itself (PIPL 31)."""
    OFFICER = "officer"
    """Officer of an open case of the subject."""
    CONSENTED = "consented"
    """A party whom the subject gave a consent that stands."""
    VERIFIER = "verifier"
    """Someone to whom the subject presented a code, or their full identifier, just now; always under a budget."""
    BREAK_GLASS = "break-glass"
    HANDLER = "handler"
    """Who has taken a request that the subject made under their rights: of that request only."""


class Restriction(StrEnum):
    """How processing of a subject's data is restricted. They themselves see it all the same."""

    OBJECTED = "objected"
    """By the citizen, for as long as they wish (PIPL 44)."""
    STORAGE_ONLY = "storage-only"
    """After an erasure, of what a law has kept (PIPL 47)."""


class Told(StrEnum):
    """How a subject is told what was read of theirs under a purpose."""

    AT_ONCE = "at-once"
    EMBARGO = "embargo"
    """After so many days: an inquiry would come to nothing, or others' affairs be inferred, if it were told at once."""
    AGGREGATE = "aggregate"
    """How often, and not when and by whom."""


class NoticeState(StrEnum):
    """Whether the subject was told (PIPL 17, 18, 35)."""

    GIVEN = "given"
    DEFERRED = "deferred"
    EXEMPT = "exempt"


class Separate(StrEnum):
    """What a consent of its own is needed for: its own act, its own record, not bundled with others."""

    SENSITIVE = "sensitive"
    """Sensitive personal information (PIPL 29)."""
    PROVISION = "provision"
    """Passing on to another who processes for purposes of their own (PIPL 23)."""
    PUBLICATION = "publication"
    """Making public (PIPL 25)."""
    IMAGE = "image"
    """Images and identification in public places, for anything but public safety (PIPL 26)."""
    EXPORT = "export"
    """Leaving the mainland (PIPL 39)."""


@dataclass(frozen=True, slots=True)
class Party:
    """A controller, or a recipient with purposes of its own: what a notice must say of it (PIPL 17, 23)."""

    code: str
    name: Mapping[str, str]
    contact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """One reason for processing, with all that it allows."""

    code: str
    title: Mapping[str, str]
    notice: Mapping[str, str]
    basis: Basis
    law: str
    article: str
    controller: Party
    """The agency that answers for it."""
    recipients: tuple[Party, ...] = ()
    """Of its clients, those that are no front end of ours."""
    notice_state: NoticeState = NoticeState.GIVEN
    notice_due: dt.date | None = None
    """By when a deferred notice is given (PIPL 18)."""
    grants: Mapping[str, Form]
    clients: frozenset[str]
    roles: frozenset[str]
    """Roles of which a staff member needs one; empty where no staff acts under it."""
    relations: frozenset[Relation]
    """Of which one must hold. Empty: it discloses nothing about a known subject (it collects, or it looks up)."""
    assurance: int
    """Lowest assurance level of the actor."""
    retention_days: int
    separate: frozenset[Separate] = frozenset()
    """For which reasons it needs consent of its own; none: it needs no separate one."""
    necessity: Mapping[str, str] = field(default_factory=dict)
    impact: Mapping[str, str] = field(default_factory=dict)
    """Why sensitive data is needed, and what it means for the person (PIPL 30)."""
    automated: bool = False
    """Whether it decides about a person by itself, with weight for them (PIPL 24)."""
    consent_days: int = 365
    """A consent ends after so many days at the latest."""
    uses: int = 0
    times: int = 0
    per: Period | None = None
    """The widest terms of a consent: `uses` in all, so many `times` `per` period; 0: no bound."""
    earlier_notices_until: dt.date | None = None
    """Consents that were given to an earlier notice hold until that day; None: until they end by themselves."""
    ends_on: dt.date | None
    needs_reason: bool
    budget_hour: int
    """Most distinct subjects, misses included, that one actor may ask about in an hour; 0: no budget is kept."""
    budget_day: int = 0
    budget_month: int = 0
    """The same in 24 hours, and in 30 days; 0: no budget over that time."""
    told: Told = Told.AT_ONCE
    embargo_days: int = 0
    despite_storage: bool = False
    """Whether it goes on when a subject's data may only be stored (PIPL 47): for what the law keeps it for."""
    warned: frozenset[str] = frozenset()
    """Coordinates that are about to be taken away: still given, and whoever gets one is told."""
    notice_hash: bytes = field(init=False)
    """What a consent is pinned to: the notice in all languages, with all that it must say (PIPL 17, 23, 30)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "notice_hash", sha256(notice_text(self)))

    def has_ended(self, now: dt.datetime) -> bool:
        """Whether its last day is over, where the city is."""
        return self.ends_on is not None and local_day(now) > self.ends_on

    def honours(self, notice_hash: bytes, now: dt.datetime) -> bool:
        """Whether a consent to that notice is one to this purpose: to the notice in force, or one that still counts."""
        until = self.earlier_notices_until
        return until is None or notice_hash == self.notice_hash or local_day(now) <= until

    def is_told(self, at: dt.datetime, now: dt.datetime) -> bool:
        """Whether its subject is told by now of what was read at a moment."""
        return self.told is Told.AT_ONCE or (
            self.told is Told.EMBARGO and now - at >= dt.timedelta(days=self.embargo_days)
        )

    def goes_on(self, restriction: Restriction) -> bool:
        """Whether it may go on about a subject whose data is restricted.

        An objection ends what rests on agreement or on what the person asked for; what a law asks for goes on
        (PIPL 44). What may only be stored serves nothing but what it is stored for.
        """
        if restriction is Restriction.STORAGE_ONLY:
            return self.despite_storage
        return self.basis not in (Basis.CONSENT, Basis.CONTRACT)

    def budgets(self) -> list[tuple[dt.timedelta, int]]:
        """How many people one actor may ask about, and in what time; none where no budget is kept."""
        limits = ((1, self.budget_hour), (24, self.budget_day), (30 * 24, self.budget_month))
        return [(dt.timedelta(hours=hours), most) for hours, most in limits if most > 0]

    def widest_terms(self) -> Terms:
        """The widest that a consent to it can have."""
        frequency = Frequency(times=self.times, per=self.per) if self.times and self.per else None
        return Terms(keep_days=self.retention_days, uses=self.uses or None, frequency=frequency)


def notice_text(purpose: Purpose) -> bytes:
    """The notice with all that it must say, as canonical JSON: what `notice_hash` is the SHA-256 of."""
    return canonical_json(
        {
            "v": "gov-notice/2",
            "purpose": purpose.code,
            "title": dict(purpose.title),
            "notice": dict(purpose.notice),
            "necessity": dict(purpose.necessity),
            "impact": dict(purpose.impact),
            "controller": _plain_party(purpose.controller),
            "recipients": [_plain_party(party) for party in purpose.recipients],
            "separate": sorted(purpose.separate),
            "automated": purpose.automated,
            "grants": {name: form.value for name, form in sorted(purpose.grants.items())},
            "retentionDays": purpose.retention_days,
            "terms": [purpose.consent_days, purpose.uses, purpose.times, purpose.per.value if purpose.per else ""],
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """All purposes in force at once. Its hash stands in every log entry that a decision under it makes."""

    version: int
    purposes: Mapping[str, Purpose]
    body: bytes
    """Canonical JSON: what is hashed, signed and stored."""
    parties: Mapping[str, Party] = field(default_factory=dict)
    """Controllers and recipients, by code; a recipient's is its client id."""
    assessments: Mapping[str, Assessment] = field(default_factory=dict)
    """Impact assessments that the purposes rest on, kept as bundles are: for good (PIPL 56 asks for three years)."""
    hash: bytes = field(init=False)
    """SHA-256 of the body; made once, since every decision names it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", sha256(self.body))

    def kept_from(self, purpose: str, now: dt.datetime) -> dt.datetime:
        """Since when things are kept that serve `purpose`: what is older goes. Without that purpose nothing does."""
        known = self.purposes.get(purpose)
        return now - dt.timedelta(days=known.retention_days) if known else dt.datetime.min.replace(tzinfo=dt.UTC)

    def without_grant(self, purpose: str, coordinate: str, *, form: Form | None = None) -> Bundle:
        """The next version, in which `purpose` grants `coordinate` no more, or only as `form`. Raises KeyError."""
        narrowed = self.purposes[purpose]
        grants = dict(narrowed.grants)
        if form is None:
            del grants[coordinate]
        else:
            grants[coordinate] = form
        return self.with_purpose(replace(narrowed, grants=grants, warned=narrowed.warned - {coordinate}))

    def with_grant(self, purpose: str, coordinate: str, form: Form) -> Bundle:
        """The next version, in which `purpose` grants `coordinate` as `form`. Raises KeyError."""
        widened = self.purposes[purpose]
        return self.with_purpose(replace(widened, grants={**widened.grants, coordinate: form}))

    def with_warning(self, purpose: str, coordinate: str) -> Bundle:
        """The next version, in which whoever gets `coordinate` is told that it goes. Raises KeyError."""
        warning = self.purposes[purpose]
        return self.with_purpose(replace(warning, warned=warning.warned | {coordinate}))

    def with_purpose(self, purpose: Purpose, *assessments: Assessment) -> Bundle:
        """The next version, with `purpose` in the place of the one of that code, and assessments added."""
        return make_bundle(
            self.version + 1,
            {**self.purposes, purpose.code: purpose},
            parties=self.parties,
            assessments={**self.assessments, **{item.id: item for item in assessments}},
        )


def signed_text(bundle: Bundle) -> bytes:
    """What the bundle key signs."""
    return f"gov-bundle/1\n{bundle.version}\n{bundle.hash.hex()}\n".encode()


def make_bundle(
    version: int,
    purposes: Mapping[str, Purpose],
    *,
    parties: Mapping[str, Party],
    assessments: Mapping[str, Assessment] | None = None,
) -> Bundle:
    """A bundle with its body."""
    body = canonical_json(
        {
            "v": FORMAT,
            "version": version,
            "parties": {code: {"name": dict(item.name), "contact": item.contact} for code, item in parties.items()},
            "purposes": {code: plain_purpose(item) for code, item in purposes.items()},
            "assessments": {name: item.plain() for name, item in (assessments or {}).items()},
        }
    )
    return Bundle(
        version=version,
        purposes=dict(purposes),
        body=body,
        parties=dict(parties),
        assessments=dict(assessments or {}),
    )


def plain_purpose(purpose: Purpose) -> dict[str, object]:
    """As a bundle holds it."""
    return {
        "title": dict(purpose.title),
        "notice": dict(purpose.notice),
        "basis": purpose.basis.value,
        "law": purpose.law,
        "article": purpose.article,
        "controller": purpose.controller.code,
        "notice_state": purpose.notice_state.value,
        "notice_due": _day(purpose.notice_due),
        "grants": {coordinate: form.value for coordinate, form in purpose.grants.items()},
        "clients": sorted(purpose.clients),
        "roles": sorted(purpose.roles),
        "relations": sorted(relation.value for relation in purpose.relations),
        "assurance": purpose.assurance,
        "retention_days": purpose.retention_days,
        "separate": sorted(purpose.separate),
        "necessity": dict(purpose.necessity),
        "impact": dict(purpose.impact),
        "automated": purpose.automated,
        "consent_days": purpose.consent_days,
        "uses": purpose.uses,
        "times": purpose.times,
        "per": purpose.per.value if purpose.per else "",
        "earlier_notices_until": _day(purpose.earlier_notices_until),
        "ends_on": _day(purpose.ends_on),
        "needs_reason": purpose.needs_reason,
        "budget_hour": purpose.budget_hour,
        "budget_day": purpose.budget_day,
        "budget_month": purpose.budget_month,
        "told": purpose.told.value,
        "embargo_days": purpose.embargo_days,
        "despite_storage": purpose.despite_storage,
        "warned": sorted(purpose.warned),
    }


def _plain_party(party: Party) -> dict[str, object]:
    return {"code": party.code, "name": dict(party.name), "contact": party.contact}


def _day(day: dt.date | None) -> str:
    return day.isoformat() if day else ""
