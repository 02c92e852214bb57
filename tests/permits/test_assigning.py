"""The job that gives waiting cases to somebody: each role apart, nobody before another, nothing said that was not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from permit_office import Office
from sqlalchemy import text
from town import Town

from gov_services.kit.ids import new_id
from gov_services.permits.service import assigning
from gov_services.subgraph.events import Event

pytestmark = pytest.mark.untraced

COPIES = """
INSERT INTO permits.application
  (citizen_id, application_id, service_code, business_name, business_address, scope, applicant_name, state, event,
   moves, moved_at, moved_by_kind, started_at)
SELECT citizen_id, :id, service_code, business_name, business_address, scope, applicant_name, 'draft', 'start', 1,
       moved_at, 'citizen', started_at
FROM permits.application WHERE application_id = :copied
"""
STEPS = {
    "submit": "state = 'submitted', submitted_at = now()",
    "accept": "state = 'accepted', accepted_at = now(), due_at = now()",
    "assess-fee": "state = 'fee-due', bill_id = application_id, fee_fen = 2000",
    "settle-fee": "state = 'under-review'",
}


async def unassigned_office(town: Town) -> Office:
    """An office where nobody works yet."""
    return Office(town, await town.register(), town.staff("permit-officer"), town.staff("permit-approver"))


async def under_review(office: Office, copied: str, *, officer: UUID | None, count: int = 1) -> list[str]:
    """Cases whose fee is paid, with an officer but without an approver, written as the database takes them."""
    ids = [new_id(office.town.clock.now()) for _ in range(count)]
    async with office.town.database.writing() as session:
        for application_id in ids:
            await session.execute(text(COPIES), {"id": application_id, "copied": UUID(copied)})
        for event, changed in STEPS.items():
            await session.execute(
                text(
                    f"UPDATE permits.application SET event = '{event}', moves = moves + 1, officer_id = :officer, "
                    f"{changed} WHERE application_id = ANY(:ids)"
                ),
                {"ids": ids, "officer": officer},
            )
    return [str(application_id) for application_id in ids]


async def run(office: Office) -> int:
    """Run the job once."""
    return int(await office.town.rooms["permits"].run_job("assign-waiting-cases"))


async def assigned_in_log(office: Office) -> list[str | None]:
    """Of which cases the log says that somebody was assigned."""
    return [entry.object for entry in await office.town.entries() if entry.action == "application.assigned"]


async def column(office: Office, name: str, ids: Sequence[str]) -> list[Any]:
    """One column of these applications, in their order."""
    return [(await office.row(application_id))[name] for application_id in ids]


async def test_each_role_is_assigned_though_nobody_has_the_other(town: Town) -> None:
    office = await unassigned_office(town)
    submitted = await office.submitted()
    (paid,) = await under_review(office, submitted, officer=None)
    assert await run(office) == 0

    await office.add_staff(office.officer, "permit-officer")
    assert await run(office) == 2

    assert await column(office, "officer_id", [submitted, paid]) == [office.officer.id] * 2
    assert await column(office, "approver_id", [submitted, paid]) == [None, None]
    # The one that still lacks an approver is not said to be assigned once more.
    assert await run(office) == 0
    assert sorted(await assigned_in_log(office), key=str) == sorted(f"application:{i}" for i in (submitted, paid))

    await office.add_staff(office.approver, "permit-approver")
    assert await run(office) == 1
    assert await column(office, "approver_id", [submitted, paid]) == [None, office.approver.id]
    await office.close()


async def test_a_case_that_lacks_both_is_one_case(town: Town) -> None:
    office = await unassigned_office(town)
    (paid,) = await under_review(office, await office.submitted(), officer=None)
    await office.add_staff(office.officer, "permit-officer")
    await office.add_staff(office.approver, "permit-approver")

    assert await run(office) == 2

    row = await office.row(paid)
    assert (row["officer_id"], row["approver_id"]) == (office.officer.id, office.approver.id)
    assert (await assigned_in_log(office)).count(f"application:{paid}") == 1
    await office.close()


async def test_cases_that_nobody_may_decide_wait_and_do_not_starve_newer_ones(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigning, "_AT_ONCE", 2)
    office = await unassigned_office(town)
    both = office.officer.id
    submitted = await office.submitted()
    await office.add_staff(office.officer, "permit-officer", "permit-approver")
    assert await run(office) == 1
    # The only approver there is handles the first three themselves, and not the last.
    own = await under_review(office, submitted, officer=both, count=3)
    (others,) = await under_review(office, submitted, officer=town.staff("permit-officer").id)

    assert await run(office) == 1

    assert await column(office, "approver_id", [*own, others]) == [None, None, None, both]
    said = await assigned_in_log(office)
    assert said == [f"application:{submitted}", f"application:{others}"]
    await office.close()


async def test_who_leaves_has_no_cases_any_more_and_others_get_them(office: Office) -> None:
    first, second = await office.submitted(), await office.submitted()
    assert {(await office.row(one))["officer_id"] for one in (first, second)} == {office.officer.id}
    told_at = office.town.clock.now()
    body = {"staff_id": str(office.officer.id), "roles": [], "office": "north-counter"}

    assert await office.tell("identity.staff_changed", body, citizen_id=None)

    assert (await office.row(first))["officer_id"] is None
    released = [entry for entry in await office.town.entries() if entry.action == "application.released"]
    assert {entry.object for entry in released} == {f"application:{one}" for one in (first, second)}
    assert all(entry.subject_tag for entry in released)
    refused = await office.officer_step("acceptApplication", first)
    assert [error["extensions"]["code"] for error in refused["errors"]] == ["NOT_FOUND"]
    assert await run(office) == 0, "nobody else is there"
    # What was said before comes late: it brings nobody back.
    late = Event(
        new_id(told_at),
        "identity",
        "identity.staff_added",
        None,
        body | {"roles": ["permit-officer"]},
        told_at - dt.timedelta(seconds=5),
    )
    assert await office.town.rooms["permits"].receive(late.encode())
    assert await run(office) == 0
    other = office.town.staff("permit-officer")
    await office.add_staff(other, "permit-officer")
    assert await run(office) == 2
    assert {(await office.row(one))["officer_id"] for one in (first, second)} == {other.id}


async def test_who_recommended_does_not_decide_after_a_change_of_roles(office: Office) -> None:
    application_id = await office.recommended()
    roles = {office.officer.id: ["permit-approver"], office.approver.id: []}
    for staff_id, now in roles.items():
        body = {"staff_id": str(staff_id), "roles": now, "office": "north-counter"}
        assert await office.tell("identity.staff_changed", body, citizen_id=None)

    assert await run(office) == 0, "only who recommended it could decide"
    other = office.town.staff("permit-approver")
    await office.add_staff(other, "permit-approver")
    assert await run(office) == 1
    assert (await office.row(application_id))["approver_id"] == other.id
