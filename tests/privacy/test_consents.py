"""Consents: given to a notice that was shown, read by a party within it, withdrawn and binding at once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from town import Town, sample_number

from gov_services.audit.entry import EntryKind
from gov_services.kit.actor import Actor
from gov_services.kit.ids import new_id

NOTICE = """query($p: String!) { notice(purpose: $p) {
  title text noticeHash separateConsent fields { coordinate form } } }"""
GIVE = """mutation($input: GiveConsentInput!) { giveConsent(input: $input) {
  consent { id state scope revision } userErrors { code field } } }"""
WITHDRAW = """mutation($input: WithdrawConsentInput!) { withdrawConsent(input: $input) {
  consent { id state scope } userErrors { code } } }"""
CONSENTED = "query($r: ID!) { consentedCitizen(reference: $r) { id } }"
IS_ADULT = """query($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on Citizen { isAdult } } }"""


async def notice_hash(town: Town, actor: Actor, purpose: str) -> str:
    answer = await town.ask("privacy", NOTICE, {"p": purpose}, purpose="consent-management", actor=actor)
    found: str = answer["data"]["notice"]["noticeHash"]
    return found


async def give(town: Town, actor: Actor, **more: Any) -> Any:
    hash_ = await notice_hash(town, actor, "adult-check")
    values = {"purpose": "adult-check", "recipient": "riverside-bank", "noticeHash": hash_, **more}
    answer = await town.ask("privacy", GIVE, {"input": values}, purpose="consent-management", actor=actor)
    return answer["data"]["giveConsent"]


async def ask_adult(town: Town, reference: str, actor: Actor | None = None) -> Any:
    """What the gateway does for the bank's document: privacy for the citizen, identity for the field."""
    party = actor or town.party("riverside-bank")
    found = await town.ask("privacy", CONSENTED, {"r": reference}, purpose="adult-check", actor=party)
    if found["data"] is None:
        return found["errors"][0]["extensions"]["code"]
    representation = {"__typename": "Citizen", "id": found["data"]["consentedCitizen"]["id"]}
    answer = await town.ask(
        "identity", IS_ADULT, {"representations": [representation]}, purpose="adult-check", actor=party
    )
    if "errors" in answer:
        return answer["errors"][0]["extensions"]["code"]
    return answer["data"]["_entities"][0]["isAdult"]


async def test_a_notice_says_what_a_consent_covers_in_the_language_asked_for(town: Town) -> None:
    actor = await town.register()
    for locale, title in (("zh-CN", "确认是否成年"), ("en", "Confirming that you are an adult")):
        answer = await town.ask(
            "privacy", NOTICE, {"p": "adult-check"}, purpose="consent-management", actor=actor, locale=locale
        )
        notice = answer["data"]["notice"]
        assert notice["title"] == title
        assert notice["fields"] == [{"coordinate": "Citizen.isAdult", "form": "DERIVED"}]
        assert notice["separateConsent"] is True


async def test_a_bank_with_a_consent_learns_yes_and_not_a_birth_date(town: Town) -> None:
    actor = await town.register()
    given = await give(town, actor)
    assert given["consent"]["state"] == "GIVEN"
    assert await ask_adult(town, given["consent"]["id"]) is True

    entries = await town.entries()
    (use,) = [entry for entry in entries if entry.kind is EntryKind.USE and entry.client == "riverside-bank"]
    assert use.coordinates == (("Citizen.isAdult", "OPENED"),)
    assert use.recipient == "client:riverside-bank"


async def test_a_withdrawn_consent_binds_the_next_read(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    assert await ask_adult(town, reference) is True
    answer = await town.ask(
        "privacy", WITHDRAW, {"input": {"consentId": reference}}, purpose="consent-management", actor=actor
    )
    assert answer["data"]["withdrawConsent"]["consent"] == {"id": reference, "state": "WITHDRAWN", "scope": []}
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"


async def test_unknown_foreign_expired_and_malformed_references_look_alike(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor, days=1))["consent"]["id"]
    assert await ask_adult(town, str(new_id(town.clock.now()))) == "CONSENT_REQUIRED"
    assert await ask_adult(town, "no-reference") == "CONSENT_REQUIRED"
    town.clock.advance(dt.timedelta(days=2))
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"


async def test_another_partys_reference_is_of_no_use(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    assert await ask_adult(town, reference, town.party("night-market")) == "FORBIDDEN"


async def test_a_consent_is_given_to_the_notice_in_force_and_no_other(town: Town) -> None:
    actor = await town.register()
    values = {"purpose": "adult-check", "recipient": "riverside-bank", "noticeHash": "00" * 32}
    answer = await town.ask("privacy", GIVE, {"input": values}, purpose="consent-management", actor=actor)
    assert answer["data"]["giveConsent"] == {
        "consent": None,
        "userErrors": [{"code": "NOTICE_CHANGED", "field": "input.noticeHash"}],
    }
    assert await town.value("SELECT count(*) FROM consent.revision") == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"scope": ["Citizen.birthDate"]}, "SCOPE_TOO_WIDE"),
        ({"scope": []}, "SCOPE_TOO_WIDE"),
        ({"recipient": "night-market"}, "PURPOSE_NOT_FOR_CONSENT"),
        ({"purpose": "own-account"}, "PURPOSE_NOT_FOR_CONSENT"),
        ({"purpose": "nothing"}, "PURPOSE_NOT_FOR_CONSENT"),
    ],
)
async def test_no_consent_goes_beyond_its_purpose(town: Town, change: dict[str, Any], code: str) -> None:
    actor = await town.register()
    hash_ = await notice_hash(town, actor, "adult-check")
    values = {"purpose": "adult-check", "recipient": "riverside-bank", "noticeHash": hash_, **change}
    answer = await town.ask("privacy", GIVE, {"input": values}, purpose="consent-management", actor=actor)
    assert answer["data"]["giveConsent"]["userErrors"][0]["code"] == code
    assert await town.value("SELECT count(*) FROM consent.revision") == 0


async def test_a_citizen_withdraws_their_own_consents_only(town: Town) -> None:
    first = await town.register()
    reference = (await give(town, first))["consent"]["id"]
    stranger = await town.register(number=sample_number(sequence=200), phone="13900000002")
    for consent_id in (reference, str(new_id(town.clock.now())), "nonsense"):
        answer = await town.ask(
            "privacy", WITHDRAW, {"input": {"consentId": consent_id}}, purpose="consent-management", actor=stranger
        )
        assert answer["data"] is None
        assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert await ask_adult(town, reference) is True


async def test_the_citizen_is_told_of_what_a_party_read(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    await ask_adult(town, reference)
    await town.entries()
    privacy = town.rooms["privacy"]
    job = "tell-of-disclosures"
    assert await privacy.run_job(job) == 1
    assert await privacy.run_job(job) == 0
    await town.settle()
    answer = await town.ask("identity", "{ messages { nodes { code text } } }", purpose="own-account", actor=actor)
    assert answer["data"]["messages"]["nodes"] == [
        {"code": "disclosure.made", "text": "riverside-bank read about you for “adult-check”: Citizen.isAdult."}
    ]
