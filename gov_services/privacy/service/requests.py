"""Requests for consent: a relying party asks, a citizen answers in their app. The party never names a citizen.

It shows a code that the citizen scans, or points at a consent that it was given before. Whether a citizen exists, has
refused, or was not even asked, it cannot tell: an unanswered request is an unanswered request.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.consent import store as consent_store
from gov_services.consent.lifecycle import TRANSITIONS, ConsentEvent, ConsentState
from gov_services.consent.models import StandingRow
from gov_services.consent.policy import admit
from gov_services.consent.terms import Frequency, Period, Terms
from gov_services.kit.actor import ActorKind
from gov_services.kit.errors import Forbidden, NotFound, UserError
from gov_services.kit.ids import new_id, parse_id
from gov_services.privacy import store
from gov_services.privacy.lifecycle import RequestState
from gov_services.privacy.models import ConsentRequestRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import consents, guardians
from gov_services.privacy.service.guardians import Decider
from gov_services.subgraph.context import ReadContext, WriteContext

CODE_LASTS = dt.timedelta(minutes=15)
DIRECTED_LASTS = dt.timedelta(days=30)
COOL_DOWN = dt.timedelta(days=90)
"""After a refusal or a withdrawal nobody is prompted again for so long (Network Data Security Regulation 22 (5))."""


class RequestUnknown(UserError):
    """There is no such request, or it is another's, or its time is over."""

    code = "REQUEST_UNKNOWN"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "没有这项授权请求,或已过期。",
        "en": "There is no such request, or its time is over.",
    }


class BeyondRequest(UserError):
    """More was given than was asked for."""

    code = "BEYOND_REQUEST"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "授权不得超出所请求的范围、次数和期限。",
        "en": "No more is given than was asked for: fields, readings, time.",
    }


@dataclass(frozen=True, slots=True)
class Opened:
    """A request that was opened; the code is told once and kept nowhere."""

    request_id: UUID
    code: str | None


async def open_request(
    ctx: WriteContext[PrivacyPorts],
    *,
    purpose: str,
    scope: Collection[str] | None,
    days: int | None,
    terms: consents.Asked,
    reference: UUID | None,
    directed: bool,
) -> Opened:
    """Ask for a consent: by a code to be scanned, or of the citizen who gave the consent `reference` before.

    Raises PurposeNotForConsent, ScopeTooWide, TermsTooWide.
    """
    if ctx.actor.kind is not ActorKind.CLIENT:
        raise Forbidden
    recipient = ctx.actor.client_id
    granted = consents.for_consent(ctx.bundle, purpose, recipient)
    wanted = consents.scope_within(granted, scope)
    bounded = consents.terms_within(granted, terms)
    citizen_id, silent, code = None, False, None
    if directed:
        asked = await _whom(ctx, purpose=purpose, reference=reference)
        citizen_id, silent = (asked.citizen_id, await _is_silent(ctx, asked)) if asked else (None, True)
    else:
        code = secrets.token_urlsafe(16)
    row = ConsentRequestRow(
        request_id=new_id(ctx.now),
        recipient=recipient,
        purpose=purpose,
        scope=sorted(wanted),
        days=min(days or granted.consent_days, granted.consent_days),
        uses=bounded.uses,
        times=bounded.frequency.times if bounded.frequency else None,
        per=bounded.frequency.per.value if bounded.frequency else None,
        keep_days=bounded.keep_days,
        code_digest=_digest(code) if code else None,
        citizen_id=citizen_id,
        silent=silent,
        state=(RequestState.RECEIVED if directed else RequestState.OPEN).value,
        made_at=ctx.now,
        until=ctx.now + (DIRECTED_LASTS if directed else CODE_LASTS),
    )
    ctx.session.add(row)
    # About whom is not said where nobody is told either.
    about = None if silent else citizen_id
    await ctx.record("consent-request.opened", subject=about, object_ref=f"consent-request:{row.request_id}")
    if about is not None:
        await _note_request(ctx, row, about)
        params = {"recipient": recipient, "purpose": purpose}
        await ctx.publish("message.requested", subject=about, body={"code": "consent.requested", "params": params})
    return Opened(row.request_id, code)


async def receive_request(ctx: WriteContext[PrivacyPorts], *, code: str, child: str | None = None) -> UUID:
    """A citizen has scanned the code of a request, or a guardian for a child: it is theirs to answer now.

    Raises RequestUnknown, NotFound.
    """
    citizen_id = (await guardians.who_decides(ctx, child)).citizen_id
    row = await store.request_by_code(ctx.session, digest=_digest(code))
    taken = row is not None and row.citizen_id not in (None, citizen_id)
    if row is None or taken or row.until <= ctx.now or row.state not in (RequestState.OPEN, RequestState.RECEIVED):
        raise RequestUnknown(field="input.code")
    if row.state == RequestState.OPEN:
        row.citizen_id, row.state = citizen_id, RequestState.RECEIVED.value
        await _note_request(ctx, row, citizen_id)
    await ctx.record("consent-request.received", subject=citizen_id, object_ref=f"consent-request:{row.request_id}")
    return row.request_id


async def defer(ctx: WriteContext[PrivacyPorts], *, request_id: UUID | None, child: str | None = None) -> UUID:
    """Answer later: the request stays. Raises NotFound."""
    who = await guardians.who_decides(ctx, child)
    row = await _answerable(ctx, request_id, who)
    await _note_answer(ctx, row, who, ConsentEvent.DEFER, "consent-request.deferred")
    return row.request_id


async def answer_with_refusal(
    ctx: WriteContext[PrivacyPorts], *, request_id: UUID | None, child: str | None = None
) -> UUID:
    """Say no. The party learns that, and may not prompt again for COOL_DOWN. Raises NotFound."""
    who = await guardians.who_decides(ctx, child)
    row = await _answerable(ctx, request_id, who)
    row.state = RequestState.REFUSED.value
    await _note_answer(ctx, row, who, ConsentEvent.REFUSE, "consent-request.refused")
    return row.request_id


async def answer_with_consent(
    ctx: WriteContext[PrivacyPorts],
    *,
    request_id: UUID | None,
    notice_hash: bytes,
    scope: Collection[str] | None,
    days: int | None,
    terms: consents.Asked,
    child: str | None = None,
) -> UUID:
    """Agree to a request, in whole or in part; returns the request. Raises NotFound, BeyondRequest and others."""
    row = await _answerable(ctx, request_id, await guardians.who_decides(ctx, child))
    asked = Terms(keep_days=row.keep_days, uses=row.uses, frequency=_frequency(row))
    wanted = frozenset(row.scope) if scope is None else frozenset(scope)
    offered = consents.narrowed(asked, terms)
    lasts = row.days if days is None else days
    if not wanted <= frozenset(row.scope) or not offered.within(asked) or lasts > row.days:
        raise BeyondRequest(field="input.scope")
    revision = await consents.give_consent(
        ctx,
        purpose=row.purpose,
        recipient=row.recipient,
        notice_hash=notice_hash,
        scope=wanted,
        days=lasts,
        terms=consents.Asked(offered.uses, offered.frequency),
        child=child,
    )
    row.state, row.consent_id = RequestState.GIVEN.value, revision.consent_id
    return row.request_id


async def list_requests(ctx: ReadContext[PrivacyPorts], *, child: str | None = None) -> Sequence[ConsentRequestRow]:
    """What waits for the answer of the citizen who asks, or for theirs as guardian of a child. Raises NotFound."""
    citizen_id = ctx.citizen_id() if child is None else parse_id(child)
    await ctx.disclosure(citizen_id, object_ref="consent-requests")
    assert citizen_id is not None
    async with ctx.reading() as session:
        return await store.requests_of(session, citizen_id=citizen_id, now=ctx.now)


async def read_request(
    ctx: ReadContext[PrivacyPorts], *, request_id: UUID | None, child: str | None = None
) -> ConsentRequestRow:
    """A request, for the party that made it, the citizen who has it, or their guardian. Raises NotFound for others."""
    if child is not None:
        await ctx.disclosure(parse_id(child), object_ref="consent-requests")
    async with ctx.reading() as session:
        admit(await ctx.services.discloser.bundles.current(session), ctx.call)
        row = await store.request(session, request_id=request_id) if request_id else None
    if row is None:
        raise NotFound
    party = ctx.actor.kind is ActorKind.CLIENT and row.recipient == ctx.actor.client_id
    whose = ctx.actor.id if child is None else parse_id(child)
    own = ctx.actor.kind is ActorKind.CITIZEN and row.citizen_id == whose and not row.silent
    if not (party or own):
        raise NotFound
    return row


def shown_state(row: ConsentRequestRow, now: dt.datetime) -> RequestState:
    """The state as the party sees it: whether anybody has the request, it does not learn."""
    state = RequestState(row.state)
    if state in (RequestState.OPEN, RequestState.RECEIVED):
        return RequestState.LAPSED if row.until <= now else RequestState.OPEN
    return state


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()


def _frequency(row: ConsentRequestRow) -> Frequency | None:
    return Frequency(times=row.times, per=Period(row.per)) if row.times and row.per else None


async def _whom(ctx: WriteContext[PrivacyPorts], *, purpose: str, reference: UUID | None) -> StandingRow | None:
    """The consent that the party was given before, for the very purpose that it asks for again."""
    if reference is None:
        return None
    row = await consent_store.standing_by_id(
        ctx.session, consent_id=reference, recipient=ctx.actor.client_id, now=ctx.now
    )
    return row if row is not None and row.purpose == purpose else None


async def _is_silent(ctx: WriteContext[PrivacyPorts], asked: StandingRow) -> bool:
    no = await consent_store.last_no(
        ctx.session, citizen_id=asked.citizen_id, purpose=asked.purpose, recipient=asked.recipient
    )
    if no is not None and ctx.now - no < COOL_DOWN:
        return True
    waiting = await store.requests_of(ctx.session, citizen_id=asked.citizen_id, now=ctx.now)
    return len(waiting) >= store.MOST_REQUESTS or any(
        row.purpose == asked.purpose and row.recipient == asked.recipient for row in waiting
    )


async def _note_request(ctx: WriteContext[PrivacyPorts], row: ConsentRequestRow, citizen_id: UUID) -> None:
    """Note in the ledger that consent was asked for; one that stands is not touched by it."""
    standing = await _standing(ctx, row, citizen_id)
    state = ConsentState(standing.state) if standing else None
    if (state, ConsentEvent.REQUEST) in TRANSITIONS:
        granted = consents.for_consent(ctx.bundle, row.purpose, row.recipient)
        await consents.append(
            ctx,
            granted,
            row.recipient,
            ConsentEvent.REQUEST,
            notice_hash=granted.notice_hash,
            citizen_id=citizen_id,
            made_by=f"client:{row.recipient}",
            tell=False,
        )


async def _note_answer(
    ctx: WriteContext[PrivacyPorts], row: ConsentRequestRow, who: Decider, event: ConsentEvent, action: str
) -> None:
    """Note an answer in the ledger; a consent that stands goes on: what was put off or refused is another one."""
    standing = await _standing(ctx, row, who.citizen_id)
    if (ConsentState(standing.state) if standing else None, event) in TRANSITIONS:
        granted = consents.for_consent(ctx.bundle, row.purpose, row.recipient)
        await consents.append(
            ctx,
            granted,
            row.recipient,
            event,
            notice_hash=granted.notice_hash,
            citizen_id=who.citizen_id,
            made_by=who.made_by,
            guardian=who.guardian,
        )
    else:
        await ctx.record(action, subject=who.citizen_id, object_ref=f"consent-request:{row.request_id}")


async def _standing(ctx: WriteContext[PrivacyPorts], row: ConsentRequestRow, citizen_id: UUID) -> StandingRow | None:
    return await consent_store.standing_for_update(
        ctx.session, citizen_id=citizen_id, purpose=row.purpose, recipient=row.recipient
    )


async def _answerable(ctx: WriteContext[PrivacyPorts], request_id: UUID | None, who: Decider) -> ConsentRequestRow:
    row = await store.request_for_update(ctx.session, request_id=request_id) if request_id else None
    waits = row is not None and row.state == RequestState.RECEIVED and row.until > ctx.now
    if row is None or not waits or row.citizen_id != who.citizen_id or row.silent:
        raise NotFound
    return row
