"""Receipts of consents: signed, with every field that TS 27560 asks for, and what is over ends by itself."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import jwt
import pytest
from bank_consents import ask_adult, give
from city_law import put_bundle_in_force
from town import Town

from gov_services.consent.lifecycle import ConsentState
from gov_services.consent.purpose_files import parse_bundle
from gov_services.consent.purposes import make_bundle
from gov_services.consent.receipts import STATES
from gov_services.crypto.signing import VerifyKeys
from gov_services.crypto.tokens import TokenRefused, jwks, verify_statement
from gov_services.kit.actor import Actor
from gov_services.kit.canonical import canonical_json

pytestmark = pytest.mark.untraced

RECEIPT = "query($id: ID!) { consentReceipt(consentId: $id) }"
CHANGE = "mutation($i: %sInput!) { a: %s(input: $i) { consent { state } userErrors { code } } }"
# The fields of a record, its processing, its purposes and its events that ISO/IEC TS 27560 calls mandatory or
# conditional, as the W3C's guide lists them.
RECORD = {"schema_version", "record_id", "pii_principal_id", "pii_processing", "parties", "events"}
PROCESSING = {
    "privacy_notice",
    "language",
    "purposes",
    "jurisdiction",
    "withdrawal_method",
    "privacy_rights",
    "codes_of_conduct",
    "impact_assessment",
    "authority_party",
    "recipient_third_parties",
    "storage_locations",
    "processing_locations",
    "geographic_restrictions",
}
PURPOSE = {"purpose", "lawful_basis", "pii_information", "controllers", "collection_method", "processing_method"}
INFORMATION = {"type", "attribute_id", "optional", "sensitive", "special"}


async def change(town: Town, actor: Actor, what: str, consent_id: str, kind: str = "Consent") -> Any:
    document = CHANGE % (kind, what)
    answer = await town.ask(
        "privacy", document, {"i": {"consentId": consent_id}}, purpose="consent-management", actor=actor
    )
    return answer["data"]["a"]


async def receipt(town: Town, actor: Actor, consent_id: str, locale: str = "en") -> str:
    answer = await town.ask(
        "privacy", RECEIPT, {"id": consent_id}, purpose="consent-management", actor=actor, locale=locale
    )
    found: str = answer["data"]["consentReceipt"]
    return found


async def test_a_receipt_says_all_that_the_standard_asks_and_any_library_checks_it(town: Town) -> None:
    actor = await town.register()
    consent_id = (await give(town, actor, uses=5))["consent"]["id"]
    await change(town, actor, "pauseConsent", consent_id)
    signed = await receipt(town, actor, consent_id)

    keys = VerifyKeys.load(town.settings.secrets_directory, "consent-receipt")
    (jwk,) = jwks(keys)["keys"]
    payload = jwt.api_jws.decode(signed, jwt.PyJWK(jwk), algorithms=["EdDSA"])  # a library, and the published key
    record = json.loads(payload)
    assert payload == canonical_json(record) == verify_statement(keys, signed, type="consent-receipt+jws")
    assert record.keys() >= RECORD
    assert record["pii_processing"].keys() >= PROCESSING
    (purpose,) = record["pii_processing"]["purposes"]
    assert purpose.keys() >= PURPOSE
    assert [item.keys() >= INFORMATION for item in purpose["pii_information"]] == [True]
    assert purpose["pii_information"][0]["attribute_id"] == "Citizen.isAdult"
    assert purpose["terms"] == {"keep_days": 30, "uses": 5, "frequency": None}
    assert [event["state"].rpartition("#")[2] for event in record["events"]] == ["ConsentGiven", "paused"]
    assert {party["role"]: party["id"] for party in record["parties"]} == {
        "controller": "data-bureau",
        "recipient": "riverside-bank",
    }
    assert str(actor.id) not in payload.decode()


async def test_a_receipt_is_in_the_language_asked_for_and_about_ones_own(town: Town) -> None:
    actor = await town.register()
    consent_id = (await give(town, actor))["consent"]["id"]
    body = (await receipt(town, actor, consent_id, locale="zh-CN")).split(".")[1]
    record = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert record["pii_processing"]["purposes"][0]["title"] == "确认是否成年"
    answer = await town.ask(
        "privacy", RECEIPT, {"id": "00000000-0000-0000-0000-000000000001"}, purpose="consent-management", actor=actor
    )
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_a_receipt_that_was_changed_or_is_something_else_is_refused(town: Town) -> None:
    actor = await town.register()
    signed = await receipt(town, actor, (await give(town, actor))["consent"]["id"])
    keys = VerifyKeys.load(town.settings.secrets_directory, "consent-receipt")
    head, body, signature = signed.split(".")
    changed = base64.urlsafe_b64encode(b'{"v":1}').decode().rstrip("=")
    for forged in (f"{head}.{changed}.{signature}", f"{head}.{body}.{signature[:-4]}AAAA", "x", "a.b.c"):
        with pytest.raises(TokenRefused):
            verify_statement(keys, forged, type="consent-receipt+jws")
    with pytest.raises(TokenRefused):
        verify_statement(keys, signed, type="at+jwt")


def test_every_state_has_a_name_that_others_know() -> None:
    assert set(STATES) == set(ConsentState)
    assert len(set(STATES.values())) == len(STATES)


async def test_pausing_and_going_on_are_changes_and_only_of_what_stands(town: Town) -> None:
    actor = await town.register()
    consent_id = (await give(town, actor))["consent"]["id"]
    assert (await change(town, actor, "resumeConsent", consent_id))["userErrors"] == [{"code": "CONSENT_STATE"}]
    assert (await change(town, actor, "pauseConsent", consent_id))["consent"] == {"state": "PAUSED"}
    assert await ask_adult(town, consent_id) == "CONSENT_REQUIRED"
    assert (await change(town, actor, "pauseConsent", consent_id))["userErrors"] == [{"code": "CONSENT_STATE"}]
    assert (await change(town, actor, "resumeConsent", consent_id))["consent"] == {"state": "GIVEN"}
    assert await ask_adult(town, consent_id) is True
    town.clock.advance(dt.timedelta(days=365))  # a pause lengthens nothing
    assert await ask_adult(town, consent_id) == "CONSENT_REQUIRED"


async def test_what_has_run_out_or_is_used_up_is_written_down_once_and_told(town: Town) -> None:
    actor = await town.register()
    consent_id = (await give(town, actor, uses=1))["consent"]["id"]
    privacy = town.rooms["privacy"]
    assert await privacy.run_job("end-consents") == 0
    await ask_adult(town, consent_id)
    assert await privacy.run_job("end-consents") == 1
    assert await town.value("SELECT state FROM consent.standing") == "expired"
    assert await privacy.run_job("end-consents") == 0
    await give(town, actor, days=2)
    town.clock.advance(dt.timedelta(days=2))
    assert await privacy.run_job("end-consents") == 1
    await town.settle()
    answer = await town.ask("identity", "{ messages { edges { node { text } } } }", purpose="own-account", actor=actor)
    told = [edge["node"]["text"] for edge in answer["data"]["messages"]["edges"]]
    assert sum("has run out or was ended" in text for text in told) == 2
    receipts = [row["made_by"] for row in await town.rows("SELECT made_by FROM consent.revision ORDER BY number")]
    assert receipts == ["citizen", "system", "citizen", "system"]


async def test_a_party_that_acts_under_a_purpose_no_more_has_its_consents_revoked(town: Town) -> None:
    actor = await town.register()
    consent_id = (await give(town, actor))["consent"]["id"]
    bundle = parse_bundle(bytes(await town.value("SELECT body FROM consent.bundle")))
    purposes = {code: item for code, item in bundle.purposes.items() if code != "adult-check"}
    await put_bundle_in_force(town, make_bundle(2, purposes, parties=bundle.parties, assessments=bundle.assessments))
    assert await town.rooms["privacy"].run_job("end-consents") == 1
    assert await town.value("SELECT state FROM consent.standing") == "revoked"
    assert await town.rooms["privacy"].run_job("end-consents") == 0
    signed = await receipt(town, actor, consent_id)  # of what is over, the receipt stays
    keys = VerifyKeys.load(town.settings.secrets_directory, "consent-receipt")
    record = json.loads(verify_statement(keys, signed, type="consent-receipt+jws"))
    assert record["events"][-1]["state"].endswith("ConsentRevoked")
    assert record["events"][-1]["entity_id"] == "system"
