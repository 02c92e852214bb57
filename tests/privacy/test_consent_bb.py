"""GovStack's consent API over the ledger: the same consents as GraphQL's, read and changed by its words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from bank_consents import ask_adult, give, notice_hash
from consent_bb_client import BANK, Asker, asking, bare, number_of, officer, request_by_code, require_hashed, sign
from town import Town, sample_number

from gov_services.consent.receipts import TYPE
from gov_services.crypto.signing import VerifyKeys
from gov_services.crypto.tokens import verify_statement
from gov_services.kit.actor import Actor
from gov_services.privacy.consent_bb.routes import OPERATIONS

pytestmark = pytest.mark.untraced


@pytest.fixture
async def ask(town: Town) -> AsyncIterator[Asker]:
    async with asking(town) as asker:
        yield asker


@pytest.fixture
async def citizen(town: Town) -> Actor:
    return await town.register()


def test_there_are_forty_two_operations() -> None:
    assert len(OPERATIONS) == len({(one.method, one.path) for one in OPERATIONS}) == 42


async def test_anybody_reads_agreements_and_policies(town: Town, ask: Asker, citizen: Actor) -> None:
    policy = await ask("GET", "/service/policy/1/")
    assert policy == await ask("GET", "/config/policy/1/")
    assert require_hashed(policy["revision"])["objectData"]["name"] == policy["policy"]["name"]
    for path in ("/config/data-agreement/1/", "/service/data-agreement/1/"):
        found = await ask("GET", path)
        assert found["dataAgreement"]["id"] == "1"
        assert found["dataAgreement"]["policy"]["id"] == "1"
        assert require_hashed(found["revision"])["purpose"] == found["dataAgreement"]["code"]
    number = await number_of(ask, "adult-check")
    found = await ask("GET", f"/config/data-agreement/{number}/")
    assert found["dataAgreement"]["recipient"] == BANK
    assert found["dataAgreement"]["lawfulBasis"] == "consent"
    assert found["dataAgreement"]["dpia"] == "PIA-2026-05"
    assert [item["name"] for item in found["dataAgreement"]["attributes"]] == ["Citizen.isAdult"]
    # The ledger pins consents to this very hash.
    assert found["revision"]["id"] == await notice_hash(town, citizen, "adult-check")


@pytest.mark.parametrize("number", ["invalid_id", "123!%40%23", "0", "01", "999999", "-1", "1.0", "٣", "9" * 40])
async def test_what_is_not_there_is_a_bad_request(ask: Asker, number: str) -> None:
    for path in ("/config/data-agreement", "/service/data-agreement", "/service/policy", "/config/policy"):
        assert await ask.refused("GET", f"{path}/{number}/") == "NOT_FOUND"


async def test_a_citizen_agrees_and_the_bank_reads_until_they_opt_out(town: Town, ask: Asker, citizen: Actor) -> None:
    number = await number_of(ask, "adult-check")
    signed = await sign(ask, citizen, number)
    record, revision = signed["consentRecord"], signed["revision"]
    assert (record["optIn"], record["state"], record["status"]) == (True, "signed", "given")
    snapshot = require_hashed(revision)
    assert snapshot["objectId"] == record["id"]
    ledger = await town.value("SELECT hash FROM consent.revision")
    assert snapshot["ledgerHash"] == ledger.hex()
    keys = VerifyKeys.load(town.settings.secrets_directory, "consent-receipt")
    assert (
        verify_statement(keys, signed["signature"]["signature"], type=TYPE).decode() == revision["serializedSnapshot"]
    )
    assert await ask_adult(town, record["id"]) is True

    path = f"/service/individual/record/consent-record/{record['id']}/"
    out = await ask("PUT", path, citizen, {"consentRecord": {**bare(record), "optIn": False}})
    assert (out["consentRecord"]["optIn"], out["consentRecord"]["status"]) == (False, "withdrawn")
    assert require_hashed(out["revision"])["predecessorHash"] == revision["serializedHash"]
    assert await ask_adult(town, record["id"]) == "CONSENT_REQUIRED"
    again = await ask("PUT", path, citizen, {"consentRecord": {**bare(record), "optIn": True}})
    assert again["consentRecord"]["status"] == "renewed"
    assert await ask_adult(town, record["id"]) is True

    of_agreement = f"/service/individual/record/data-agreement/{number}/"
    every = (await ask("GET", f"{of_agreement}all/", citizen))["consentRecords"]
    assert [one["status"] for one in every] == ["renewed", "withdrawn", "given"]
    assert [one["optIn"] for one in every] == [True, False, True]
    one = (await ask("GET", of_agreement, citizen))["consentRecord"]
    (listed,) = (await ask("GET", "/service/individual/record/consent-record/", citizen))["consentRecords"]
    assert {key: value for key, value in one.items() if key != "signature"} == listed


async def test_who_agrees_at_once_names_the_wording(town: Town, ask: Asker, citizen: Actor) -> None:
    number = await number_of(ask, "adult-check")
    path, who = f"/service/individual/record/data-agreement/{number}/", str(citizen.id)
    assert await ask.refused("POST", path, citizen, individualId=who, revisionId="00" * 32) == "NOTICE_CHANGED"
    wording = await notice_hash(town, citizen, "adult-check")
    found = await ask("POST", path, citizen, individualId=who, revisionId=wording)
    assert found["consentRecord"]["dataAgreementRevisionHash"] == wording
    assert found["consentRecord"]["dataAgreement"]["id"] == number
    # What is no consent's to give is not given.
    other = await number_of(ask, "registration")
    path = f"/service/individual/record/data-agreement/{other}/"
    assert await ask.refused("POST", path, citizen, individualId=who) == "PURPOSE_NOT_FOR_CONSENT"


async def test_a_party_reads_what_it_was_given_and_learns_no_name(town: Town, ask: Asker, citizen: Actor) -> None:
    given_id = (await give(town, citizen))["consent"]["id"]
    bank, other = town.party(BANK), town.party("night-market")
    (agreement,) = (await ask("GET", "/service/verification/data-agreements/", bank))["dataAgreements"]
    assert agreement["code"] == "adult-check"
    listed = await ask("GET", "/service/verification/consent-records/", bank)
    assert [one["id"] for one in listed["consentRecords"]] == [given_id]
    one = await ask("GET", f"/service/verification/consent-record/{given_id}/", bank)
    require_hashed(one["revision"])
    people = await ask("GET", "/service/individuals/", bank)
    assert people["individuals"] == [one["consentRecord"]["individual"]]
    assert await ask("GET", f"/service/individual/{given_id}/", bank) == {"individual": people["individuals"][0]}
    tag = await town.value("SELECT tag FROM privacy.subject")
    for told in (listed, one, people):
        assert str(citizen.id) not in json.dumps(told)
        assert tag.hex() not in json.dumps(told)
    # The citizen sees that the bank looked; a party that the purpose does not know, and another's consent, see nothing.
    entries = [entry for entry in await town.entries() if entry.actor == f"client:{BANK}" and entry.subject_tag == tag]
    assert {entry.action for entry in entries} == {"consent-record"}
    path = f"/service/verification/consent-record/{given_id}/"
    assert await ask.refused("GET", path, other, status=403) == "FORBIDDEN"
    nobodys = path[:-2] + ("1" if path[-2] == "0" else "0")
    assert await ask.refused("GET", f"{nobodys}/", bank) == "NOT_FOUND"


async def test_a_party_asks_and_the_citizen_signs_or_says_no(town: Town, ask: Asker, citizen: Actor) -> None:
    number, bank = await number_of(ask, "adult-check"), town.party(BANK)
    path = f"/service/individual/record/data-agreement/{number}/"
    first = (await sign(ask, citizen, number))["consentRecord"]["id"]
    record = f"/service/individual/record/consent-record/{first}/"
    for _ in range(2):
        assert (await ask("GET", path, citizen))["consentRecord"]["optIn"] is True
        asked = (await ask("POST", path, bank, individualId=first))["consentRecord"]
        assert (asked["state"], asked["individual"]["id"]) == ("unsigned", first)
    # By a code, of who scans it; whoever they are is not told.
    asked = (await ask("POST", path, bank, individualId="-"))["consentRecord"]
    assert asked["requestCode"]
    assert str(citizen.id) not in json.dumps(asked)
    # A consent that ended is asked for, and waits to be signed.
    last = bare((await ask("GET", path, citizen))["consentRecord"])
    await ask("PUT", record, citizen, {"consentRecord": {**last, "optIn": False}})
    await request_by_code(town, bank, citizen)
    waiting = (await ask("GET", path, citizen))["consentRecord"]
    assert (waiting["state"], waiting["status"], waiting["optIn"]) == ("unsigned", "requested", False)
    empty = {"signature": _no_signature()}
    to_sign = (await ask("POST", f"{record}signature/", citizen, empty))["signature"]
    assert to_sign["verificationMethod"] == "session"
    assert await ask.refused("PUT", f"{record}signature/", citizen, empty) == "SIGNATURE_METHOD_UNKNOWN"
    signed = (await ask("PUT", f"{record}signature/", citizen, {"signature": to_sign}))["signature"]
    assert signed["verificationMethod"] == "JWS"
    assert await ask_adult(town, first) is True
    assert (await ask("POST", f"{record}signature/", citizen, empty))["signature"] == signed
    assert (await ask("PUT", f"{record}signature/", citizen, {"signature": signed}))["signature"] == signed
    states = [row["state"] for row in await town.rows("SELECT state FROM privacy.consent_request ORDER BY made_at")]
    assert "GIVEN" in states


async def test_forgetting_ends_whatever_stands_and_keeps_the_proof(town: Town, ask: Asker, citizen: Actor) -> None:
    consent = (await sign(ask, citizen, await number_of(ask, "adult-check")))["consentRecord"]["id"]
    await ask("DELETE", "/service/individual/record/", citizen)
    assert await ask_adult(town, consent) == "CONSENT_REQUIRED"
    (record,) = (await ask("GET", "/service/individual/record/consent-record/", citizen))["consentRecords"]
    assert record["status"] == "withdrawn"
    await ask("DELETE", "/service/individual/record/", citizen)
    assert [row["state"] for row in await town.rows("SELECT state FROM consent.revision ORDER BY number")] == [
        "given",
        "withdrawn",
    ]


async def test_officers_read_records_by_tags_and_are_logged(town: Town, ask: Asker, citizen: Actor) -> None:
    given_id, auditor = (await give(town, citizen))["consent"]["id"], officer(town)
    tag = (await town.value("SELECT tag FROM privacy.subject")).hex()
    (record,) = (await ask("GET", "/audit/consent-records/", auditor))["consentRecords"]
    assert (record["id"], record["individual"]["id"]) == (given_id, tag)
    one = await ask("GET", f"/audit/consent-record/{given_id}/", auditor)
    assert one["consentRecord"]["signature"]["payload"] == one["revision"]["serializedSnapshot"]
    (person,) = (await ask("GET", "/config/individuals/", auditor))["individuals"]
    assert person["id"] == tag
    assert (await ask("GET", f"/config/individual/{tag}/", auditor))["individual"] == person
    body = {"individual": {"id": tag}}
    assert (await ask("POST", "/config/individual/", auditor, body))["individual"] == person
    agreements = await ask("GET", "/audit/data-agreements/", auditor, limit="3", offset="1")
    assert [one["id"] for one in agreements["dataAgreements"]] == ["2", "3", "4"]
    assert (await ask("GET", "/audit/data-agreement/2/", auditor))["dataAgreement"]["id"] == "2"
    assert str(citizen.id) not in json.dumps([record, one, person])
    read = [entry.action for entry in await town.entries() if entry.purpose == "log-review"]
    assert {"consent-records", "consent-record", "individuals", "individual", "data-agreements"} <= set(read)
    for path in (f"/audit/consent-record/{given_id[:-1]}x/", "/config/individual/00/", f"/config/individual/{tag} /"):
        assert await ask.refused("GET", path, auditor) == "NOT_FOUND"


async def test_nobody_is_made_here(ask: Asker, town: Town, citizen: Actor) -> None:
    own = {"individual": {"id": str(citizen.id), "externalId": "", "externalIdType": "citizen"}}
    for method, path in (("POST", "/service/individual/"), ("PUT", f"/service/individual/{citizen.id}/")):
        found = await ask(method, path, citizen, own)
        assert found["individual"]["id"] == str(citizen.id)
        phone = {"individual": {**own["individual"], "externalId": "13900000001", "externalIdType": "phone"}}
        assert await ask.refused(method, path, citizen, phone) == "INDIVIDUAL_FROM_IDENTITY"
    assert (await ask("GET", "/service/individuals/", citizen))["individuals"] == [found["individual"]]
    other = await town.register(number=sample_number(sequence=101), phone="13900000002")
    assert await ask.refused("GET", f"/service/individual/{citizen.id}/", other) == "NOT_FOUND"


def _no_signature() -> dict[str, str]:
    names = ("id", "payload", "signature", "verificationMethod", "verificationPayload", "verificationPayloadHash")
    return dict.fromkeys((*names, "verificationSignedBy", "timestamp"), "")
