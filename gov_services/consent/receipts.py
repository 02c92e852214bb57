"""Consent receipts: what was agreed to, as signed JSON that a citizen keeps and anybody checks. It asks no database.

Fields after ISO/IEC TS 27560:2023, as the W3C's guide maps them (https://w3id.org/dpv/guides/consent-27560). The states
are DPV's, but for a pause, which DPV does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gov_services.consent.ledger import terms_of
from gov_services.consent.lifecycle import ConsentState
from gov_services.consent.models import RevisionRow
from gov_services.consent.notices import RETENTION, RIGHTS
from gov_services.consent.purposes import Bundle, Party, Purpose
from gov_services.consent.vocabulary import Vocabulary
from gov_services.crypto.signing import SigningKey
from gov_services.crypto.tokens import sign_statement
from gov_services.kit.canonical import canonical_json

TYPE = "consent-receipt+jws"
SCHEMA = "ISO/IEC TS 27560:2023"
DPV = "https://w3id.org/dpv#"
STATES: Mapping[ConsentState, str] = {
    ConsentState.REQUESTED: f"{DPV}ConsentRequested",
    ConsentState.DEFERRED: f"{DPV}ConsentRequestDeferred",
    ConsentState.REFUSED: f"{DPV}ConsentRefused",
    ConsentState.GIVEN: f"{DPV}ConsentGiven",
    ConsentState.EXPIRED: f"{DPV}ConsentExpired",
    ConsentState.WITHDRAWN: f"{DPV}ConsentWithdrawn",
    ConsentState.REVOKED: f"{DPV}ConsentRevoked",
    ConsentState.RENEWED: f"{DPV}RenewedConsentGiven",
    ConsentState.PAUSED: "paused",
}


def record_of(
    revisions: Sequence[RevisionRow],
    *,
    bundle: Bundle,
    principal: str,
    vocabulary: Vocabulary,
    locale: str,
    issuer: str,
) -> dict[str, Any]:
    """The record of one consent, oldest revision first; `bundle` is the one that its notice stood in.

    `principal` names the citizen to nobody but us. Raises KeyError where the bundle lacks the purpose.
    """
    given = next((row for row in reversed(revisions) if row.scope), revisions[-1])
    purpose = bundle.purposes[given.purpose]
    recipient = bundle.parties.get(given.recipient)
    return {
        "schema_version": SCHEMA,
        "record_id": str(given.consent_id),
        "pii_principal_id": principal,
        "pii_processing": {
            "privacy_notice": {
                "hash": given.notice_hash.hex(),
                "bundle_version": bundle.version,
                "text": purpose.notice[locale],
                "issuer": issuer,
            },
            "language": locale,
            "purposes": [_purpose(purpose, given, vocabulary, locale)],
            "codes_of_conduct": [],
            "impact_assessment": sorted(
                item.id for item in bundle.assessments.values() if purpose.code in item.purposes
            ),
            "authority_party": "国家互联网信息办公室",
            "recipient_third_parties": [given.recipient] if recipient else [],
            "privacy_rights": RIGHTS[locale],
            "withdrawal_method": "withdrawConsent",
            "jurisdiction": "CN",
            "geographic_restrictions": ["CN"],
            "storage_locations": ["CN"],
            "processing_locations": ["CN"],
        },
        "parties": [_party(purpose.controller, "controller", locale)]
        + ([_party(recipient, "recipient", locale)] if recipient else []),
        "events": [_event(row) for row in revisions],
    }


def sign_receipt(key: SigningKey, record: Mapping[str, Any]) -> str:
    """The receipt: a compact JWS over the record's canonical JSON (RFC 7515, RFC 8785)."""
    return sign_statement(key, canonical_json(record), type=TYPE)


def _purpose(purpose: Purpose, given: RevisionRow, vocabulary: Vocabulary, locale: str) -> dict[str, Any]:
    terms = terms_of(given)
    fields = zip(given.scope, given.forms, strict=True)
    return {
        "purpose": purpose.code,
        "title": purpose.title[locale],
        "lawful_basis": purpose.basis.value,
        "separate": sorted(purpose.separate),
        "pii_information": [
            {
                "attribute_id": name,
                "form": form,
                "type": vocabulary[name].category if name in vocabulary else "none",
                "optional": True,
                # Whatever is of somebody under fourteen is (PIPL 28).
                "sensitive": given.guardian_id is not None or (name in vocabulary and vocabulary[name].sensitive),
                "special": name in vocabulary and vocabulary[name].category == "health",
            }
            for name, form in fields
        ],
        "collection_method": "application",
        "processing_method": sorted(set(given.forms)),
        "retention_period": RETENTION[locale].format(days=terms.keep_days if terms else purpose.retention_days),
        "controllers": [purpose.controller.code],
        "terms": {
            "keep_days": terms.keep_days if terms else purpose.retention_days,
            "uses": terms.uses if terms else None,
            "frequency": {"times": terms.frequency.times, "per": terms.frequency.per.value}
            if terms and terms.frequency
            else None,
        },
    }


def _party(party: Party, role: str, locale: str) -> dict[str, str]:
    return {"id": party.code, "name": party.name[locale], "role": role, "contact": party.contact, "type": role}


def _event(row: RevisionRow) -> dict[str, Any]:
    return {
        "time": row.made_at.isoformat(),
        "validity_until": row.expires_at.isoformat() if row.expires_at else None,
        "entity_id": row.made_by,
        "type": "expressed",
        "state": STATES[ConsentState(row.state)],
        "revision": row.number,
        "revision_hash": row.hash.hex(),
        **({"guardian_relation_id": str(row.guardian_relation_id)} if row.guardian_relation_id else {}),
    }
