"""Drafts of purposes in GraphQL; for officers."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import strawberry

from gov_services.consent.assessments import Trigger
from gov_services.consent.purposes import Form
from gov_services.kit.ids import parse_id
from gov_services.privacy.graph.pages import After, First, page_of
from gov_services.privacy.lifecycle import DraftState
from gov_services.privacy.models import PurposeDraftRow
from gov_services.privacy.service import drafts
from gov_services.subgraph.types import (
    PageInfo,
    UserErrorType,
    context_of,
    id_in_cursor,
    page_size,
    register_enum,
    user_errors,
)
from gov_services.subgraph.unit_of_work import Outcome, commit

Input = strawberry.argument(description="What it takes.")

register_enum(
    DraftState,
    name="PurposeDraftState",
    description="Where a draft stands.",
    values={
        DraftState.DRAFT: "Written; an assessment may still be due.",
        DraftState.ASSESSED: "Its impact was assessed.",
        DraftState.APPROVED: "Another officer agreed; it is in force.",
        DraftState.REFUSED: "Another officer said no.",
        DraftState.WITHDRAWN: "Its author took it back.",
    },
)
register_enum(
    Trigger,
    name="AssessmentTrigger",
    description="Why an impact assessment is due (PIPL 55).",
    values={
        Trigger.SENSITIVE: "Sensitive personal information.",
        Trigger.AUTOMATED: "Rules decide by themselves.",
        Trigger.PROVISION: "It is passed on, entrusted or made public.",
        Trigger.EXPORT: "It leaves the mainland.",
    },
)


@strawberry.type(description="A coordinate that a draft grants otherwise than now.")
class GrantChange:
    """Before and after."""

    coordinate: str = strawberry.field(description="Schema coordinate.")
    before: Form | None = strawberry.field(description="In which form it is granted now.")
    after: Form | None = strawberry.field(description="In which it would be.")


@strawberry.type(description="A draft of a purpose.")
class PurposeDraft:
    """Beside what it changes."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    code: str = strawberry.field(description="Code of the purpose.")
    definition: str = strawberry.field(description="The purpose, as the reviewed file would have it (TOML).")
    note: str = strawberry.field(description="Why, in its author's words.")
    state: DraftState = strawberry.field(description="Where it stands.")
    made_at: dt.datetime = strawberry.field(description="When it was written.")
    assessment_id: str | None = strawberry.field(description="The impact assessment that is attached.")
    bundle_version: int | None = strawberry.field(description="Version of the bundle that put it in force.")
    row: strawberry.Private[PurposeDraftRow]

    @strawberry.field(description="What it changes of the purpose in force.")
    async def changes(self, info: strawberry.Info) -> list[GrantChange]:
        """Coordinate by coordinate."""
        _, bundle = await drafts.read_draft(context_of(info), draft_id=self.row.draft_id)
        return [
            GrantChange(coordinate=item.coordinate, before=item.before, after=item.after)
            for item in drafts.changes(bundle, self.row)
        ]

    @strawberry.field(description="Why an impact assessment is still to be attached; empty where none is.")
    async def assessment_needed(self, info: strawberry.Info) -> list[Trigger]:
        """PIPL 55."""
        ctx = context_of(info)
        _, bundle = await drafts.read_draft(ctx, draft_id=self.row.draft_id)
        return drafts.still_needed(bundle, self.row, ctx.ports.vocabulary)


@strawberry.type(description="One draft of a page.")
class PurposeDraftEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: PurposeDraft = strawberry.field(description="The draft.")


@strawberry.type(description="A page of drafts.")
class PurposeDraftConnection:
    """Relay connection, newest first."""

    edges: list[PurposeDraftEdge] = strawberry.field(description="The drafts.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.input(description="A purpose to draft.")
class DraftPurposeInput:
    """Waits for a second officer."""

    code: str = strawberry.field(description="Code of the purpose, new or in force.")
    definition: str = strawberry.field(description="The purpose, as the reviewed file would have it (TOML).")
    note: str = strawberry.field(description="Why.")


@strawberry.input(description="An impact assessment to attach.")
class AssessDraftInput:
    """By its three questions (PIPL 56)."""

    draft_id: strawberry.ID = strawberry.field(description="Id of the draft.")
    assessment_id: str = strawberry.field(description="Name of the assessment.")
    assessment: str = strawberry.field(description="The assessment, as the reviewed file would have it (TOML).")


@strawberry.input(description="A decision on another officer's draft.")
class DecideDraftInput:
    """By a second officer."""

    draft_id: strawberry.ID = strawberry.field(description="Id of the draft.")
    approve: bool = strawberry.field(description="Whether it is approved.")


@strawberry.input(description="A draft.")
class PurposeDraftInput:
    """Which one."""

    draft_id: strawberry.ID = strawberry.field(description="Id of the draft.")


@strawberry.type(description="What became of a draft.")
class PurposeDraftPayload:
    """Read anew, after the commit."""

    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")
    draft_id: strawberry.Private[UUID | None]

    @strawberry.field(description="The draft as it stands now.")
    async def draft(self, info: strawberry.Info) -> PurposeDraft | None:
        """Read after the commit."""
        if self.draft_id is None:
            return None
        row, _ = await drafts.read_draft(context_of(info), draft_id=self.draft_id)
        return draft_of(row)


def draft_of(row: PurposeDraftRow) -> PurposeDraft:
    """A draft as GraphQL shows it."""
    return PurposeDraft(
        id=strawberry.ID(str(row.draft_id)),
        code=row.code,
        definition=row.definition,
        note=row.note,
        state=DraftState(row.state),
        made_at=row.made_at,
        assessment_id=row.assessment_id,
        bundle_version=row.bundle_version,
        row=row,
    )


def _payload(outcome: Outcome[PurposeDraftRow], info: strawberry.Info) -> PurposeDraftPayload:
    return PurposeDraftPayload(
        user_errors=user_errors(outcome, info), draft_id=outcome.result.draft_id if outcome.result else None
    )


@strawberry.type
class DraftQuery:
    """Root fields of drafts."""

    @strawberry.field(description="Drafts of purposes, newest first; for officers.")
    async def purpose_drafts(
        self, info: strawberry.Info, first: First = 20, after: After = None
    ) -> PurposeDraftConnection:
        """With what each changes."""
        size = page_size(first)
        rows = await drafts.list_drafts(context_of(info), before=id_in_cursor(after), limit=size + 1)
        return page_of(
            rows,
            size=size,
            key=lambda row: row.draft_id,
            node=draft_of,
            edge=PurposeDraftEdge,
            connection=PurposeDraftConnection,
        )


@strawberry.type
class DraftMutation:
    """Writing, assessing, deciding."""

    @strawberry.mutation(description="Draft a purpose, new or changed; a second officer decides.")
    async def draft_purpose(
        self, info: strawberry.Info, input: Annotated[DraftPurposeInput, Input]
    ) -> PurposeDraftPayload:
        """It adds and changes; what is taken away is narrowed step by step."""
        outcome = await commit(
            context_of(info), drafts.write_draft, code=input.code, definition=input.definition, note=input.note
        )
        return _payload(outcome, info)

    @strawberry.mutation(description="Attach an impact assessment to a draft.")
    async def assess_purpose_draft(
        self, info: strawberry.Info, input: Annotated[AssessDraftInput, Input]
    ) -> PurposeDraftPayload:
        """Where the law asks for one."""
        outcome = await commit(
            context_of(info),
            drafts.assess_draft,
            draft_id=parse_id(input.draft_id),
            assessment_id=input.assessment_id,
            assessment=input.assessment,
        )
        return _payload(outcome, info)

    @strawberry.mutation(description="Decide on another officer's draft; approval is in force at once.")
    async def decide_purpose_draft(
        self, info: strawberry.Info, input: Annotated[DecideDraftInput, Input]
    ) -> PurposeDraftPayload:
        """A new signed bundle."""
        outcome = await commit(
            context_of(info), drafts.decide_draft, draft_id=parse_id(input.draft_id), approve=input.approve
        )
        return _payload(outcome, info)

    @strawberry.mutation(description="Take one's own draft back.")
    async def withdraw_purpose_draft(
        self, info: strawberry.Info, input: Annotated[PurposeDraftInput, Input]
    ) -> PurposeDraftPayload:
        """While nobody has decided."""
        outcome = await commit(context_of(info), drafts.withdraw_draft, draft_id=parse_id(input.draft_id))
        return _payload(outcome, info)
