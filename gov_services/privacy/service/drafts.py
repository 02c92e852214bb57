"""Drafts of purposes: one officer writes, whoever assesses attaches what the law asks, a second officer decides.

A draft adds and changes. Taking something away goes step by step, on the evidence of the trail (review.py).
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from gov_services.audit.entry import EntryKind
from gov_services.consent import bundles
from gov_services.consent.assessments import Assessment, Trigger
from gov_services.consent.lawful import require_consistent, require_follows, triggers
from gov_services.consent.purpose_files import read_assessment, read_purpose
from gov_services.consent.purposes import DISCLOSING, Bundle, Form, Purpose, plain_purpose
from gov_services.consent.tables import PurposeRefused
from gov_services.consent.vocabulary import Vocabulary
from gov_services.kit.canonical import canonical_json, sha256
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import new_id
from gov_services.privacy import drafts_store as store
from gov_services.privacy.lifecycle import DRAFT_EDGES, DraftState
from gov_services.privacy.models import PurposeDraftRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import ReadContext, WriteContext

LONGEST = 20_000


class PurposeNotLawful(UserError):
    """The draft, or its assessment, lacks what the law or the model asks of it."""

    code = "PURPOSE_NOT_LAWFUL"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "用途不符合要求:{problem}。",
        "en": "The purpose cannot stand as it is: {problem}.",
    }


class NarrowByStep(UserError):
    """The draft takes a grant away, or masks it."""

    code = "NARROW_BY_STEP"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "收回或收窄权限须按步骤提出收窄建议:{coordinate}。",
        "en": "What is taken away is narrowed step by step: {coordinate}.",
    }


class AssessmentNeeded(UserError):
    """An impact assessment is due before this can be in force (PIPL 55)."""

    code = "ASSESSMENT_NEEDED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "须先附个人信息保护影响评估:{triggers}。",
        "en": "An impact assessment has to be attached first, for: {triggers}.",
    }


class DraftStale(UserError):
    """The purpose has changed since the draft was written."""

    code = "DRAFT_STALE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该用途在起草后已变更,请重新起草。",
        "en": "The purpose has changed since this was written. Please write it anew.",
    }


class DraftDecided(UserError):
    """The draft does not wait for that any more."""

    code = "DRAFT_DECIDED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该草案已有处理结果。",
        "en": "This draft has been decided already.",
    }


class SecondOfficerForDraft(UserError):
    """Whoever wrote a draft does not decide on it."""

    code = "SECOND_OFFICER_NEEDED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "须由另一位合规人员审批。",
        "en": "Another officer has to decide on this.",
    }


@dataclass(frozen=True, slots=True)
class Change:
    """One coordinate that a draft changes."""

    coordinate: str
    before: Form | None
    after: Form | None


async def write_draft(ctx: WriteContext[PrivacyPorts], *, code: str, definition: str, note: str) -> PurposeDraftRow:
    """Write a purpose, as the reviewed file would have it. Raises PurposeNotLawful, NarrowByStep."""
    purpose = _read(ctx.bundle, code, definition)
    _require_no_less(ctx.bundle.purposes.get(code), purpose)
    if not note.strip():
        raise PurposeNotLawful(field="input.note", problem="a draft says why")
    row = PurposeDraftRow(
        draft_id=new_id(ctx.now),
        code=code,
        definition=definition,
        replaces=_hash(ctx.bundle, code),
        note=note.strip(),
        state=DraftState.DRAFT.value,
        made_by=ctx.staff_id(),
        made_at=ctx.now,
    )
    ctx.session.add(row)
    await ctx.record("purpose.drafted", subject=None, object_ref=f"draft:{row.draft_id}")
    return row


async def assess_draft(
    ctx: WriteContext[PrivacyPorts], *, draft_id: UUID | None, assessment_id: str, assessment: str
) -> PurposeDraftRow:
    """Attach an impact assessment, as the reviewed file would have it. Raises NotFound, PurposeNotLawful and others."""
    row = await _waiting(ctx, draft_id, DraftState.ASSESSED)
    found = _read_assessment(assessment_id, assessment)
    if row.code not in found.purposes or assessment_id in ctx.bundle.assessments:
        raise PurposeNotLawful(field="input.assessment", problem=f"it is not a new one, about {row.code}")
    missing = missing_triggers(ctx.bundle, _read(ctx.bundle, row.code, row.definition), ctx.ports.vocabulary, found)
    if missing:
        raise AssessmentNeeded(field="input.assessment", triggers=_named(missing))
    row.assessment_id, row.assessment, row.assessed_by = assessment_id, assessment, ctx.staff_id()
    row.state = DraftState.ASSESSED.value
    await ctx.record("purpose.assessed", subject=None, object_ref=f"draft:{row.draft_id}")
    return row


async def decide_draft(ctx: WriteContext[PrivacyPorts], *, draft_id: UUID | None, approve: bool) -> PurposeDraftRow:
    """Approve or refuse another officer's draft; approval puts a new signed bundle in force with the commit.

    Raises NotFound, SecondOfficerForDraft, DraftDecided, DraftStale, AssessmentNeeded, PurposeNotLawful.
    """
    state = DraftState.APPROVED if approve else DraftState.REFUSED
    row = await _waiting(ctx, draft_id, state)
    if row.made_by == ctx.staff_id():
        raise SecondOfficerForDraft
    bundle = _in_force(ctx, row) if approve else None
    if bundle is not None:
        await bundles.publish(
            ctx.session,
            bundle,
            key=ctx.ports.bundle_key,
            proposed_by=f"staff:{row.made_by}",
            approved_by=f"staff:{ctx.staff_id()}",
            note=row.note,
            now=ctx.now,
        )
    row.decided_by, row.decided_at = ctx.staff_id(), ctx.now
    row.bundle_version, row.state = (bundle.version if bundle else None), state.value
    await ctx.record(
        f"purpose.{state.value.lower()}",
        subject=None,
        object_ref=f"bundle:{bundle.version}:{bundle.hash.hex()}" if bundle else f"draft:{row.draft_id}",
        kind=EntryKind.BUNDLE if bundle else EntryKind.CHANGE,
    )
    return row


async def withdraw_draft(ctx: WriteContext[PrivacyPorts], *, draft_id: UUID | None) -> PurposeDraftRow:
    """Take one's own draft back. Raises NotFound, DraftDecided."""
    row = await _waiting(ctx, draft_id, DraftState.WITHDRAWN)
    if row.made_by != ctx.staff_id():
        raise NotFound
    row.state = DraftState.WITHDRAWN.value
    await ctx.record("purpose.draft-withdrawn", subject=None, object_ref=f"draft:{row.draft_id}")
    return row


async def list_drafts(ctx: ReadContext[PrivacyPorts], *, before: UUID | None, limit: int) -> Sequence[PurposeDraftRow]:
    """Drafts, newest first."""
    await ctx.disclosures.require_log_read("purpose-drafts", tag=None)
    async with ctx.reading() as session:
        return await store.drafts(session, before=before, limit=limit)


async def read_draft(ctx: ReadContext[PrivacyPorts], *, draft_id: UUID) -> tuple[PurposeDraftRow, Bundle]:
    """One draft, and the bundle in force. Raises NotFound."""
    async with ctx.reading() as session:
        row = await store.draft(session, draft_id=draft_id)
        bundle = await ctx.services.discloser.bundles.current(session)
    if row is None:
        raise NotFound
    return row, bundle


def changes(bundle: Bundle, row: PurposeDraftRow) -> list[Change]:
    """What a draft grants that the bundle does not, or otherwise; nothing of one that stands no more as it is."""
    try:
        purpose = _read(bundle, row.code, row.definition)
    except UserError:
        return []
    before = bundle.purposes[row.code].grants if row.code in bundle.purposes else {}
    return [
        Change(name, before.get(name), purpose.grants.get(name))
        for name in sorted({*before, *purpose.grants})
        if before.get(name) is not purpose.grants.get(name)
    ]


def still_needed(bundle: Bundle, row: PurposeDraftRow, vocabulary: Vocabulary) -> list[Trigger]:
    """For which reasons an assessment is still to be attached."""
    try:
        purpose = _read(bundle, row.code, row.definition)
        attached = _read_assessment(row.assessment_id, row.assessment) if row.assessment_id else None
    except UserError:
        return []
    return sorted(missing_triggers(bundle, purpose, vocabulary, attached))


def missing_triggers(
    bundle: Bundle, purpose: Purpose, vocabulary: Vocabulary, attached: Assessment | None
) -> frozenset[Trigger]:
    """For which reasons a purpose has no assessment, in the bundle or attached."""
    held = [item.triggers for item in bundle.assessments.values() if purpose.code in item.purposes]
    own = [attached.triggers] if attached is not None and purpose.code in attached.purposes else []
    return triggers(purpose, vocabulary) - frozenset[Trigger]().union(*held, *own)


def _in_force(ctx: WriteContext[PrivacyPorts], row: PurposeDraftRow) -> Bundle:
    """The bundle that an approval puts in force."""
    if _hash(ctx.bundle, row.code) != row.replaces:
        raise DraftStale
    purpose = _read(ctx.bundle, row.code, row.definition)
    _require_no_less(ctx.bundle.purposes.get(row.code), purpose)
    attached = _read_assessment(row.assessment_id, row.assessment) if row.assessment_id else None
    missing = missing_triggers(ctx.bundle, purpose, ctx.ports.vocabulary, attached)
    if missing:
        raise AssessmentNeeded(field="input.draftId", triggers=_named(missing))
    bundle = ctx.bundle.with_purpose(purpose, *([attached] if attached else []))
    try:
        require_consistent(bundle, ctx.ports.vocabulary)
    except PurposeRefused as refused:
        raise PurposeNotLawful(field="input.draftId", problem=str(refused)) from refused
    return bundle


def _read(bundle: Bundle, code: str, definition: str) -> Purpose:
    if len(definition) > LONGEST:
        raise PurposeNotLawful(field="input.definition", problem=f"it has at most {LONGEST} characters")
    try:
        purpose = read_purpose(code, definition, parties=bundle.parties)
        require_follows(bundle.purposes.get(code), purpose)
    except PurposeRefused as refused:
        raise PurposeNotLawful(field="input.definition", problem=str(refused)) from refused
    return purpose


def _read_assessment(assessment_id: str | None, text: str | None) -> Assessment:
    try:
        raw: dict[str, Any] = tomllib.loads(text or "")
        return read_assessment(assessment_id or "", raw)
    except (PurposeRefused, tomllib.TOMLDecodeError) as refused:
        raise PurposeNotLawful(field="input.assessment", problem=str(refused)) from refused


def _require_no_less(before: Purpose | None, after: Purpose) -> None:
    for name, form in before.grants.items() if before is not None else ():
        if form in DISCLOSING and after.grants.get(name) not in (form, Form.PLAIN):
            raise NarrowByStep(field="input.definition", coordinate=name)


def _hash(bundle: Bundle, code: str) -> bytes | None:
    """What stands for a purpose as it is in force; None where there is none of that code."""
    if code not in bundle.purposes:
        return None
    return sha256(canonical_json(plain_purpose(bundle.purposes[code])))


def _named(missing: frozenset[Trigger]) -> str:
    return ", ".join(sorted(missing))


async def _waiting(ctx: WriteContext[PrivacyPorts], draft_id: UUID | None, state: DraftState) -> PurposeDraftRow:
    row = await store.draft_for_update(ctx.session, draft_id=draft_id) if draft_id else None
    if row is None:
        raise NotFound
    if state not in DRAFT_EDGES.get(DraftState(row.state), frozenset()):
        raise DraftDecided
    return row
