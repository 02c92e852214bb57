"""Sessions: short access tokens, refresh tokens that turn with every use. It checks no password and no code."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from gov_services.crypto.tokens import sign_token
from gov_services.identity import store
from gov_services.identity.models import SessionRow
from gov_services.identity.ports import IdentityPorts
from gov_services.identity.refresh_tokens import RefreshRefused, Turn
from gov_services.kit import access_token
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.errors import Unauthenticated
from gov_services.kit.ids import new_id
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import Outcome, commit

CITIZEN_SESSION = dt.timedelta(days=30)
STAFF_SESSION = dt.timedelta(hours=12)
LOST_ANSWER = dt.timedelta(seconds=10)
"""So long the token before gives the same successor again: an answer was lost, a button was tapped twice."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client keeps of a session."""

    access_token: str
    refresh_token: str
    expires_at: dt.datetime
    """When the access token expires."""


async def open_session(ctx: WriteContext[IdentityPorts], actor: Actor) -> Tokens:
    """Open a session for who has just proved to be `actor`."""
    assert actor.id is not None
    assert actor.authenticated_at is not None
    session_id = new_id(ctx.now)
    ctx.session.add(
        SessionRow(
            session_id=session_id,
            holder_id=actor.id,
            holder_kind=actor.kind.value,
            client_id=actor.client_id,
            generation=1,
            turned_at=ctx.now,
            authenticated_at=actor.authenticated_at,
            expires_at=ctx.now + _length(actor.kind),
            ended_at=None,
            ended_for=None,
        )
    )
    refresh = ctx.ports.refresh_tokens.token_for(Turn(session_id, 1))
    return issue(ctx, replace(actor, session_id=session_id), refresh)


def issue(ctx: ReadContext[IdentityPorts], actor: Actor, refresh: str) -> Tokens:
    """The tokens for an actor now."""
    claims = access_token.claims_of(actor, issuer=ctx.ports.issuer, token_id=str(new_id(ctx.now)), issued_at=ctx.now)
    token = sign_token(ctx.ports.token_key, claims, type=access_token.TYPE)
    return Tokens(token, refresh, ctx.now + dt.timedelta(seconds=access_token.LIFETIME_S))


async def refresh_session(ctx: ReadContext[IdentityPorts], *, refresh_token: str) -> Outcome[Tokens]:
    """Turn a refresh token into the next and a new access token. An old one that comes back ends the session.

    The token before gives the same successor for ten seconds (docs/decisions/0007). The end of a session on re-use
    commits although the refresh is refused: the thief or the owner, both sign in anew.
    """
    outcome = await commit(ctx, _turn, refresh_token=refresh_token)
    if outcome.result is None:
        return Outcome(None, outcome.errors or (RefreshRefused(),))
    if outcome.result is REUSED:
        return Outcome(None, (RefreshRefused(),))
    return Outcome(outcome.result, outcome.errors)


REUSED = Tokens("", "", dt.datetime.min.replace(tzinfo=dt.UTC))


async def _turn(ctx: WriteContext[IdentityPorts], *, refresh_token: str) -> Tokens:
    """1 our token   2 of a session that goes on   3 its newest, or just now the one before   4 whose holder stands."""
    # (1)
    shown = ctx.ports.refresh_tokens.read(refresh_token)
    # (2)
    row = await store.session_for_update(ctx.session, session_id=shown.session_id)
    if row is None or row.ended_at is not None or row.expires_at <= ctx.now:
        raise RefreshRefused
    subject = row.holder_id if row.holder_kind == ActorKind.CITIZEN else None
    # (3)
    newest = shown.generation == row.generation
    if not newest and not (shown.generation == row.generation - 1 and ctx.now - row.turned_at <= LOST_ANSWER):
        await store.end_session(ctx.session, session_id=row.session_id, reason="refresh-reused", now=ctx.now)
        await ctx.record("session.ended", subject=subject, object_ref=f"session:{row.session_id}")
        return REUSED
    # (4)
    actor = await _actor(ctx, row)
    successor = Turn(row.session_id, shown.generation + 1)
    if newest:
        await store.turn_session(
            ctx.session,
            session_id=row.session_id,
            generation=successor.generation,
            until=_until(row, ctx.now),
            now=ctx.now,
        )
    await ctx.record("session.refreshed", subject=subject, object_ref=f"session:{row.session_id}")
    return issue(ctx, actor, ctx.ports.refresh_tokens.token_for(successor))


async def sign_out(ctx: WriteContext[IdentityPorts]) -> bool:
    """End the session of the one who asks."""
    if ctx.actor.session_id is None:
        raise Unauthenticated
    await store.end_session(ctx.session, session_id=ctx.actor.session_id, reason="signed-out", now=ctx.now)
    subject = ctx.actor.id if ctx.actor.kind is ActorKind.CITIZEN else None
    await ctx.record("session.ended", subject=subject, object_ref=f"session:{ctx.actor.session_id}")
    return True


async def _actor(ctx: WriteContext[IdentityPorts], row: SessionRow) -> Actor:
    """Who holds the session, as they are now: roles and levels change while a session lasts."""
    if row.holder_kind == ActorKind.STAFF:
        staff = await store.staff(ctx.session, staff_id=row.holder_id)
        if staff is None or staff.disabled_at is not None:
            raise RefreshRefused
        return Actor(
            kind=ActorKind.STAFF,
            id=row.holder_id,
            client_id=row.client_id,
            roles=frozenset(staff.roles),
            authenticated_at=row.authenticated_at,
            session_id=row.session_id,
            office=staff.office,
        )
    found = await store.citizens(ctx.session, citizen_ids=[row.holder_id])
    if row.holder_id not in found or found[row.holder_id].erased_at is not None:
        raise RefreshRefused
    return Actor(
        kind=ActorKind.CITIZEN,
        id=row.holder_id,
        client_id=row.client_id,
        assurance=found[row.holder_id].assurance,
        authenticated_at=row.authenticated_at,
        session_id=row.session_id,
    )


def _length(kind: ActorKind) -> dt.timedelta:
    return STAFF_SESSION if kind is ActorKind.STAFF else CITIZEN_SESSION


def _until(row: SessionRow, now: dt.datetime) -> dt.datetime:
    """A citizen's session goes on while it is used; staff sign in again after twelve hours in all."""
    return row.expires_at if row.holder_kind == ActorKind.STAFF else now + CITIZEN_SESSION
