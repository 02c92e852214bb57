"""`gov-services staff` and `client`: accounts from the command line are logged, kept hashed and shown once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from gov_services.cli.accounts import identity_room
from gov_services.crypto.signing import VerifyKeys
from gov_services.crypto.tokens import verify_token
from gov_services.identity.passwords import WrongCredentials
from gov_services.identity.service import staff
from gov_services.kit import access_token
from gov_services.kit.clock import SystemClock
from gov_services.kit.context import Entrance, EntranceKind
from gov_services.kit.settings import Settings, load_settings
from gov_services.subgraph.entrances import entrance_context
from gov_services.subgraph.unit_of_work import commit

PASSWORD = "an invented password"


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """What the migrator sees."""

    async def go() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(go())


def changes(settings: Settings) -> list[tuple[str, str]]:
    """(action, outcome) of what the log holds of accounts."""
    return rows(
        settings.database_url,
        "SELECT body ->> 'action', body ->> 'outcome' FROM (SELECT convert_from(body, 'UTF8')::jsonb AS body "
        "FROM audit.pending UNION ALL SELECT convert_from(body, 'UTF8')::jsonb FROM audit.entry) AS found "
        "WHERE body ->> 'room' = 'identity' ORDER BY body ->> 'id'",
    )


def test_a_member_of_staff_is_added_listed_and_logged(governed: Callable, settings: Settings) -> None:
    added = governed(
        *("staff", "add", "wang.clerk", "--name", "王职员", "--role", "permit-officer", "--role", "registrar"),
        *("--office", "north-counter", "--password", PASSWORD),
    )
    listed = governed("staff", "list")

    assert added.status == 0, added
    ((staff_id, password),) = rows(settings.database_url, "SELECT staff_id, password FROM identity.staff")
    assert added.out == f"added {staff_id}\n"
    assert listed.out == "wang.clerk           permit-officer,registrar       north-counter\n"
    assert password.startswith("$argon2id$")
    assert PASSWORD not in added.out + added.err + listed.out + password
    assert changes(settings) == [("staff.added", "allowed")]


def test_a_member_of_staff_gets_other_roles_and_is_disabled(governed: Callable, settings: Settings) -> None:
    added = ("staff", "add", "wang.clerk", "--name", "王职员", "--role", "permit-officer", "--office", "north-counter")
    assert governed(*added, "--password", PASSWORD).status == 0
    ((staff_id,),) = rows(settings.database_url, "SELECT staff_id FROM identity.staff")

    assert governed("staff", "roles", "wang.clerk", "registrar", "supervisor").out == f"changed {staff_id}\n"
    assert governed("staff", "list").out == "wang.clerk           registrar,supervisor           north-counter\n"
    assert governed("staff", "disable", "wang.clerk").out == f"disabled {staff_id}\n"
    assert governed("staff", "list").out == (
        "wang.clerk           registrar,supervisor           north-counter (disabled)\n"
    )
    again = governed("staff", "disable", "wang.clerk")
    assert again.complaint == "The account cannot be changed: the account is disabled."
    assert (again.out, governed("staff", "roles", "wang.clerk", "mayor").out) == ("", "")
    told = rows(settings.database_url, "SELECT type, body FROM events.outbox ORDER BY event_id")
    assert [(event_type, json.loads(body)["roles"]) for event_type, body in told] == [
        ("identity.staff_added", ["permit-officer"]),
        ("identity.staff_changed", ["registrar", "supervisor"]),
        ("identity.staff_changed", []),
    ]
    assert [action for action, outcome in changes(settings) if outcome == "allowed"] == [
        *("staff.added", "staff.roles-changed", "staff.disabled")
    ]


ADD = {"username": "wang.clerk", "--name": "王", "--role": "registrar", "--office": "north", "--password": PASSWORD}


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"--password": "short"}, "a password has 12 characters or more"),
        (
            {"--role": "mayor"},
            "roles are some of compliance-officer, finance-officer, health-officer, permit-approver, "
            "permit-officer, registrar, rights-officer, supervisor",
        ),
        ({"username": "Wang"}, "a user name is lower-case letters, digits, dots and hyphens"),
        ({"username": "w'; DROP TABLE x"}, "a user name is lower-case letters, digits, dots and hyphens"),
    ],
)
def test_an_account_that_cannot_be_is_refused_in_one_line_and_nothing_is_kept(
    governed: Callable, settings: Settings, changed: dict[str, str], complaint: str
) -> None:
    options = {**ADD, **changed}
    username = options.pop("username")
    refused = governed("staff", "add", username, *(part for option in options.items() for part in option))

    assert refused.complaint == f"The account cannot be added: {complaint}."
    assert refused.out == ""
    assert rows(settings.database_url, "SELECT 1 FROM identity.staff UNION ALL SELECT 1 FROM events.outbox") == []
    assert changes(settings) == [("gov-services", "refused")]


def test_the_printed_secret_of_a_party_gets_it_a_token_and_no_other_does(
    governed: Callable, settings: Settings
) -> None:
    added = governed("client", "add", "west-bank", "--title", "西岸银行")
    again = governed("client", "add", "west-bank", "--title", "another")
    listed = governed("client", "list")

    first, second = added.out.splitlines()
    secret = second.removeprefix("client secret (shown once): ")
    assert first == "added west-bank"
    assert again.complaint == "The account cannot be added: the client id is taken."
    assert again.out == ""
    assert listed.out == "west-bank            西岸银行\n"
    claims, errors = asyncio.run(signed_in(secret))
    assert (claims["client_id"], claims["kind"], claims["sub"]) == ("west-bank", "client", "west-bank")
    assert [type(error) for error in errors] == [WrongCredentials]
    assert [action for action, _ in changes(settings)][:2] == ["client.added", "gov-services"]
    ((stored,),) = rows(settings.database_url, "SELECT secret FROM identity.client")
    assert secret not in stored


async def signed_in(secret: str) -> tuple[dict[str, Any], tuple[Exception, ...]]:
    """What the token endpoint answers to the secret, and to another."""
    settings, clock = load_settings(), SystemClock()
    async with identity_room(settings) as room:
        entrance = Entrance(EntranceKind.ROUTE, "/oauth/token", "client-sign-in")
        context = entrance_context(room.services, entrance, now=clock.now())
        right = await commit(context, staff.client_token, client_id="west-bank", secret=secret)
        wrong = await commit(context, staff.client_token, client_id="west-bank", secret=secret[:-1])
        assert right.result is not None
        assert wrong.result is None
        claims = verify_token(
            VerifyKeys.load(settings.secrets_directory, "access-token"),
            right.result.access_token,
            type=access_token.TYPE,
            audience=access_token.AUDIENCE,
            issuer=settings.public_url,
            now=clock.now(),
        )
    async with Redis.from_url(settings.valkey_url) as valkey:
        await valkey.flushdb()
    return claims, wrong.errors


def test_without_purposes_in_force_no_account_is_added(
    installed: Callable, settings: Settings, sign_documents: Callable[[], None]
) -> None:
    sign_documents()
    refused = installed("client", "add", "west-bank", "--title", "西岸银行")
    assert refused.complaint == "The service is unavailable for the moment. Please try again."
    assert rows(settings.database_url, "SELECT 1 FROM identity.client") == []
