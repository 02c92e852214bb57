"""Narrowing purposes: proposing a step on the evidence of the trail, and a second officer's decision on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from gov_services.audit.entry import EntryKind
from gov_services.consent import bundles
from gov_services.consent.purposes import DISCLOSING, Bundle, Form
from gov_services.consent.vocabulary import Vocabulary
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import new_id
from gov_services.privacy import store
from gov_services.privacy.lifecycle import NarrowingEvent, NarrowingState, advance
from gov_services.privacy.minimization import Step, may_take
from gov_services.privacy.models import NarrowingRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import evidence
from gov_services.subgraph.context import ReadContext, WriteContext


class NothingToNarrow(UserError):
    """The purpose does not grant that coordinate, or not in a wider form than the one proposed."""

    code = "NOTHING_TO_NARROW"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该用途没有可收回的此项权限。",
        "en": "The purpose grants nothing there that could be taken away.",
    }


class AlreadyProposed(UserError):
    """Somebody has proposed that, and it waits for a second officer."""

    code = "ALREADY_PROPOSED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该建议已提出,待另一位合规人员审批。",
        "en": "This was proposed already and waits for a second officer.",
    }


class SecondOfficerNeeded(UserError):
    """Whoever proposes does not decide."""

    code = "SECOND_OFFICER_NEEDED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "须由另一位合规人员审批。",
        "en": "Another officer has to decide on this.",
    }


class WarnFirst(UserError):
    """Somebody opens the field: it is warned of first, then masked, then taken away."""

    code = "WARN_FIRST"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "近期仍有人查看该字段({refuses} 次),须先提示满七日,再打码,最后收回;紧急情况须说明理由。",
        "en": "The field was opened {refuses} times: warn for seven days, then mask, then take it away; "
        "or state why it is urgent.",
    }


async def propose_narrowing(
    ctx: WriteContext[PrivacyPorts], *, purpose: str, coordinate: str, step: Step, note: str, urgent: bool
) -> UUID:
    """Propose a step with a grant; what the trail says goes with it. Raises NothingToNarrow, WarnFirst and others."""
    granted = _granted(ctx.bundle, purpose, coordinate)
    if step is Step.RESTORE:
        earlier = await store.forms_before(ctx.session, purpose=purpose, coordinate=coordinate)
        form = next((Form(name) for name in earlier if name != granted), None)
    else:
        form = {Step.WARN: granted, Step.MASK: Form.MASKED}.get(step)
    _after(ctx.bundle, purpose, coordinate, step, form, vocabulary=ctx.ports.vocabulary)
    found = await _evidence(ctx, purpose, coordinate, step, form)
    await _require_order(ctx, purpose, coordinate, step, refuses=found.refuses, urgent=urgent)
    if await store.open_narrowing(ctx.session, purpose=purpose, coordinate=coordinate) is not None:
        raise AlreadyProposed
    uses = [
        use
        for use in await evidence.uses_since(ctx.session, purpose=purpose, since=found.since)
        if use.coordinate == coordinate
    ]
    narrowing_id = new_id(ctx.now)
    ctx.session.add(
        NarrowingRow(
            narrowing_id=narrowing_id,
            purpose=purpose,
            coordinate=coordinate,
            form=form.value if form else None,
            form_before=granted.value if granted else None,
            step=step.value,
            urgent=urgent,
            refuses=found.refuses,
            note=note,
            declared=sum(use.declared for use in uses),
            opened=sum(use.opened for use in uses),
            since=found.since,
            state=NarrowingState.PROPOSED.value,
            proposed_by=ctx.staff_id(),
            proposed_at=ctx.now,
        )
    )
    await ctx.record(
        "narrowing.proposed-urgent" if urgent else "narrowing.proposed",
        subject=None,
        object_ref=f"narrowing:{narrowing_id}",
        disclosed={coordinate: "NARROWING"},
    )
    return narrowing_id


async def decide_narrowing(ctx: WriteContext[PrivacyPorts], *, narrowing_id: UUID | None, approve: bool) -> UUID:
    """Approve or refuse another officer's proposal. Approval puts a new signed bundle in force with the commit.

    The order of steps is asked for again: since it was proposed, the field may have come into use.
    """
    row = await store.narrowing_for_update(ctx.session, narrowing_id=narrowing_id) if narrowing_id else None
    if row is None:
        raise NotFound
    event = NarrowingEvent.APPROVE if approve else NarrowingEvent.REFUSE
    state = advance(NarrowingState(row.state), event)
    if row.proposed_by == ctx.staff_id():
        raise SecondOfficerNeeded
    bundle = None
    if approve:
        form, step = Form(row.form) if row.form else None, Step(row.step)
        bundle = _after(ctx.bundle, row.purpose, row.coordinate, step, form, vocabulary=ctx.ports.vocabulary)
        found = await _evidence(ctx, row.purpose, row.coordinate, step, form)
        await _require_order(ctx, row.purpose, row.coordinate, step, refuses=found.refuses, urgent=row.urgent)
        await bundles.publish(
            ctx.session,
            bundle,
            key=ctx.ports.bundle_key,
            proposed_by=f"staff:{row.proposed_by}",
            approved_by=f"staff:{ctx.staff_id()}",
            note=row.note,
            now=ctx.now,
        )
    await store.decide_narrowing(
        ctx.session,
        narrowing_id=row.narrowing_id,
        state=state.value,
        by=ctx.staff_id(),
        now=ctx.now,
        bundle_version=bundle.version if bundle else None,
    )
    await ctx.record(
        f"narrowing.{state.value.lower()}",
        subject=None,
        object_ref=f"bundle:{bundle.version}:{bundle.hash.hex()}" if bundle else f"narrowing:{row.narrowing_id}",
        kind=EntryKind.BUNDLE if bundle else EntryKind.CHANGE,
        disclosed={row.coordinate: "NARROWED" if bundle else "KEPT"},
    )
    return row.narrowing_id


async def read_replay(ctx: ReadContext[PrivacyPorts], *, narrowing_id: UUID | None) -> evidence.Replay:
    """What a proposal would have refused, as the trail says now. Raises NotFound."""
    bundle = await ctx.disclosures.require_log_read("narrowing-replay", tag=None)
    async with ctx.reading() as session:
        row = await store.narrowing(session, narrowing_id=narrowing_id) if narrowing_id else None
        purpose = bundle.purposes.get(row.purpose) if row else None
        if row is None or purpose is None:
            raise NotFound
        form = Form(row.form) if row.form else None
        return await evidence.replay(
            session, purpose=purpose, coordinate=row.coordinate, step=Step(row.step), form=form, now=ctx.now
        )


async def read_narrowing(ctx: ReadContext[PrivacyPorts], *, narrowing_id: UUID) -> NarrowingRow:
    """One proposal. Raises NotFound."""
    async with ctx.reading() as session:
        row = await store.narrowing(session, narrowing_id=narrowing_id)
    if row is None:
        raise NotFound
    return row


async def list_narrowings(ctx: ReadContext[PrivacyPorts], *, before: UUID | None, limit: int) -> Sequence[NarrowingRow]:
    """Proposals, newest first."""
    await ctx.disclosures.require_log_read("narrowings", tag=None)
    async with ctx.reading() as session:
        return await store.narrowings(session, before=before, limit=limit)


def _granted(bundle: Bundle, purpose: str, coordinate: str) -> Form | None:
    found = bundle.purposes.get(purpose)
    return found.grants.get(coordinate) if found else None


async def _evidence(
    ctx: WriteContext[PrivacyPorts], purpose: str, coordinate: str, step: Step, form: Form | None
) -> evidence.Replay:
    found = ctx.bundle.purposes[purpose]
    return await evidence.replay(ctx.session, purpose=found, coordinate=coordinate, step=step, form=form, now=ctx.now)


async def _require_order(
    ctx: WriteContext[PrivacyPorts], purpose: str, coordinate: str, step: Step, *, refuses: int, urgent: bool
) -> None:
    granted = _granted(ctx.bundle, purpose, coordinate)
    warned = coordinate in ctx.bundle.purposes[purpose].warned
    since = await store.warned_since(ctx.session, purpose=purpose, coordinate=coordinate) if warned else None
    maskable = coordinate in ctx.ports.vocabulary and ctx.ports.vocabulary[coordinate].mask is not None
    in_order = granted is None or may_take(
        step, granted=granted, refuses=refuses, maskable=maskable, warned_since=since, now=ctx.now
    )
    if not in_order and not urgent:
        raise WarnFirst(field="input.step", refuses=refuses)


def _after(
    bundle: Bundle, purpose: str, coordinate: str, step: Step, form: Form | None, *, vocabulary: Vocabulary
) -> Bundle:
    """The bundle after a step. Raises NothingToNarrow where it changes nothing, or widens."""
    granted = _granted(bundle, purpose, coordinate)
    if purpose not in bundle.purposes:
        raise NothingToNarrow(field="input.purpose")
    if step is Step.RESTORE:
        # Back to what it was before the last step, and to nothing that it never was.
        if form is None or granted is form or granted not in (None, Form.MASKED):
            raise NothingToNarrow(field="input.coordinate")
        return bundle.with_grant(purpose, coordinate, form)
    if granted not in DISCLOSING:
        raise NothingToNarrow(field="input.coordinate")
    if step is Step.WARN:
        if coordinate in bundle.purposes[purpose].warned:
            raise NothingToNarrow(field="input.coordinate")
        return bundle.with_warning(purpose, coordinate)
    # MASKED is less than PLAIN; nothing else is less than anything but its own absence. What has no mask is given
    # whole or not at all: a decision MASKED would say less than what happens.
    if step is Step.MASK and granted is not Form.PLAIN:
        raise NothingToNarrow(field="input.coordinate")
    if step is Step.MASK and (coordinate not in vocabulary or vocabulary[coordinate].mask is None):
        raise NothingToNarrow(field="input.form")
    return bundle.without_grant(purpose, coordinate, form=form)
