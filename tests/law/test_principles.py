"""What the law asks of purposes and consents: a test for each requirement, by its number in docs/law.md."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from typing import Any
from uuid import uuid4

import pytest
from adult_checks import change_consent
from bank_consents import ask_adult, give
from city_law import DOCUMENTS, NOW, SCHEMA, SEED, SHOWN, put_in_force
from permit_office import FILLED
from town import Town, sample_number

from gov_services.consent.lifecycle import STANDS, TRANSITIONS, ConsentEvent, ConsentState
from gov_services.consent.notices import items_of
from gov_services.consent.policy import Consent, DisclosureRefused, require_readable
from gov_services.consent.purpose_files import parse_bundle
from gov_services.consent.purposes import Basis, Form, NoticeState, Separate
from gov_services.consent.tables import PurposeRefused
from gov_services.consent.terms import Terms
from gov_services.kit.errors import LOCALES
from gov_services.privacy.rights import RightKind, due_at

pytestmark = pytest.mark.untraced

CONSENTED = {code: purpose for code, purpose in SEED.purposes.items() if purpose.basis is Basis.CONSENT}


def a_consent(**changes: Any) -> Consent:
    values: dict[str, Any] = {
        "revision_id": uuid4(),
        "state": "given",
        "scope": {"Citizen.isAdult": Form.DERIVED},
        "notice_hash": SEED.purposes["adult-check"].notice_hash,
        "expires_at": NOW + dt.timedelta(days=1),
        "terms": Terms(keep_days=30),
        **changes,
    }
    return Consent(**values)


async def test_r01_what_a_purpose_does_not_list_is_refused_whole_and_the_refusal_is_logged(town: Town) -> None:
    for purpose, field in itertools.product(SEED.purposes.values(), SCHEMA):
        if purpose.grants.get(field.coordinate) not in SHOWN:
            with pytest.raises(DisclosureRefused):
                require_readable(purpose, [field.coordinate])
    actor = await town.register()
    answer = await town.ask("identity", "{ me { birthDate } }", purpose="own-account", actor=actor)
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == (None, "DISCLOSURE_REFUSED")
    assert "DISCLOSURE_REFUSED" in {entry.code for entry in await town.entries()}


async def test_r02_who_asks_whether_of_age_gets_an_answer_and_no_date(town: Town) -> None:
    for purpose in SEED.purposes.values():
        if "Citizen.isAdult" in purpose.grants:
            assert "Citizen.birthDate" not in purpose.grants
    actor = await town.register()
    assert await ask_adult(town, (await give(town, actor))["consent"]["id"]) is True


@pytest.mark.parametrize("code", sorted(SEED.purposes))
def test_r03_every_notice_says_who_what_how_how_long_and_which_rights(code: str) -> None:
    purpose = SEED.purposes[code]
    for locale in LOCALES:
        items = items_of(purpose, SCHEMA, locale)
        assert purpose.controller.name[locale]
        assert purpose.controller.contact
        assert purpose.title[locale]
        assert purpose.notice[locale]
        assert items.retention
        assert items.rights
        if purpose.grants:
            assert items.methods
            assert items.categories
        if Separate.SENSITIVE in purpose.separate:
            assert purpose.necessity[locale]
            assert purpose.impact[locale]


async def test_r04_a_category_more_needs_consent_anew_and_the_old_ones_go_on(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    purpose = SEED.purposes["adult-check"]
    await put_in_force(town, "adult-check", grants={**purpose.grants, "Citizen.name": Form.MASKED})
    assert await ask_adult(town, reference) is True
    document = """query($r: [_Any!]!) { _entities(representations: $r) { ... on Citizen { name } } }"""
    variables = {"r": [{"__typename": "Citizen", "id": str(actor.id)}]}
    answer = await town.ask("identity", document, variables, purpose="adult-check", actor=town.party("riverside-bank"))
    assert answer["errors"][0]["extensions"]["code"] == "CONSENT_REQUIRED"


def test_r05_withdrawing_takes_one_step_as_giving_does_and_no_reason() -> None:
    giving, taking = DOCUMENTS["citizen-app", "GiveConsent"], DOCUMENTS["citizen-app", "WithdrawConsent"]
    assert (giving.purpose, giving.sign_in) == (taking.purpose, taking.sign_in)
    assert "reason" not in taking.body
    for state in (*STANDS, ConsentState.PAUSED):
        assert TRANSITIONS[state, ConsentEvent.WITHDRAW] is ConsentState.WITHDRAWN


async def test_r06_a_withdrawal_changes_nothing_of_what_was_logged_before(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    await ask_adult(town, reference)
    await town.entries()
    await town.integrate()
    before = await town.rows("SELECT seq, id, salt, body, commitment FROM audit.entry ORDER BY seq")
    await change_consent(town, actor, ConsentEvent.WITHDRAW)
    after = await town.rows("SELECT seq, id, salt, body, commitment FROM audit.entry ORDER BY seq")
    assert after[: len(before)] == before
    officer = town.staff("compliance-officer", client="compliance")
    await town.integrate()
    answer = await town.ask("privacy", "{ verifyLog { sound } }", purpose="log-review", actor=officer)
    assert answer["data"]["verifyLog"]["sound"] is True


async def test_r07_without_any_consent_everything_that_needs_none_works(town: Town) -> None:
    actor = await town.register()
    me = await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)
    assert me["data"]["me"]["name"] == "测试甲"
    start = """mutation($i: StartApplicationInput!) { startApplication(input: $i) {
      application { state } userErrors { code } } }"""
    answer = await town.ask("permits", start, {"i": FILLED}, purpose="licence-application", actor=actor)
    assert answer["data"]["startApplication"]["userErrors"] == []
    # What does stop says that it is for want of consent, and for what.
    prefill = await town.ask("identity", "{ me { name address } }", purpose="licence-prefill", actor=actor)
    assert {error["extensions"]["code"] for error in prefill["errors"]} == {"CONSENT_REQUIRED"}


def test_r08_sensitive_data_is_consented_to_by_itself_and_by_an_act() -> None:
    for purpose in CONSENTED.values():
        sensitive = [name for name in purpose.grants if name in SCHEMA and SCHEMA[name].sensitive]
        assert not sensitive or Separate.SENSITIVE in purpose.separate
    body = DOCUMENTS["citizen-app", "GiveConsent"].body
    assert body.count("giveConsent") == 1  # one purpose a document, and nothing is given unless it is sent


async def test_r09_a_consent_is_for_one_recipient_and_there_are_five_reasons_for_one_of_its_own(town: Town) -> None:
    assert {kind.value for kind in Separate} == {"sensitive", "provision", "publication", "image", "export"}
    actor = await town.register()
    await put_in_force(town, "adult-check", clients=frozenset({"riverside-bank", "night-market"}))
    reference = (await give(town, actor))["consent"]["id"]
    assert await ask_adult(town, reference) is True
    assert await ask_adult(town, reference, town.party("night-market")) == "CONSENT_REQUIRED"


def test_r11_nothing_is_read_past_what_was_consented_to_or_kept_longer() -> None:
    purpose = SEED.purposes["adult-check"]
    consent = a_consent()
    assert consent.stands(NOW)
    assert consent.covers(purpose, NOW)
    assert not consent.stands(NOW + dt.timedelta(days=1))
    assert not a_consent(spent=True).stands(NOW)
    assert not a_consent(terms=Terms(keep_days=29)).covers(purpose, NOW)
    assert a_consent().narrow("Citizen.name", Form.PLAIN) is None


async def test_r12_after_a_refusal_nobody_is_prompted_again(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    await change_consent(town, actor, ConsentEvent.WITHDRAW)
    open_ = """mutation($i: OpenConsentRequestInput!) { openConsentRequest(input: $i) { request { state } } }"""
    bank = town.party("riverside-bank")
    told = {"i": {"purpose": "adult-check", "reference": reference}}
    answer = await town.ask("privacy", open_, told, purpose="consent-requests", actor=bank)
    assert answer["data"]["openConsentRequest"]["request"]["state"] == "OPEN"
    await town.settle()
    messages = await town.ask(
        "identity", "{ messages { edges { node { code } } } }", purpose="own-account", actor=actor
    )
    codes = [edge["node"]["code"] for edge in messages["data"]["messages"]["edges"]]
    assert "consent.requested" not in codes


async def test_r13_what_may_only_be_stored_serves_nothing_else_and_its_key_is_gone_where_no_law_keeps_it(
    town: Town,
) -> None:
    actor = await town.register()
    erase = """mutation($i: RequestErasureInput!) { requestErasure(input: $i) { destroyed kept { law until } } }"""
    answer = await town.ask("privacy", erase, {"i": {"confirm": True}}, purpose="erasure", actor=actor)
    assert set(answer["data"]["requestErasure"]["destroyed"]) >= {"IDENTITY", "HEALTH"}
    assert all(item["law"] and item["until"] for item in answer["data"]["requestErasure"]["kept"])
    keys = "SELECT count(*) FROM keys.data_key WHERE data_class IN ('identity', 'health') AND wrapped IS NOT NULL"
    assert await town.value(keys) == 0
    assert await town.value("SELECT level FROM consent.restriction WHERE until IS NULL") == "storage-only"
    goes_on = {code for code, purpose in SEED.purposes.items() if purpose.despite_storage}
    assert goes_on == {"rights-handling"}


async def test_r14_a_party_whose_contract_has_ended_reads_nothing_and_loses_its_consents(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    await put_in_force(town, "adult-check", clients=frozenset({"night-market"}))
    assert await ask_adult(town, reference) == "FORBIDDEN"
    assert await town.rooms["privacy"].run_job("end-consents") == 1
    assert await town.value("SELECT state FROM consent.standing") == "revoked"


async def test_r14_whose_consent_has_ended_says_that_it_deleted_or_is_found(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    assert await ask_adult(town, reference) is True
    await town.entries()
    await town.integrate()
    privacy = town.rooms["privacy"]
    await privacy.run_job("tell-of-disclosures")
    town.clock.advance(dt.timedelta(days=366))
    await privacy.run_job("end-consents")
    found = []
    for days in (29, 1):
        town.clock.advance(dt.timedelta(days=days))
        await privacy.run_job("undeleted-readings")
        found.append(await town.value("SELECT count(*) FROM privacy.finding WHERE kind = 'not-deleted'"))
    assert found == [0, 1]


def test_r15_a_decision_by_rules_can_be_explained_and_looked_at_by_a_person() -> None:
    own = DOCUMENTS["citizen-app", "MyHealthCode"]
    assert {"HealthCode.ruleId", "HealthCode.reason", "HealthCode.evidence"} <= own.reads
    for purpose in SEED.purposes.values():
        if purpose.automated:
            assert all(items_of(purpose, SCHEMA, locale).automated for locale in LOCALES)
    assert due_at(RightKind.REVIEW, NOW) - NOW == dt.timedelta(days=30)
    # What a person finds changes the evidence; that the colour is a rule's, whoever looked, no document changes.
    for name in ("HealthReview", "ProposeHealthStrike", "TakeHealthStrike", "DecideHealthStrike"):
        assert SEED.purposes[DOCUMENTS["counter", name].purpose].roles == {"health-officer"}
        assert DOCUMENTS["counter", name].collects <= {"ProposeHealthStrikeInput.parts"}


def test_r17_a_basis_without_consent_names_law_and_article() -> None:
    for purpose in SEED.purposes.values():
        if purpose.basis is not Basis.CONSENT:
            assert purpose.law
            assert purpose.article
    raw = json.loads(SEED.body)
    raw["purposes"]["counter-lookup"]["law"] = ""
    with pytest.raises(PurposeRefused, match="names law and article"):
        parse_bundle(json.dumps(raw, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode())


async def test_r18_a_notice_that_an_emergency_put_off_is_given_to_everybody_concerned_once(town: Town) -> None:
    actor, other = await town.register(), await town.register(phone="13900000002", number=sample_number(sequence=200))
    for who in (actor, other):
        await town.ask("identity", "{ me { name } }", purpose="own-account", actor=who)
    today = town.clock.now().date()
    emergency = {"basis": Basis.EMERGENCY, "notice_state": NoticeState.DEFERRED}
    await put_in_force(
        town, "own-account", **emergency, notice_due=today + dt.timedelta(days=2), ends_on=today + dt.timedelta(days=9)
    )
    privacy = town.rooms["privacy"]
    await town.entries()
    await town.integrate()
    assert await privacy.run_job("deferred-notices") == 0
    town.clock.advance(dt.timedelta(days=2))
    assert await privacy.run_job("deferred-notices") == 2
    assert await privacy.run_job("deferred-notices") == 0
    await town.settle()
    answer = await town.ask("identity", "{ messages { edges { node { code } } } }", purpose="own-account", actor=actor)
    codes = [edge["node"]["code"] for edge in answer["data"]["messages"]["edges"]]
    assert codes.count("notice.given") == 1
