"""A person looks at a colour: one officer proposes what evidence is struck, another decides. Nobody sets a colour."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection
from typing import ClassVar
from uuid import UUID

from gov_services.consent.disclosure import Disclosure
from gov_services.consent.purposes import Relation
from gov_services.healthcode import store
from gov_services.healthcode.facts import Facts, facts_in
from gov_services.healthcode.models import EVIDENCE, OUTCOME, PARTS, DecisionRow, DeclarationRow, ReviewRow, StrikeRow
from gov_services.healthcode.ports import HealthcodePorts
from gov_services.healthcode.rules import Standing, standing_in
from gov_services.healthcode.strikes import StrikeGround, StrikePart, judge_without, present
from gov_services.kit.canonical import canonical_json
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import new_id
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.events import Event

Context = WriteContext[HealthcodePorts]
READS = frozenset({"HealthCode.evidence", "HealthCode.colour"})
WITH_PARTS = READS | {"HealthStrike.parts"}
DECIDED_WITHIN = dt.timedelta(days=3)
"""So long a proposal is a second officer's who took it; then another may take it from them."""


class NothingThere(UserError):
    """There is no such evidence, or none is named."""

    code = "NO_SUCH_EVIDENCE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "没有可撤销的此类依据。",
        "en": "There is no such evidence to strike.",
    }


class ProposedAlready(UserError):
    """A proposal about this declaration waits for a second officer."""

    code = "PROPOSED_ALREADY"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该申报已有待决定的撤销建议。",
        "en": "A proposal about this declaration waits already.",
    }


class NothingWaits(UserError):
    """No proposal of another officer waits."""

    code = "NOTHING_WAITS"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "没有待决定的建议。", "en": "No proposal waits to be taken."}


class DeclaredAnew(UserError):
    """The declaration is not the one any more that the proposal was about; it can only be declined."""

    code = "DECLARED_ANEW"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "本人已重新申报,原建议不再适用。",
        "en": "The person has declared anew: the proposal is about what is gone.",
    }


async def on_review_taken(ctx: Context, *, event: Event) -> None:
    """`privacy.review_taken`: an officer took a citizen's request that a person look at their colour."""
    if event.citizen_id is None:
        raise ValueError("a request is somebody's")
    ctx.session.add(
        ReviewRow(
            citizen_id=event.citizen_id,
            request_id=UUID(str(event.body["request"])),
            officer_id=UUID(str(event.body["officer"])),
            taken_at=event.published_at,
        )
    )
    await ctx.record("health.review-taken", subject=event.citizen_id, object_ref=f"right:{event.body['request']}")


async def read_review(
    ctx: ReadContext[HealthcodePorts], *, request_id: UUID | None
) -> tuple[DeclarationRow, Disclosure] | None:
    """The code of who asked for a review that the officer took; None where nothing is declared. Raises NotFound."""
    async with ctx.reading() as session:
        review = await store.review(session, request_id=request_id, officer_id=ctx.staff_id()) if request_id else None
        citizen_id = review.citizen_id if review else None
        row = await store.declaration(session, citizen_id=citizen_id, now=ctx.now) if citizen_id else None
    disclosure = await ctx.disclosure(citizen_id, case_id=request_id, object_ref=f"right:{request_id}")
    return (row, disclosure) if row else None


async def propose_strike(
    ctx: Context, *, request_id: UUID | None, ground: StrikeGround, parts: Collection[StrikePart]
) -> UUID:
    """Propose that evidence is struck; the strike. Raises NotFound, NothingThere, ProposedAlready."""
    review = await store.review(ctx.session, request_id=request_id, officer_id=ctx.staff_id()) if request_id else None
    if review is None:
        raise NotFound
    disclosure = await ctx.disclosure_of(review.citizen_id, READS, case_id=request_id, object_ref=f"right:{request_id}")
    await store.lock_declarations(ctx.session, citizen_id=review.citizen_id)
    row = await store.declaration(ctx.session, citizen_id=review.citizen_id, now=ctx.now)
    if row is None or not parts or not set(parts) <= present(*await _opened(disclosure, row)):
        raise NothingThere(field="input.parts")
    if await store.waiting_strike(ctx.session, row.citizen_id, declaration_id=row.declaration_id) is not None:
        raise ProposedAlready
    strike_id = new_id(ctx.now)
    sealer = await ctx.sealer(row.citizen_id)
    text = canonical_json(sorted(part.value for part in set(parts))).decode()
    ctx.session.add(
        StrikeRow(
            citizen_id=row.citizen_id,
            strike_id=strike_id,
            request_id=review.request_id,
            declaration_id=row.declaration_id,
            ground=ground.value,
            parts=sealer.seal(PARTS, row_id=strike_id, value=text),
            proposed_by=ctx.staff_id(),
            proposed_at=ctx.now,
        )
    )
    await ctx.record(
        "health-strike.proposed",
        subject=row.citizen_id,
        object_ref=f"strike:{strike_id}:{ground.value}",
        collected=("ProposeHealthStrikeInput.parts",),
    )
    return strike_id


async def take_strike(ctx: Context) -> UUID:
    """The proposal of another officer that waits the longest becomes the officer's to decide. Raises NothingWaits."""
    row = await store.longest_waiting_strike(ctx.session, but=ctx.staff_id(), since=ctx.now - DECIDED_WITHIN)
    if row is None:
        raise NothingWaits
    for earlier in await store.who_took(ctx.session, row.citizen_id, strike_id=row.strike_id):
        await ctx.end_relation(row.citizen_id, earlier, Relation.HANDLER, case_id=row.strike_id)
    await ctx.relate(row.citizen_id, ctx.staff_id(), Relation.HANDLER, case_id=row.strike_id)
    await ctx.record("health-strike.taken", subject=row.citizen_id, object_ref=f"strike:{row.strike_id}")
    return row.strike_id


async def read_strike(
    ctx: ReadContext[HealthcodePorts], *, strike_id: UUID
) -> tuple[StrikeRow, DeclarationRow | None, Disclosure]:
    """A proposal that the officer took, with what it is about. Raises NotFound."""
    async with ctx.reading() as session:
        row = await store.strike(session, strike_id=strike_id)
        found = await store.declaration(session, citizen_id=row.citizen_id, now=ctx.now) if row else None
    disclosure = await ctx.disclosure(
        row.citizen_id if row else None, case_id=strike_id, object_ref=f"strike:{strike_id}"
    )
    assert row is not None
    same = found if found is not None and found.declaration_id == row.declaration_id else None
    return row, same, disclosure


async def decide_strike(ctx: Context, *, strike_id: UUID | None, approve: bool) -> UUID:
    """Decide on a proposal that one took. Approved, the colour follows anew from the rules without what is struck.

    Raises NotFound (one's own proposal and one that another took look alike), DeclaredAnew. The citizen is told.
    """
    row = await store.strike(ctx.session, strike_id=strike_id) if strike_id else None
    if row is None or row.proposed_by == ctx.staff_id():
        raise NotFound
    disclosure = await ctx.disclosure_of(
        row.citizen_id, WITH_PARTS, case_id=row.strike_id, object_ref=f"strike:{row.strike_id}"
    )
    await store.lock_declarations(ctx.session, citizen_id=row.citizen_id)
    if await store.decision(ctx.session, row.citizen_id, strike_id=row.strike_id) is not None:
        raise NotFound
    if approve:
        await _strike(ctx, row, disclosure)
    ctx.session.add(
        DecisionRow(
            citizen_id=row.citizen_id,
            strike_id=row.strike_id,
            proposed_by=row.proposed_by,
            approved=approve,
            decided_by=ctx.staff_id(),
            decided_at=ctx.now,
        )
    )
    await ctx.end_relation(row.citizen_id, ctx.staff_id(), Relation.HANDLER, case_id=row.strike_id)
    outcome = "approved" if approve else "declined"
    await ctx.record(
        f"health-strike.{outcome}", subject=row.citizen_id, object_ref=f"strike:{row.strike_id}:{row.ground}"
    )
    body = {"code": f"health-strike.{row.ground if approve else outcome}", "params": {}}
    await ctx.publish("message.requested", subject=row.citizen_id, body=body)
    return row.strike_id


async def _strike(ctx: Context, row: StrikeRow, disclosure: Disclosure) -> None:
    """Put what the rules make of the remaining evidence in the declaration's place; codes that were shown end."""
    declared = await store.declaration(ctx.session, citizen_id=row.citizen_id, now=ctx.now)
    if declared is None or declared.declaration_id != row.declaration_id:
        raise DeclaredAnew
    parts = frozenset(map(StrikePart, json.loads(await disclosure.open("HealthStrike.parts", row, "parts") or "[]")))
    facts, standing = await _opened(disclosure, declared)
    left, stands = judge_without(ctx.ports.rules, facts, standing, parts, now=ctx.now)
    declaration_id = new_id(ctx.now)
    sealer = await ctx.sealer(row.citizen_id)
    declared_at, keep_until = declared.declared_at, declared.keep_until
    await store.remove_declarations(ctx.session, citizen_id=row.citizen_id)
    ctx.session.add(
        DeclarationRow(
            citizen_id=row.citizen_id,
            declaration_id=declaration_id,
            evidence=sealer.seal(EVIDENCE, row_id=declaration_id, value=left.text()),
            outcome=sealer.seal(OUTCOME, row_id=declaration_id, value=stands.text()),
            declared_at=declared_at,
            keep_until=keep_until,
        )
    )
    await ctx.session.flush()


async def _opened(disclosure: Disclosure, row: DeclarationRow) -> tuple[Facts, Standing]:
    facts = facts_in(await disclosure.open("HealthCode.evidence", row, "evidence") or "")
    return facts, standing_in(await disclosure.open("HealthCode.colour", row, "outcome") or "")
