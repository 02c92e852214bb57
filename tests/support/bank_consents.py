"""A citizen gives the bank a consent, and the bank asks by it, over GraphQL as both do. No test here."""

from __future__ import annotations

from typing import Any

from town import Town

from gov_services.kit.actor import Actor

NOTICE = """query($p: String!) { notice(purpose: $p) {
  title text noticeHash separateConsent fields { coordinate form } } }"""
GIVE = """mutation($input: GiveConsentInput!) { giveConsent(input: $input) {
  consent { id state scope revision } userErrors { code field } } }"""
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
