"""The consent ledger: append-only revisions, each hashed to the one before. It asks nobody and shows nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import ClassVar
from uuid import UUID

from gov_services.consent import store
from gov_services.consent.lifecycle import ConsentEvent, ConsentState, advance
from gov_services.consent.models import RevisionRow
from gov_services.consent.purposes import Bundle, Purpose
from gov_services.kit.canonical import canonical_json, sha256
from gov_services.kit.database import Session
from gov_services.kit.errors import UserError
from gov_services.kit.ids import new_id

GENESIS = bytes(32)
"""What the first revision of a consent is hashed to."""


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
    scope: Collection[str],
    notice_hash: bytes,
    made_by: str,
    now: dt.datetime,
    expires_at: dt.datetime | None = None,
) -> RevisionRow:
    """Append what happened to the consent. Raises NoticeChanged, IllegalConsentChange.

    The scope of the new revision is exactly `scope`, in the forms that the purpose grants now: nothing of an older,
    wider one comes back (no resurrection), and no later, wider form is covered.
    """
    if event is ConsentEvent.GIVE and notice_hash != purpose.notice_hash():
        raise NoticeChanged(field="input.noticeHash")
    head = await store.standing_for_update(session, citizen_id=citizen_id, purpose=purpose.code, recipient=recipient)
    state = advance(ConsentState(head.state) if head else None, event)
    revision_id = new_id(now)
    covered = sorted(set(scope))
    revision = RevisionRow(
        citizen_id=citizen_id,
        purpose=purpose.code,
        recipient=recipient,
        number=head.number + 1 if head else 1,
        revision_id=revision_id,
        consent_id=head.consent_id if head else revision_id,
        state=state.value,
        scope=covered,
        forms=[purpose.grants[coordinate].value for coordinate in covered],
        notice_hash=notice_hash,
        bundle_version=bundle.version,
        made_by=made_by,
        made_at=now,
        expires_at=expires_at,
        previous=head.head if head else GENESIS,
    )
    revision.hash = revision_hash(revision)
    session.add(revision)
    await session.flush()  # the chain's own key refuses a second revision of this number before anything is projected
    await store.save_standing(session, revision)
    return revision


def revision_hash(revision: RevisionRow) -> bytes:
    """SHA-256 over the previous hash and everything the revision says."""
    return sha256(
        canonical_json(
            {
                "v": "gov-consent/1",
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
