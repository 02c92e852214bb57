"""Sessions and messages go by themselves when the purposes that they serve keep them no longer."""

from __future__ import annotations

import datetime as dt

import pytest
from town import Town

from gov_services.cli.documents import seed_bundle
from gov_services.identity.service.upkeep import MESSAGES, REMOVE, SESSIONS

pytestmark = pytest.mark.untraced

COUNTS = (
    "SELECT (SELECT count(*) FROM identity.session) AS sessions, (SELECT count(*) FROM identity.message) AS messages"
)


async def counts(town: Town) -> tuple[int, int]:
    (row,) = await town.rows(COUNTS)
    return row["sessions"], row["messages"]


async def test_each_is_kept_for_as_long_as_its_purpose_says_and_no_day_more(town: Town) -> None:
    citizen = await town.register()
    await town.sign_in("13900000001")
    purposes = seed_bundle().purposes
    await town.ask(
        "privacy",
        "mutation($input: RequestErasureInput!) { requestErasure(input: $input) { destroyed } }",
        {"input": {"confirm": True}},
        purpose="erasure",
        actor=citizen,
    )
    await town.settle()
    ends_at = await town.value("SELECT max(expires_at) FROM identity.session")
    assert await counts(town) == (1, 1)
    day = dt.timedelta(days=1)

    async def after(moment: dt.datetime) -> tuple[int, int]:
        town.clock.advance(moment - town.clock.now())
        await town.rooms["identity"].run_job(REMOVE)
        return await counts(town)

    start = town.clock.now()
    kept = ends_at + dt.timedelta(days=purposes[SESSIONS].retention_days)
    assert await after(kept - day) == (1, 1)
    assert await after(kept) == (0, 1)
    assert await after(start + dt.timedelta(days=purposes[MESSAGES].retention_days) - day) == (0, 1)
    assert await after(start + dt.timedelta(days=purposes[MESSAGES].retention_days)) == (0, 0)
    assert await town.rooms["identity"].run_job(REMOVE) == 0
    removed = [entry.object for entry in await town.entries() if entry.action == "account-data.removed"]
    assert removed == ["rows:1", "rows:1"]
