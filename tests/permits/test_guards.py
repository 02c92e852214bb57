"""What the database itself holds: an ended licence stays ended, a decision stays whose and when it was."""

from __future__ import annotations

from typing import Any

import pytest
from permit_office import Office
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gov_services.kit.database import Database
from gov_services.kit.ids import new_id

pytestmark = pytest.mark.untraced

DECIDED = (
    "recommended_by = gen_random_uuid()",
    "recommended_by = NULL",
    "recommended_by = NULL, event = 'refund-fee'",
    "decided_by = gen_random_uuid()",
    "decided_by = NULL",
    "submitted_at = submitted_at - interval '1 day'",
    "submitted_at = NULL",
    "accepted_at = accepted_at - interval '1 day'",
    "accepted_at = NULL",
    "moved_at = moved_at - interval '1 day'",
    "moved_by = gen_random_uuid()",
    "moved_by_kind = 'system'",
)
ENDED = (
    "status = 'valid', ended_at = NULL",
    "ended_at = ended_at + interval '1 day'",
    "number = '92999999MA38R4N63J'",
    "entered_at = entered_at - interval '1 day'",
)


def room_of(office: Office) -> Database:
    """The database under the room's own role."""
    database: Database = office.town.rooms["permits"].services.discloser.database
    return database


async def refused(database: Database, statement: str, match: str) -> None:
    """See that the database does not take a statement, nor any part of it."""
    with pytest.raises(DBAPIError, match=match):
        async with database.writing() as session:
            await session.execute(text(statement))


async def rows(office: Office) -> list[dict[str, Any]]:
    """Applications and the register."""
    register = await office.town.rows("SELECT * FROM permits.register ORDER BY number")
    return register + await office.town.rows("SELECT * FROM permits.application ORDER BY application_id")


async def test_what_was_decided_and_when_is_not_written_again(office: Office) -> None:
    await office.issued()
    before = await rows(office)

    for change in DECIDED:
        await refused(room_of(office), f"UPDATE permits.application SET {change}", "what was decided|does not go from")
    started = "UPDATE permits.application SET started_at = started_at - interval '1 day'"
    await refused(office.town.database, started, "what was decided")

    assert await rows(office) == before


async def test_a_recommendation_is_taken_back_by_a_refund_alone(office: Office) -> None:
    application_id = await office.fee_due()
    await office.settle(application_id)
    await office.officer_step("recommendApproval", application_id)
    reject = (
        "UPDATE permits.application SET state = 'rejected', event = 'reject', moves = moves + 1, "
        "rejection = 'untrue', recommended_by = NULL"
    )

    await refused(room_of(office), reject, "what was decided")

    bill_id = str((await office.row(application_id))["bill_id"])
    body = {"bill_id": bill_id, "application_id": application_id, "refund_id": str(new_id(office.town.clock.now()))}
    assert await office.tell("payments.bill_refunded", body, citizen_id=office.applicant.id)
    assert (await office.row(application_id))["recommended_by"] is None


async def test_a_licence_that_has_ended_never_holds_again(office: Office) -> None:
    await office.issued()
    number = await office.town.value("SELECT number FROM permits.register")
    moved = "UPDATE permits.register SET number = '92999999MA38R4N63J'"
    await refused(room_of(office), moved, "permission denied")
    await refused(office.town.database, moved, "keeps its number")
    await refused(office.town.database, "UPDATE permits.register SET status_index = DEFAULT", "keeps its number")
    async with room_of(office).writing() as session:
        await session.execute(text("UPDATE permits.register SET status = 'surrendered', ended_at = now()"))
    before = await rows(office)

    for change in ENDED[:2]:
        await refused(room_of(office), f"UPDATE permits.register SET {change}", "does not hold again")
    for change in ENDED:
        await refused(office.town.database, f"UPDATE permits.register SET {change}", "does not hold again|keeps its n")
    await refused(room_of(office), "DELETE FROM permits.register", "permission denied")
    for removal in ("DELETE FROM permits.register", "TRUNCATE permits.register CASCADE"):
        await refused(office.town.database, removal, "append-only|refuse|not")

    assert await rows(office) == before
    assert before[0]["number"] == number
