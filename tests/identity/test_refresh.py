"""Refresh tokens: turned once, forgiving for ten seconds, and ended by any older one that comes back."""

from __future__ import annotations

import asyncio
import datetime as dt
from uuid import UUID

import pytest
from town import Town

from gov_services.identity.refresh_tokens import RefreshRefused, RefreshTokens, Turn

pytestmark = pytest.mark.untraced

REFRESH = """mutation($input: RefreshSessionInput!) {
  refreshSession(input: $input) { session { accessToken refreshToken } userErrors { code } } }"""
REFUSED = {"session": None, "userErrors": [{"code": "REFRESH_REFUSED"}]}


async def refresh(town: Town, token: str) -> dict[str, object]:
    answer = await town.ask("identity", REFRESH, {"input": {"refreshToken": token}}, purpose="session-upkeep")
    found: dict[str, object] = answer["data"]["refreshSession"]
    return found


async def turned(town: Town, token: str) -> str:
    session = (await refresh(town, token))["session"]
    assert isinstance(session, dict)
    return str(session["refreshToken"])


async def test_twenty_uses_at_once_get_the_same_successor_and_the_session_lives(town: Town) -> None:
    await town.register()
    first = (await town.sign_in())["refreshToken"]

    successors = await asyncio.gather(*(turned(town, first) for _ in range(20)))

    assert len(set(successors)) == 1
    assert await town.rows("SELECT generation, ended_at FROM identity.session") == [{"generation": 2, "ended_at": None}]
    assert await turned(town, successors[0]) != successors[0]


async def test_the_token_before_gives_the_same_successor_for_ten_seconds_and_then_ends_the_session(town: Town) -> None:
    await town.register()
    first = (await town.sign_in())["refreshToken"]
    second = await turned(town, first)
    town.clock.advance(dt.timedelta(seconds=10))
    assert await turned(town, first) == second

    town.clock.advance(dt.timedelta(seconds=1))
    assert await refresh(town, first) == REFUSED
    assert await town.value("SELECT ended_for FROM identity.session") == "refresh-reused"
    assert await refresh(town, second) == REFUSED


async def test_a_token_two_generations_old_ends_the_session_of_the_thief_who_turned_it(town: Town) -> None:
    await town.register()
    owners = (await town.sign_in())["refreshToken"]
    thiefs = await turned(town, await turned(town, owners))

    assert await refresh(town, owners) == REFUSED
    assert await town.value("SELECT ended_for FROM identity.session") == "refresh-reused"
    assert await refresh(town, thiefs) == REFUSED


async def test_a_token_that_we_did_not_make_is_refused_and_ends_nothing(town: Town) -> None:
    await town.register()
    first = (await town.sign_in())["refreshToken"]
    version, session, _, mac = first.split(".")
    for forged in ("", "x", f"{version}.{session}.2.{mac}", first[:-1], first + "\n", first.replace("r1", "r2")):
        assert await refresh(town, forged) == REFUSED
    assert await town.rows("SELECT generation, ended_at FROM identity.session") == [{"generation": 1, "ended_at": None}]


def test_a_token_under_another_key_is_refused() -> None:
    turn = Turn(UUID(int=1), 1)
    token = RefreshTokens(bytes(32)).token_for(turn)
    assert RefreshTokens(bytes(32)).read(token) == turn
    with pytest.raises(RefreshRefused):
        RefreshTokens(bytes(31) + b"1").read(token)
