"""What a citizen directs for after their death, and a relative's request that is held against it (PIPL 49)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town, sample_number

from gov_services.kit.actor import Actor
from gov_services.kit.ids import new_id

pytestmark = pytest.mark.untraced

LEAVE = """mutation($i: LeaveDirectiveInput!) { a: leaveDirective(input: $i) {
  directive { kind choice } userErrors { code } } }"""
OWN = "{ directives { kind choice madeAt } }"
MAKE = "mutation($i: MakeRightRequestInput!) { a: makeRightRequest(input: $i) { request { id } userErrors { code } } }"
TAKE = "mutation { takeRightRequest { request { id about } } }"
ANSWER = (
    "mutation($i: AnswerRightRequestInput!) { a: answerRightRequest(input: $i) { state userErrors { code field } } }"
)
FIND = "query($i: FindCitizenInput!) { citizenByNationalId(input: $i) { id name } }"


async def leave(town: Town, actor: Actor, kind: str, choice: str) -> Any:
    told = {"i": {"kind": kind, "choice": choice}}
    return (await town.ask("privacy", LEAVE, told, purpose="data-rights", actor=actor))["data"]["a"]


async def own(town: Town, actor: Actor) -> list[tuple[str, str]]:
    answer = await town.ask("privacy", OWN, purpose="data-rights", actor=actor)
    return [(item["kind"], item["choice"]) for item in answer["data"]["directives"]]


async def ask_as_relative(town: Town, relative: Actor, about: str) -> Any:
    told = {"i": {"kind": "RELATIVE", "about": about, "text": "先父的资料"}}
    return (await town.ask("privacy", MAKE, told, purpose="data-rights", actor=relative))["data"]["a"]


async def answer(town: Town, officer: Actor, request_id: str, **told: Any) -> Any:
    values = {"i": {"requestId": request_id, "answer": "x", **told}}
    found = await town.ask("privacy", ANSWER, values, purpose="rights-handling", actor=officer)
    return found["data"]["a"] if "errors" not in found else found["errors"][0]["extensions"]["code"]


async def two(town: Town) -> tuple[Actor, Actor]:
    """Who will have died, and their relative."""
    return await town.register(), await town.register(
        name="测试乙", phone="13900000002", number=sample_number(sequence=200)
    )


async def a_request_taken(town: Town, relative: Actor, about: str) -> tuple[Actor, str]:
    request_id = (await ask_as_relative(town, relative, about))["request"]["id"]
    officer = town.staff("rights-officer")
    await town.ask("privacy", TAKE, purpose="rights-handling", actor=officer)
    return officer, request_id


async def test_the_last_word_of_each_kind_counts_and_can_be_taken_back(town: Town) -> None:
    actor, other = await two(town)
    assert await own(town, actor) == []
    assert (await leave(town, actor, "ACCESS", "FORBIDDEN"))["directive"] == {"kind": "ACCESS", "choice": "FORBIDDEN"}
    await leave(town, actor, "DELETION", "ALLOWED")
    assert await own(town, actor) == [("ACCESS", "FORBIDDEN"), ("DELETION", "ALLOWED")]
    await leave(town, actor, "ACCESS", "ALLOWED")
    await leave(town, actor, "DELETION", "WITHDRAWN")
    assert await own(town, actor) == [("ACCESS", "ALLOWED")]
    assert await own(town, other) == []
    actions = [entry.action for entry in await town.entries() if entry.action.startswith("directive.")]
    assert actions == ["directive.forbidden", "directive.allowed", "directive.allowed", "directive.withdrawn"]


async def test_what_was_directed_is_written_over_by_nobody(town: Town) -> None:
    actor = await town.register()
    await leave(town, actor, "ACCESS", "FORBIDDEN")
    for statement in (
        "UPDATE privacy.directive SET choice = 'ALLOWED'",
        "DELETE FROM privacy.directive",
        "TRUNCATE privacy.directive",
    ):
        with pytest.raises(DBAPIError):
            async with town.database.writing() as session:
                await session.execute(text(statement))


async def test_a_directive_forbids_its_kind_alone_and_only_while_it_stands(town: Town) -> None:
    deceased, relative = await two(town)
    await leave(town, deceased, "ACCESS", "FORBIDDEN")
    officer, request_id = await a_request_taken(town, relative, "ACCESS")
    told = {"grant": True, "deceased": str(deceased.id)}
    refused = await answer(town, officer, request_id, **told)
    assert refused == {"state": None, "userErrors": [{"code": "DIRECTED_OTHERWISE", "field": "input.grant"}]}
    assert await town.value("SELECT state FROM privacy.right_request") == "TAKEN"
    assert "DIRECTED_OTHERWISE" in {entry.code for entry in await town.entries()}
    done = await answer(town, officer, request_id, grant=False, reason="DIRECTED_OTHERWISE", deceased=str(deceased.id))
    assert done == {"state": "REFUSED", "userErrors": []}
    upheld = [entry for entry in await town.entries() if entry.action == "directive.upheld"]
    assert [entry.object for entry in upheld] == [f"right:{request_id}:ACCESS"]
    # Another kind is not forbidden, nor is this one once it was taken back.
    officer, request_id = await a_request_taken(town, relative, "CORRECTION")
    assert (await answer(town, officer, request_id, **told))["state"] == "GRANTED"
    await leave(town, deceased, "ACCESS", "WITHDRAWN")
    officer, request_id = await a_request_taken(town, relative, "ACCESS")
    assert (await answer(town, officer, request_id, **told))["state"] == "GRANTED"


async def test_a_relatives_own_directive_says_nothing_about_somebody_elses_data(town: Town) -> None:
    deceased, relative = await two(town)
    await leave(town, relative, "ACCESS", "FORBIDDEN")
    officer, request_id = await a_request_taken(town, relative, "ACCESS")
    assert (await answer(town, officer, request_id, grant=True, deceased=str(deceased.id)))["state"] == "GRANTED"


async def test_nothing_is_granted_about_nobody_and_nothing_refused_by_a_directive_that_there_is_not(
    town: Town,
) -> None:
    deceased, relative = await two(town)
    officer, request_id = await a_request_taken(town, relative, "DELETION")
    assert (await answer(town, officer, request_id, grant=True))["userErrors"] == [
        {"code": "DECEASED_NEEDED", "field": "input.deceased"}
    ]
    for nobody in (str(new_id(town.clock.now())), "no id"):
        assert await answer(town, officer, request_id, grant=True, deceased=nobody) == "NOT_FOUND"
    told = {"grant": False, "reason": "DIRECTED_OTHERWISE", "deceased": str(deceased.id)}
    assert (await answer(town, officer, request_id, **told))["userErrors"] == [
        {"code": "NOTHING_DIRECTED", "field": "input.reason"}
    ]
    assert await town.value("SELECT state FROM privacy.right_request") == "TAKEN"
    # That nobody died needs no account of who has.
    assert (await answer(town, officer, request_id, grant=False, reason="NOT_PROVED"))["state"] == "REFUSED"


@pytest.mark.parametrize("about", ["", "access", "EVERYTHING"])
async def test_a_relatives_request_says_what_it_asks_for(town: Town, about: str) -> None:
    assert (await ask_as_relative(town, await town.register(), about))["userErrors"] == [
        {"code": "RELATIVE_ASKS_FOR_WHAT"}
    ]
    assert await town.rows("SELECT 1 FROM privacy.right_request") == []


async def test_the_officer_finds_who_has_died_by_the_full_number_masked_and_with_a_reason(town: Town) -> None:
    deceased, _ = await two(town)
    officer, told = town.staff("rights-officer"), {"i": {"nationalId": sample_number()}}
    purpose = "relative-request-lookup"
    unsaid = await town.ask("identity", FIND, told, purpose=purpose, actor=officer)
    assert unsaid["errors"][0]["extensions"]["code"] == "REASON_REQUIRED"
    found = await town.ask("identity", FIND, told, purpose=purpose, actor=officer, reason="死亡证明已核验")
    assert found["data"]["citizenByNationalId"] == {"id": str(deceased.id), "name": "测**"}
    other = await town.ask("identity", FIND, told, purpose=purpose, actor=town.staff("registrar"), reason="x")
    assert other["errors"][0]["extensions"]["code"] == "FORBIDDEN"
