"""What the law asks of purposes before they can be in force. Pure; it decides on no request."""

from __future__ import annotations

from gov_services.consent.assessments import Trigger
from gov_services.consent.purposes import DISCLOSING, Basis, Bundle, NoticeState, Purpose, Relation, Separate, Told
from gov_services.consent.tables import PurposeRefused
from gov_services.consent.vocabulary import Vocabulary
from gov_services.kit.errors import LOCALES

LONGEST_CONSENT_DAYS = 365
LONGEST_EMBARGO_DAYS = 365


def require_lawful(purpose: Purpose) -> None:
    """What the law asks of every purpose (PIPL 13, 17, 34)."""
    for name, texts in (("title", purpose.title), ("notice", purpose.notice)):
        if any(not texts.get(locale) for locale in LOCALES):
            raise PurposeRefused(f"{purpose.code}: its {name} is not given in {' and '.join(LOCALES)}")
    if purpose.basis is not Basis.CONSENT and not (purpose.law and purpose.article):
        raise PurposeRefused(f"{purpose.code}: a basis without consent names law and article (PIPL 34)")
    if purpose.basis is Basis.EMERGENCY and purpose.ends_on is None:
        raise PurposeRefused(f"{purpose.code}: an emergency has an end")
    if purpose.retention_days <= 0:
        raise PurposeRefused(f"{purpose.code}: retention is a number of days (PIPL 19)")
    if not purpose.clients:
        raise PurposeRefused(f"{purpose.code}: no client acts under it")
    if _discloses(purpose) and not purpose.relations:
        raise PurposeRefused(f"{purpose.code}: it discloses, and says to whom by no relation")
    asks_about_strangers = {Relation.VERIFIER, Relation.CONSENTED} & purpose.relations
    if asks_about_strangers and purpose.budget_hour <= 0:
        raise PurposeRefused(f"{purpose.code}: whoever may ask about anyone has a budget")
    _require_sound_consent(purpose)
    if not purpose.warned <= purpose.grants.keys():
        raise PurposeRefused(f"{purpose.code}: it warns of {min(purpose.warned - purpose.grants.keys())}, not granted")
    if (purpose.told is Told.EMBARGO) != (purpose.embargo_days > 0) or purpose.embargo_days > LONGEST_EMBARGO_DAYS:
        raise PurposeRefused(f"{purpose.code}: an embargo ends, after {LONGEST_EMBARGO_DAYS} days at the latest")
    if purpose.told is not Told.AT_ONCE and purpose.basis in (Basis.CONSENT, Basis.CONTRACT):
        raise PurposeRefused(f"{purpose.code}: only what a law asks for is not told at once (PIPL 18)")
    deferred = purpose.notice_state is NoticeState.DEFERRED
    if deferred != (purpose.notice_due is not None) or (deferred and purpose.basis is not Basis.EMERGENCY):
        raise PurposeRefused(f"{purpose.code}: only in an emergency a notice is deferred, and until a day (PIPL 18)")


def _require_sound_consent(purpose: Purpose) -> None:
    if bool(purpose.times) != (purpose.per is not None) or min(purpose.times, purpose.uses) < 0:
        raise PurposeRefused(f"{purpose.code}: a frequency is so many times per period")
    if not 0 < purpose.consent_days <= LONGEST_CONSENT_DAYS:
        raise PurposeRefused(f"{purpose.code}: a consent lasts {LONGEST_CONSENT_DAYS} days at most")
    if purpose.separate and purpose.basis is not Basis.CONSENT:
        raise PurposeRefused(f"{purpose.code}: separate consent is asked for where consent is the basis")
    if purpose.basis is Basis.CONSENT and purpose.recipients and Separate.PROVISION not in purpose.separate:
        raise PurposeRefused(
            f"{purpose.code}: passing on to {purpose.recipients[0].code} needs separate consent (PIPL 23)"
        )


def require_consistent(bundle: Bundle, vocabulary: Vocabulary) -> None:
    """What only the schema tells: which coordinates are sensitive. Raises PurposeRefused.

    Sensitive data is consented to separately, with necessity and impact told (PIPL 29, 30), and every purpose that
    needs an impact assessment has one in the bundle (PIPL 55).
    """
    for purpose in bundle.purposes.values():
        sensitive = sorted(name for name in purpose.grants if name in vocabulary and vocabulary[name].sensitive)
        if purpose.basis is Basis.CONSENT and sensitive and Separate.SENSITIVE not in purpose.separate:
            raise PurposeRefused(f"{purpose.code}: {sensitive[0]} is sensitive and needs separate consent (PIPL 29)")
        if purpose.basis is Basis.CONSENT and sensitive:
            for name, texts in (("necessity", purpose.necessity), ("impact", purpose.impact)):
                if any(not texts.get(locale) for locale in LOCALES):
                    raise PurposeRefused(f"{purpose.code}: of sensitive data its {name} is told (PIPL 30)")
        assessed = [item.triggers for item in bundle.assessments.values() if purpose.code in item.purposes]
        missing = triggers(purpose, vocabulary) - frozenset[Trigger]().union(*assessed)
        if missing:
            raise PurposeRefused(f"{purpose.code}: it lacks an impact assessment as {min(missing).value} (PIPL 55)")


def is_fit_for_children(purpose: Purpose) -> bool:
    """Whether it can be consented to for somebody under fourteen, of whom all data is sensitive (PIPL 28).

    So the consent is a separate one, and the notice says why the data is needed and what that means (PIPL 29, 30).
    """
    told = all(texts.get(locale) for texts in (purpose.necessity, purpose.impact) for locale in LOCALES)
    return Separate.SENSITIVE in purpose.separate and told


def triggers(purpose: Purpose, vocabulary: Vocabulary) -> frozenset[Trigger]:
    """For which reasons a purpose needs an impact assessment (PIPL 55)."""
    found = set()
    # What a guardian gets is about somebody under fourteen: sensitive whatever the schema says (PIPL 28).
    if Relation.GUARDIAN in purpose.relations or any(
        name in vocabulary and vocabulary[name].sensitive for name in purpose.grants
    ):
        found.add(Trigger.SENSITIVE)
    if purpose.automated:
        found.add(Trigger.AUTOMATED)
    if (purpose.recipients and _discloses(purpose)) or Separate.PUBLICATION in purpose.separate:
        found.add(Trigger.PROVISION)
    if Separate.EXPORT in purpose.separate:
        found.add(Trigger.EXPORT)
    return frozenset(found)


def _discloses(purpose: Purpose) -> bool:
    return any(form in DISCLOSING for form in purpose.grants.values())


def require_follows(earlier: Purpose | None, later: Purpose) -> None:
    """A purpose or a method that changes ends the consents to it on a day that the bundle names (PIPL 14).

    A field more is no such change: consents do not cover it, and go on covering the rest. What people were asked to
    agree to is not taken on without asking: another basis is another purpose.
    """
    if earlier is None or earlier.basis is not Basis.CONSENT:
        return
    if later.basis is not Basis.CONSENT:
        raise PurposeRefused(f"{later.code}: people were asked for it; another basis is another purpose (PIPL 14)")
    changed = [
        name
        for name in ("title", "notice", "controller", "recipients", "automated")
        if getattr(earlier, name) != getattr(later, name)
    ]
    if changed and later.earlier_notices_until is None:
        raise PurposeRefused(f"{later.code}: its {changed[0]} changed; until when do earlier consents hold? (PIPL 14)")
