"""An application's life: who may take which step, what each leaves behind, what is refused."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from permit_office import FILLED, PDF, Office
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import sample_number

from gov_services.kit.database import Database
from gov_services.kit.ids import new_id

pytestmark = pytest.mark.untraced

NOWHERE = "00000000-0000-7000-8000-000000000000"


def code_of(answer: dict[str, Any]) -> str:
    """The code of the one error, of either kind."""
    errors = answer.get("errors")
    if errors:
        (error,) = errors
        return str(error["extensions"]["code"])
    (error,) = answer["userErrors"]
    return str(error["code"])


async def on_day(office: Office, day: dt.date) -> None:
    """Ten in the morning in Beijing, with a log that is up to date."""
    clock = office.town.clock
    clock.advance(dt.datetime(day.year, day.month, day.day, 2, tzinfo=dt.UTC) - clock.now())
    await office.town.integrate()


async def test_a_draft_is_sealed_and_reads_back_to_its_applicant(office: Office) -> None:
    application_id = await office.draft()

    read = await office.read(
        application_id,
        "state applicantName businessName businessAddress scope dueAt service { code } applicant { id } "
        "timeline { event state by }",
    )

    assert read == {
        "state": "DRAFT",
        "applicantName": "测试甲",
        "businessName": "测试甲小吃店",
        "businessAddress": "示例市东区一号",
        "scope": "小吃制售",
        "dueAt": None,
        "service": {"code": "individual-business-licence"},
        "applicant": {"id": str(office.applicant.id)},
        "timeline": [{"event": "start", "state": "DRAFT", "by": "CITIZEN"}],
    }
    row = await office.row(application_id)
    for name in ("business_name", "business_address", "scope", "applicant_name"):
        assert "测试甲".encode() not in bytes(row[name])
        assert "小吃".encode() not in bytes(row[name])


async def test_what_is_not_filled_in_is_told_by_field_and_nothing_is_begun(office: Office) -> None:
    for changed, code, field in [
        ({"service": "no-such-service"}, "SERVICE_UNKNOWN", "input.service"),
        ({"businessName": " 甲 "}, "NOT_FILLED_IN", "input.businessName"),
        ({"scope": "餐" * 201}, "NOT_FILLED_IN", "input.scope"),
        ({"businessAddress": "东区\u0000一号"}, "NOT_FILLED_IN", "input.businessAddress"),
        ({"applicantName": ""}, "NOT_FILLED_IN", "input.applicantName"),
    ]:
        answer = await office.step("startApplication", {**FILLED, **changed})

        assert answer["application"] is None
        assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [(code, field)]
        assert await office.town.value("SELECT count(*) FROM permits.application") == 0


async def test_nothing_is_submitted_without_its_required_document(office: Office) -> None:
    application_id = await office.draft()

    answer = await office.step("submitApplication", {"applicationId": application_id})

    assert code_of(answer) == "DOCUMENT_MISSING"
    assert (await office.row(application_id))["state"] == "draft"


async def test_a_submission_gives_the_case_to_the_officer_with_the_fewest_cases(office: Office) -> None:
    first = await office.submitted()
    second_officer = office.town.staff("permit-officer")
    await office.add_staff(second_officer, "permit-officer")

    second = await office.submitted()

    assert (await office.row(first))["officer_id"] == office.officer.id
    assert (await office.row(second))["officer_id"] == second_officer.id


async def test_a_case_that_finds_no_officer_waits_for_one(town: Any) -> None:
    nobody = Office(town, await town.register(), town.staff("permit-officer"), town.staff("permit-approver"))
    application_id = await nobody.submitted()
    assert (await nobody.row(application_id))["officer_id"] is None
    room = town.rooms["permits"]
    (job,) = room.jobs
    assert await room.run_job(job) == 0

    await nobody.add_staff(nobody.officer, "permit-officer")
    await nobody.add_staff(nobody.approver, "permit-approver")

    assert await room.run_job(job) == 1
    assert (await nobody.row(application_id))["officer_id"] == nobody.officer.id
    assert (await nobody.officer_step("acceptApplication", application_id))["application"]["state"] == "ACCEPTED"
    await nobody.close()


async def test_acceptance_starts_the_statutory_time_and_tells_the_applicant(office: Office) -> None:
    await on_day(office, dt.date(2026, 9, 30))
    application_id = await office.submitted()

    accepted = await office.officer_step("acceptApplication", application_id)
    await office.town.settle()

    # The National Day holiday of 2026 lasts from 1 to 7 October: three working days from 30 September end on the 10th.
    assert accepted["application"]["dueAt"] == "2026-10-10T15:59:59+00:00"
    message = await office.town.value("SELECT params FROM identity.message WHERE code = 'application.accepted'")
    assert message == {"application_id": application_id, "due_at": "2026-10-10"}


async def test_a_correction_stops_the_statutory_time_and_takes_the_one_field_that_was_asked_for(
    office: Office,
) -> None:
    await on_day(office, dt.date(2026, 11, 2))
    application_id = await office.submitted()
    await office.officer_step("acceptApplication", application_id)
    office.town.clock.advance(dt.timedelta(days=1))

    asked = await office.officer_step("requestCorrection", application_id, field="SCOPE", note="请写明经营项目")

    assert asked["application"] == {"id": application_id, "state": "CORRECTION_REQUESTED", "dueAt": None}
    assert (await office.row(application_id))["remaining_working_days"] == 2
    read = await office.read(application_id, "correction { field note }")
    assert read == {"correction": {"field": "SCOPE", "note": "请写明经营项目"}}
    other = await office.step("correctApplication", {"applicationId": application_id, "businessName": "别的店名"})
    assert code_of(other) == "NOT_WHAT_WAS_ASKED"
    both = {"applicationId": application_id, "scope": "小吃制售", "businessName": "别的店名"}
    assert code_of(await office.step("correctApplication", both)) == "NOT_WHAT_WAS_ASKED"

    office.town.clock.advance(dt.timedelta(days=6))
    corrected = await office.step("correctApplication", {"applicationId": application_id, "scope": "预包装食品零售"})

    # Corrected on Monday 9 November with two working days left.
    assert corrected["application"] == {
        "id": application_id,
        "state": "ACCEPTED",
        "dueAt": "2026-11-11T15:59:59+00:00",
    }
    assert await office.read(application_id, "scope businessName correction { field }") == {
        "scope": "预包装食品零售",
        "businessName": "测试甲小吃店",
        "correction": None,
    }


async def test_a_document_is_corrected_by_uploading_it_again(office: Office) -> None:
    application_id = await office.submitted()
    office.town.clock.advance(dt.timedelta(minutes=1))
    await office.officer_step("requestCorrection", application_id, field="DOCUMENTS")
    assert (await office.row(application_id))["state"] == "incomplete"
    assert code_of(await office.step("correctApplication", {"applicationId": application_id})) == "NOT_WHAT_WAS_ASKED"

    assert (await office.http.put(await office.link(application_id), content=PDF)).status_code == 201
    corrected = await office.step("correctApplication", {"applicationId": application_id})

    assert corrected["application"]["state"] == "SUBMITTED"
    assert len((await office.read(application_id, "documents { kind }"))["documents"]) == 2


async def test_the_fee_goes_to_payments_with_the_step_and_its_settlement_comes_back_once(office: Office) -> None:
    application_id = await office.fee_due()
    row = await office.row(application_id)
    (sent,) = await office.town.rows("SELECT body FROM events.outbox WHERE type = 'permits.fee_assessed'")
    assert bytes(sent["body"]).decode() == (
        f'{{"amount_fen":2000,"application_id":"{application_id}","bill_id":"{row["bill_id"]}",'
        '"titles":{"en":"Registration fee, individual business","zh-CN":"个体工商户登记费"}}'
    )
    event_id = new_id(office.town.clock.now())

    assert await office.settle(application_id, event_id=event_id) is True
    assert await office.settle(application_id, event_id=event_id) is False

    row = await office.row(application_id)
    assert (row["state"], row["approver_id"]) == ("under-review", office.approver.id)
    assert await office.town.value("SELECT count(*) FROM permits.settlement") == 1


async def test_a_settlement_of_another_amount_is_kept_and_moves_nothing(office: Office) -> None:
    application_id = await office.fee_due()

    await office.settle(application_id, amount_fen=1)

    assert (await office.row(application_id))["state"] == "fee-due"
    assert await office.town.value("SELECT amount_fen FROM permits.settlement") == 1


async def test_a_settlement_after_a_withdrawal_is_kept_and_moves_nothing(office: Office) -> None:
    application_id = await office.fee_due()
    withdrawn = await office.step("withdrawApplication", {"applicationId": application_id})
    assert withdrawn["application"]["state"] == "WITHDRAWN"

    await office.settle(application_id)

    assert (await office.row(application_id))["state"] == "withdrawn"
    assert await office.town.value("SELECT count(*) FROM permits.settlement") == 1
    actions = await office.town.rows("SELECT convert_from(body, 'UTF8')::jsonb ->> 'action' AS a FROM audit.pending")
    said = {row["a"] for row in actions} | {entry.action for entry in await office.town.entries()}
    assert "application.settlement-told" in said
    assert "application.fee-settled" not in said


async def test_withdrawing_before_the_fee_is_paid_cancels_its_bill_and_later_does_not(office: Office) -> None:
    unpaid, paid = await office.fee_due(), await office.fee_due()
    await office.settle(paid)
    bill_id = (await office.row(unpaid))["bill_id"]

    for application_id in (unpaid, paid):
        withdrawn = await office.step("withdrawApplication", {"applicationId": application_id})
        assert withdrawn["application"]["state"] == "WITHDRAWN"

    (sent,) = await office.town.rows("SELECT body FROM events.outbox WHERE type = 'permits.fee_cancelled'")
    assert bytes(sent["body"]).decode() == f'{{"application_id":"{unpaid}","bill_id":"{bill_id}"}}'


async def test_two_officers_are_two_people(office: Office) -> None:
    application_id = await office.fee_due()
    await office.settle(application_id)
    by_approver = await office.step("recommendApproval", {"applicationId": application_id}, actor=office.approver)
    assert code_of(by_approver) == "ANOTHER_OFFICERS_STEP"
    await office.officer_step("recommendApproval", application_id)
    both = office.town.staff("permit-officer", "permit-approver", staff_id=office.officer.id)

    refused = await office.step("approveApplication", {"applicationId": application_id}, actor=both)

    assert code_of(refused) == "ANOTHER_OFFICERS_STEP"
    assert (await office.row(application_id))["state"] == "recommended"


async def test_an_officer_reaches_no_case_but_their_own(office: Office) -> None:
    application_id = await office.submitted()
    stranger = office.town.staff("permit-officer")

    for answer in (
        await office.step("acceptApplication", {"applicationId": application_id}, actor=stranger),
        await office.step("acceptApplication", {"applicationId": NOWHERE}, actor=stranger),
        await office.step("acceptApplication", {"applicationId": "x"}, actor=stranger),
        await office.read(application_id, "businessName", actor=stranger),
    ):
        assert code_of(answer) == "NOT_FOUND"
    assert (await office.row(application_id))["state"] == "submitted"
    refused = [entry for entry in await office.town.entries() if entry.outcome == "refused"]
    assert {entry.code for entry in refused} == {"NOT_RELATED", "NOT_FOUND"}


async def test_an_officer_loses_the_case_when_it_is_closed(office: Office) -> None:
    application_id = await office.submitted()
    assert (await office.read(application_id, "businessName", actor=office.officer))["businessName"] == "测试甲小吃店"

    rejected = await office.officer_step("rejectApplication", application_id, rejection="NAME_TAKEN")
    await office.town.settle()

    assert rejected["application"]["state"] == "REJECTED"
    assert code_of(await office.read(application_id, "businessName", actor=office.officer)) == "NOT_FOUND"
    assert await office.read(application_id, "state rejection") == {"state": "REJECTED", "rejection": "NAME_TAKEN"}
    told = await office.town.value("SELECT params FROM identity.message WHERE code = 'application.decided'")
    assert told == {"application_id": application_id, "decision": "rejected"}


async def test_another_citizen_sees_and_moves_nothing(office: Office) -> None:
    application_id = await office.submitted()
    other = await office.town.register(number=sample_number(sequence=101), phone="13900000002")

    for name in ("submitApplication", "withdrawApplication", "correctApplication"):
        answer = await office.step(name, {"applicationId": application_id}, actor=other)
        assert code_of(answer) == "NOT_FOUND"

    assert (await office.row(application_id))["state"] == "submitted"


async def test_lists_are_pages_in_order_and_each_case_is_logged(office: Office) -> None:
    first = await office.submitted()
    office.town.clock.advance(dt.timedelta(seconds=1))
    second = await office.submitted()
    document = """query List($after: String) {
      caseload(first: 1, after: $after) { edges { node { id businessName } } pageInfo { hasNextPage endCursor } }
    }"""

    page = await office.town.ask("permits", document, purpose="licence-review", actor=office.officer)
    cursor = page["data"]["caseload"]["pageInfo"]["endCursor"]
    rest = await office.town.ask("permits", document, {"after": cursor}, purpose="licence-review", actor=office.officer)

    assert [edge["node"]["id"] for edge in page["data"]["caseload"]["edges"]] == [first]
    assert page["data"]["caseload"]["pageInfo"]["hasNextPage"] is True
    assert [edge["node"]["id"] for edge in rest["data"]["caseload"]["edges"]] == [second]
    assert rest["data"]["caseload"]["pageInfo"]["hasNextPage"] is False
    own = await office.town.ask(
        "permits",
        "{ applications(first: 50) { edges { node { id } } } }",
        purpose="licence-application",
        actor=office.applicant,
    )
    assert [edge["node"]["id"] for edge in own["data"]["applications"]["edges"]] == [second, first]
    reads = [
        entry.object
        for entry in await office.town.entries()
        if entry.kind == "read" and entry.purpose == "licence-review" and entry.action == "disclosure"
    ]
    assert reads == [f"application:{first}", f"application:{second}"]


async def test_the_database_refuses_a_step_that_the_life_cycle_does_not_have(
    office: Office, administrator: Database
) -> None:
    application_id = await office.submitted()

    with pytest.raises(DBAPIError, match="an application does not go from"):
        async with administrator.writing() as session:
            await session.execute(
                text(
                    "UPDATE permits.application SET state = 'issued', event = 'approve', moves = moves + 1 "
                    "WHERE application_id = :id"
                ),
                {"id": UUID(application_id)},
            )
    with pytest.raises(DBAPIError):
        async with administrator.writing() as session:
            await session.execute(text("DELETE FROM permits.application"))
    assert (await office.row(application_id))["state"] == "submitted"


async def test_an_erasure_keeps_the_case_for_its_statutory_term(office: Office) -> None:
    application_id = await office.submitted()

    assert await office.tell("privacy.citizen_erased", {"classes": ["identity"]}, citizen_id=office.applicant.id)

    assert (await office.read(application_id, "businessName"))["businessName"] == "测试甲小吃店"
