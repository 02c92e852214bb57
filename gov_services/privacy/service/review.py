"""Minimization from the trail: what a purpose grants and what of it is used; proposing and approving less of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.audit import usage
from gov_services.audit.entry import EntryKind
from gov_services.consent import bundles
from gov_services.consent.purposes import Bundle, Form
from gov_services.consent.vocabulary import Vocabulary
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import new_id
from gov_services.privacy import store
from gov_services.privacy.lifecycle import NarrowingEvent, NarrowingState, advance
from gov_services.privacy.models import FindingRow, NarrowingRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import ReadContext, WriteContext

EVIDENCE_WINDOW = dt.timedelta(days=90)
DISCLOSING = (Form.PLAIN, Form.MASKED, Form.DERIVED)


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


@dataclass(frozen=True, slots=True)
class GrantUse:
    """One grant of a purpose, as one client used it."""

    client: str
    coordinate: str
    form: Form
    declared: int
    opened: int
    withheld: int


async def read_field_use(ctx: ReadContext[PrivacyPorts], *, purpose: str) -> list[GrantUse]:
    """Granted, declared and opened, for each client and coordinate of a purpose. Raises NotFound."""
    bundle = await ctx.disclosures.require_log_read(f"field-use:{purpose}", tag=None)
    found = bundle.purposes.get(purpose)
    if found is None:
        raise NotFound
    async with ctx.reading() as session:
        uses = await usage.field_uses(session, purpose=purpose, since=ctx.now - EVIDENCE_WINDOW)
    counted = {(use.client, use.coordinate): use for use in uses}
    rows = []
    for client in sorted(found.clients):
        for coordinate, form in sorted(found.grants.items()):
            if form in DISCLOSING:
                use = counted.get((client, coordinate))
                rows.append(
                    GrantUse(
                        client,
                        coordinate,
                        form,
                        use.declared if use else 0,
                        use.opened if use else 0,
                        use.withheld if use else 0,
                    )
                )
    return rows


async def propose_narrowing(
    ctx: WriteContext[PrivacyPorts], *, purpose: str, coordinate: str, form: Form | None, note: str
) -> UUID:
    """Propose that a purpose grants a coordinate no more, or only as `form`; the trail's counts go with it."""
    _narrower(ctx.bundle, purpose, coordinate, form, vocabulary=ctx.ports.vocabulary)
    since = ctx.now - EVIDENCE_WINDOW
    uses = [
        use for use in await usage.field_uses(ctx.session, purpose=purpose, since=since) if use.coordinate == coordinate
    ]
    waiting = await store.open_narrowing(ctx.session, purpose=purpose, coordinate=coordinate)
    if waiting is not None:
        raise AlreadyProposed
    narrowing_id = new_id(ctx.now)
    ctx.session.add(
        NarrowingRow(
            narrowing_id=narrowing_id,
            purpose=purpose,
            coordinate=coordinate,
            form=form.value if form else None,
            note=note,
            declared=sum(use.declared for use in uses),
            opened=sum(use.opened for use in uses),
            since=since,
            state=NarrowingState.PROPOSED.value,
            proposed_by=ctx.staff_id(),
            proposed_at=ctx.now,
        )
    )
    await ctx.record(
        "narrowing.proposed",
        subject=None,
        object_ref=f"narrowing:{narrowing_id}",
        disclosed={coordinate: "NARROWING"},
    )
    return narrowing_id


async def decide_narrowing(ctx: WriteContext[PrivacyPorts], *, narrowing_id: UUID | None, approve: bool) -> UUID:
    """Approve or refuse another officer's proposal. Approval puts a new signed bundle in force with the commit."""
    row = await store.narrowing_for_update(ctx.session, narrowing_id=narrowing_id) if narrowing_id else None
    if row is None:
        raise NotFound
    event = NarrowingEvent.APPROVE if approve else NarrowingEvent.REFUSE
    state = advance(NarrowingState(row.state), event)
    if row.proposed_by == ctx.staff_id():
        raise SecondOfficerNeeded
    bundle = None
    if approve:
        form = Form(row.form) if row.form else None
        bundle = _narrower(ctx.bundle, row.purpose, row.coordinate, form, vocabulary=ctx.ports.vocabulary)
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


async def list_findings(ctx: ReadContext[PrivacyPorts], *, before: UUID | None, limit: int) -> Sequence[FindingRow]:
    """Findings, newest first."""
    await ctx.disclosures.require_log_read("findings", tag=None)
    async with ctx.reading() as session:
        return await store.findings(session, before=before, limit=limit)


def _narrower(bundle: Bundle, purpose: str, coordinate: str, form: Form | None, *, vocabulary: Vocabulary) -> Bundle:
    found = bundle.purposes.get(purpose)
    granted = found.grants.get(coordinate) if found else None
    # MASKED is less than PLAIN; nothing else is less than anything but its own absence.
    if granted not in DISCLOSING or (form is not None and (granted, form) != (Form.PLAIN, Form.MASKED)):
        raise NothingToNarrow(field="input.coordinate")
    # What has no mask is given whole or not at all: a decision MASKED would say less than what happens.
    if form is Form.MASKED and (coordinate not in vocabulary or vocabulary[coordinate].mask is None):
        raise NothingToNarrow(field="input.form")
    return bundle.without_grant(purpose, coordinate, form=form)
