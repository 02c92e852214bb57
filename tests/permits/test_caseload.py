"""An officer's list: whole though some of it is not theirs to read any more, in pages, decided in one append."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from permit_office import Office
from sqlalchemy import text

from gov_services.audit.entry import Entry

pytestmark = pytest.mark.untraced

DOCUMENT = """query List($first: Int, $after: String, $states: [ApplicationState!]) {
  caseload(first: $first, after: $after, states: $states) {
    edges { cursor node { id businessName } } pageInfo { hasNextPage endCursor }
  }
}"""


async def caseload(office: Office, **values: Any) -> tuple[list[str], dict[str, Any]]:
    """The ids that a page shows, each with its name, and where the page lies."""
    answer = await office.town.ask(
        "permits", DOCUMENT, {"first": 20, **values}, purpose="licence-review", actor=office.officer
    )
    assert "errors" not in answer, answer["errors"]
    page = answer["data"]["caseload"]
    assert all(edge["node"]["businessName"] for edge in page["edges"])
    return [edge["node"]["id"] for edge in page["edges"]], page["pageInfo"]


async def end_relation(office: Office, application_id: str) -> None:
    """The officer has nothing to do with the case any more, though it names them."""
    async with office.town.database.writing() as session:
        await session.execute(
            text("UPDATE consent.relation SET until = since WHERE case_id = :id"), {"id": UUID(application_id)}
        )


async def decisions(office: Office) -> list[Entry]:
    """What was decided about the officer's reading, in the order of the log."""
    entries = await office.town.entries()
    read = [entry for entry in entries if entry.purpose == "licence-review" and entry.action == "disclosure"]
    return [entry for entry in read if entry.kind != "use"]


async def test_a_closed_case_is_left_out_and_is_not_even_asked_about(office: Office) -> None:
    closed, other = await office.submitted(), await office.submitted()
    await office.officer_step("rejectApplication", closed, rejection="NAME_TAKEN")
    before = len(await decisions(office))

    # The relation ended with the case: to its officer it is as one that never was.
    assert await caseload(office, states=["REJECTED"]) == ([], {"hasNextPage": False, "endCursor": None})
    assert (await caseload(office, states=["REJECTED", "SUBMITTED"]))[0] == [other]

    asked = (await decisions(office))[before:]
    assert [(entry.outcome, entry.object) for entry in asked] == [("allowed", f"application:{other}")]


async def test_cases_without_a_relation_leave_no_hole_in_the_pages(office: Office) -> None:
    cases = sorted([await office.submitted() for _ in range(5)])  # the oldest first: ids of one moment have an order
    for unrelated in (cases[0], cases[2]):
        await end_relation(office, unrelated)

    everything, _ = await caseload(office)
    first, place = await caseload(office, first=2)
    rest, end = await caseload(office, first=2, after=place["endCursor"])

    assert everything == [cases[1], cases[3], cases[4]]
    assert (first, place["hasNextPage"]) == ([cases[1], cases[3]], True)
    assert (rest, end["hasNextPage"]) == ([cases[4]], False)
    refused = {entry.object for entry in await decisions(office) if entry.outcome == "refused"}
    assert refused == {f"application:{cases[0]}", f"application:{cases[2]}"}
    assert {entry.code for entry in await decisions(office) if entry.outcome == "refused"} == {"NOT_RELATED"}


async def test_a_list_is_decided_with_one_append_for_all(office: Office) -> None:
    for _ in range(3):
        await office.submitted()

    assert len((await caseload(office))[0]) == 3

    assert len(await decisions(office)) == 3
    appends = (
        "SELECT count(DISTINCT one.xmin::text) FROM audit.entry AS one JOIN audit.described AS said USING (seq) "
        "WHERE purpose = 'licence-review' AND kind = 'read'"
    )
    assert await office.town.value(appends) == 1
