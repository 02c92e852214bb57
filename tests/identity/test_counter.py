"""Replacing a phone at the counter: whoever holds the number before hears of it."""

from __future__ import annotations

import pytest
import structlog
from city_law import SEED, put_in_force
from town import Town, sample_number

from gov_services.audit.entry import EntryKind
from gov_services.consent.purposes import Form
from gov_services.identity.service.citizens import PHONE_REPLACED_TEXT
from gov_services.kit.actor import Actor

pytestmark = pytest.mark.untraced

REPLACE = """mutation($input: ReplacePhoneInput!) {
  replacePhone(input: $input) { replaced userErrors { code field } } }"""
FIND = "query($i: FindCitizenInput!) { citizenByNationalId(input: $i) { id name } }"


GRANTS = SEED.purposes["lost-phone"].grants


async def grant_the_old_number(town: Town) -> None:
    """Put a bundle in force whose lost-phone purpose gives the number before."""
    await put_in_force(town, "lost-phone", grants={**GRANTS, "Citizen.phone": Form.PLAIN})


async def narrow_it_away(town: Town) -> None:
    """Put a bundle in force whose lost-phone purpose does not give the number before."""
    grants = {name: form for name, form in GRANTS.items() if name != "Citizen.phone"}
    await put_in_force(town, "lost-phone", grants=grants)


async def replace_phone(town: Town, *, number: str, phone: str) -> dict[str, object]:
    registrar: Actor = town.staff("registrar")
    values = {"input": {"nationalId": number, "newPhone": phone}}
    return await town.ask(
        "identity", REPLACE, values, purpose="lost-phone", actor=registrar, reason="lost phone, card shown"
    )


async def test_the_number_before_is_told_of_its_replacement_and_the_log_says_who_got_it(town: Town) -> None:
    await town.register()
    await town.sign_in()
    await grant_the_old_number(town)

    answer = await replace_phone(town, number=sample_number(), phone="13900000002")

    assert answer == {"data": {"replacePhone": {"replaced": True, "userErrors": []}}}
    assert (await town.messages_to("+8613900000001"))[-1] == PHONE_REPLACED_TEXT
    assert await town.messages_to("+8613900000002") == []
    assert await town.value("SELECT ended_for FROM identity.session") == "phone-replaced"
    entries = await town.entries()
    (noted,) = [entry for entry in entries if entry.action == "phone.replaced"]
    assert noted.recipient == "party:sms-provider"
    assert noted.coordinates == (("ReplacePhoneInput.newPhone", "COLLECT"), ("Citizen.phone", "PLAIN"))
    assert [e.coordinates for e in entries if e.kind is EntryKind.USE] == [(("Citizen.phone", "OPENED"),)]
    await town.sign_in("13900000002")


async def test_a_purpose_that_gives_the_old_number_no_more_replaces_and_tells_operators(town: Town) -> None:
    await town.register()
    await narrow_it_away(town)
    with structlog.testing.capture_logs() as lines:
        answer = await replace_phone(town, number=sample_number(), phone="13900000002")
    assert answer == {"data": {"replacePhone": {"replaced": True, "userErrors": []}}}
    assert await town.messages_to("+8613900000001") == []
    assert [line["event"] for line in lines] == ["the number before is not told of its replacement"]
    (noted,) = [entry for entry in await town.entries() if entry.action == "phone.replaced"]
    assert noted.recipient != "party:sms-provider"
    assert noted.coordinates == (("ReplacePhoneInput.newPhone", "COLLECT"),)


@pytest.mark.parametrize(
    ("number", "phone", "code", "field", "looked_up"),
    [
        ("110101199003070000", "13900000002", "RESIDENT_NUMBER_INVALID", "input.nationalId", 1),
        (sample_number(), "12345", "PHONE_INVALID", "input.newPhone", 0),
    ],
)
async def test_a_mistyped_number_is_something_to_put_right_and_nothing_happens(
    town: Town, number: str, phone: str, code: str, field: str, looked_up: int
) -> None:
    await town.register()
    await town.sign_in()
    await grant_the_old_number(town)
    answer = await replace_phone(town, number=number, phone=phone)
    errors = [{"code": code, "field": field}]
    assert answer == {"data": {"replacePhone": {"replaced": False, "userErrors": errors}}}
    assert len(await town.messages_to("+8613900000001")) == 1
    assert await town.value("SELECT ended_for FROM identity.session") is None
    entries = await town.entries()
    assert [entry.code for entry in entries if entry.kind is EntryKind.REFUSAL] == [code]
    assert [entry.action for entry in entries if entry.action in ("look-up", "phone.replaced")] == (
        ["look-up"] * looked_up
    )


async def test_a_malformed_number_is_admitted_counted_and_logged_like_any_other(town: Town) -> None:
    registrar = town.staff("registrar")

    async def find(number: str, *, reason: str | None = "at the counter") -> str:
        values = {"i": {"nationalId": number}}
        answer = await town.ask("identity", FIND, values, purpose="counter-lookup", actor=registrar, reason=reason)
        return str(answer["errors"][0]["extensions"]["code"])

    assert await find("1234", reason=None) == "REASON_REQUIRED"
    assert [await find(number) for number in ("1234", "\ud800", *map(str, range(10)))] == [
        "RESIDENT_NUMBER_INVALID"
    ] * 12
    assert await find("x") == "BUDGET_EXHAUSTED"
    assert await find(sample_number()) == "BUDGET_EXHAUSTED"
    entries = await town.entries()
    assert [entry.coordinates for entry in entries if entry.action == "look-up"] == [
        (("Citizen.nationalId", "PREDICATE"),)
    ] * 12
    refused = [entry.code for entry in entries if entry.kind is EntryKind.REFUSAL]
    assert refused == ["REASON_REQUIRED", *["RESIDENT_NUMBER_INVALID"] * 12, *["BUDGET_EXHAUSTED"] * 2]


async def test_a_phone_that_somebody_else_has_is_not_given_and_nobody_is_told(town: Town) -> None:
    await town.register()
    await town.register(number=sample_number(sequence=101), phone="13900000002")
    await grant_the_old_number(town)
    answer = await replace_phone(town, number=sample_number(), phone="13900000002")
    errors = [{"code": "REGISTRATION_NOT_POSSIBLE", "field": "input.newPhone"}]
    assert answer == {"data": {"replacePhone": {"replaced": False, "userErrors": errors}}}
    assert await town.messages_to("+8613900000001") == []
    assert (await town.sign_in())["accessToken"].count(".") == 2
