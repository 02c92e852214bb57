"""A person's rights: asked for, answered in time by one who alone reads it, refused with a reason; and restriction."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
from bank_consents import ask_adult, give
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town, sample_number

from gov_services.kit.actor import Actor
from gov_services.kit.ids import new_id
from gov_services.privacy.rights import EDGES, RightKind, due_at

pytestmark = pytest.mark.untraced

REQUEST = "request { id kind state text answer dueAt reason }"
MAKE = (
    f"mutation($i: MakeRightRequestInput!) {{ a: makeRightRequest(input: $i) {{ {REQUEST} userErrors {{ code }} }} }}"
)
WITHDRAW = (
    f"mutation($i: RightRequestInput!) {{ a: withdrawRightRequest(input: $i) {{ {REQUEST} userErrors {{ code }} }} }}"
)
TAKE = f"mutation {{ a: takeRightRequest {{ {REQUEST} userErrors {{ code }} }} }}"
ANSWER = "mutation($i: AnswerRightRequestInput!) { a: answerRightRequest(input: $i) { state userErrors { code } } }"
OWN = "{ rightRequests { id state text answer reason } }"
ONE = "query($id: ID!) { rightRequest(id: $id) { text answer } }"
WAITING = "{ waitingRights { id kind state dueAt } }"
RESTRICT = "mutation($i: RestrictProcessingInput!) { a: restrictProcessing(input: $i) { restricted } }"
FINDINGS = "{ findings { edges { node { kind actor about entryId } } } }"
WORDS = "我的住址应为示例市东区二号"


async def as_citizen(town: Town, actor: Actor, document: str, **told: Any) -> Any:
    answer = await town.ask("privacy", document, {"i": told}, purpose="data-rights", actor=actor)
    return answer["data"]["a"] if "errors" not in answer else answer["errors"][0]["extensions"]["code"]


async def make(town: Town, actor: Actor, kind: str = "CORRECTION", words: str = WORDS, about: str = "") -> Any:
    return await as_citizen(town, actor, MAKE, kind=kind, text=words, about=about)


async def as_officer(town: Town, officer: Actor, document: str, **told: Any) -> Any:
    answer = await town.ask("privacy", document, {"i": told} if told else {}, purpose="rights-handling", actor=officer)
    return answer["data"]["a"] if "errors" not in answer else answer["errors"][0]["extensions"]["code"]


async def own(town: Town, actor: Actor) -> list[dict[str, Any]]:
    answer = await town.ask("privacy", OWN, purpose="data-rights", actor=actor)
    found: list[dict[str, Any]] = answer["data"]["rightRequests"]
    return found


async def test_a_request_is_read_by_the_officer_who_took_it_until_it_is_answered(town: Town) -> None:
    actor = await town.register()
    made = await make(town, actor)
    assert (made["request"]["state"], made["request"]["text"]) == ("RECEIVED", WORDS)
    officer, other = town.staff("rights-officer"), town.staff("rights-officer")
    variables = {"id": made["request"]["id"]}

    async def read(who: Actor) -> Any:
        answer = await town.ask("privacy", ONE, variables, purpose="rights-handling", actor=who)
        return answer["data"]["rightRequest"] if "errors" not in answer else answer["errors"][0]["extensions"]["code"]

    assert await read(officer) == "NOT_FOUND"  # nobody's yet
    taken = await as_officer(town, officer, TAKE)
    assert taken["request"]["text"] == WORDS
    assert await read(other) == "NOT_FOUND"
    refused = {"requestId": made["request"]["id"], "grant": False, "answer": "登记的住址与证件一致"}
    assert (await as_officer(town, officer, ANSWER, **refused))["userErrors"] == [{"code": "REASON_NEEDED"}]
    assert await as_officer(town, other, ANSWER, **refused, reason="CORRECT_AS_IT_IS") == "NOT_FOUND"
    wrong = {**refused, "answer": " "}
    assert (await as_officer(town, officer, ANSWER, **wrong, reason="NOT_HELD"))["userErrors"] == [{"code": "NOT_SAID"}]
    done = await as_officer(town, officer, ANSWER, **refused, reason="CORRECT_AS_IT_IS")
    assert done == {"state": "REFUSED", "userErrors": []}
    assert await read(officer) == "NOT_FOUND"  # it is answered, and none of theirs any more
    (mine,) = await own(town, actor)
    assert (mine["answer"], mine["reason"]) == (refused["answer"], "CORRECT_AS_IT_IS")
    await town.settle()
    messages = await town.ask(
        "identity", "{ messages { edges { node { text } } } }", purpose="own-account", actor=actor
    )
    assert any("may take it to court" in edge["node"]["text"] for edge in messages["data"]["messages"]["edges"])


async def test_nothing_of_what_people_write_lies_in_clear(town: Town) -> None:
    actor = await town.register()
    await make(town, actor)
    rows = await town.rows("SELECT row_to_json(r)::text AS row FROM privacy.right_request AS r")
    entries = [entry.canonical().decode() for entry in await town.entries()]
    assert WORDS not in str(rows)
    assert WORDS not in str(entries)


async def test_two_officers_who_take_at_once_get_two_requests_and_the_oldest_first(town: Town) -> None:
    actor = await town.register()
    first, second = await make(town, actor), await make(town, actor)
    officers = [town.staff("rights-officer") for _ in range(3)]
    taken = await asyncio.gather(*(as_officer(town, officer, TAKE) for officer in officers))
    got = [item["request"]["id"] for item in taken if item["request"]]
    assert sorted(got) == sorted(item["request"]["id"] for item in (first, second))
    assert [item["userErrors"] for item in taken if not item["request"]] == [[{"code": "NOTHING_WAITS"}]]


async def test_a_queue_says_nothing_of_whom(town: Town) -> None:
    actor = await town.register()
    made = await make(town, actor)
    answer = await town.ask("privacy", WAITING, purpose="rights-handling", actor=town.staff("rights-officer"))
    (item,) = answer["data"]["waitingRights"]
    assert item["id"] == made["request"]["id"]
    assert str(actor.id) not in str(answer)
    answer = await town.ask("privacy", WAITING, purpose="rights-handling", actor=town.staff("registrar"))
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_request_can_be_taken_back_until_it_is_answered(town: Town) -> None:
    actor = await town.register()
    made = await make(town, actor)
    officer = town.staff("rights-officer")
    await as_officer(town, officer, TAKE)
    assert (
        await as_citizen(
            town,
            await town.register(phone="13900000002", number=sample_number(sequence=200)),
            WITHDRAW,
            requestId=made["request"]["id"],
        )
        == "NOT_FOUND"
    )
    back = await as_citizen(town, actor, WITHDRAW, requestId=made["request"]["id"])
    assert back["request"]["state"] == "WITHDRAWN"
    told = {"requestId": made["request"]["id"], "grant": True, "answer": "x"}
    assert (await as_officer(town, officer, ANSWER, **told))["userErrors"] == [{"code": "RIGHT_NOT_OPEN"}]
    assert (await as_citizen(town, actor, WITHDRAW, requestId=made["request"]["id"]))["userErrors"]


@pytest.mark.parametrize(("words", "code"), [("", "NOT_SAID"), (" ", "NOT_SAID"), ("x" * 2001, "NOT_SAID")])
async def test_what_says_nothing_or_too_much_is_not_taken(town: Town, words: str, code: str) -> None:
    actor = await town.register()
    assert (await make(town, actor, words=words))["userErrors"] == [{"code": code}]


async def test_a_complaint_is_about_an_entry_of_ones_own_history_and_is_found(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    await ask_adult(town, reference)
    await town.entries()
    await town.integrate()
    entry = next(item for item in await town.entries() if item.client == "riverside-bank" and item.subject_tag)
    assert await make(town, actor, kind="COMPLAINT", about=str(new_id(town.clock.now()))) == "NOT_FOUND"
    other = await town.register(phone="13900000002", number=sample_number(sequence=200))
    assert await make(town, other, kind="COMPLAINT", about=str(entry.id)) == "NOT_FOUND"
    assert (await make(town, actor, kind="COMPLAINT", about=str(entry.id)))["userErrors"] == []
    officer = town.staff("compliance-officer", client="compliance")
    answer = await town.ask("privacy", FINDINGS, purpose="log-review", actor=officer)
    found = [edge["node"] for edge in answer["data"]["findings"]["edges"]]
    assert [(item["kind"], item["entryId"]) for item in found] == [("COMPLAINT", str(entry.id))]


async def test_what_is_not_answered_in_time_is_found_once(town: Town) -> None:
    actor = await town.register()
    made = await make(town, actor)
    privacy = town.rooms["privacy"]
    assert await privacy.run_job("overdue-rights") == 0
    town.clock.advance(dt.timedelta(days=30, minutes=1))
    assert await privacy.run_job("overdue-rights") == 1
    assert await privacy.run_job("overdue-rights") == 0
    assert await town.value("SELECT about FROM privacy.finding") == f"right:{made['request']['id']}"


def test_the_terms_are_those_of_the_standard() -> None:
    made = dt.datetime(2026, 3, 2, 4, 0, tzinfo=dt.UTC)
    for kind in RightKind:
        if kind is not RightKind.DELETION:
            assert due_at(kind, made) - made == dt.timedelta(days=30)
    # Fifteen working days from Monday, the second of March: Monday, the twenty-third, is the last.
    assert due_at(RightKind.DELETION, made).date() == dt.date(2026, 3, 23)


async def test_the_database_knows_the_life_of_a_request(town: Town) -> None:
    actor = await town.register()
    await make(town, actor)
    for statement in (
        "UPDATE privacy.right_request SET state = 'GRANTED', answered_at = now(), taken_by = gen_random_uuid()",
        "UPDATE privacy.right_request SET state = 'TAKEN'",
        "DELETE FROM privacy.right_request",
    ):
        with pytest.raises(DBAPIError):
            async with town.database.writing() as session:
                await session.execute(text(statement))
    trigger = await town.value(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'right_request_keeps_to_its_life_cycle'"
    )
    pairs = {f"{before or ''}>{after}" for before, states in EDGES.items() for after in states}
    assert {pair for pair in pairs if f"'{pair}'" in trigger} == pairs
    assert trigger.count(">") == len(pairs)


async def test_an_objection_stops_what_rests_on_consent_at_once_and_not_what_a_law_asks_for(town: Town) -> None:
    actor = await town.register()
    reference = (await give(town, actor))["consent"]["id"]
    clerk = town.staff("registrar")
    find = "query($i: FindCitizenInput!) { citizenByNationalId(input: $i) { name } }"

    async def look_up() -> Any:
        told = {"i": {"nationalId": sample_number()}}
        return await town.ask("identity", find, told, purpose="counter-lookup", actor=clerk, reason="at the counter")

    assert await ask_adult(town, reference) is True
    assert await as_citizen(town, actor, RESTRICT, on=True) == {"restricted": True}
    assert await as_citizen(town, actor, RESTRICT, on=True) == {"restricted": True}
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"
    assert (await look_up())["data"]["citizenByNationalId"]["name"] == "测**"
    assert (await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor))["data"]["me"]["name"]
    assert "RESTRICTED" in [entry.code for entry in await town.entries()]
    assert await as_citizen(town, actor, RESTRICT, on=False) == {"restricted": False}
    assert await ask_adult(town, reference) is True


async def test_after_an_erasure_what_stays_is_stored_and_serves_nothing_else(town: Town) -> None:
    actor = await town.register()
    made = await make(town, actor)
    officer = town.staff("rights-officer")
    erase = "mutation($i: RequestErasureInput!) { requestErasure(input: $i) { destroyed } }"
    await town.ask("privacy", erase, {"i": {"confirm": True}}, purpose="erasure", actor=actor)
    assert await town.value("SELECT level FROM consent.restriction") == "storage-only"
    # For answering them it goes on, by its purpose; their own words were kept with the log.
    taken = await as_officer(town, officer, TAKE)
    assert taken["request"]["id"] == made["request"]["id"]
    assert taken["request"]["text"] == WORDS
    assert (await as_citizen(town, actor, RESTRICT, on=False))["restricted"] is False
    assert await town.value("SELECT count(*) FROM consent.restriction WHERE until IS NULL") == 1
