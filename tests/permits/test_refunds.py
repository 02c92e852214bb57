"""A fee that goes back: before the decision the case goes back with it, after it the log says so."""

from __future__ import annotations

from typing import Any

import pytest
from permit_office import Office

pytestmark = pytest.mark.untraced

NOWHERE = "00000000-0000-7000-8000-000000000000"
UNMOVED = ("application.refund-told", "licence.fee-refunded")


def code_of(answer: dict[str, Any]) -> str:
    """The code of the one user error."""
    (error,) = answer["userErrors"]
    return str(error["code"])


async def _refund(office: Office, application_id: str, bill_id: object) -> None:
    await _tell(office, "payments.bill_refunded", application_id, bill_id)


async def _tell(
    office: Office, event_type: str, application_id: str, bill_id: object, refund_id: str = NOWHERE
) -> None:
    body = {"bill_id": str(bill_id), "application_id": application_id, "refund_id": refund_id}
    assert await office.tell(event_type, body, citizen_id=office.applicant.id)


async def _told(office: Office) -> list[tuple[str, str | None]]:
    """What the log says of refunds that moved no case."""
    entries = await office.town.entries()
    return [(entry.action, entry.object) for entry in entries if entry.action in UNMOVED]


@pytest.mark.parametrize("recommended", [False, True])
async def test_a_refunded_fee_puts_the_case_back_before_it_was_assessed(office: Office, recommended: bool) -> None:
    application_id = await office.fee_due()
    await office.settle(application_id)
    if recommended:
        await office.officer_step("recommendApproval", application_id)
    bill_id = (await office.row(application_id))["bill_id"]

    await _refund(office, application_id, bill_id)

    row = await office.row(application_id)
    assert (row["state"], row["bill_id"], row["fee_fen"], row["recommended_by"]) == ("accepted", None, None, None)
    for name, actor in (("recommendApproval", office.officer), ("approveApplication", office.approver)):
        refused = await office.step(name, {"applicationId": application_id}, actor=actor)
        assert code_of(refused) == "APPLICATION_STATE"
    assert await office.town.value("SELECT count(*) FROM permits.licence") == 0
    assert (await office.officer_step("assessFee", application_id))["application"]["state"] == "FEE_DUE"
    assert (await office.row(application_id))["bill_id"] != bill_id


async def test_a_refund_that_overtakes_its_settlement_leaves_nothing_to_review(office: Office) -> None:
    application_id = await office.fee_due()
    row = await office.row(application_id)
    settled = {
        "bill_id": str(row["bill_id"]),
        "application_id": application_id,
        "amount_fen": 2000,
        "settled_at": office.town.clock.now().isoformat(),
    }

    await _refund(office, application_id, row["bill_id"])
    assert await office.tell("payments.bill_settled", settled, citizen_id=office.applicant.id)

    assert (await office.row(application_id))["state"] == "accepted"


async def test_a_refund_after_the_decision_takes_no_licence_away_and_stands_in_the_log(office: Office) -> None:
    issued = await office.issued()

    await _refund(office, issued, (await office.row(issued))["bill_id"])

    assert (await office.row(issued))["state"] == "issued"
    assert await office.town.value("SELECT status FROM permits.register") == "valid"
    assert await _told(office) == [("licence.fee-refunded", f"application:{issued}")]


async def test_a_refund_of_a_closed_case_or_of_another_bill_moves_nothing(office: Office) -> None:
    closed, reviewed = await office.fee_due(), await office.fee_due()
    await office.settle(closed)
    await office.settle(reviewed)
    await office.officer_step("rejectApplication", closed, rejection="NAME_TAKEN")

    await _refund(office, closed, (await office.row(closed))["bill_id"])
    await _refund(office, reviewed, NOWHERE)

    assert (await office.row(closed))["state"] == "rejected"
    assert (await office.row(reviewed))["state"] == "under-review"
    assert await _told(office) == [("application.refund-told", f"application:{i}") for i in (closed, reviewed)]


async def test_nothing_is_decided_while_the_fee_is_on_its_way_back(office: Office) -> None:
    application_id = await office.fee_due()
    await office.settle(application_id)
    bill_id = (await office.row(application_id))["bill_id"]

    await _tell(office, "payments.refund_started", application_id, bill_id)
    assert code_of(await office.officer_step("recommendApproval", application_id)) == "FEE_ON_ITS_WAY_BACK"
    await _tell(office, "payments.refund_failed", application_id, bill_id)
    await _tell(office, "payments.refund_started", application_id, bill_id)  # late, and told again
    assert (await office.officer_step("recommendApproval", application_id))["userErrors"] == []

    other = "00000000-0000-7000-8000-000000000001"
    await _tell(office, "payments.refund_started", application_id, bill_id, other)
    refused = await office.step("approveApplication", {"applicationId": application_id}, actor=office.approver)
    assert code_of(refused) == "FEE_ON_ITS_WAY_BACK"
    assert (await office.row(application_id))["state"] == "recommended"
    assert await office.town.value("SELECT count(*) FROM permits.licence") == 0
