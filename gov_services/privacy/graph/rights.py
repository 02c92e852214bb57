"""A person's rights in GraphQL: requests and their answers, restricting processing."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import strawberry

from gov_services.consent.disclosure import Disclosure
from gov_services.consent.personal import Personal
from gov_services.kit.ids import parse_id
from gov_services.privacy.models import RightRequestRow
from gov_services.privacy.rights import RefusalReason, RightKind, RightState
from gov_services.privacy.service import rights
from gov_services.subgraph.types import UserErrorType, context_of, register_enum, user_errors
from gov_services.subgraph.unit_of_work import Outcome, commit

WORDS = Personal(category="request", sensitivity="general")
Input = strawberry.argument(description="What it takes.")

register_enum(
    RightKind,
    name="RightKind",
    description="What a person asks for that a person has to answer.",
    values={
        RightKind.ACCESS: "To see or copy what the account does not show.",
        RightKind.CORRECTION: "To correct or complete.",
        RightKind.DELETION: "To delete more than an erasure does.",
        RightKind.EXPLANATION: "To explain how data is processed.",
        RightKind.REVIEW: "To have a person look at what rules decided by themselves.",
        RightKind.RELATIVE: "By a close relative, about somebody who has died.",
        RightKind.COMPLAINT: "About an access that the log shows; `about` is its id.",
    },
)
register_enum(
    RightState,
    name="RightState",
    description="Where a request stands.",
    values={
        RightState.RECEIVED: "It waits for an officer.",
        RightState.TAKEN: "An officer has it.",
        RightState.GRANTED: "It was granted.",
        RightState.REFUSED: "It was refused, with a reason.",
        RightState.WITHDRAWN: "It was taken back.",
    },
)
register_enum(
    RefusalReason,
    name="RightRefusalReason",
    description="Why a request is not granted.",
    values={
        RefusalReason.LAW_HAS_IT_KEPT: "A law has the data kept.",
        RefusalReason.LAW_HAS_IT_PROCESSED: "A law has the data processed.",
        RefusalReason.OTHERS_RIGHTS: "It would touch the rights of others.",
        RefusalReason.NOT_PROVED: "Who asks, or how they are related, could not be proved.",
        RefusalReason.NOT_HELD: "There is no such data.",
        RefusalReason.CORRECT_AS_IT_IS: "What is held is correct.",
        RefusalReason.DIRECTED_OTHERWISE: "The person who has died directed otherwise.",
    },
)


@strawberry.type(description="A request that a person made under their rights.")
class RightRequest:
    """For whom it is of, and who has taken it."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    kind: RightKind = strawberry.field(description="What is asked for.")
    about: str = strawberry.field(description="What it is about: an entry's id, a coordinate, or nothing.")
    state: RightState = strawberry.field(description="Where it stands.")
    made_at: dt.datetime = strawberry.field(description="When it was made.")
    due_at: dt.datetime = strawberry.field(description="By when it is answered.")
    reason: RefusalReason | None = strawberry.field(description="Why it was refused.")
    row: strawberry.Private[RightRequestRow]
    disclosure: strawberry.Private[Disclosure]

    @strawberry.field(description="What they wrote.", directives=[WORDS])
    async def text(self) -> str | None:
        """Sealed."""
        return await self.disclosure.open("RightRequest.text", self.row, "text")

    @strawberry.field(description="What they were answered.", directives=[WORDS])
    async def answer(self) -> str | None:
        """Sealed."""
        return await self.disclosure.open("RightRequest.answer", self.row, "answer")


@strawberry.type(description="A request that waits, and nothing of whom.")
class WaitingRight:
    """For officers."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    kind: RightKind = strawberry.field(description="What is asked for.")
    state: RightState = strawberry.field(description="Whether an officer has it.")
    due_at: dt.datetime = strawberry.field(description="By when it is answered.")


@strawberry.input(description="A request to make.")
class MakeRightRequestInput:
    """In one's own words."""

    kind: RightKind = strawberry.field(description="What is asked for.")
    about: str = strawberry.field(
        default="",
        description="What it is about: of a complaint the entry's id, of a relative's request a DirectiveKind.",
    )
    text: str = strawberry.field(description="What is asked for, in words.", directives=[WORDS])


@strawberry.input(description="A request.")
class RightRequestInput:
    """Which one."""

    request_id: strawberry.ID = strawberry.field(description="Id of the request.")


@strawberry.input(description="An answer.")
class AnswerRightRequestInput:
    """By the officer who has taken it."""

    request_id: strawberry.ID = strawberry.field(description="Id of the request.")
    grant: bool = strawberry.field(description="Whether it is granted.")
    reason: RefusalReason | None = strawberry.field(default=None, description="Why not, where it is refused.")
    answer: str = strawberry.field(description="The answer, in words.", directives=[WORDS])
    deceased: strawberry.ID | None = strawberry.field(
        default=None, description="Of a relative's request: who has died, as found by their number."
    )


@strawberry.input(description="Whether processing is restricted.")
class RestrictProcessingInput:
    """At once, and for as long as one wishes."""

    on: bool = strawberry.field(description="True to restrict, false to let it go on.")


@strawberry.type(description="What became of a request.")
class RightRequestPayload:
    """Read anew, after the commit."""

    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")
    request_id: strawberry.Private[UUID | None]

    @strawberry.field(description="The request as it stands now.")
    async def request(self, info: strawberry.Info) -> RightRequest | None:
        """Read after the commit."""
        if self.request_id is None:
            return None
        return shown(await rights.read_request(context_of(info), request_id=self.request_id))


@strawberry.type(description="What became of an answer.")
class AnswerRightRequestPayload:
    """The officer reads it no more: it is answered."""

    state: RightState | None = strawberry.field(description="Where the request stands now.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


@strawberry.type(description="Whether processing is restricted now.")
class RestrictProcessingPayload:
    """What a law asks for goes on."""

    restricted: bool = strawberry.field(description="Whether it is.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


def shown(found: tuple[RightRequestRow, Disclosure]) -> RightRequest:
    """A request as GraphQL shows it."""
    row, disclosure = found
    return RightRequest(
        id=strawberry.ID(str(row.request_id)),
        kind=RightKind(row.kind),
        about=row.about,
        state=RightState(row.state),
        made_at=row.made_at,
        due_at=row.due_at,
        reason=RefusalReason(row.reason) if row.reason else None,
        row=row,
        disclosure=disclosure,
    )


def _payload(outcome: Outcome[RightRequestRow], info: strawberry.Info) -> RightRequestPayload:
    request_id = outcome.result.request_id if outcome.result else None
    return RightRequestPayload(user_errors=user_errors(outcome, info), request_id=request_id)


@strawberry.type
class RightQuery:
    """Root fields of rights."""

    @strawberry.field(description="The requests of the citizen who asks, newest first; fifty at most.")
    async def right_requests(self, info: strawberry.Info) -> list[RightRequest]:
        """One's own."""
        return [shown(found) for found in await rights.list_own(context_of(info))]

    @strawberry.field(description="A request: for whom it is of, and who has taken it.")
    async def right_request(
        self, info: strawberry.Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> RightRequest:
        """For any other it is not there."""
        return shown(await rights.read_request(context_of(info), request_id=parse_id(id)))

    @strawberry.field(description="What waits, by when it is due; for officers. Nothing of whom; fifty at most.")
    async def waiting_rights(self, info: strawberry.Info) -> list[WaitingRight]:
        """Who takes one reads it."""
        return [
            WaitingRight(
                id=strawberry.ID(str(row.request_id)),
                kind=RightKind(row.kind),
                state=RightState(row.state),
                due_at=row.due_at,
            )
            for row in await rights.queue(context_of(info), limit=50)
        ]


@strawberry.type
class RightMutation:
    """Asking, answering, restricting."""

    @strawberry.mutation(description="Ask for something under one's rights; it is answered within a term.")
    async def make_right_request(
        self, info: strawberry.Info, input: Annotated[MakeRightRequestInput, Input]
    ) -> RightRequestPayload:
        """Costs nothing."""
        outcome = await commit(
            context_of(info), rights.make_request, kind=input.kind, about=input.about, text=input.text
        )
        return _payload(outcome, info)

    @strawberry.mutation(description="Take one's own request back.")
    async def withdraw_right_request(
        self, info: strawberry.Info, input: Annotated[RightRequestInput, Input]
    ) -> RightRequestPayload:
        """While it is not answered."""
        outcome = await commit(context_of(info), rights.withdraw_request, request_id=parse_id(input.request_id))
        return _payload(outcome, info)

    @strawberry.mutation(description="Take the request that waits the longest; for officers.")
    async def take_right_request(self, info: strawberry.Info) -> RightRequestPayload:
        """Nobody picks."""
        return _payload(await commit(context_of(info), rights.take_next), info)

    @strawberry.mutation(description="Answer a request that one has taken; a refusal says why.")
    async def answer_right_request(
        self, info: strawberry.Info, input: Annotated[AnswerRightRequestInput, Input]
    ) -> AnswerRightRequestPayload:
        """The citizen is told."""
        outcome = await commit(
            context_of(info),
            rights.answer_request,
            request_id=parse_id(input.request_id),
            reason=input.reason,
            grant=input.grant,
            answer=input.answer,
            deceased=input.deceased,
        )
        state = RightState(outcome.result.state) if outcome.result else None
        return AnswerRightRequestPayload(state=state, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Restrict what rests on consent or contract, or let it go on.")
    async def restrict_processing(
        self, info: strawberry.Info, input: Annotated[RestrictProcessingInput, Input]
    ) -> RestrictProcessingPayload:
        """At once."""
        outcome = await commit(context_of(info), rights.restrict, on=input.on)
        return RestrictProcessingPayload(restricted=bool(outcome.result), user_errors=user_errors(outcome, info))
