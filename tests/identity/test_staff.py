"""Staff who leave or change their work: their sessions end at once, other rooms hear of it, and the log says so."""

from __future__ import annotations

import asyncio
import json

import pytest
from sqlalchemy import text
from town import Town

from gov_services.audit.entry import EntryKind
from gov_services.cli.accounts import administration
from gov_services.identity.service import staff
from gov_services.subgraph.unit_of_work import Outcome, commit

pytestmark = pytest.mark.untraced

SIGN_IN = """mutation($input: StaffSignInInput!) {
  staffSignIn(input: $input) { session { accessToken refreshToken } userErrors { code } } }"""
REFRESH = """mutation($input: RefreshSessionInput!) {
  refreshSession(input: $input) { session { accessToken } userErrors { code } } }"""
PASSWORD = "an invented password"


async def sign_in(town: Town, username: str = "li.officer") -> dict[str, object]:
    """What signing in comes to."""
    values = {"input": {"username": username, "password": PASSWORD}}
    answer = await town.ask("identity", SIGN_IN, values, purpose="staff-sign-in")
    assert answer["data"], answer
    found: dict[str, object] = answer["data"]["staffSignIn"]
    return found


async def refresh(town: Town, signed_in: dict[str, object]) -> dict[str, object]:
    """What going on with that session comes to."""
    values = {"input": {"refreshToken": signed_in["session"]["refreshToken"]}}  # type: ignore[index]
    answer = await town.ask("identity", REFRESH, values, purpose="session-upkeep")
    found: dict[str, object] = answer["data"]["refreshSession"]
    return found


async def administer(town: Town, use_case: object, **arguments: object) -> Outcome[object]:
    """Run a use-case as the administrator at the command line does."""
    ctx = administration(town.rooms["identity"], town.clock)  # type: ignore[arg-type]
    return await commit(ctx, use_case, **arguments)  # type: ignore[arg-type]


@pytest.fixture
async def officer(town: Town) -> object:
    """Id of a member of staff, who is an officer and a registrar."""
    added = await administer(
        town,
        staff.add_staff,
        username="li.officer",
        display_name="李",
        password=PASSWORD,
        roles=frozenset({"permit-officer", "registrar"}),
        office="north-counter",
    )
    return added.result


OVER = {"session": None, "userErrors": [{"code": "REFRESH_REFUSED"}]}


async def events(town: Town) -> list[dict[str, object]]:
    """What other rooms are told of changes to staff."""
    found = await town.rows("SELECT body FROM events.outbox WHERE type = 'identity.staff_changed' ORDER BY event_id")
    return [json.loads(row["body"]) for row in found]


async def test_who_is_disabled_goes_on_with_no_session_and_opens_no_other(town: Town, officer: object) -> None:
    first, second = await sign_in(town), await sign_in(town)

    disabled = await administer(town, staff.disable_staff, username="li.officer")

    assert disabled == Outcome(officer)
    assert await town.rows("SELECT DISTINCT ended_for FROM identity.session") == [{"ended_for": "staff-disabled"}]
    assert [await refresh(town, session) for session in (first, second)] == [OVER, OVER]
    # Where a session was being opened while the account was disabled, its first refresh ends it.
    async with town.database.writing() as writing:
        await writing.execute(text("UPDATE identity.session SET ended_at = NULL, ended_for = NULL"))
    assert await refresh(town, first) == OVER
    assert await sign_in(town) == {"session": None, "userErrors": [{"code": "WRONG_CREDENTIALS"}]}
    assert await events(town) == [{"staff_id": str(officer), "roles": [], "office": "north-counter"}]
    changed = [entry for entry in await town.entries() if entry.action == "staff.disabled"]
    assert [(entry.kind, entry.object, entry.outcome) for entry in changed] == [
        (EntryKind.CHANGE, f"staff:{officer}", "allowed")
    ]


async def test_other_roles_end_what_was_opened_with_the_old_ones_and_stand_in_the_next_token(
    town: Town, officer: object
) -> None:
    before = await sign_in(town)

    changed = await administer(town, staff.change_roles, username="li.officer", roles=frozenset({"compliance-officer"}))

    assert changed == Outcome(officer)
    assert await refresh(town, before) == OVER
    assert await town.rows("SELECT roles, client_id FROM identity.staff") == [
        {"roles": ["compliance-officer"], "client_id": "compliance"}
    ]
    after = await sign_in(town)
    assert after["userErrors"] == []
    newest = "SELECT client_id FROM identity.session WHERE ended_at IS NULL"
    assert await town.value(newest) == "compliance"
    assert await events(town) == [
        {"staff_id": str(officer), "roles": ["compliance-officer"], "office": "north-counter"}
    ]
    assert [entry.object for entry in await town.entries() if entry.action == "staff.roles-changed"] == [
        f"staff:{officer}"
    ]


@pytest.mark.usefixtures("officer")
async def test_who_is_disabled_while_they_sign_in_is_left_no_session(town: Town) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid::text = :xid"
    async with town.database.writing() as disabling:
        await disabling.execute(text("UPDATE identity.staff SET disabled_at = now()"))
        xid = (await disabling.execute(text("SELECT pg_current_xact_id()::xid::text"))).scalar_one()
        signing_in = asyncio.create_task(sign_in(town))
        while not (signing_in.done() or await town.value(waiting, xid=xid)):
            pass

    assert await signing_in == {"session": None, "userErrors": [{"code": "WRONG_CREDENTIALS"}]}
    assert await town.rows("SELECT 1 FROM identity.session") == []


@pytest.mark.usefixtures("officer")
async def test_a_change_that_cannot_be_is_refused_and_changes_nothing(town: Town) -> None:
    await sign_in(town)
    for use_case, arguments, problem in (
        (staff.disable_staff, {"username": "nobody"}, "nobody has that user name"),
        (staff.change_roles, {"username": "nobody", "roles": {"registrar"}}, "nobody has that user name"),
        (staff.change_roles, {"roles": set()}, "roles are some of"),
        (staff.change_roles, {"roles": {"mayor"}}, "roles are some of"),
        (staff.change_roles, {"roles": {"compliance-officer", "registrar"}}, "who audits the work does not do it"),
    ):
        refused = await administer(town, use_case, **{"username": "li.officer", **arguments})
        assert refused.result is None
        (error,) = refused.errors
        assert error.code == "ACCOUNT_NOT_CHANGED"
        assert problem in error.message("en")
        assert problem in error.message("zh-CN")
    assert await town.value("SELECT ended_at FROM identity.session") is None
    assert await events(town) == []
    refusals = [entry.code for entry in await town.entries() if entry.kind is EntryKind.REFUSAL]
    assert refusals == ["ACCOUNT_NOT_CHANGED"] * 5
    await administer(town, staff.disable_staff, username="li.officer")
    for use_case, arguments in ((staff.disable_staff, {}), (staff.change_roles, {"roles": {"registrar"}})):
        (error,) = (await administer(town, use_case, username="li.officer", **arguments)).errors
        assert "the account is disabled" in error.message("en")
