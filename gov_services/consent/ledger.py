"""The consent ledger: append-only revisions, each hashed to the one before. It asks nobody and shows nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.consent import store
from gov_services.consent.lifecycle import ConsentEvent, ConsentState, IllegalConsentChange, advance
from gov_services.consent.models import RevisionRow, StandingRow
from gov_services.consent.purposes import Bundle, Purpose
from gov_services.consent.terms import Frequency, Period, Terms
from gov_services.kit.canonical import canonical_json, sha256
from gov_services.kit.database import Session
from gov_services.kit.errors import UserError
from gov_services.kit.ids import new_id

GENESIS = bytes(32)
"""What the first revision of a consent is hashed to."""


@dataclass(frozen=True, slots=True)
class Guardian:
    """Who decides for a child, and in which relation to them."""

    citizen_id: UUID
    relation_id: UUID


class NoticeChanged(UserError):
    """The notice that was shown is not the one in force: it must be read again before consenting."""

    code = "NOTICE_CHANGED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "告知内容已更新,请重新阅读后再授权。",
        "en": "The notice has changed. Please read it again before you consent.",
    }


class LedgerBroken(Exception):
    """A chain of revisions does not hash to itself: somebody changed history."""


async def append(
    session: Session,
    *,
    bundle: Bundle,
    purpose: Purpose,
    citizen_id: UUID,
    recipient: str,
    event: ConsentEvent,
    scope: Collection[str] = (),
    notice_hash: bytes,
    made_by: str,
    now: dt.datetime,
    expires_at: dt.datetime | None = None,
    terms: Terms | None = None,
    guardian: Guardian | None = None,
) -> RevisionRow:
    """Append what happened to the consent. Raises NoticeChanged, IllegalConsentChange.

    The scope of the new revision is exactly `scope`, in the forms that the purpose grants now: nothing of an older,
    wider one comes back (no resurrection), and no later, wider form is covered. A consent that is given without
    `terms` has no bound but how long the purpose keeps.
    """
    if event is ConsentEvent.GIVE and notice_hash != purpose.notice_hash:
        raise NoticeChanged(field="input.noticeHash")
    head = await store.standing_for_update(session, citizen_id=citizen_id, purpose=purpose.code, recipient=recipient)
    revision = _following(head, event, bundle=bundle, made_by=made_by, now=now)
    revision.citizen_id, revision.purpose, revision.recipient = citizen_id, purpose.code, recipient
    revision.scope = sorted(set(scope))
    revision.forms = [purpose.grants[coordinate].value for coordinate in revision.scope]
    revision.notice_hash, revision.expires_at = notice_hash, expires_at
    _decided_by(revision, guardian)
    if event is ConsentEvent.GIVE:
        terms = terms or Terms(keep_days=purpose.retention_days)
        revision.uses, revision.keep_days, revision.given = terms.uses, terms.keep_days, revision.number
        if terms.frequency is not None:
            revision.times, revision.per = terms.frequency.times, terms.frequency.per.value
    return await _save(session, revision)


async def change(
    session: Session,
    consent: StandingRow,
    *,
    event: ConsentEvent,
    bundle: Bundle,
    made_by: str,
    now: dt.datetime,
    guardian: Guardian | None = None,
) -> RevisionRow:
    """Append what happened to a consent that is there, whatever became of its purpose. Raises IllegalConsentChange.

    What is paused, or goes on after, is what was given, to the letter and by whom; what ends covers nothing.
    """
    head = await store.standing_for_update(
        session, citizen_id=consent.citizen_id, purpose=consent.purpose, recipient=consent.recipient
    )
    if head is None:
        raise IllegalConsentChange
    revision = _following(head, event, bundle=bundle, made_by=made_by, now=now)
    revision.citizen_id, revision.purpose, revision.recipient = head.citizen_id, head.purpose, head.recipient
    revision.scope, revision.forms, revision.notice_hash = [], [], head.notice_hash
    _decided_by(revision, guardian)
    if event in (ConsentEvent.PAUSE, ConsentEvent.RESUME):
        for name in _KEPT_OVER_A_PAUSE:
            setattr(revision, name, getattr(head, name))
    return await _save(session, revision)


def _following(
    head: StandingRow | None, event: ConsentEvent, *, bundle: Bundle, made_by: str, now: dt.datetime
) -> RevisionRow:
    """The revision after `head`, still to be filled in. Raises IllegalConsentChange."""
    state = advance(ConsentState(head.state) if head else None, event)
    revision_id = new_id(now)
    return RevisionRow(
        number=head.number + 1 if head else 1,
        revision_id=revision_id,
        consent_id=head.consent_id if head else revision_id,
        state=state.value,
        bundle_version=bundle.version,
        made_by=made_by,
        made_at=now,
        previous=head.head if head else GENESIS,
    )


def _decided_by(revision: RevisionRow, guardian: Guardian | None) -> None:
    if guardian is not None:
        revision.guardian_id, revision.guardian_relation_id = guardian.citizen_id, guardian.relation_id


async def _save(session: Session, revision: RevisionRow) -> RevisionRow:
    revision.hash = revision_hash(revision)
    session.add(revision)
    await session.flush()  # the chain's own key refuses a second revision of this number before anything is projected
    await store.save_standing(session, revision)
    return revision


_KEPT_OVER_A_PAUSE = (
    *("scope", "forms", "notice_hash", "expires_at", "uses", "times", "per", "keep_days", "given"),
    *("guardian_id", "guardian_relation_id"),
)


def terms_of(row: RevisionRow | StandingRow) -> Terms | None:
    """The terms of a consent that was given; None for any other, and for one from before terms were kept."""
    if row.keep_days is None:
        return None
    times, per = row.times, row.per
    frequency = Frequency(times=times, per=Period(per)) if times is not None and per is not None else None
    return Terms(keep_days=row.keep_days, uses=row.uses, frequency=frequency)


def revision_hash(revision: RevisionRow) -> bytes:
    """SHA-256 over the previous hash and everything the revision says.

    What has no terms, and what no guardian decided, hashes as it did before there were any.
    """
    guardian = {
        name: str(value)
        for name, value in (("guardian", revision.guardian_id), ("relation", revision.guardian_relation_id))
        if value is not None
    }
    terms = {
        name: value
        for name in ("uses", "times", "per", "keep_days", "given")
        if (value := getattr(revision, name)) is not None
    }
    return sha256(
        canonical_json(
            {
                **terms,
                **guardian,
                "v": "gov-consent/3" if guardian else "gov-consent/2" if terms else "gov-consent/1",
                "previous": revision.previous.hex(),
                "id": str(revision.revision_id),
                "consent": str(revision.consent_id),
                "citizen": str(revision.citizen_id),
                "purpose": revision.purpose,
                "recipient": revision.recipient,
                "number": revision.number,
                "state": revision.state,
                "scope": list(revision.scope),
                "forms": list(revision.forms),
                "notice": revision.notice_hash.hex(),
                "bundle": revision.bundle_version,
                "by": revision.made_by,
                "at": int(revision.made_at.timestamp() * 1_000_000),
                "until": int(revision.expires_at.timestamp() * 1_000_000) if revision.expires_at else None,
            }
        )
    )


def verify_chain(revisions: Sequence[RevisionRow]) -> None:
    """Check that revisions, oldest first, form one unbroken chain. Raises LedgerBroken, naming where."""
    previous = GENESIS
    for number, revision in enumerate(revisions, start=1):
        if revision.number != number:
            raise LedgerBroken(f"revision {number} is missing")
        if revision.previous != previous or revision_hash(revision) != revision.hash:
            raise LedgerBroken(f"revision {number} does not follow from the one before")
        previous = revision.hash
