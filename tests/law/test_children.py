"""What the law asks for under-14s: a test for the requirement, by its number in docs/law.md."""

from __future__ import annotations

import datetime as dt

import pytest
from bank_consents import ask_adult
from city_law import put_in_force
from family import OF_AGE, WITHDRAW, codes_in_box, decide, end, family, give, link, parent_and_child
from town import Town

from gov_services.consent.purposes import Separate

pytestmark = pytest.mark.untraced

A_SECOND = dt.timedelta(seconds=1)


async def test_r10_under_fourteen_a_guardian_consents_until_the_birthday_is_over_and_then_they_decide_themselves(
    town: Town,
) -> None:
    parent, child = await family(town)
    assert (await give(town, child))["userErrors"] == [{"code": "GUARDIAN_REQUIRED", "field": None}]
    assert "GUARDIAN_REQUIRED" in {entry.code for entry in await town.entries()}
    given = await give(town, parent, child=child)
    assert (given["userErrors"], given["consent"]["byGuardian"]) == ([], True)
    reference = given["consent"]["id"]
    assert await ask_adult(town, reference) is False
    # A second before midnight the birthday is not over in the city; at midnight it is.
    town.clock.advance(OF_AGE - A_SECOND - town.clock.now())
    assert await ask_adult(town, reference) is False
    assert (await give(town, child))["userErrors"] == [{"code": "GUARDIAN_REQUIRED", "field": None}]
    town.clock.advance(A_SECOND)
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"
    assert await give(town, parent, child=child) == "NOT_FOUND"
    assert await town.rooms["privacy"].run_job("end-consents") == 1
    assert await town.rooms["privacy"].run_job("end-consents") == 0
    assert await town.value("SELECT state FROM consent.standing") == "expired"
    assert "consent.of-age" in await codes_in_box(town, child)
    own = await give(town, child)
    assert (own["userErrors"], own["consent"]["byGuardian"]) == ([], False)
    assert await ask_adult(town, reference) is False


async def test_r10_a_consent_under_an_ended_guardian_opens_nothing_and_is_revoked(town: Town) -> None:
    parent, child = await family(town)
    reference = (await give(town, parent, child=child))["consent"]["id"]
    assert await ask_adult(town, reference) is False
    assert await end(town) == {"ended": True, "userErrors": []}
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"
    assert await give(town, parent, child=child) == "NOT_FOUND"
    # Nor does it come back with another link of the same two.
    await link(town)
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"
    assert await town.rooms["privacy"].run_job("end-consents") == 1
    assert await town.value("SELECT state FROM consent.standing") == "revoked"
    again = await decide(town, parent, WITHDRAW, child=child, consentId=reference)
    assert again == {"consent": None, "userErrors": [{"code": "CONSENT_STATE", "field": None}]}


async def test_r10_what_is_not_told_as_sensitive_is_not_for_children(town: Town) -> None:
    parent, child = await parent_and_child(town)
    await link(town)
    assert (await give(town, parent, child=child, purpose="licence-prefill"))["userErrors"] == []
    await put_in_force(town, "adult-check", separate=frozenset({Separate.PROVISION}))
    assert (await give(town, parent, child=child))["userErrors"] == [
        {"code": "PURPOSE_NOT_FOR_CHILDREN", "field": "input.purpose"}
    ]


async def test_r10_a_guardian_sees_nothing_of_the_child_but_what_a_purpose_grants(town: Town) -> None:
    parent, child = await family(town)
    wards = await town.ask("identity", "{ wards { id name } }", purpose="guardian-consents", actor=parent)
    assert wards["data"]["wards"] == [{"id": str(child.id), "name": "测**"}]
    entity = """query($r: [_Any!]!) { _entities(representations: $r) { ... on Citizen { name } } }"""
    told = {"r": [{"__typename": "Citizen", "id": str(child.id)}]}
    for purpose in ("own-account", "licence-prefill", "data-export"):
        answer = await town.ask("identity", entity, told, purpose=purpose, actor=parent)
        assert answer["errors"][0]["extensions"]["code"] == "CONSENT_REQUIRED"
    beyond = await town.ask("identity", "{ wards { phone } }", purpose="guardian-consents", actor=parent)
    assert beyond["errors"][0]["extensions"]["code"] == "DISCLOSURE_REFUSED"
