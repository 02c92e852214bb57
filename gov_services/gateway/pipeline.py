"""One request, straight down: authenticate, document, limits, plan, execute. It knows no HTTP and no domain."""

from __future__ import annotations

import datetime as dt
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote
from uuid import UUID

import structlog

from gov_services.federation.engine import Engine, ExecutionResult, Inputs, VariablesInvalid
from gov_services.federation.planning import Prepared
from gov_services.federation.transports import SubgraphResponse
from gov_services.gateway.authenticate import bearer_of
from gov_services.gateway.authorization import Authorization
from gov_services.gateway.demand import MEASURED_OF, Demands
from gov_services.gateway.documents import Selected
from gov_services.gateway.errors import (
    MethodNotAllowed,
    NotAcceptable,
    TookTooLong,
    VariablesRefused,
    formatted,
    status_of,
)
from gov_services.gateway.limits import Limits
from gov_services.gateway.messages import GraphQLAnswer, GraphQLRequest, answer_of
from gov_services.gateway.refusals import RefusalSink
from gov_services.gateway.tracing import NoTraces, Traces
from gov_services.gateway.transport import GatewayCall
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind
from gov_services.kit.clock import Clock
from gov_services.kit.deadlines import Deadlines
from gov_services.kit.errors import ServiceError, Unavailable
from gov_services.kit.ids import new_request_id
from gov_services.kit.rates import TooManyRequests
from graphql import VariableDefinitionNode

CANCELLED = "CANCELLED"
"""What is counted and traced of a request that nobody waits for any more: its task was ended before its answer."""
_DOCUMENT_ID = re.compile("[0-9a-f]{64}")
_log = structlog.get_logger("gov_services.gateway")


class Attempt:
    """A request on its way in: what is known of it so far, for whoever has to refuse it."""

    __slots__ = ("actor", "counted", "document", "kind", "now", "request", "request_id")

    def __init__(self, request: GraphQLRequest, now: dt.datetime) -> None:
        self.request = request
        self.now = now
        self.request_id = new_request_id(now)
        self.actor: Actor = ANONYMOUS
        self.counted = False
        self.document = self.kind = ""
        """Name and kind of the document that is asked for, once it is known."""


class Admitted(NamedTuple):
    """A request that was let in."""

    prepared: Prepared
    inputs: Inputs
    call: GatewayCall
    denied: list[dict[str, Any]]
    """Errors of the fields that the caller may not read, which are not asked for."""
    cost: int
    """What it was taken to cost."""
    address: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a subscription is to tell of: what has changed, or what a subgraph already said of it."""

    about: UUID | None = None
    response: SubgraphResponse | None = None


class Authenticates(Protocol):
    """Says who bears a token."""

    async def actor(self, bearer: str | None, *, now: dt.datetime) -> Actor:
        """Who bears it. Raises gateway.errors.InvalidToken."""
        ...

    async def until(self, bearer: str | None, *, now: dt.datetime) -> dt.datetime | None:
        """Until when they do, by a token that `actor` took; None: for as long as they like."""
        ...


class SelectsDocuments(Protocol):
    """Finds the document of a request."""

    def select(
        self,
        actor: Actor,
        *,
        document_id: str | None,
        text: str | None,
        name: str | None,
        headers: Mapping[str, str],
        now: dt.datetime,
    ) -> Selected:
        """The document, planned. Raises what `gateway.documents.Documents.select` does."""
        ...


class CountsRequests(Protocol):
    """Counts what a caller asks."""

    async def take(self, actor: Actor, *, address: str, is_query: bool, monotonic_s: float, cost: int = 0) -> None:
        """Count one request. Raises TooManyRequests, LimitsUnavailable."""
        ...

    def owe(self, actor: Actor, *, address: str, cost: int) -> None:
        """Its answer cost so much more than was taken."""
        ...


class Watches(Protocol):
    """Is told of each request: counts it, times it."""

    def begin(self) -> None:
        """A request came."""
        ...

    def end(self, document: str, code: str, seconds: float) -> None:
        """It was answered. `document` is a registered name, or empty where none was found."""
        ...

    def cost(self, document: str, *, estimated: int, measured: int) -> None:
        """An answer was measured."""
        ...


Answers = Callable[[Attempt], Awaitable[tuple[GraphQLAnswer, bool]]]
"""The answer to an attempt, and whether it was refused before it ran."""


class Pipeline:
    """The gateway's one page. `masks`: whether what subgraphs say without a code is kept from clients."""

    def __init__(
        self,
        *,
        authenticator: Authenticates,
        documents: SelectsDocuments,
        limits: Limits,
        demands: Demands,
        authorization: Authorization,
        rate: CountsRequests,
        engine: Engine,
        refusals: RefusalSink,
        clock: Clock,
        masks: bool = True,
        watch: Watches,
        traces: Traces | None = None,
    ) -> None:
        self._watch = watch
        self._traces = traces or NoTraces()
        self._deadlines = Deadlines()
        self._masks = masks
        self._authenticator = authenticator
        self._documents = documents
        self._limits = limits
        self._demands = demands
        self._authorization = authorization
        self._rate = rate
        self._engine = engine
        self._refusals = refusals
        self._clock = clock

    async def answer(self, request: GraphQLRequest) -> GraphQLAnswer:
        """Answer one request. Never raises: what goes wrong is in the answer, with a stable code."""
        return (await self._watched(Attempt(request, self._clock.now()), self._answered))[0]

    async def _watched(self, attempt: Attempt, answered: Answers) -> tuple[GraphQLAnswer, bool]:
        """What `answered` says, counted, timed and traced."""
        begun, trace = time.perf_counter(), self._traces.request(attempt.request.headers)
        self._watch.begin()
        code = CANCELLED
        try:
            answer, is_refused = await answered(attempt)
            code = answer.code
        finally:
            self._watch.end(attempt.document, code, time.perf_counter() - begun)
            trace.end(document=attempt.document, kind=attempt.kind, code=code, request_id=attempt.request_id)
        return answer, is_refused

    async def _answered(self, attempt: Attempt) -> tuple[GraphQLAnswer, bool]:
        try:
            admitted = await self.admit(attempt)
            if admitted.prepared.kind == "subscription":
                raise NotAcceptable(problem="Accept")  # many answers do not fit into one
            return await self.execute(admitted), False
        except Exception as error:  # noqa: BLE001  the front door answers whatever happens
            return await self.answer_failed(attempt, error), True

    async def answer_event(self, request: GraphQLRequest, event: Event) -> tuple[GraphQLAnswer, bool]:
        """The answer to one event of a subscription that was let in; and whether it ends, as it would not be now."""

        async def answered(attempt: Attempt) -> tuple[GraphQLAnswer, bool]:
            is_refused = True
            try:
                admitted = await self.admit(attempt, event=event)
                is_refused = False
                return await self.execute(admitted, event=event), False
            except Exception as error:  # noqa: BLE001  one event that fails is told of, and the next may not
                return await self.answer_failed(attempt, error), is_refused

        return await self._watched(Attempt(request, self._clock.now()), answered)

    async def admit(self, attempt: Attempt, *, event: Event | None = None) -> Admitted:
        """Let a request in: who asks, what, how much, how often. With `event` it was let in before, and is not counted.

        What is found on the way stands in `attempt`, also where the request is refused. Raises a Refusal, Unavailable.
        """
        request = attempt.request
        bearer = bearer_of(request.headers.get("authorization"))
        with self._traces.stage("authenticate"):
            attempt.actor = actor = await self._authenticator.actor(bearer, now=attempt.now)
        with self._traces.stage("document"):
            selected = self._select(actor, request, attempt.now)
            attempt.document, attempt.kind = selected.name, selected.prepared.kind
            prepared, denied = await self._authorization.permitted(selected.prepared, actor)
        with self._traces.stage("limits"):
            self._limits.check_variables(request.variables)
            inputs = self._inputs(selected, request.variables)
            cost = self._demands.of(selected.prepared).estimate(inputs.coerced)
            self._limits.check_cost(cost)
            if event is None:
                attempt.counted = True
                await self._count(actor, request, is_query=selected.is_query, cost=cost)
        call = GatewayCall(
            actor=actor,
            bearer=bearer,
            document=selected,
            request_id=attempt.request_id,
            locale=request.locale,
            headers=request.headers,
            about=event.about if event is not None else None,
            **_stated(actor, request.headers),
        )
        return Admitted(prepared, inputs, call, denied, cost, request.address)

    async def execute(self, admitted: Admitted, *, event: Event | None = None) -> GraphQLAnswer:
        """The answer to a request that was let in; with `event` to that one of a subscription. Raises TookTooLong."""
        call = admitted.call
        with self._traces.stage("execute"):
            result = await self._executed(admitted, event)
        if random.random() * MEASURED_OF < 1:  # noqa: S311  no secret
            self._measure(admitted, result)
        return answer_of(result, locale=call.locale, request_id=call.request_id, masks=self._masks)

    def _measure(self, admitted: Admitted, result: ExecutionResult) -> None:
        """What the answer cost. What it cost beyond its estimate is owed for those that are not measured too."""
        call = admitted.call
        measured = self._demands.of(call.document.prepared).measured(result.data)
        self._watch.cost(call.document.name, estimated=admitted.cost, measured=measured)
        if measured > admitted.cost:
            self._rate.owe(call.actor, address=admitted.address, cost=(measured - admitted.cost) * MEASURED_OF)

    async def _executed(self, admitted: Admitted, event: Event | None) -> ExecutionResult:
        try:
            with self._deadlines.within(self._limits.request_s) as limit:
                return await self._engine.execute(
                    admitted.prepared,
                    inputs=admitted.inputs,
                    context=admitted.call,
                    errors=admitted.denied,
                    event=event.response if event is not None else None,
                )
        except TimeoutError:
            if limit.has_passed:
                raise TookTooLong from None
            raise

    async def answer_failed(self, attempt: Attempt, error: Exception) -> GraphQLAnswer:
        """The answer to a request that ended in `error`: a refusal with its code, anything else without a word more."""
        if isinstance(error, ServiceError):
            return await self._refused(error, attempt)
        _log.error("a request failed", request_id=attempt.request_id, exc_info=error)
        unknown = ServiceError()
        body = {"errors": [formatted(unknown, locale=attempt.request.locale, request_id=attempt.request_id)]}
        return GraphQLAnswer(body=body, status=500, request_id=attempt.request_id, code=unknown.code)

    async def who(self, request: GraphQLRequest) -> tuple[Actor, dt.datetime | None]:
        """Who bears the request's token, and until when. Raises InvalidToken."""
        bearer, now = bearer_of(request.headers.get("authorization")), self._clock.now()
        return await self._authenticator.actor(bearer, now=now), await self._authenticator.until(bearer, now=now)

    def now(self) -> dt.datetime:
        """The moment, by the gateway's clock."""
        return self._clock.now()

    def attempt(self, request: GraphQLRequest) -> Attempt:
        """A request, as it comes in."""
        return Attempt(request, self._clock.now())

    async def refuse(self, refused: ServiceError, request: GraphQLRequest) -> GraphQLAnswer:
        """The answer to what did not even become a request: counted and logged like every other refusal."""
        return await self._refused(refused, self.attempt(request))

    async def _refused(self, refused: ServiceError, attempt: Attempt) -> GraphQLAnswer:
        actor, request, request_id, now = attempt.actor, attempt.request, attempt.request_id, attempt.now
        if not attempt.counted:
            # Refusals cost us too: whoever is refused before the count is counted all the same.
            try:
                await self._count(actor, request, is_query=True)
            except TooManyRequests as too_many:
                refused = too_many
            except ServiceError:
                pass
        await self._log_refusal(refused, actor, request, request_id, now)
        body = {"errors": [formatted(refused, locale=request.locale, request_id=request_id)]}
        retry_after_s = refused.retry_after_s if isinstance(refused, TooManyRequests) else None
        return GraphQLAnswer(
            body=body,
            status=status_of(refused),
            request_id=request_id,
            retry_after_s=retry_after_s,
            code=refused.code,
        )

    def _select(self, actor: Actor, request: GraphQLRequest, now: dt.datetime) -> Selected:
        selected = self._documents.select(
            actor,
            document_id=request.document_id,
            text=request.text,
            name=request.operation_name,
            headers=request.headers,
            now=now,
        )
        if request.by_get and (not selected.is_query or (selected.personal_variables and request.variables)):
            raise MethodNotAllowed(problem="GET")
        if request.by_socket and selected.prepared.kind == "mutation":
            # A socket ends when a process does; who changes something shall know whether it was done.
            raise MethodNotAllowed(problem="WebSocket")
        return selected

    async def _count(self, actor: Actor, request: GraphQLRequest, *, is_query: bool, cost: int = 0) -> None:
        now_s = time.monotonic()
        await self._rate.take(actor, address=request.address, is_query=is_query, monotonic_s=now_s, cost=cost)

    def _inputs(self, selected: Selected, variables: Mapping[str, Any]) -> Inputs:
        """The variables, once they fit the operation. graphql-core's own messages quote values: ours do not."""
        try:
            return self._engine.inputs(selected.prepared, variables)
        except VariablesInvalid as invalid:
            nodes = invalid.errors[0].nodes or ()
            names = [node.variable.name.value for node in nodes if isinstance(node, VariableDefinitionNode)]
            raise VariablesRefused(variable=f"${''.join(names[:1])}") from None

    async def _log_refusal(
        self, refused: ServiceError, actor: Actor, request: GraphQLRequest, request_id: str, now: dt.datetime
    ) -> None:
        if isinstance(refused, Unavailable):
            return
        try:
            await self._refusals.refused(
                code=refused.code,
                actor=actor,
                document_id=_registered_form(request.document_id),
                request_id=request_id,
                now=now,
            )
        except Unavailable:
            # Nothing was opened, and nothing is told but the refusal: it stands though the log is away.
            _log.warning("a refusal could not be logged", code=refused.code, request_id=request_id)


def _stated(actor: Actor, headers: Mapping[str, str]) -> dict[str, str | None]:
    """Case and reason, which staff and parties state. What others put there would be their own words in the log."""
    if actor.kind not in (ActorKind.STAFF, ActorKind.CLIENT):
        return {"case": None, "reason": None}
    return {"case": headers.get("gov-case"), "reason": _reason(headers)}


def _registered_form(document_id: str | None) -> str | None:
    """The id where it has the form of one: anything else is whatever a stranger wrote, and stays out of the log."""
    return document_id if document_id and _DOCUMENT_ID.fullmatch(document_id) else None


def _reason(headers: Mapping[str, str]) -> str | None:
    """The stated reason. Headers are Latin-1 on the wire; a reason in Chinese comes as UTF-8, percent-encoded."""
    value = headers.get("gov-reason")
    stated = "".join(letter for letter in unquote(value or "") if letter.isprintable())[:500]
    return stated or None
