"""Staff and relying parties: adding, changing, disabling, signing them in. It grants no access to anybody's data."""

from __future__ import annotations

import hashlib
import re
from typing import ClassVar
from uuid import UUID

from redis.asyncio import Redis

from gov_services.identity import store
from gov_services.identity.models import ClientRow, StaffRow
from gov_services.identity.passwords import WrongCredentials, hash_password, verify_password
from gov_services.identity.ports import IdentityPorts
from gov_services.identity.service.sessions import Tokens, issue, open_session
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.errors import UserError
from gov_services.kit.ids import new_id
from gov_services.kit.valkey import unavailable_when_away
from gov_services.subgraph.context import WriteContext

ROLES = frozenset(
    {
        *("permit-officer", "permit-approver", "supervisor", "finance-officer", "registrar", "rights-officer"),
        *("health-officer", "compliance-officer"),
    }
)
CLIENT_ID = re.compile(r"[a-z][a-z0-9-]{2,40}")
TRIES = 10
"""Failures in a window after which a name is locked, whoever tries."""
TRIES_WINDOW_S = 900
SHORTEST_PASSWORD = 12


class AccountRefused(UserError):
    """The account cannot be added as it was described."""

    code = "ACCOUNT_REFUSED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "无法建立账号:{problem}。",
        "en": "The account cannot be added: {problem}.",
    }


class AccountNotChanged(UserError):
    """The account cannot be changed as it was asked for."""

    code = "ACCOUNT_NOT_CHANGED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "无法变更账号:{problem}。",
        "en": "The account cannot be changed: {problem}.",
    }


class TooManyTries(UserError):
    """Too many tries for one name; it is locked for a while, whoever tries."""

    code = "TOO_MANY_TRIES"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "尝试次数过多,请 15 分钟后再试。",
        "en": "Too many tries. Please try again in 15 minutes.",
    }


async def add_staff(
    ctx: WriteContext[IdentityPorts],
    *,
    username: str,
    display_name: str,
    password: str,
    roles: frozenset[str],
    office: str,
) -> UUID:
    """Add a member of staff. Raises AccountRefused. Compliance officers work in a front end of their own."""
    if not re.fullmatch(r"[a-z][a-z0-9.-]{1,40}", username):
        raise AccountRefused(problem="a user name is lower-case letters, digits, dots and hyphens")
    if len(password) < SHORTEST_PASSWORD:
        raise AccountRefused(problem=f"a password has {SHORTEST_PASSWORD} characters or more")
    problem = _problem_of(roles)
    if problem is not None:
        raise AccountRefused(problem=problem)
    if await store.staff_by_username(ctx.session, username=username) is not None:
        raise AccountRefused(problem="the user name is taken")
    staff_id = new_id(ctx.now)
    ctx.session.add(
        StaffRow(
            staff_id=staff_id,
            username=username,
            display_name=display_name,
            password=await hash_password(password),
            roles=sorted(roles),
            office=office,
            client_id=_front_end(roles),
            added_at=ctx.now,
            disabled_at=None,
        )
    )
    await ctx.record("staff.added", subject=None, object_ref=f"staff:{staff_id}")
    body = {"staff_id": str(staff_id), "roles": sorted(roles), "office": office}
    await ctx.publish("identity.staff_added", subject=None, body=body)
    return staff_id


async def change_roles(ctx: WriteContext[IdentityPorts], *, username: str, roles: frozenset[str]) -> UUID:
    """Give a member of staff other roles; they sign in anew. Raises AccountNotChanged.

    An access token says the roles it was issued with until it expires, a few minutes later.
    """
    problem = _problem_of(roles)
    if problem is not None:
        raise AccountNotChanged(problem=problem)
    row = await _enabled(ctx, username)
    await store.set_roles(ctx.session, staff_id=row.staff_id, roles=sorted(roles), client_id=_front_end(roles))
    await _tell_of_change(ctx, row, "roles-changed", roles=sorted(roles))
    return row.staff_id


async def disable_staff(ctx: WriteContext[IdentityPorts], *, username: str) -> UUID:
    """Let a member of staff sign in no more, and end their sessions. Raises AccountNotChanged."""
    row = await _enabled(ctx, username)
    await store.disable_staff(ctx.session, staff_id=row.staff_id, now=ctx.now)
    await _tell_of_change(ctx, row, "disabled", roles=[])
    return row.staff_id


async def _enabled(ctx: WriteContext[IdentityPorts], username: str) -> StaffRow:
    row = await store.staff_for_update(ctx.session, username=username)
    if row is None:
        raise AccountNotChanged(problem="nobody has that user name")
    if row.disabled_at is not None:
        raise AccountNotChanged(problem="the account is disabled")
    return row


async def _tell_of_change(ctx: WriteContext[IdentityPorts], row: StaffRow, change: str, *, roles: list[str]) -> None:
    """End what was opened before, and let the log and the other rooms know."""
    await store.end_sessions_of(ctx.session, holder_id=row.staff_id, reason=f"staff-{change}", now=ctx.now)
    await ctx.record(f"staff.{change}", subject=None, object_ref=f"staff:{row.staff_id}")
    body = {"staff_id": str(row.staff_id), "roles": roles, "office": row.office}
    await ctx.publish("identity.staff_changed", subject=None, body=body)


def _problem_of(roles: frozenset[str]) -> str | None:
    """Why these cannot be one person's roles; None where they can."""
    if not roles or not roles <= ROLES:
        return f"roles are some of {', '.join(sorted(ROLES))}"
    if "compliance-officer" in roles and len(roles) > 1:
        return "who audits the work does not do it"
    return None


def _front_end(roles: frozenset[str]) -> str:
    """The client that a member of staff works in."""
    return "compliance" if "compliance-officer" in roles else "counter"


async def add_client(ctx: WriteContext[IdentityPorts], *, client_id: str, title: str, secret: str) -> str:
    """Add a relying party. Raises AccountRefused."""
    if not CLIENT_ID.fullmatch(client_id):
        raise AccountRefused(problem="a client id is lower-case letters, digits and hyphens")
    if len(secret) < 32:
        raise AccountRefused(problem="a client secret has 32 characters or more")
    if await store.client(ctx.session, client_id=client_id) is not None:
        raise AccountRefused(problem="the client id is taken")
    stored = await hash_password(secret)
    ctx.session.add(ClientRow(client_id=client_id, title=title, secret=stored, added_at=ctx.now))
    await ctx.record("client.added", subject=None, object_ref=f"client:{client_id}")
    return client_id


async def sign_in_staff(ctx: WriteContext[IdentityPorts], *, username: str, password: str) -> Tokens:
    """Sign a member of staff in. Raises WrongCredentials, TooManyTries, ValkeyUnavailable."""
    known = await store.staff_by_username(ctx.session, username=username)
    await _prove(ctx, "staff", username, password, known.password if known else None)
    assert known is not None  # it raises without a stored password
    # Asked last, and held: else who is changed at this moment has a session that nobody ended, with the old roles.
    row = await store.enabled_staff(ctx.session, staff_id=known.staff_id)
    if row is None:
        raise WrongCredentials
    actor = Actor(
        kind=ActorKind.STAFF,
        id=row.staff_id,
        client_id=row.client_id,
        roles=frozenset(row.roles),
        authenticated_at=ctx.now,
        office=row.office,
    )
    tokens = await open_session(ctx, actor)
    await ctx.record("staff.signed-in", subject=None, object_ref=f"staff:{row.staff_id}")
    return tokens


async def client_token(ctx: WriteContext[IdentityPorts], *, client_id: str, secret: str) -> Tokens:
    """An access token for a relying party (RFC 6749 §4.4); it gets no refresh token. Raises WrongCredentials."""
    if not CLIENT_ID.fullmatch(client_id) or not _is_storable(secret):
        raise WrongCredentials
    row = await store.client(ctx.session, client_id=client_id)
    await _prove(ctx, "client", client_id, secret, row.secret if row else None)
    actor = Actor(kind=ActorKind.CLIENT, client_id=client_id, authenticated_at=ctx.now)
    await ctx.record("client.token", subject=None, object_ref=f"client:{client_id}")
    return issue(ctx, actor, "")


def _is_storable(text: str) -> bool:
    """Whether it is text that UTF-8 can write: a lone surrogate is not."""
    return all(not "\ud800" <= character <= "\udfff" for character in text)


async def _prove(ctx: WriteContext[IdentityPorts], kind: str, name: str, given: str, stored: str | None) -> None:
    """Check what was given for a name, and count failures alone. Raises WrongCredentials, TooManyTries.

    1 not locked   2 the secret   3 still not locked: guesses made at once gain nothing   4 a right one clears
    """
    key = f"failures:{kind}:{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()}"
    valkey = ctx.ports.valkey
    # (1)
    await _require_unlocked(valkey, key)
    # (2)
    try:
        await verify_password(given, stored)
    except WrongCredentials:
        with unavailable_when_away():
            async with valkey.pipeline(transaction=True) as pipeline:
                pipeline.incr(key)
                pipeline.expire(key, TRIES_WINDOW_S, nx=True)
                await pipeline.execute()
        raise
    # (3)
    await _require_unlocked(valkey, key)
    # (4)
    with unavailable_when_away():
        await valkey.delete(key)


async def _require_unlocked(valkey: Redis, key: str) -> None:
    with unavailable_when_away():
        failures = await valkey.get(key)
    if int(failures or 0) >= TRIES:
        raise TooManyTries
