"""What the law asks, as behaviour: a test for each requirement, by its number in docs/law.md."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from adult_checks import change_consent
from bank_consents import ask_adult, give, notice_hash
from permit_office import FILLED
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town, sample_number

from gov_services.audit.entry import EntryKind
from gov_services.cli.documents import seed_bundle
from gov_services.consent import bundles
from gov_services.consent.lawful import require_consistent, triggers
from gov_services.consent.lifecycle import STANDS, TRANSITIONS, ConsentEvent, ConsentState
from gov_services.consent.notices import items_of
from gov_services.consent.policy import Consent, DisclosureRefused, require_readable
from gov_services.consent.purpose_files import parse_bundle
from gov_services.consent.purposes import Basis, Form, NoticeState, Relation, Separate
from gov_services.consent.receipts import SCHEMA as STANDARD
from gov_services.consent.receipts import STATES
from gov_services.consent.tables import PurposeRefused
from gov_services.consent.terms import Terms
from gov_services.consent.vocabulary import Vocabulary
from gov_services.crypto.masks import MASKS
from gov_services.crypto.suites import Suite
from gov_services.kit.actor import Actor
from gov_services.kit.errors import LOCALES
from gov_services.kit.manifest import Manifest
from gov_services.kit.settings import PROJECT_ROOT
from gov_services.privacy.breaches import Grade, report_due_at
from gov_services.privacy.rights import ACCOUNT_CLOSED_WITHIN_WORKING_DAYS, RightKind, due_at

pytestmark = pytest.mark.untraced

SEED = seed_bundle()
GRAPH = PROJECT_ROOT / "graphql"
SCHEMA = Vocabulary.from_sdl((GRAPH / "supergraph.graphql").read_text())
DOCUMENTS = {
    (client, document.name): document
    for document in Manifest.parse((GRAPH / "trusted-documents.json").read_bytes()).documents.values()
    for client in document.clients
}
NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
SHOWN = (Form.PLAIN, Form.MASKED, Form.DERIVED)
CONSENTED = {code: purpose for code, purpose in SEED.purposes.items() if purpose.basis is Basis.CONSENT}


async def put_in_force(town: Town, code: str, **changes: Any) -> None:
    """The next bundle, in which a purpose is changed."""
    bundle = parse_bundle(bytes(await town.value("SELECT body FROM consent.bundle ORDER BY version DESC LIMIT 1")))
    following = bundle.with_purpose(replace(bundle.purposes[code], **changes))
    async with town.database.writing() as session:
        await bundles.publish(
            session,
            following,
            key=town.signing_key("bundle"),
            proposed_by="staff:a",
            approved_by="staff:b",
            note="x",
            now=town.clock.now(),
        )


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


def test_r15_a_decision_by_rules_can_be_explained_and_looked_at_by_a_person() -> None:
    own = DOCUMENTS["citizen-app", "MyHealthCode"]
    assert {"HealthCode.ruleId", "HealthCode.reason", "HealthCode.evidence"} <= own.reads
    for purpose in SEED.purposes.values():
        if purpose.automated:
            assert all(items_of(purpose, SCHEMA, locale).automated for locale in LOCALES)
    assert due_at(RightKind.REVIEW, NOW) - NOW == dt.timedelta(days=30)


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


def test_r20_every_right_has_a_document_and_asks_for_nothing_but_who_one_is() -> None:
    rights = {
        "AccessHistory": "access-history",
        "ExportMyData": "data-export",
        "MakeRightRequest": "data-rights",
        "RestrictProcessing": "data-rights",
        "RequestErasure": "erasure",
        "WithdrawConsent": "consent-management",
    }
    for name, purpose in rights.items():
        document = DOCUMENTS["citizen-app", name]
        assert document.purpose == purpose
        assert SEED.purposes[purpose].relations == {Relation.SELF}
    own = {name for name in SCHEMA_OF_CITIZEN if SCHEMA[name].derived_from is None}
    assert own <= DOCUMENTS["citizen-app", "ExportMyData"].reads


SCHEMA_OF_CITIZEN = {field.coordinate for field in SCHEMA if field.coordinate.startswith("Citizen.")}


async def test_r22_a_refusal_says_why(town: Town) -> None:
    actor, officer = await town.register(), town.staff("rights-officer")
    make = """mutation($i: MakeRightRequestInput!) { makeRightRequest(input: $i) { request { id } } }"""
    told = {"i": {"kind": "CORRECTION", "text": "x"}}
    answer = await town.ask("privacy", make, told, purpose="data-rights", actor=actor)
    request_id = answer["data"]["makeRightRequest"]["request"]["id"]
    take = "mutation { takeRightRequest { request { id } } }"
    await town.ask("privacy", take, purpose="rights-handling", actor=officer)
    refuse = """mutation($i: AnswerRightRequestInput!) { answerRightRequest(input: $i) { userErrors { code } } }"""
    told = {"i": {"requestId": request_id, "grant": False, "answer": "x"}}  # type: ignore[dict-item]
    answer = await town.ask("privacy", refuse, told, purpose="rights-handling", actor=officer)
    assert answer["data"]["answerRightRequest"]["userErrors"] == [{"code": "REASON_NEEDED"}]


def test_r23_requests_have_the_terms_of_the_standard() -> None:
    assert ACCOUNT_CLOSED_WITHIN_WORKING_DAYS == 15
    assert all(due_at(kind, NOW) - NOW <= dt.timedelta(days=30) for kind in RightKind)


async def test_r24_no_personal_value_lies_in_clear(town: Town) -> None:
    await town.register(name="验零壹", phone="13977776666", address="示例市西区九十九号")
    tables = await town.rows(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    rows = [await town.rows(f"SELECT t::text AS line FROM {table['name']} AS t") for table in tables]
    dump = str(rows)
    assert len(dump) > 10_000
    for value in ("验零壹", "13977776666", "示例市西区九十九号", sample_number()):
        assert value not in dump
        assert value.encode().hex() not in dump


async def test_r25_who_runs_it_reads_no_audit_and_who_audits_reads_no_data(town: Town) -> None:
    prefix = town.settings.role_prefix
    data = ("identity.citizen", "permits.application", "payments.bill", "healthcode.declaration")
    log = ("audit.entry", "audit.description")
    for room in ("identity", "permits", "payments", "healthcode", "worker"):
        for table in log:
            assert not await town.value("SELECT has_table_privilege(:r, :t, 'SELECT')", r=f"{prefix}_{room}", t=table)
    for table in data:
        assert not await town.value("SELECT has_table_privilege(:r, :t, 'SELECT')", r=f"{prefix}_privacy", t=table)
    officers = [purpose for purpose in SEED.purposes.values() if "compliance-officer" in purpose.roles]
    assert officers
    assert not any(set(purpose.grants.values()) & set(SHOWN) for purpose in officers)


def test_r27_what_needs_an_assessment_has_one_before_it_is_in_force() -> None:
    require_consistent(SEED, SCHEMA)
    needing = [code for code, purpose in SEED.purposes.items() if triggers(purpose, SCHEMA)]
    assert needing
    with pytest.raises(PurposeRefused, match="impact assessment"):
        require_consistent(replace_assessments(), SCHEMA)


def replace_assessments() -> Any:
    return replace(SEED, assessments={})


@pytest.mark.parametrize("table", ["consent.bundle", "audit.entry", "audit.batch", "consent.revision"])
async def test_r28_r31_records_of_sharing_assessments_and_the_log_are_not_removed(town: Town, table: str) -> None:
    await town.register()
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(DBAPIError):
            async with town.database.writing() as session:
                await session.execute(text(statement))


async def test_r29_r30_a_breach_is_told_with_all_its_parts_and_in_time(town: Town) -> None:
    assert report_due_at(Grade.RELATIVELY_MAJOR, NOW) - NOW == dt.timedelta(hours=4)
    enter = """mutation($i: EnterBreachInput!) { enterBreach(input: $i) { userErrors { code } } }"""
    at = town.clock.now().isoformat()
    parts = {name: "x" for name in ("kinds", "cause", "harm", "measures", "advice", "contact")}
    told = {**parts, "grade": "MAJOR", "actor": "client:x", "since": at, "until": at, "foundAt": at}
    officer = town.staff("compliance-officer", client="compliance")
    for part in parts:
        answer = await town.ask("privacy", enter, {"i": {**told, part: ""}}, purpose="breach-register", actor=officer)
        assert answer["data"]["enterBreach"]["userErrors"] == [{"code": "BREACH_NOT_COMPLETE"}]


def test_r32_what_the_city_knows_is_filled_in_and_not_asked_again() -> None:
    document = DOCUMENTS["citizen-app", "PrefillApplication"]
    assert {"Citizen.name", "Citizen.address"} <= document.reads
    # What is uploaded for an application is read for that application, and by no other purpose.
    readers = {code for code, item in SEED.purposes.items() if item.grants.get("ApplicationDocument.content") in SHOWN}
    assert readers == {"licence-application", "licence-document-reading", "licence-review"}


async def test_r33_one_sign_in_serves_every_service(town: Town) -> None:
    actor = await town.register()
    asked = {
        "identity": ("{ me { id } }", "own-account"),
        "permits": ("{ applications { pageInfo { hasNextPage } } }", "licence-application"),
        "privacy": ("{ consents { pageInfo { hasNextPage } } }", "consent-management"),
    }
    for room, (document, purpose) in asked.items():
        assert "errors" not in await town.ask(room, document, purpose=purpose, actor=actor)


def test_r35_a_check_of_identity_answers_yes_or_no() -> None:
    document = DOCUMENTS["citizen-app", "VerifyIdentity"]
    assert document.reads <= {"Citizen.assuranceLevel"}
    assert set(SEED.purposes["identity-verification"].grants.values()) <= {Form.COLLECT, Form.PLAIN}


def test_r38_where_the_regulations_give_numbers_ours_are_no_longer() -> None:
    assert all(due_at(kind, NOW) - NOW <= dt.timedelta(days=31) for kind in RightKind)
    assert all(report_due_at(grade, NOW) - NOW <= dt.timedelta(hours=72) for grade in Grade)


async def test_r39_a_purpose_asks_for_how_surely_somebody_is_known_and_failing_tells_nothing(town: Town) -> None:
    low = await town.register(assurance=2)
    answer = await town.ask("identity", "{ me { name } }", purpose="licence-prefill", actor=low)
    assert answer["errors"][0]["extensions"]["code"] == "ASSURANCE_TOO_LOW"
    verify = """mutation($i: VerifyIdentityInput!) { verifyIdentity(input: $i) { userErrors { code field } } }"""
    answers = []
    for told in ({"name": "测试乙", "nationalId": sample_number()}, {"name": "测试甲", "nationalId": OTHER_NUMBER}):
        found = await town.ask("identity", verify, {"i": told}, purpose="identity-verification", actor=low)
        answers.append(found["data"]["verifyIdentity"]["userErrors"])
    assert answers[0] == answers[1]


OTHER_NUMBER = sample_number(sequence=300)


async def test_r42_a_notice_that_changed_is_read_again_and_a_part_can_be_agreed_to(town: Town) -> None:
    actor = await town.register()
    before = await notice_hash(town, actor, "adult-check")
    told = {"zh-CN": "新的告知", "en": "another notice"}
    await put_in_force(town, "adult-check", notice=told, earlier_notices_until=dt.date(2027, 1, 1))
    document = """mutation($i: GiveConsentInput!) { giveConsent(input: $i) { userErrors { code } } }"""
    values = {"purpose": "adult-check", "recipient": "riverside-bank", "noticeHash": before}
    answer = await town.ask("privacy", document, {"i": values}, purpose="consent-management", actor=actor)
    assert answer["data"]["giveConsent"]["userErrors"] == [{"code": "NOTICE_CHANGED"}]
    assert (await give(town, actor, scope=["Citizen.isAdult"]))["userErrors"] == []


@pytest.mark.parametrize("state", list(ConsentState))
def test_r43_only_what_is_given_or_renewed_opens(state: ConsentState) -> None:
    assert a_consent(state=state.value).stands(NOW) == (state in (ConsentState.GIVEN, ConsentState.RENEWED))


def test_r41_the_fields_of_a_receipt_are_those_of_the_standard() -> None:
    assert STANDARD == "ISO/IEC TS 27560:2023"
    assert set(STATES) == set(ConsentState)


def test_r36_what_is_masked_is_masked_by_a_rule_and_there_is_a_suite_of_the_state() -> None:
    assert Suite.SM4_GCM in set(Suite)
    assert {field.mask for field in SCHEMA if field.mask} <= MASKS.keys()


async def test_r37_entries_of_reading_the_log_are_in_the_log(town: Town) -> None:
    officer: Actor = town.staff("compliance-officer", client="compliance")
    await town.ask("privacy", "{ findings { pageInfo { hasNextPage } } }", purpose="log-review", actor=officer)
    kinds = [(entry.kind, entry.actor) for entry in await town.entries()]
    assert (EntryKind.LOG_READ, officer.ref) in kinds
