"""Agreements, policies, records, revisions and signatures as GovStack's consent API shows them. It asks nobody.

Where the specification says SHA-1 we hash with SHA-256. A revision's `serializedHash` is the SHA-256 of its
`serializedSnapshot`; of an agreement it is the very hash that the ledger pins a consent to.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gov_services.consent.lifecycle import STANDS, ConsentState
from gov_services.consent.models import RevisionRow
from gov_services.consent.purposes import DISCLOSING, Basis, Form, NoticeState, Purpose, notice_text
from gov_services.consent.receipts import TYPE
from gov_services.consent.vocabulary import Vocabulary
from gov_services.crypto.signing import SigningKey
from gov_services.crypto.tokens import sign_statement
from gov_services.kit.canonical import canonical_json, sha256
from gov_services.privacy.consent_bb.models import PolicyRow, WebhookRow
from gov_services.privacy.consent_bb.register import Agreement, Wording

VERSION = "1.1.0"
"""Of the specification."""
LAWFUL_BASES: Mapping[Basis, str] = {
    Basis.CONSENT: "consent",
    Basis.CONTRACT: "contract",
    Basis.STATUTORY: "public_task",
    Basis.LEGAL_OBLIGATION: "legal_obligation",
    Basis.EMERGENCY: "vital_interest",
}
"""PIPL 13 knows no `legitimate_interest`."""
OF_CITIZEN, OF_CONSENT, OF_TAG = "citizen", "consent-record", "subject-tag"
"""What somebody is named by: to themselves, to a party, to a compliance officer."""
SESSION, JWS = "session", "JWS"
"""How it is known who agreed: by the session they are in; by the city's own signature over the record."""
_UNSIGNED = (ConsentState.REQUESTED, ConsentState.DEFERRED)
Shown = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """How somebody is named to whoever asks, and no further."""

    id: str
    kind: str
    """One of OF_CITIZEN, OF_CONSENT, OF_TAG."""

    def shown(self) -> Shown:
        """As the API has it."""
        return {"id": self.id, "externalId": "", "externalIdType": self.kind, "identityProviderId": ""}


def policy(row: PolicyRow) -> Shown:
    """A processing policy."""
    shown: Shown = {
        "id": str(row.number),
        "name": row.name,
        "version": row.version,
        "url": row.url,
        "jurisdiction": row.jurisdiction,
        "industrySector": row.sector,
        "geographicRestriction": row.restriction,
        "storageLocation": row.storage,
    }
    if row.retention_days is not None:
        shown["dataRetentionPeriodDays"] = row.retention_days
    return shown


def policy_snapshot(row: PolicyRow) -> bytes:
    """What a policy's revision is hashed over. Who wrote it is named in the log, and not to everybody."""
    return canonical_json(
        {
            "objectData": {**policy(row), "ended": row.ended},
            "schemaName": "Policy",
            "objectId": str(row.number),
            "revision": row.revision,
            "timestamp": row.made_at.isoformat(),
            "predecessorHash": row.previous.hex(),
        }
    )


def policy_revision(rows: Sequence[PolicyRow], index: int) -> Shown:
    """One revision of a policy, of all of them, oldest first."""
    row = rows[index]
    shown = _revision(
        "Policy",
        str(row.number),
        policy_snapshot(row).decode(),
        at=row.made_at,
        predecessor=row.previous.hex() if row.revision > 1 else "",
    )
    if index + 1 < len(rows):
        shown["successor"] = policy_revision(rows[: index + 2], index + 1)
    return shown


def agreement(found: Agreement, wording: Wording, governed_by: Shown, vocabulary: Vocabulary, locale: str) -> Shown:
    """An agreement as it was worded then."""
    purpose = wording.purpose
    assessed = sorted(item.id for item in wording.bundle.assessments.values() if purpose.code in item.purposes)
    return {
        "id": found.id,
        **_worded(purpose, vocabulary, locale),
        "policy": governed_by,
        "dataUse": "data_using_service" if found.recipient in wording.bundle.parties else "data_source",
        "dpia": ", ".join(assessed) or "not required",
        "active": found.active and wording is found.newest,
        "lifecycle": {"id": "complete", "name": "Complete"},
        "recipient": found.recipient,
    }


def drafted(draft_id: str, purpose: Purpose, vocabulary: Vocabulary, locale: str, *, dpia: str, state: str) -> Shown:
    """An agreement that is not in force: a draft, or one that was taken back or refused."""
    return {
        "id": draft_id,
        **_worded(purpose, vocabulary, locale),
        "dataUse": "data_source",
        "dpia": dpia or "none yet",
        "active": False,
        "lifecycle": {"id": state, "name": "Draft"},
        "recipient": "",
    }


def _worded(purpose: Purpose, vocabulary: Vocabulary, locale: str) -> Shown:
    return {
        "version": VERSION,
        "controller": {
            "id": purpose.controller.code,
            "name": purpose.controller.name[locale],
            "url": f"mailto:{purpose.controller.contact}",
        },
        "purpose": purpose.title[locale],
        "lawfulBasis": LAWFUL_BASES[purpose.basis],
        # The burden of proof that somebody agreed is ours (PIPL 69), so that no record of it may be forgotten.
        "forgettable": False,
        "code": purpose.code,
        "notice": purpose.notice[locale],
        "noticeGiven": purpose.notice_state is NoticeState.GIVEN,
        "attributes": [
            {
                "id": f"{purpose.code}/{name}",
                "name": name,
                "sensitivity": vocabulary[name].sensitivity if name in vocabulary else "general",
                "category": vocabulary[name].category if name in vocabulary else "none",
                "form": form.value,
            }
            for name, form in sorted(purpose.grants.items())
            if form in (*DISCLOSING, Form.COLLECT)
        ],
    }


def agreement_revision(found: Agreement, wording: Wording) -> Shown:
    """The revision of an agreement that a consent is pinned to: its notice, to the letter."""
    index = found.wordings.index(wording)
    shown = _revision(
        "DataAgreement",
        found.id,
        notice_text(wording.purpose).decode(),
        at=wording.since,
        predecessor=found.wordings[index - 1].purpose.notice_hash.hex() if index else "",
    )
    shown["authorizedByOther"] = wording.purpose.controller.code
    if index + 1 < len(found.wordings):
        following = found.wordings[index + 1]
        shown["successor"] = _revision(
            "DataAgreement",
            found.id,
            notice_text(following.purpose).decode(),
            at=following.since,
            predecessor=wording.purpose.notice_hash.hex(),
        )
    return shown


def draft_revision(draft_id: str, purpose: Purpose, at: dt.datetime) -> Shown:
    """The revision that a draft would come to."""
    return _revision("DataAgreement", draft_id, notice_text(purpose).decode(), at=at, predecessor="")


def record(row: RevisionRow, found: Agreement, person: Person) -> Shown:
    """A consent as it stood after one revision. The agreement is named and not repeated."""
    return {
        "id": str(row.consent_id),
        "dataAgreementRevisionHash": row.notice_hash.hex(),
        "dataAgreementId": found.id,
        "individual": person.shown(),
        "optIn": row.state in STANDS,
        "state": "unsigned" if row.state in _UNSIGNED else "signed",
        # Whether it is the first time is not a party's to know: an earlier no would show.
        "status": ConsentState.GIVEN.value if person.kind == OF_CONSENT and row.state in STANDS else row.state,
        "scope": list(row.scope),
        **({"expiresAt": row.expires_at.isoformat()} if row.expires_at else {}),
    }


def record_revision(chain: Sequence[RevisionRow], found: Agreement, person: Person) -> Shown:
    """The newest revision of a consent, hashed to those before as whoever asks may see them.

    The ledger hashes over the citizen's id, which is nobody else's business: its own hash stands in the snapshot.
    """
    previous, snapshot = "", b""
    # Counted as they are seen: a gap would tell of what is not.
    for number, row in enumerate(chain, start=1):
        previous = sha256(snapshot).hex() if snapshot else ""
        snapshot = canonical_json(
            {
                "objectData": record(row, found, person),
                "schemaName": "ConsentRecord",
                "objectId": str(row.consent_id),
                "revision": number,
                "timestamp": row.made_at.isoformat(),
                "authorizedByOther": row.made_by,
                "predecessorHash": previous,
                "ledgerHash": row.hash.hex(),
            }
        )
    last = chain[-1]
    shown = _revision("ConsentRecord", str(last.consent_id), snapshot.decode(), at=last.made_at, predecessor=previous)
    shown["authorizedByOther"] = last.made_by
    return shown


def signature(key: SigningKey, revision: Shown, row: RevisionRow, person: Person) -> Shown:
    """The city's signature over a revision, as whoever asks sees it: checked with the keys of consent receipts."""
    signed = sign_statement(key, revision["serializedSnapshot"].encode(), type=TYPE)
    return {
        "id": str(row.revision_id),
        "payload": revision["serializedSnapshot"],
        "signature": signed,
        "verificationMethod": JWS,
        "verificationPayload": revision["serializedSnapshot"],
        "verificationPayloadHash": revision["serializedHash"],
        "verificationSignedBy": key.key_id,
        "verificationSignedAs": "delegate" if row.guardian_id is not None else "individual",
        "verificationJwsHeader": signed.partition(".")[0],
        "timestamp": row.made_at.isoformat(),
        "signedWithoutObjectReference": False,
        "objectType": "revision",
        "objectReference": revision["id"],
    }


def draft_record(found: Agreement, person: Person, *, opt_in: bool = True) -> Shown:
    """A record that is stored nowhere yet."""
    return {
        "id": "",
        "dataAgreementRevisionHash": found.newest.purpose.notice_hash.hex(),
        "dataAgreementRevision": agreement_revision(found, found.newest),
        "dataAgreementId": found.id,
        "individual": person.shown(),
        "optIn": opt_in,
        "state": "unsigned",
    }


def what_is_agreed(found: Agreement, person: Person) -> str:
    """What a citizen's session vouches for when they agree: who, to what."""
    return canonical_json(
        {
            "dataAgreementId": found.id,
            "dataAgreementRevisionHash": found.newest.purpose.notice_hash.hex(),
            "individualId": person.id,
            "optIn": True,
        }
    ).decode()


def draft_signature(found: Agreement, person: Person, *, at: dt.datetime) -> Shown:
    """A signature to be returned as it is: the session in which it comes back says who agrees."""
    agreed = what_is_agreed(found, person)
    return {
        "id": "",
        "payload": agreed,
        "signature": "",
        "verificationMethod": SESSION,
        "verificationPayload": agreed,
        "verificationPayloadHash": sha256(agreed.encode()).hex(),
        "verificationSignedBy": person.id,
        "verificationSignedAs": "individual",
        "timestamp": at.isoformat(),
        "signedWithoutObjectReference": True,
        "objectType": "revision",
        "objectReference": "",
    }


def request_revision(shown: Shown, at: dt.datetime) -> Shown:
    """Of a record that a party asks for: it is its own revision until somebody answers."""
    snapshot = canonical_json({name: shown[name] for name in ("id", "dataAgreementRevisionHash", "dataAgreementId")})
    return _revision("ConsentRecord", shown["id"], snapshot.decode(), at=at, predecessor="")


def webhook(row: WebhookRow, secret: str) -> Shown:
    """A webhook; its secret only in the answer to whoever made or changed it."""
    return {
        "id": str(row.webhook_id),
        "payloadUrl": row.url,
        "contentType": "application/json",
        "disabled": row.disabled,
        "secretKey": secret,
    }


def _revision(schema: str, object_id: str, snapshot: str, *, at: dt.datetime, predecessor: str) -> Shown:
    digest = sha256(snapshot.encode()).hex()
    return {
        "id": digest,
        "schemaName": schema,
        "objectId": object_id,
        "signedWithoutObjectId": False,
        "serializedSnapshot": snapshot,
        "serializedHash": digest,
        "timestamp": at.isoformat(),
        "predecessorHash": predecessor,
    }
