"""Limits on guessing: failures are counted, and nobody is locked out by another's name or by having no code."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from town import REQUEST_CODE, SIGN_IN, Town

from gov_services.cli.accounts import administration
from gov_services.identity.service import staff
from gov_services.subgraph.unit_of_work import commit

SECRET = "s" * 32
STAFF_SIGN_IN = """mutation($input: StaffSignInInput!) {
  staffSignIn(input: $input) { session { accessToken } userErrors { code } } }"""
PHONE = "13900000001"


@pytest.fixture
async def oauth(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    """The routes of identity, and one relying party that is called like a member of staff."""
    room = town.rooms["identity"]
    ctx = administration(room, town.clock)
    await commit(ctx, staff.add_client, client_id="riverside-bank", title="江畔银行", secret=SECRET)
    await commit(
        ctx,
        staff.add_staff,
        username="riverside-bank",
        display_name="Somebody",
        password="p" * 12,
        roles=frozenset({"registrar"}),
        office="north-counter",
    )
    app = Litestar(route_handlers=[route.handler for route in room.routes], openapi_config=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://identity.test") as client:
        yield client


async def token(oauth: httpx.AsyncClient, secret: str, client_id: str = "riverside-bank") -> tuple[int, str | None]:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    answer = await oauth.post("/oauth/token", data=form)
    return answer.status_code, answer.json().get("error")


async def staff_codes(town: Town, password: str) -> list[str]:
    values = {"input": {"username": "riverside-bank", "password": password}}
    answer = await town.ask("identity", STAFF_SIGN_IN, values, purpose="staff-sign-in")
    return [error["code"] for error in answer["data"]["staffSignIn"]["userErrors"]]


async def test_a_relying_party_may_ask_for_as_many_tokens_as_it_likes(oauth: httpx.AsyncClient) -> None:
    assert [await token(oauth, SECRET) for _ in range(12)] == [(200, None)] * 12


async def test_ten_failures_lock_a_client_and_a_success_before_that_clears_them(oauth: httpx.AsyncClient) -> None:
    for _ in range(9):
        assert await token(oauth, "w" * 32) == (401, "invalid_client")
    assert await token(oauth, SECRET) == (200, None)
    for _ in range(10):
        assert await token(oauth, "w" * 32) == (401, "invalid_client")
    assert await token(oauth, SECRET) == (429, "slow_down")


async def test_failures_of_a_client_do_not_lock_the_member_of_staff_of_that_name(
    town: Town, oauth: httpx.AsyncClient
) -> None:
    for _ in range(10):
        await token(oauth, "w" * 32)
    assert await staff_codes(town, "p" * 12) == []
    for _ in range(10):
        assert await staff_codes(town, "w" * 12) == ["WRONG_CREDENTIALS"]
    assert await staff_codes(town, "p" * 12) == ["TOO_MANY_TRIES"]


async def test_guesses_made_at_once_are_counted_each(oauth: httpx.AsyncClient) -> None:
    answered = []
    while len(answered) < 40 and (429, "slow_down") not in answered:
        answered += await asyncio.gather(*(token(oauth, "w" * 32) for _ in range(2)))
    # On a machine that is busy a guess may find no connection in time; it is not answered then, and tells nothing.
    guesses = [answer for answer in answered if answer[0] != 503]
    assert guesses.count((401, "invalid_client")) <= 10
    assert (429, "slow_down") in guesses
    assert await token(oauth, SECRET) == (429, "slow_down")


async def test_a_client_id_that_cannot_be_one_is_an_invalid_client(oauth: httpx.AsyncClient) -> None:
    for client_id in ["riverside-bank\0", "\0", "%ED%A0%80", "银行", "a" * 5000]:
        assert await token(oauth, SECRET, client_id) == (401, "invalid_client")


async def test_basic_credentials_that_cannot_be_stored_are_an_invalid_client(oauth: httpx.AsyncClient) -> None:
    for credentials in ["%00:x", "riverside-bank%00:x", "%ED%A0%80:x", "riverside-bank:%ED%A0%80"]:
        header = {"authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}
        answer = await oauth.post("/oauth/token", data={"grant_type": "client_credentials"}, headers=header)
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


async def test_lone_surrogates_are_wrong_credentials(town: Town) -> None:
    ctx = administration(town.rooms["identity"], town.clock)
    for client_id, secret in (("\ud800", SECRET), ("riverside-bank", "\ud800" * 32), ("riverside-bank\n", SECRET)):
        outcome = await commit(ctx, staff.client_token, client_id=client_id, secret=secret)
        assert [error.code for error in outcome.errors] == ["WRONG_CREDENTIALS"]


async def guess(town: Town, code: str) -> list[str]:
    values = {"input": {"phone": PHONE, "code": code}}
    answer = await town.ask("identity", SIGN_IN, values, purpose="sign-in")
    return [error["code"] for error in answer["data"]["signIn"]["userErrors"]]


async def test_guesses_while_no_code_is_out_do_not_lock_the_owner_out(town: Town) -> None:
    await town.register()
    for number in range(20):
        assert await guess(town, f"{number:06d}") == ["CODE_NOT_RIGHT"]
    assert (await town.sign_in(PHONE))["accessToken"].count(".") == 2


async def test_fifteen_wrong_guesses_against_codes_that_are_out_refuse_the_right_one_too(town: Town) -> None:
    await town.register()
    for _ in range(3):
        await town.ask("identity", REQUEST_CODE, {"input": {"phone": PHONE}}, purpose="sign-in")
        for _ in range(5):
            assert await guess(town, "x") == ["CODE_NOT_RIGHT"]
    await town.ask("identity", REQUEST_CODE, {"input": {"phone": PHONE}}, purpose="sign-in")
    right = re.search(r"\d{6}", (await town.messages_to(f"+86{PHONE}"))[-1])
    assert right
    assert await guess(town, right[0]) == ["CODE_NOT_RIGHT"]
    assert await town.value("SELECT count(*) FROM identity.session") == 0


async def test_a_code_cannot_be_tried_through_with_what_valkey_holds(town: Town) -> None:
    await town.register()
    await town.ask("identity", REQUEST_CODE, {"input": {"phone": PHONE}}, purpose="sign-in")
    sent = re.search(r"\d{6}", (await town.messages_to(f"+86{PHONE}"))[-1])
    assert sent
    (key,) = [name async for name in town.valkey.scan_iter("code:*")]
    name = key if isinstance(key, str) else key.decode()
    holder = bytes.fromhex(name.partition("{")[2].rstrip("}"))
    stored = await town.valkey.hget(name, "digest")  # type: ignore[misc]
    digest = stored.decode() if isinstance(stored, bytes) else stored
    code = sent[0].encode()
    assert len(digest) == 64
    for guessed in (
        hmac.digest(holder, code, hashlib.sha256),
        hashlib.sha256(holder + code).digest(),
        hmac.digest(holder, b"gov-code/1\n" + holder + b"\n" + code, hashlib.sha256),
    ):
        assert digest != guessed.hex()
