"""Directives for after one's death, in GraphQL."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import strawberry

from gov_services.privacy.models import DirectiveRow
from gov_services.privacy.rights import Choice, DirectiveKind
from gov_services.privacy.service import directives
from gov_services.subgraph.types import UserErrorType, context_of, register_enum, user_errors
from gov_services.subgraph.unit_of_work import commit

Input = strawberry.argument(description="What it takes.")

register_enum(
    DirectiveKind,
    name="DirectiveKind",
    description="What close relatives may ask for after somebody's death.",
    values={
        DirectiveKind.ACCESS: "To see or copy.",
        DirectiveKind.CORRECTION: "To correct.",
        DirectiveKind.DELETION: "To delete.",
    },
)
register_enum(
    Choice,
    name="DirectiveChoice",
    description="What a person directs about it.",
    values={
        Choice.ALLOWED: "They may.",
        Choice.FORBIDDEN: "They may not: their request is refused.",
        Choice.WITHDRAWN: "Nothing any more: what was directed is taken back.",
    },
)


@strawberry.type(description="What a person directs about one kind of relatives' requests.")
class Directive:
    """The last word counts."""

    kind: DirectiveKind = strawberry.field(description="What relatives may ask for.")
    choice: Choice = strawberry.field(description="Whether they may have it.")
    made_at: dt.datetime = strawberry.field(description="When it was directed.")


@strawberry.input(description="What to direct.")
class LeaveDirectiveInput:
    """For after one's death."""

    kind: DirectiveKind = strawberry.field(description="What relatives may ask for.")
    choice: Choice = strawberry.field(description="Whether they may have it; or to take back what was directed.")


@strawberry.type(description="What became of a directive.")
class LeaveDirectivePayload:
    """What stands is read by `directives`."""

    directive: Directive | None = strawberry.field(description="As it was left.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


def shown(row: DirectiveRow) -> Directive:
    """A directive as GraphQL shows it."""
    return Directive(kind=DirectiveKind(row.kind), choice=Choice(row.choice), made_at=row.made_at)


@strawberry.type
class DirectiveQuery:
    """Root fields of directives."""

    @strawberry.field(description="What the citizen who asks directs for after their death: one a kind at most.")
    async def directives(self, info: strawberry.Info) -> list[Directive]:
        """One's own."""
        return [shown(row) for row in await directives.list_own(context_of(info))]


@strawberry.type
class DirectiveMutation:
    """Leaving, changing, taking back."""

    @strawberry.mutation(description="Direct what close relatives may have after one's death; the last word counts.")
    async def leave_directive(
        self, info: strawberry.Info, input: Annotated[LeaveDirectiveInput, Input]
    ) -> LeaveDirectivePayload:
        """Or take back what was directed."""
        outcome = await commit(context_of(info), directives.leave, kind=input.kind, choice=input.choice)
        return LeaveDirectivePayload(
            directive=shown(outcome.result) if outcome.result else None, user_errors=user_errors(outcome, info)
        )
