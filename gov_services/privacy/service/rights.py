"""A person's requests under their rights: made, taken by an officer, answered in time; and restricting processing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from gov_services.audit import history
from gov_services.audit.entry import Entry
from gov_services.consent import store as consent_store
from gov_services.consent.disclosure import Disclosure
from gov_services.consent.models import RestrictionRow
from gov_services.consent.purposes import Relation, Restriction
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import new_id, parse_id
from gov_services.privacy import rights_store as store
from gov_services.privacy.findings import FindingKind
from gov_services.privacy.models import RIGHT_ANSWER, RIGHT_TEXT, RightRequestRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.rights import RefusalReason, RightKind, RightState, due_at, require_edge
from gov_services.privacy.service import directives, findings
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import commit

LONGEST_TEXT = 2000
MOST_OPEN = 20
OVERDUE = "overdue-rights"
BATCH = 100


class NotSaid(UserError):
    """What is asked for, or answered, is said in words, and not in too many."""

    code = "NOT_SAID"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "请填写内容,不超过 {most} 字。",
        "en": "Please say it, in at most {most} characters.",
    }


class ReasonNeeded(UserError):
    """A refusal says why, and a grant needs no reason (PIPL 50)."""

    code = "REASON_NEEDED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "拒绝须说明理由。",
        "en": "A refusal says why.",
    }


class TooManyRequests(UserError):
    """So many wait already that another would only wait longer."""

    code = "TOO_MANY_REQUESTS"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "您已有多项请求待答复。",
        "en": "Several of your requests wait for an answer already.",
    }


class NothingWaits(UserError):
    """No request waits to be taken."""

    code = "NOTHING_WAITS"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "没有待处理的请求。", "en": "No request waits to be taken."}


async def make_request(ctx: WriteContext[PrivacyPorts], *, kind: RightKind, about: str, text: str) -> RightRequestRow:
    """Ask for something under one's rights. Raises NotSaid, TooManyRequests, NotFound, RelativeAsksForWhat."""
    citizen_id = ctx.citizen_id()
    _require_said(text, field="input.text")
    if kind is RightKind.RELATIVE:
        directives.require_kind(about)
    if await store.count_open_rights(ctx.session, citizen_id=citizen_id) >= MOST_OPEN:
        raise TooManyRequests
    entry = await _own_entry(ctx, citizen_id, about) if kind is RightKind.COMPLAINT else None
    request_id = new_id(ctx.now)
    sealer = await ctx.sealer(citizen_id)
    row = RightRequestRow(
        citizen_id=citizen_id,
        request_id=request_id,
        kind=kind.value,
        about=about,
        text=sealer.seal(RIGHT_TEXT, row_id=request_id, value=text),
        state=RightState.RECEIVED.value,
        made_at=ctx.now,
        due_at=due_at(kind, ctx.now),
    )
    ctx.session.add(row)
    if entry is not None:
        await findings.save_complaint(ctx, entry)
    await ctx.record(
        f"right.{kind.value.lower()}",
        subject=citizen_id,
        object_ref=f"right:{request_id}",
        collected=("MakeRightRequestInput.text",),
    )
    return row


async def withdraw_request(ctx: WriteContext[PrivacyPorts], *, request_id: UUID | None) -> RightRequestRow:
    """Take one's own request back. Raises NotFound, RightNotOpen."""
    citizen_id = ctx.citizen_id()
    row = await _locked(ctx, request_id)
    if row.citizen_id != citizen_id:
        raise NotFound
    require_edge(RightState(row.state), RightState.WITHDRAWN)
    await _end_handling(ctx, row)
    row.state = RightState.WITHDRAWN.value
    await ctx.record("right.withdrawn", subject=citizen_id, object_ref=f"right:{row.request_id}")
    return row


async def take_next(ctx: WriteContext[PrivacyPorts]) -> RightRequestRow:
    """The request that waits the longest becomes the officer's, who can read it now. Raises NothingWaits."""
    row = await store.longest_waiting_right(ctx.session)
    if row is None:
        raise NothingWaits
    row.state, row.taken_by, row.taken_at = RightState.TAKEN.value, ctx.staff_id(), ctx.now
    await ctx.session.flush()
    await ctx.relate(row.citizen_id, ctx.staff_id(), Relation.HANDLER, case_id=row.request_id)
    if RightKind(row.kind) is RightKind.REVIEW and row.about.startswith("HealthCode"):
        # The room that decided lets the officer look, and have another strike what was wrong.
        body = {"request": str(row.request_id), "officer": str(ctx.staff_id())}
        await ctx.publish("privacy.review_taken", subject=row.citizen_id, body=body)
    await ctx.record("right.taken", subject=row.citizen_id, object_ref=f"right:{row.request_id}")
    return row


async def answer_request(
    ctx: WriteContext[PrivacyPorts],
    *,
    request_id: UUID | None,
    reason: RefusalReason | None,
    grant: bool,
    answer: str,
    deceased: str | None = None,
) -> RightRequestRow:
    """Answer a request that one has taken; they are told. Raises NotFound, RightNotOpen, ReasonNeeded, NotSaid.

    A relative's is granted only where it is said whose data it is about (`deceased`), and that person did not direct
    otherwise: raises DeceasedNeeded, DirectedOtherwise.
    """
    row = await _locked(ctx, request_id)
    if row.taken_by != ctx.staff_id():
        raise NotFound
    state = RightState.GRANTED if grant else RightState.REFUSED
    require_edge(RightState(row.state), state)
    if grant != (reason is None):
        raise ReasonNeeded(field="input.reason")
    _require_said(answer, field="input.answer")
    if RightKind(row.kind) is RightKind.RELATIVE:
        await directives.judge(ctx, row, deceased=deceased, grant=grant, reason=reason)
    sealer = await ctx.sealer(row.citizen_id)
    row.answer = sealer.seal(RIGHT_ANSWER, row_id=row.request_id, value=answer)
    row.reason, row.answered_at, row.state = (reason.value if reason else None), ctx.now, state.value
    await _end_handling(ctx, row)
    await ctx.record(
        f"right.{state.value.lower()}",
        subject=row.citizen_id,
        object_ref=f"right:{row.request_id}",
        collected=("AnswerRightRequestInput.answer",),
    )
    await ctx.publish("message.requested", subject=row.citizen_id, body={"code": "right.answered", "params": {}})
    return row


async def restrict(ctx: WriteContext[PrivacyPorts], *, on: bool) -> bool:
    """Object to what rests on consent or contract, at once and for as long as one wishes; whether it holds now."""
    citizen_id = ctx.citizen_id()
    held = (await consent_store.restrictions(ctx.session, citizen_ids=[citizen_id])).get(citizen_id)
    if on and held is None:
        await set_restriction(ctx, citizen_id, Restriction.OBJECTED)
    if not on:
        await consent_store.lift_restriction(
            ctx.session, citizen_id=citizen_id, level=Restriction.OBJECTED, now=ctx.now
        )
    await ctx.record("processing.restricted" if on else "processing.released", subject=citizen_id)
    return on


async def set_restriction(ctx: WriteContext[PrivacyPorts], citizen_id: UUID, level: Restriction) -> None:
    """State a restriction, from now on."""
    ctx.session.add(
        RestrictionRow(citizen_id=citizen_id, restriction_id=new_id(ctx.now), level=level.value, since=ctx.now)
    )
    await ctx.session.flush()


async def list_own(ctx: ReadContext[PrivacyPorts]) -> Sequence[tuple[RightRequestRow, Disclosure]]:
    """The requests of the citizen who asks, newest first."""
    citizen_id = ctx.citizen_id()
    disclosure = await ctx.disclosure(citizen_id, object_ref="rights")
    async with ctx.reading() as session:
        rows = await store.rights_of(session, citizen_id=citizen_id)
    return [(row, disclosure) for row in rows]


async def read_request(
    ctx: ReadContext[PrivacyPorts], *, request_id: UUID | None
) -> tuple[RightRequestRow, Disclosure]:
    """A request, for whom it is of and who has taken it. Raises NotFound for any other."""
    async with ctx.reading() as session:
        row = await store.right(session, request_id=request_id) if request_id else None
    disclosure = await ctx.disclosure(
        row.citizen_id if row else None, case_id=request_id, object_ref=f"right:{request_id}"
    )
    assert row is not None
    return row, disclosure


async def queue(ctx: ReadContext[PrivacyPorts], *, limit: int) -> Sequence[RightRequestRow]:
    """What waits, by when it is due; nothing of whom."""
    await ctx.disclosures.require_listing("rights-queue")
    async with ctx.reading() as session:
        return await store.open_rights(session, limit=limit)


async def find_overdue(ctx: ReadContext[Any]) -> int:
    """Turn requests whose term is over into findings; returns how many are new."""
    async with ctx.reading() as session:
        if not await store.overdue_rights(session, now=ctx.now, limit=1):
            return 0
    return (await commit(ctx, _find_overdue)).result or 0


async def _find_overdue(ctx: WriteContext[PrivacyPorts]) -> int:
    new = 0
    for row in await store.overdue_rights(ctx.session, now=ctx.now, limit=BATCH):
        actor = f"staff:{row.taken_by}" if row.taken_by else "nobody"
        new += await findings.save_about(
            ctx, FindingKind.OVERDUE, actor=actor, purpose="rights-handling", about=f"right:{row.request_id}"
        )
    await ctx.record("findings.overdue", subject=None, object_ref=f"count:{new}")
    return new


def _require_said(text: str, *, field: str) -> None:
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise NotSaid(field=field, most=LONGEST_TEXT)


async def _own_entry(ctx: WriteContext[PrivacyPorts], citizen_id: UUID, about: str) -> Entry:
    """The entry of the citizen's own history that a complaint is about."""
    tag, entry_id = await ctx.subject_tag(ctx.session, citizen_id), parse_id(about)
    found = await history.entry(ctx.session, entry_id=entry_id) if entry_id else None
    if found is None or tag is None or found.subject_tag != tag:
        raise NotFound
    return found


async def _locked(ctx: WriteContext[PrivacyPorts], request_id: UUID | None) -> RightRequestRow:
    row = await store.right_for_update(ctx.session, request_id=request_id) if request_id else None
    if row is None:
        raise NotFound
    return row


async def _end_handling(ctx: WriteContext[PrivacyPorts], row: RightRequestRow) -> None:
    if row.taken_by is not None:
        await ctx.end_relation(row.citizen_id, row.taken_by, Relation.HANDLER, case_id=row.request_id)
