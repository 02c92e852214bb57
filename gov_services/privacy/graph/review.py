"""Minimization in GraphQL: field use, suggestions, proposals to narrow and their replay."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import strawberry

from gov_services.consent.purposes import Form
from gov_services.kit.ids import parse_id
from gov_services.privacy.graph.pages import After, First, page_of, rows_after
from gov_services.privacy.lifecycle import NarrowingState as State
from gov_services.privacy.minimization import Step, Why
from gov_services.privacy.models import NarrowingRow
from gov_services.privacy.service import evidence, review
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
    Step,
    name="NarrowingStep",
    description="How a grant becomes less, or as it was.",
    values={
        Step.WARN: "Still given; whoever gets it is told that it goes.",
        Step.MASK: "Given masked.",
        Step.DENY: "Given no more.",
        Step.RESTORE: "Given again as it was before the last step.",
    },
)
register_enum(
    Why,
    name="SuggestionReason",
    description="What the trail says of a grant.",
    values={
        Why.UNASKED: "No client asked for it.",
        Why.UNOPENED: "Asked for, and never opened.",
        Why.UNSHOWN: "Opened, and never shown by clients who tell what they show.",
    },
)


@strawberry.type(description="One grant of a purpose, as one client used it in the last 90 days.")
class FieldUse:
    """Granted, declared, opened."""

    client: str = strawberry.field(description="Which client.")
    coordinate: str = strawberry.field(description="Schema coordinate.")
    form: Form = strawberry.field(description="In which form it is granted.")
    declared: int = strawberry.field(description="How often a request was decided to get it.")
    masked: int = strawberry.field(description="How often of that masked.")
    opened: int = strawberry.field(description="How often it was really opened.")
    used: int = strawberry.field(description="How often the client told that it showed it.")
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
    step: Step = strawberry.field(description="Which step it is.")
    urgent: bool = strawberry.field(description="Whether it goes without the warning that would be due.")
    refuses: int = strawberry.field(description="How many openings it would have refused, when it was proposed.")
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


@strawberry.type(description="A step that the trail bears out.")
class NarrowingSuggestion:
    """For an officer to propose, or not."""

    purpose: str = strawberry.field(description="Code of the purpose.")
    coordinate: str = strawberry.field(description="The coordinate.")
    granted: Form = strawberry.field(description="In which form it is granted.")
    step: Step = strawberry.field(description="The step that comes next.")
    why: Why = strawberry.field(description="What the trail says.")
    since: dt.datetime = strawberry.field(description="Where the evidence begins.")
    declared: int = strawberry.field(description="How often it was to be given.")
    opened: int = strawberry.field(description="How often it was opened.")
    used: int = strawberry.field(description="How often a client told that it showed it.")


@strawberry.type(description="What one client's document would have got less of.")
class RefusedAccess:
    """One line of a replay."""

    client: str = strawberry.field(description="Which client.")
    document: str = strawberry.field(description="Which document; empty for what is no document.")
    refused: int = strawberry.field(description="How many openings.")
    shown: int = strawberry.field(description="How many of them the client told that it showed.")
    last_at: dt.datetime = strawberry.field(description="The last of them.")


@strawberry.type(description="A proposal held against the trail: what it would have refused.")
class NarrowingReplay:
    """As the trail says now."""

    since: dt.datetime = strawberry.field(description="Where the trail is read from.")
    refuses: int = strawberry.field(description="How many openings in all.")
    accesses: list[RefusedAccess] = strawberry.field(description="By client and document, most first.")
    samples: list[strawberry.ID] = strawberry.field(description="The newest of them in the log.")


@strawberry.input(description="A grant to narrow.")
class ProposeNarrowingInput:
    """Waits for a second officer."""

    purpose: str = strawberry.field(description="Code of the purpose.")
    coordinate: str = strawberry.field(description="The coordinate.")
    form: Form | None = strawberry.field(
        default=None, description="MASKED, or nothing to take it away.", deprecation_reason="Say `step`."
    )
    step: Step | None = strawberry.field(default=None, description="The step; MASK or DENY if only `form` is said.")
    urgent: bool = strawberry.field(default=False, description="Without the warning that is due; the note says why.")
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
        step=Step(row.step),
        urgent=row.urgent,
        refuses=row.refuses,
        note=row.note,
        declared=row.declared,
        opened=row.opened,
        since=row.since,
        state=State(row.state),
        bundle_version=row.bundle_version,
    )


def field_use_of(row: evidence.GrantUse) -> FieldUse:
    """One grant's use as GraphQL shows it."""
    return FieldUse(
        client=row.client,
        coordinate=row.coordinate,
        form=row.form,
        declared=row.declared,
        masked=row.masked,
        opened=row.opened,
        used=row.used,
        withheld=row.withheld,
    )


def _grant(row: evidence.GrantUse) -> str:
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
        rows = await evidence.read_field_use(context_of(info), purpose=purpose)
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

    @strawberry.field(description="Steps that the trail bears out, over all purposes; for officers.")
    async def narrowing_suggestions(self, info: strawberry.Info) -> list[NarrowingSuggestion]:
        """Bounded by how many grants there are."""
        return [
            NarrowingSuggestion(
                purpose=found.purpose,
                coordinate=found.coordinate,
                granted=found.granted,
                step=found.step,
                why=found.why,
                since=found.since,
                declared=found.declared,
                opened=found.opened,
                used=found.used,
            )
            for found in await evidence.read_suggestions(context_of(info))
        ]

    @strawberry.field(description="What a proposal would have refused, as the trail says now; for officers.")
    async def narrowing_replay(
        self,
        info: strawberry.Info,
        narrowing_id: Annotated[strawberry.ID, strawberry.argument(description="Id of the proposal.")],
    ) -> NarrowingReplay:
        """Before they decide."""
        found = await review.read_replay(context_of(info), narrowing_id=parse_id(narrowing_id))
        return NarrowingReplay(
            since=found.since,
            refuses=found.refuses,
            accesses=[
                RefusedAccess(
                    client=access.client,
                    document=access.document,
                    refused=access.refused,
                    shown=access.shown,
                    last_at=access.last_at,
                )
                for access in found.accesses
            ],
            samples=[strawberry.ID(str(entry_id)) for entry_id in found.samples],
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
            step=input.step or (Step.MASK if input.form is Form.MASKED else Step.DENY),
            note=input.note,
            urgent=input.urgent,
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
