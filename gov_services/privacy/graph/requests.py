"""Requests for consent in GraphQL: a party asks, a citizen answers."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import strawberry

from gov_services.consent.terms import Frequency, Period, Terms
from gov_services.kit.ids import parse_id
from gov_services.privacy.graph.notices import FOR_CHILD, ConsentTerms, terms_as_shown
from gov_services.privacy.lifecycle import RequestState
from gov_services.privacy.models import ConsentRequestRow
from gov_services.privacy.service import requests
from gov_services.privacy.service.consents import Asked
from gov_services.subgraph.context import ReadContext
from gov_services.subgraph.types import UserErrorType, context_of, register_enum, user_errors
from gov_services.subgraph.unit_of_work import Outcome, commit

register_enum(
    RequestState,
    name="ConsentRequestState",
    description="Where a request for consent stands.",
    values={
        RequestState.OPEN: "Not answered.",
        RequestState.RECEIVED: "A citizen has it.",
        RequestState.GIVEN: "Consent was given.",
        RequestState.REFUSED: "Consent was refused.",
        RequestState.LAPSED: "Nobody answered in time.",
    },
)


@strawberry.type(description="A party's request for consent.")
class ConsentRequest:
    """For the party that asks, and the citizen who is asked."""

    id: strawberry.ID = strawberry.field(description="Id of the request.")
    purpose: str = strawberry.field(description="Code of the purpose.")
    recipient: str = strawberry.field(description="Client that asks.")
    scope: list[str] = strawberry.field(description="Coordinates that are asked for.")
    days: int = strawberry.field(description="For how many days.")
    terms: ConsentTerms = strawberry.field(description="How often, and how long kept.")
    state: RequestState = strawberry.field(description="Where it stands; a party does not learn who has it.")
    until: dt.datetime = strawberry.field(description="Until when it can be answered.")
    consent_id: strawberry.ID | None = strawberry.field(description="The consent, once it is given.")


@strawberry.input(description="A request for consent to open.")
class OpenConsentRequestInput:
    """By a code to be scanned, or of the citizen who gave a consent before."""

    purpose: str = strawberry.field(description="Code of the purpose.")
    scope: list[str] | None = strawberry.field(
        default=None, description="Coordinates; all of the purpose's if left out."
    )
    days: int | None = strawberry.field(default=None, description="For how many days; the longest if left out.")
    uses: int | None = strawberry.field(default=None, description="Readings in all.")
    times: int | None = strawberry.field(default=None, description="Readings per period.")
    per: Period | None = strawberry.field(default=None, description="That period.")
    reference: strawberry.ID | None = strawberry.field(
        default=None, description="A consent given before for this purpose: its citizen is asked again."
    )


@strawberry.input(description="The code of a request.")
class ReceiveConsentRequestInput:
    """As it was scanned."""

    code: str = strawberry.field(description="The code that the party shows.")
    for_child: strawberry.ID | None = strawberry.field(default=None, description=FOR_CHILD)


@strawberry.input(description="A request to agree to.")
class AnswerConsentRequestInput:
    """In whole, or in part."""

    request_id: strawberry.ID = strawberry.field(description="Id of the request.")
    notice_hash: str = strawberry.field(description="The notice that was shown.")
    scope: list[str] | None = strawberry.field(default=None, description="Some of what was asked for; all if left out.")
    days: int | None = strawberry.field(default=None, description="For fewer days than asked.")
    uses: int | None = strawberry.field(default=None, description="For fewer readings than asked; 1 is one-time.")
    times: int | None = strawberry.field(default=None, description="Less often than asked.")
    per: Period | None = strawberry.field(default=None, description="The period of that.")
    for_child: strawberry.ID | None = strawberry.field(default=None, description=FOR_CHILD)


@strawberry.input(description="A request.")
class ConsentRequestInput:
    """Which one."""

    request_id: strawberry.ID = strawberry.field(description="Id of the request.")
    for_child: strawberry.ID | None = strawberry.field(default=None, description=FOR_CHILD)


@strawberry.type(description="What became of a request for consent.")
class ConsentRequestPayload:
    """Read anew, after the commit."""

    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")
    code: str | None = strawberry.field(description="For the citizen to scan; told once.")
    request_id: strawberry.Private[UUID | None]
    child: strawberry.Private[str | None] = None

    @strawberry.field(description="The request as it stands now.")
    async def request(self, info: strawberry.Info) -> ConsentRequest | None:
        """Read after the commit."""
        if self.request_id is None:
            return None
        ctx = context_of(info)
        return shown(await requests.read_request(ctx, request_id=self.request_id, child=self.child), ctx)


def shown(row: ConsentRequestRow, ctx: ReadContext[object]) -> ConsentRequest:
    """A request as GraphQL shows it."""
    frequency = Frequency(times=row.times, per=Period(row.per)) if row.times and row.per else None
    return ConsentRequest(
        id=strawberry.ID(str(row.request_id)),
        purpose=row.purpose,
        recipient=row.recipient,
        scope=list(row.scope),
        days=row.days,
        terms=terms_as_shown(Terms(keep_days=row.keep_days, uses=row.uses, frequency=frequency)),
        state=requests.shown_state(row, ctx.now),
        until=row.until,
        consent_id=strawberry.ID(str(row.consent_id)) if row.consent_id else None,
    )


def asked(uses: int | None, times: int | None, per: Period | None) -> Asked:
    """Terms as an input states them."""
    return Asked(uses, Frequency(times=times, per=per) if times is not None and per is not None else None)


def _payload(outcome: Outcome[UUID], info: strawberry.Info, child: str | None) -> ConsentRequestPayload:
    errors = user_errors(outcome, info)
    return ConsentRequestPayload(user_errors=errors, code=None, request_id=outcome.result, child=child)


@strawberry.type
class RequestQuery:
    """Root fields about requests."""

    @strawberry.field(description="A request: for the party that made it, and the citizen who has it.")
    async def consent_request(
        self, info: strawberry.Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> ConsentRequest:
        """For any other it is not there."""
        ctx = context_of(info)
        return shown(await requests.read_request(ctx, request_id=parse_id(id)), ctx)

    @strawberry.field(description="What waits for an answer of the citizen who asks, oldest first; fifty at most.")
    async def requested_consents(self, info: strawberry.Info) -> list[ConsentRequest]:
        """Bounded by how many a citizen can have waiting."""
        ctx = context_of(info)
        return [shown(row, ctx) for row in await requests.list_requests(ctx)]

    @strawberry.field(description="What waits for an answer for a child whose guardian asks; fifty at most.")
    async def requested_consents_of_child(
        self,
        info: strawberry.Info,
        child: Annotated[strawberry.ID, strawberry.argument(description="Id of the child.")],
    ) -> list[ConsentRequest]:
        """Oldest first."""
        ctx = context_of(info)
        return [shown(row, ctx) for row in await requests.list_requests(ctx, child=child)]


@strawberry.type
class RequestMutation:
    """Asking, and answering."""

    @strawberry.mutation(description="Ask for a consent; for relying parties.")
    async def open_consent_request(
        self,
        info: strawberry.Info,
        input: Annotated[OpenConsentRequestInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentRequestPayload:
        """The party learns nothing about anybody by asking."""
        outcome = await commit(
            context_of(info),
            requests.open_request,
            purpose=input.purpose,
            scope=input.scope,
            days=input.days,
            terms=asked(input.uses, input.times, input.per),
            reference=parse_id(input.reference) if input.reference is not None else None,
            directed=input.reference is not None,
        )
        opened = outcome.result
        return ConsentRequestPayload(
            user_errors=user_errors(outcome, info),
            code=opened.code if opened else None,
            request_id=opened.request_id if opened else None,
        )

    @strawberry.mutation(description="Take a request whose code was scanned, so as to answer it.")
    async def receive_consent_request(
        self,
        info: strawberry.Info,
        input: Annotated[ReceiveConsentRequestInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentRequestPayload:
        """The first who scans it has it."""
        outcome = await commit(context_of(info), requests.receive_request, code=input.code, child=input.for_child)
        return _payload(outcome, info, input.for_child)

    @strawberry.mutation(description="Agree to a request, in whole or in part.")
    async def agree_to_consent_request(
        self,
        info: strawberry.Info,
        input: Annotated[AnswerConsentRequestInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentRequestPayload:
        """Pinned to the notice that was shown."""
        try:
            notice_hash = bytes.fromhex(input.notice_hash)
        except ValueError:
            notice_hash = b""
        outcome = await commit(
            context_of(info),
            requests.answer_with_consent,
            request_id=parse_id(input.request_id),
            notice_hash=notice_hash,
            scope=input.scope,
            days=input.days,
            terms=asked(input.uses, input.times, input.per),
            child=input.for_child,
        )
        return _payload(outcome, info, input.for_child)

    @strawberry.mutation(description="Refuse a request; the party may not prompt again for a while.")
    async def refuse_consent_request(
        self,
        info: strawberry.Info,
        input: Annotated[ConsentRequestInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentRequestPayload:
        """No reason is asked."""
        outcome = await commit(
            context_of(info),
            requests.answer_with_refusal,
            request_id=parse_id(input.request_id),
            child=input.for_child,
        )
        return _payload(outcome, info, input.for_child)

    @strawberry.mutation(description="Answer a request later.")
    async def defer_consent_request(
        self,
        info: strawberry.Info,
        input: Annotated[ConsentRequestInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentRequestPayload:
        """It waits on."""
        outcome = await commit(
            context_of(info), requests.defer, request_id=parse_id(input.request_id), child=input.for_child
        )
        return _payload(outcome, info, input.for_child)
