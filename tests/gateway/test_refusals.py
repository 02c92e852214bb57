"""What the gateway refuses is counted, logged and bounded, whoever asks and however little of a request it was."""

from __future__ import annotations

import datetime as dt

from front_door import FrontDoor, code_of
from town import Town

from gov_services.audit.entry import Entry
from gov_services.gateway.rates import RateLimiter
from gov_services.kit.actor import ANONYMOUS


async def refusals(door: FrontDoor, code: str) -> list[Entry]:
    """What the log has of refusals with that code, those that are counted included."""
    await door.town.rooms["privacy"].services.discloser.audit.close()
    return [entry for entry in await door.town.entries() if entry.code == code]


async def test_a_flood_of_one_account_is_two_entries_that_name_it(door: FrontDoor) -> None:
    citizen = await door.town.register()
    for number in range(40):
        assert code_of(await door.post({"documentId": f"{number:064x}"}, actor=citizen)) == "PERSISTED_QUERY_NOT_FOUND"

    first, counted = await refusals(door, "PERSISTED_QUERY_NOT_FOUND")
    assert (first.count, counted.count) == (1, 39)
    assert first.document == "0" * 64
    assert counted.document is None
    assert first.actor_tag is not None
    assert first.actor_tag == counted.actor_tag
    assert first.client == counted.client == "citizen-app"


async def test_two_accounts_are_counted_apart(door: FrontDoor) -> None:
    one = await door.town.register()
    other = await door.town.register(number="11010519491231002X", phone="13900000002")
    for actor in (one, other):
        await door.post({"documentId": "0" * 64}, actor=actor)

    entries = await refusals(door, "PERSISTED_QUERY_NOT_FOUND")
    assert [entry.count for entry in entries] == [1, 1]
    assert len({entry.actor_tag for entry in entries}) == 2


async def test_who_is_refused_too_often_is_told_to_wait(graph_town: Town) -> None:
    door = FrontDoor(graph_town, rate=RateLimiter(graph_town.valkey, per_second=0.5, burst=2))
    codes = [code_of(await door.post({"documentId": "0" * 64})) for _ in range(4)]
    assert codes == ["PERSISTED_QUERY_NOT_FOUND"] * 2 + ["RATE_LIMITED"] * 2
    forged = [await door.post({"documentId": "0" * 64}, authorization="Bearer x.y.z") for _ in range(2)]
    assert [code_of(response) for response in forged] == ["RATE_LIMITED"] * 2
    await door.http.aclose()


async def test_what_is_no_id_of_a_document_stays_out_of_the_log(door: FrontDoor) -> None:
    for named in ["\0", "\ud800", "张三 110105199003070012", "x" * 5000, "0" * 63]:
        door.town.clock.advance(dt.timedelta(minutes=2))  # within a minute they would be one entry
        response = await door.post({"documentId": named})
        assert code_of(response) == "PERSISTED_QUERY_NOT_FOUND"

    entries = await refusals(door, "PERSISTED_QUERY_NOT_FOUND")
    assert len(entries) > 1
    for entry in entries:
        assert entry.document is None
        assert "张三" not in entry.canonical().decode()


async def test_a_variable_whose_name_is_none_is_refused(door: FrontDoor) -> None:
    for variables in [{"\ud800": "x" * 20_000}, {"\0": 1}, {"input": {"\ud800": 1}}, {"input": {"a b": 1}}, {"": {}}]:
        response = await door.ask("RequestSignInCode", variables)

        assert (response.status_code, code_of(response)) == (400, "BAD_USER_INPUT")


async def test_what_is_no_request_is_logged_under_its_request_id(door: FrontDoor) -> None:
    responses = {}
    for body, headers, code in [
        (b"{", {}, "BAD_REQUEST"),
        (b"x" * 70_000, {}, "REQUEST_TOO_LARGE"),
        (b"{}", {"content_type": "text/plain"}, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", {"accept": "image/png"}, "NOT_ACCEPTABLE"),
    ]:
        responses[code] = await door.post(body, **headers)

    await door.town.rooms["privacy"].services.discloser.audit.close()
    logged = {entry.code: entry for entry in await door.town.entries()}
    for code, response in responses.items():
        assert code_of(response) == code
        assert (logged[code].actor, logged[code].outcome) == (ANONYMOUS.ref, "refused")
        assert logged[code].request == response.headers["gov-request-id"]
        assert response.json()["errors"][0]["extensions"]["requestId"] == logged[code].request


async def test_a_token_of_any_bytes_is_one_refusal(door: FrontDoor) -> None:
    for token in ["WyJb" * 2000 + "." + "x" * 10 + ".y", "W1tb" * 2500 + ".e.e", "é.é.é"]:
        response = await door.post({"documentId": door.document("Me").id}, authorization=f"Bearer {token}".encode())

        assert (response.status_code, code_of(response)) == (401, "UNAUTHENTICATED")


async def test_a_citizen_puts_no_words_of_their_own_into_the_log(door: FrontDoor) -> None:
    citizen = await door.town.register()
    door.town.clock.advance(dt.timedelta(seconds=5))
    case = "01a20fa3-4fa7-7438-9f7c-ef1e6b269984"

    response = await door.ask("Me", actor=citizen, gov_reason="110105199003070012", gov_case=case)

    assert response.json()["data"]["me"]["name"] == "测试甲"
    entries = await door.town.entries()
    assert {entry.reason for entry in entries} == {None}
    assert {entry.case for entry in entries} == {None}
