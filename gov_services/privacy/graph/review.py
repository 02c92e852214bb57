"""Minimization in GraphQL: field use, proposals to narrow, findings."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import strawberry

from gov_services.consent.purposes import Form
from gov_services.kit.ids import parse_id
from gov_services.privacy.findings import FindingKind
from gov_services.privacy.graph.pages import After, First, page_of, rows_after
from gov_services.privacy.lifecycle import NarrowingState as State
from gov_services.privacy.models import FindingRow, NarrowingRow
from gov_services.privacy.service import review
from gov_services.subgraph.types import (
    PageInfo,
    UserErrorType,
    context_of,
    id_in_cursor,
    page_size,
    register_enum,
    user_errors,
)
from gov_services.subgraph.unit_of_work import commit

register_enum(
    State,
    name="NarrowingState",
    description="Where a proposal stands.",
    values={
        State.PROPOSED: "One officer proposed it.",
        State.APPROVED: "Another agreed; it is in force.",
        State.REFUSED: "Another said no.",
    },
)


register_enum(
    FindingKind,
    name="FindingKind",
    description="What an officer has to look into.",
    values={
        FindingKind.BUDGET_EXHAUSTED: "Staff or a party asked for more than their budget holds.",
        FindingKind.NO_RELATION: "Staff or a party asked about somebody who is none of their business.",
        FindingKind.SUBJECT_UNKNOWN: "A party read about somebody whom we could not tell of it.",
    },
)


@strawberry.type(description="One grant of a purpose, as one client used it in the last 90 days.")
class FieldUse:
    """Granted, declared, opened."""

    client: str = strawberry.field(description="Which client.")
    coordinate: str = strawberry.field(description="Schema coordinate.")
    form: Form = strawberry.field(description="In which form it is granted.")
    declared: int = strawberry.field(description="How often a request was decided to get it.")
    opened: int = strawberry.field(description="How often it was really opened.")
    withheld: int = strawberry.field(description="How often it was asked for and not given.")


@strawberry.type(description="One grant of a page.")
class FieldUseEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: FieldUse = strawberry.field(description="The grant.")


@strawberry.type(description="A page of grants.")
class FieldUseConnection:
    """Relay connection, by client and coordinate."""

    edges: list[FieldUseEdge] = strawberry.field(description="The grants.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="A proposal to take a grant away, or to mask it.")
class Narrowing:
    """With the evidence that it rests on."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    purpose: str = strawberry.field(description="Code of the purpose.")
    coordinate: str = strawberry.field(description="The coordinate that would be narrowed.")
    form: Form | None = strawberry.field(description="The form that stays; none when it is taken away.")
    note: str = strawberry.field(description="Why, in the proposer's words.")
    declared: int = strawberry.field(description="How often it was to be given, in the evidence.")
    opened: int = strawberry.field(description="How often it was opened, in the evidence.")
    since: dt.datetime = strawberry.field(description="Where the evidence begins.")
    state: State = strawberry.field(description="Where the proposal stands.")
    bundle_version: int | None = strawberry.field(description="Version of the bundle that put it in force.")


@strawberry.type(description="One proposal of a page.")
class NarrowingEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: Narrowing = strawberry.field(description="The proposal.")


@strawberry.type(description="A page of proposals.")
class NarrowingConnection:
    """Relay connection, newest first."""

    edges: list[NarrowingEdge] = strawberry.field(description="The proposals.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="Something in the log that an officer has to look into.")
class Finding:
    """It points to an entry and holds nothing of it."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    kind: FindingKind = strawberry.field(description="What it is.")
    actor: str = strawberry.field(description="Who.")
    purpose: str = strawberry.field(description="Under which purpose.")
    entry_id: strawberry.ID = strawberry.field(description="The entry of the log.")
    found_at: dt.datetime = strawberry.field(description="When it was found.")


@strawberry.type(description="One finding of a page.")
class FindingEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: Finding = strawberry.field(description="The finding.")


@strawberry.type(description="A page of findings.")
class FindingConnection:
    """Relay connection, newest first."""

    edges: list[FindingEdge] = strawberry.field(description="The findings.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.input(description="A grant to narrow.")
class ProposeNarrowingInput:
    """Waits for a second officer."""

    purpose: str = strawberry.field(description="Code of the purpose.")
    coordinate: str = strawberry.field(description="The coordinate.")
    form: Form | None = strawberry.field(default=None, description="MASKED, or nothing to take it away.")
    note: str = strawberry.field(description="Why.")


@strawberry.input(description="A decision on another officer's proposal.")
class DecideNarrowingInput:
    """By a second officer."""

    narrowing_id: strawberry.ID = strawberry.field(description="Id of the proposal.")
    approve: bool = strawberry.field(default=True, description="Whether it is approved; else it is refused.")


@strawberry.type(description="What became of a proposal.")
class NarrowingPayload:
    """Read anew, after the commit."""

    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")
    narrowing_id: strawberry.Private[UUID | None]

    @strawberry.field(description="The proposal as it stands now.")
    async def narrowing(self, info: strawberry.Info) -> Narrowing | None:
        """Read after the commit."""
        if self.narrowing_id is None:
            return None
        return narrowing_of(await review.read_narrowing(context_of(info), narrowing_id=self.narrowing_id))


def narrowing_of(row: NarrowingRow) -> Narrowing:
    """A proposal as GraphQL shows it."""
    return Narrowing(
        id=strawberry.ID(str(row.narrowing_id)),
        purpose=row.purpose,
        coordinate=row.coordinate,
        form=Form(row.form) if row.form else None,
        note=row.note,
        declared=row.declared,
        opened=row.opened,
        since=row.since,
        state=State(row.state),
        bundle_version=row.bundle_version,
    )


def field_use_of(row: review.GrantUse) -> FieldUse:
    """One grant's use as GraphQL shows it."""
    return FieldUse(
        client=row.client,
        coordinate=row.coordinate,
        form=row.form,
        declared=row.declared,
        opened=row.opened,
        withheld=row.withheld,
    )


def finding_of(row: FindingRow) -> Finding:
    """A finding as GraphQL shows it."""
    return Finding(
        id=strawberry.ID(str(row.finding_id)),
        kind=FindingKind(row.kind),
        actor=row.actor,
        purpose=row.purpose,
        entry_id=strawberry.ID(str(row.entry_id)),
        found_at=row.found_at,
    )


def _grant(row: review.GrantUse) -> str:
    return f"{row.client} {row.coordinate}"


@strawberry.type
class ReviewQuery:
    """Root fields of the review."""

    @strawberry.field(description="What a purpose grants, and what of it was declared and opened; for officers.")
    async def field_use(
        self,
        info: strawberry.Info,
        purpose: Annotated[str, strawberry.argument(description="Code of the purpose.")],
        first: First = 20,
        after: After = None,
    ) -> FieldUseConnection:
        """The grants and clients of one purpose."""
        size = page_size(first)
        rows = await review.read_field_use(context_of(info), purpose=purpose)
        return page_of(
            rows_after(rows, after=after, key=_grant),
            size=size,
            key=_grant,
            node=field_use_of,
            edge=FieldUseEdge,
            connection=FieldUseConnection,
        )

    @strawberry.field(description="Proposals to narrow, newest first; for officers.")
    async def narrowings(self, info: strawberry.Info, first: First = 20, after: After = None) -> NarrowingConnection:
        """With their evidence."""
        size = page_size(first)
        rows = await review.list_narrowings(context_of(info), before=id_in_cursor(after), limit=size + 1)
        return page_of(
            rows,
            size=size,
            key=lambda row: row.narrowing_id,
            node=narrowing_of,
            edge=NarrowingEdge,
            connection=NarrowingConnection,
        )

    @strawberry.field(description="Findings, newest first; for officers.")
    async def findings(self, info: strawberry.Info, first: First = 20, after: After = None) -> FindingConnection:
        """They point into the log."""
        size = page_size(first)
        rows = await review.list_findings(context_of(info), before=id_in_cursor(after), limit=size + 1)
        return page_of(
            rows,
            size=size,
            key=lambda row: row.finding_id,
            node=finding_of,
            edge=FindingEdge,
            connection=FindingConnection,
        )


@strawberry.type
class ReviewMutation:
    """Changes by officers."""

    @strawberry.mutation(description="Propose that a purpose gives less; a second officer decides.")
    async def propose_narrowing(
        self,
        info: strawberry.Info,
        input: Annotated[ProposeNarrowingInput, strawberry.argument(description="What it takes.")],
    ) -> NarrowingPayload:
        """On the evidence of the trail."""
        outcome = await commit(
            context_of(info),
            review.propose_narrowing,
            purpose=input.purpose,
            coordinate=input.coordinate,
            form=input.form,
            note=input.note,
        )
        return NarrowingPayload(user_errors=user_errors(outcome, info), narrowing_id=outcome.result)

    @strawberry.mutation(description="Decide on another officer's proposal; approval is in force at once.")
    async def decide_narrowing(
        self,
        info: strawberry.Info,
        input: Annotated[DecideNarrowingInput, strawberry.argument(description="What it takes.")],
    ) -> NarrowingPayload:
        """A new signed bundle."""
        outcome = await commit(
            context_of(info),
            review.decide_narrowing,
            narrowing_id=parse_id(input.narrowing_id),
            approve=input.approve,
        )
        return NarrowingPayload(user_errors=user_errors(outcome, info), narrowing_id=outcome.result)
