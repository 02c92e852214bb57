"""Sessions and tokens: who holds one is asked anew at each refresh, and signing out or erasure ends it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text
from town import REQUEST_CODE, Town, sample_number

from gov_services.cli.accounts import administration
from gov_services.crypto.signing import VerifyKeys
from gov_services.crypto.tokens import verify_token
from gov_services.identity.service import staff
from gov_services.kit import access_token
from gov_services.kit.actor import Actor
from gov_services.subgraph.unit_of_work import commit

pytestmark = pytest.mark.untraced

PASSWORD = "an invented password"
STAFF_SIGN_IN = """mutation($input: StaffSignInInput!) {
  staffSignIn(input: $input) { session { accessToken refreshToken } userErrors { code } } }"""
REFRESH = """mutation($input: RefreshSessionInput!) {
  refreshSession(input: $input) { session { accessToken refreshToken } userErrors { code } } }"""
REFUSED = {"session": None, "userErrors": [{"code": "REFRESH_REFUSED"}]}
SIGN_OUT = "mutation { signOut { signedOut userErrors { code } } }"


@pytest.fixture
async def clerk(town: Town) -> str:
    """The user name of a member of staff."""
    added = await commit(
        administration(town.rooms["identity"], town.clock),  # type: ignore[arg-type]
        staff.add_staff,
        username="wang.clerk",
        display_name="王职员",
        password=PASSWORD,
        roles=frozenset({"registrar"}),
        office="north-counter",
    )
    assert added.result is not None
    return "wang.clerk"


@pytest.fixture
async def web(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    """The routes of identity."""
    app = Litestar([route.handler for route in town.rooms["identity"].routes], openapi_config=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://identity.test") as client:
        yield client


async def sign_in(town: Town, username: str) -> dict[str, str]:
    """The session of a member of staff."""
    values = {"input": {"username": username, "password": PASSWORD}}
    answer = await town.ask("identity", STAFF_SIGN_IN, values, purpose="staff-sign-in")
    session: dict[str, str] = answer["data"]["staffSignIn"]["session"]
    return session


async def refresh(town: Town, token: str) -> dict[str, Any]:
    """What a refresh token gets."""
    answer = await town.ask("identity", REFRESH, {"input": {"refreshToken": token}}, purpose="session-upkeep")
    found: dict[str, Any] = answer["data"]["refreshSession"]
    return found


def actor_in(town: Town, token: str) -> Actor:
    """Whom an access token names."""
    claims = verify_token(
        VerifyKeys.load(town.settings.secrets_directory, "access-token"),
        token,
        type=access_token.TYPE,
        audience=access_token.AUDIENCE,
        issuer=town.settings.public_url,
        now=town.clock.now(),
    )
    return access_token.actor_of(claims)


async def test_a_clerk_whose_roles_change_has_the_new_ones_at_the_next_refresh(town: Town, clerk: str) -> None:
    session = await sign_in(town, clerk)
    assert actor_in(town, session["accessToken"]).roles == {"registrar"}
    async with town.database.writing() as writing:
        await writing.execute(text("UPDATE identity.staff SET roles = '{supervisor}', office = 'south-counter'"))

    turned = (await refresh(town, session["refreshToken"]))["session"]

    actor = actor_in(town, turned["accessToken"])
    assert (actor.roles, actor.office, actor.client_id) == ({"supervisor"}, "south-counter", "counter")
    assert actor.session_id == actor_in(town, session["accessToken"]).session_id


async def test_a_clerk_who_is_removed_has_no_session_left(town: Town, clerk: str) -> None:
    session = await sign_in(town, clerk)
    async with town.database.writing() as writing:
        await writing.execute(text("DELETE FROM identity.staff"))

    assert await refresh(town, session["refreshToken"]) == REFUSED
    wrong = await town.ask(
        "identity",
        STAFF_SIGN_IN,
        {"input": {"username": clerk, "password": PASSWORD}},
        purpose="staff-sign-in",
    )
    assert wrong["data"]["staffSignIn"] == {"session": None, "userErrors": [{"code": "WRONG_CREDENTIALS"}]}


async def test_who_signs_out_ends_this_session_and_no_other(town: Town, clerk: str) -> None:
    first, second = await sign_in(town, clerk), await sign_in(town, clerk)
    actor = actor_in(town, first["accessToken"])

    done = await town.ask("identity", SIGN_OUT, purpose="session-upkeep", actor=actor)

    assert done == {"data": {"signOut": {"signedOut": True, "userErrors": []}}}
    assert await refresh(town, first["refreshToken"]) == REFUSED
    assert (await refresh(town, second["refreshToken"]))["session"] is not None
    ended = [(entry.object, entry.outcome) for entry in await town.entries() if entry.action == "session.ended"]
    assert ended == [(f"session:{actor.session_id}", "allowed")]


async def test_an_erased_citizen_is_found_by_nothing_and_may_register_anew(town: Town) -> None:
    citizen = await town.register()
    erasure = "mutation { requestErasure(input: { confirm: true }) { destroyed userErrors { code } } }"
    answer = await town.ask("privacy", erasure, purpose="erasure", actor=citizen)
    assert "IDENTITY" in answer["data"]["requestErasure"]["destroyed"]
    await town.settle()
    texts = await town.messages_to("13900000001")

    me = await town.ask("identity", "{ me { name } }", purpose="own-account", actor=citizen)
    await town.ask("identity", REQUEST_CODE, {"input": {"phone": "13900000001"}}, purpose="sign-in")

    assert me["data"] is None
    assert [error["extensions"]["code"] for error in me["errors"]] == ["NOT_FOUND"]
    assert await town.messages_to("13900000001") == texts
    assert await town.rows("SELECT 1 FROM identity.directory") == []
    assert "citizen.removed" in [entry.action for entry in await town.entries()]
    again = await town.register(number=sample_number())
    assert again.id != citizen.id


CREDENTIALS = {"grant_type": "client_credentials"}
NO_CREDENTIALS: tuple[tuple[dict[str, str], dict[str, str], int, str], ...] = (
    ({}, {}, 400, "unsupported_grant_type"),
    ({"grant_type": "password", "client_id": "x", "client_secret": "y"}, {}, 400, "unsupported_grant_type"),
    (CREDENTIALS, {}, 401, "invalid_client"),
    *((CREDENTIALS, {"authorization": text}, 401, "invalid_client") for text in ("Bearer x", "Basic !", "Basic /w==")),
    (CREDENTIALS, {"authorization": "Basic"}, 401, "invalid_client"),
)


async def test_who_shows_no_credentials_gets_no_token(web: httpx.AsyncClient, town: Town) -> None:
    for form, headers, status, error in NO_CREDENTIALS:
        answer = await web.post("/oauth/token", data=form, headers=headers)

        assert (answer.status_code, answer.json()) == (status, {"error": error}), (form, headers)
        assert answer.headers["cache-control"] == "no-store"
        assert ("www-authenticate" in answer.headers) == (status == 401)
    assert await town.rows("SELECT 1 FROM identity.session") == []


async def test_a_party_signs_in_by_basic_credentials_and_its_token_verifies_by_the_published_keys(
    web: httpx.AsyncClient, town: Town
) -> None:
    secret = "a:secret/with+signs % and 32 letters"
    room = town.rooms["identity"]
    ctx = administration(room, town.clock)  # type: ignore[arg-type]
    await commit(ctx, staff.add_client, client_id="west-bank", title="西岸银行", secret=secret)
    quoted = str(httpx.QueryParams({"s": secret})).removeprefix("s=").replace("+", "%20")
    basic = base64.b64encode(f"west-bank:{quoted}".encode()).decode()

    answer = await web.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, headers={"authorization": f"Basic {basic}"}
    )
    keys = await web.get("/.well-known/jwks.json")

    token = answer.json()
    assert (answer.status_code, set(token)) == (200, {"access_token", "token_type", "expires_in"})
    assert (token["token_type"], token["expires_in"]) == ("Bearer", access_token.LIFETIME_S)
    actor = actor_in(town, token["access_token"])
    assert (actor.kind.value, actor.client_id, actor.id, actor.roles) == ("client", "west-bank", None, frozenset())
    published = {key["kid"]: key["x"] for key in keys.json()["keys"]}
    known = VerifyKeys.load(town.settings.secrets_directory, "access-token").public_keys()
    assert published == {kid: base64.urlsafe_b64encode(raw).rstrip(b"=").decode() for kid, raw in known.items()}
    assert keys.headers["cache-control"] == "public, max-age=300"
