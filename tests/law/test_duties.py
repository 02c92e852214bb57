"""What the law asks of rights, safety and records: a test for each requirement, by its number in docs/law.md."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from bank_consents import give, notice_hash
from city_law import DOCUMENTS, NOW, SCHEMA, SEED, SHOWN, put_in_force
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town, sample_number

from gov_services.audit.entry import EntryKind
from gov_services.consent.lawful import require_consistent, triggers
from gov_services.consent.lifecycle import ConsentState
from gov_services.consent.policy import Consent
from gov_services.consent.purposes import Basis, Form, Relation
from gov_services.consent.receipts import TYPE
from gov_services.consent.tables import PurposeRefused
from gov_services.consent.terms import Terms
from gov_services.crypto.keys import OF_SM, DataClass, LocalKeyProvider, init_keys
from gov_services.crypto.signing import VerifyKeys
from gov_services.crypto.suites import Suite
from gov_services.crypto.tokens import verify_statement
from gov_services.kit.actor import Actor
from gov_services.privacy.audits import EVERY_OF_MANY_YEARS, MANY_PEOPLE
from gov_services.privacy.breaches import Grade, report_due_at
from gov_services.privacy.rights import ACCOUNT_CLOSED_WITHIN_WORKING_DAYS, RightKind, due_at

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


async def test_r21_a_relatives_request_is_held_against_what_the_person_directed(town: Town) -> None:
    deceased, officer = await town.register(), town.staff("rights-officer")
    relative = await town.register(name="测试乙", phone="13900000002", number=OTHER_NUMBER)
    leave = """mutation($i: LeaveDirectiveInput!) { leaveDirective(input: $i) { userErrors { code } } }"""
    told: Any = {"i": {"kind": "ACCESS", "choice": "FORBIDDEN"}}
    await town.ask("privacy", leave, told, purpose="data-rights", actor=deceased)
    make = """mutation($i: MakeRightRequestInput!) { makeRightRequest(input: $i) { request { id } } }"""
    answer = (
        """mutation($i: AnswerRightRequestInput!) { answerRightRequest(input: $i) { state userErrors { code } } }"""
    )
    take = "mutation { takeRightRequest { request { id } } }"
    became = []
    for about in ("ACCESS", "DELETION"):
        told = {"i": {"kind": "RELATIVE", "about": about, "text": "x"}}
        made = await town.ask("privacy", make, told, purpose="data-rights", actor=relative)
        await town.ask("privacy", take, purpose="rights-handling", actor=officer)
        request_id = made["data"]["makeRightRequest"]["request"]["id"]
        told = {"i": {"requestId": request_id, "grant": True, "answer": "x", "deceased": str(deceased.id)}}
        found = await town.ask("privacy", answer, told, purpose="rights-handling", actor=officer)
        became.append(found["data"]["answerRightRequest"])
    assert became == [
        {"state": None, "userErrors": [{"code": "DIRECTED_OTHERWISE"}]},
        {"state": "GRANTED", "userErrors": []},
    ]
    assert "DIRECTED_OTHERWISE" in {entry.code for entry in await town.entries()}


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


async def test_r26_people_are_counted_and_an_audit_is_due_from_the_last_one(town: Town) -> None:
    assert (EVERY_OF_MANY_YEARS, MANY_PEOPLE) == (2, 10_000_000)
    await town.register()
    officer = town.staff("compliance-officer", client="compliance")
    ask = "{ complianceAudits { persons dueOn overdue } }"

    async def standing() -> Any:
        return (await town.ask("privacy", ask, purpose="log-review", actor=officer))["data"]["complianceAudits"]

    assert await standing() == {"persons": 1, "dueOn": "2029-03-02", "overdue": False}
    note = """mutation($i: NoteComplianceAuditInput!) { noteComplianceAudit(input: $i) { userErrors { code } } }"""
    told = {"i": {"doneOn": "2026-03-01", "auditor": "示例审计所", "reportHash": "00" * 32}}
    await town.ask("privacy", note, told, purpose="log-review", actor=officer)
    assert (await standing())["dueOn"] == "2029-03-01"
    town.clock.advance(dt.timedelta(days=366 * 3))
    assert await town.rooms["privacy"].run_job("compliance-audit-due") == 1
    assert await town.value("SELECT about FROM privacy.finding") == "compliance-audit:2029-03-01"


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


async def test_r41_a_receipt_says_what_the_standard_asks_for(town: Town) -> None:
    actor = await town.register()
    consent_id = (await give(town, actor))["consent"]["id"]
    document = "query($id: ID!) { consentReceipt(consentId: $id) }"
    answer = await town.ask("privacy", document, {"id": consent_id}, purpose="consent-management", actor=actor)
    keys = VerifyKeys.load(town.settings.secrets_directory, "consent-receipt")
    record = json.loads(verify_statement(keys, answer["data"]["consentReceipt"], type=TYPE))
    assert record["schema_version"] == "ISO/IEC TS 27560:2023"
    assert {"record_id", "pii_principal_id", "pii_processing", "parties", "events"} <= record.keys()
    (event,) = record["events"]
    assert {"time", "entity_id", "type", "state"} <= event.keys()


def test_r36_an_installation_by_sm_seals_wraps_and_digests_by_it(tmp_path: Path) -> None:
    init_keys(tmp_path / "secrets", sm=True)
    provider = LocalKeyProvider(tmp_path / "secrets", [DataClass.HEALTH])
    assert provider.suite(provider.newest(DataClass.HEALTH)) is Suite.SM4_GCM
    wrapped = provider.wrap(DataClass.HEALTH, bytes(32))
    assert provider.unwrap(DataClass.HEALTH, wrapped) == bytes(32)
    assert provider.newest(DataClass.HEALTH).endswith(OF_SM)


async def test_r37_entries_of_reading_the_log_are_in_the_log(town: Town) -> None:
    officer: Actor = town.staff("compliance-officer", client="compliance")
    await town.ask("privacy", "{ findings { pageInfo { hasNextPage } } }", purpose="log-review", actor=officer)
    kinds = [(entry.kind, entry.actor) for entry in await town.entries()]
    assert (EntryKind.LOG_READ, officer.ref) in kinds
