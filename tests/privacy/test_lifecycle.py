"""A proposal's life cycle: the table in the code, and the same edges refused by the database to the room's own role."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town

from gov_services.kit.database import Database
from gov_services.privacy.lifecycle import TRANSITIONS, NarrowingState

pytestmark = pytest.mark.untraced

INSERT = """INSERT INTO privacy.narrowing (narrowing_id, purpose, coordinate, step, urgent, refuses, note,
  declared, opened, since, state, proposed_by, proposed_at, decided_by, decided_at, bundle_version)
  VALUES (gen_random_uuid(), 'p', 'Citizen.name', 'DENY', false, 0, '-', 0, 0, now(), '{state}',
  gen_random_uuid(), now(),
  {decided}, {at}, {version})"""
UPDATE = """UPDATE privacy.narrowing SET state = '{state}', decided_by = {decided}, decided_at = {at},
  bundle_version = {version}"""


def statement(template: str, state: NarrowingState) -> str:
    """A whole row in that state, so that no other check refuses it."""
    is_open = state is NarrowingState.PROPOSED
    return template.format(
        state=state.value,
        decided="NULL" if is_open else "gen_random_uuid()",
        at="NULL" if is_open else "now()",
        version="7" if state is NarrowingState.APPROVED else "NULL",
    )


@pytest.mark.parametrize("after", NarrowingState)
@pytest.mark.parametrize("before", [None, *NarrowingState])
async def test_the_database_knows_the_same_edges(
    town: Town, before: NarrowingState | None, after: NarrowingState
) -> None:
    known = {(None, NarrowingState.PROPOSED), *((start, end) for (start, _), end in TRANSITIONS.items())}
    role = Database(town.settings.room_database_url("privacy"), pool_size=1)
    try:
        if before is not None:
            async with role.writing() as session:
                await session.execute(text(statement(INSERT, NarrowingState.PROPOSED)))
            if before is not NarrowingState.PROPOSED:
                async with role.writing() as session:
                    await session.execute(text(statement(UPDATE, before)))
        move = statement(INSERT if before is None else UPDATE, after)
        if (before, after) in known:
            async with role.writing() as session:
                await session.execute(text(move))
        else:
            with pytest.raises(DBAPIError, match="does not go from"):
                async with role.writing() as session:
                    await session.execute(text(move))
        states = [row["state"] for row in await town.rows("SELECT state FROM privacy.narrowing")]
        expected = after if (before, after) in known else before
        assert states == ([expected.value] if expected else [])
    finally:
        await role.close()
