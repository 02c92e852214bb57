"""A client tells what it showed, in GraphQL: evidence for and against its grants."""

from __future__ import annotations

from typing import Annotated

import strawberry

from gov_services.kit.ids import parse_id
from gov_services.privacy.service import evidence
from gov_services.subgraph.types import UserErrorType, context_of, user_errors
from gov_services.subgraph.unit_of_work import commit


@strawberry.input(description="What a client showed of what it got.")
class NoteFieldUseInput:
    """Within an hour of the request."""

    request_id: str = strawberry.field(description="The request, as its answer's `gov-request-id` header names it.")
    coordinates: list[str] = strawberry.field(description="Coordinates that a person saw, or worked with.")


@strawberry.type(description="How much of that was noted.")
class NoteFieldUsePayload:
    """What was not opened in that request is not counted."""

    noted: int = strawberry.field(description="How many fields were noted.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


@strawberry.type
class UseReportMutation:
    """Telling what was shown."""

    @strawberry.mutation(
        description="Tell which fields of an answer a person saw; an opened field is not yet a used one."
    )
    async def note_field_use(
        self,
        info: strawberry.Info,
        input: Annotated[NoteFieldUseInput, strawberry.argument(description="What it takes.")],
    ) -> NoteFieldUsePayload:
        """In the log, as any evidence."""
        outcome = await commit(
            context_of(info),
            evidence.note_use,
            request=parse_id(input.request_id),
            shown=dict.fromkeys(input.coordinates),
        )
        return NoteFieldUsePayload(noted=outcome.result or 0, user_errors=user_errors(outcome, info))
