"""Consents: given to a notice that was shown, read by a party within it, withdrawn and binding at once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from bank_consents import CONSENTED, GIVE, NOTICE, ask_adult, give, notice_hash
from sqlalchemy import text
from town import Town, sample_number

from gov_services.audit.entry import EntryKind
from gov_services.kit.actor import Actor
from gov_services.kit.ids import new_id

pytestmark = pytest.mark.untraced

WITHDRAW = """mutation($input: WithdrawConsentInput!) { withdrawConsent(input: $input) {
  consent { id state scope } userErrors { code } } }"""
TOLD = "riverside-bank read about you for “Confirming that you are an adult”: whether you are eighteen or older."
JOB = "tell-of-disclosures"
FINDINGS = "{ findings { edges { node { kind actor purpose entryId } } } }"


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


async def test_every_probe_leaves_its_entry_and_none_tells_more_than_another(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    await town.ask("privacy", WITHDRAW, {"input": {"consentId": reference}}, purpose="consent-management", actor=actor)
    bank = town.party("riverside-bank")
    before, answers = len(await town.entries()), []
    probes = (reference, str(new_id(town.clock.now())), str(actor.id), "no-reference")
    for probe in probes:
        answer = await town.ask("privacy", CONSENTED, {"r": probe}, purpose="adult-check", actor=bank)
        for error in answer["errors"]:
            del error["extensions"]["requestId"]
        answers.append(answer)

    assert answers == [answers[0]] * len(probes)
    assert answers[0]["errors"][0]["extensions"] == {"code": "CONSENT_REQUIRED"}
    entries = [entry for entry in await town.entries() if entry.client == "riverside-bank"]
    assert [(entry.kind, entry.outcome, entry.code, entry.action) for entry in entries] == [
        (EntryKind.REFUSAL, "refused", "CONSENT_REQUIRED", "disclosure")
    ] * len(probes)
    # Only a citizen's own entry is about somebody, whoever guessed.
    assert [entry.subject_tag is None for entry in entries] == [False, True, True, True]
    assert before + len(probes) == len(await town.entries())


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


async def test_no_consent_goes_beyond_its_purpose(town: Town) -> None:
    actor = await town.register()
    hash_ = await notice_hash(town, actor, "adult-check")
    for change, code in [
        ({"scope": ["Citizen.birthDate"]}, "SCOPE_TOO_WIDE"),
        ({"scope": []}, "SCOPE_TOO_WIDE"),
        ({"recipient": "night-market"}, "PURPOSE_NOT_FOR_CONSENT"),
        ({"purpose": "own-account"}, "PURPOSE_NOT_FOR_CONSENT"),
        ({"purpose": "nothing"}, "PURPOSE_NOT_FOR_CONSENT"),
    ]:
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
    answer = await town.ask(
        "identity", "{ messages { edges { node { code text } } } }", purpose="own-account", actor=actor
    )
    told = [edge["node"] for edge in answer["data"]["messages"]["edges"]]
    assert sorted(told, key=lambda node: str(node["code"])) == [
        {"code": "consent.changed", "text": "One of your consents has changed."},
        {"code": "disclosure.made", "text": TOLD},
    ]


async def forget(town: Town, citizen: Actor) -> bytes:
    """As if registration's event were still on its way; the tag that it brings."""
    tag: bytes = await town.value("SELECT tag FROM privacy.subject WHERE citizen_id = :id", id=citizen.id)
    await change(town, "DELETE FROM privacy.subject WHERE citizen_id = :id", id=citizen.id)
    return tag


async def change(town: Town, statement: str, **values: Any) -> None:
    async with town.database.writing() as session:
        await session.execute(text(statement), values)


async def told(town: Town) -> list[Any]:
    """Who was told of a disclosure."""
    await town.settle()
    rows = await town.rows("SELECT citizen_id FROM identity.message WHERE code = 'disclosure.made' ORDER BY 1")
    return [row["citizen_id"] for row in rows]


async def test_a_citizen_whose_registration_is_heard_of_late_is_told_all_the_same(town: Town) -> None:
    late = await town.register()
    tag = await forget(town, late)
    other = await town.register(number=sample_number(sequence=200), phone="13900000002")
    for citizen in (late, other):
        assert await ask_adult(town, (await give(town, citizen))["consent"]["id"]) is True
    await town.entries()
    privacy = town.rooms["privacy"]

    assert await privacy.run_job(JOB) == 0
    assert await told(town) == []
    assert await town.value("SELECT count(*) FROM audit.described WHERE kind = 'log-read'") == 0

    await change(
        town,
        "INSERT INTO privacy.subject (citizen_id, tag, since) VALUES (:id, :tag, now())",
        id=late.id,
        tag=tag,
    )
    assert await privacy.run_job(JOB) == 2
    assert await told(town) == sorted([late.id, other.id])  # type: ignore[type-var]


async def test_those_before_an_unknown_citizen_are_told_at_once(town: Town) -> None:
    first = await town.register()
    late = await town.register(number=sample_number(sequence=200), phone="13900000002")
    await forget(town, late)
    for citizen in (first, late):
        assert await ask_adult(town, (await give(town, citizen))["consent"]["id"]) is True
    await town.entries()

    assert await town.rooms["privacy"].run_job(JOB) == 1
    assert await told(town) == [first.id]


async def test_one_who_stays_unknown_becomes_a_finding_and_stops_nobody(town: Town) -> None:
    orphan = await town.register()
    await forget(town, orphan)
    other = await town.register(number=sample_number(sequence=200), phone="13900000002")
    for citizen in (orphan, other):
        assert await ask_adult(town, (await give(town, citizen))["consent"]["id"]) is True
    await town.entries()
    privacy = town.rooms["privacy"]
    town.clock.advance(dt.timedelta(minutes=59))
    assert await privacy.run_job(JOB) == 0

    town.clock.advance(dt.timedelta(minutes=1))
    assert await privacy.run_job(JOB) == 2

    assert await told(town) == [other.id]
    officer = town.staff("compliance-officer", client="compliance")
    await town.integrate()
    found = await town.ask("privacy", FINDINGS, purpose="log-review", actor=officer)
    (finding,) = [edge["node"] for edge in found["data"]["findings"]["edges"]]
    assert (finding["kind"], finding["actor"]) == ("SUBJECT_UNKNOWN", "client:riverside-bank")
    assert (finding["purpose"], await privacy.run_job(JOB)) == ("adult-check", 0)
