"""One request, straight down: authenticate, document, limits, plan, execute. It knows no HTTP and no domain."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote

import structlog

from gov_services.federation.engine import Engine, ExecutionResult, Inputs, VariablesInvalid
from gov_services.federation.planning import Prepared
from gov_services.gateway.authenticate import bearer_of
from gov_services.gateway.authorization import Authorization
from gov_services.gateway.demand import Demands
from gov_services.gateway.documents import Selected
from gov_services.gateway.errors import (
    UNAVAILABLE_CODES,
    MethodNotAllowed,
    TookTooLong,
    TooManyRequests,
    VariablesRefused,
    formatted,
    status_of,
)
from gov_services.gateway.limits import Limits
from gov_services.gateway.refusals import RefusalSink
from gov_services.gateway.transport import GatewayCall
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind
from gov_services.kit.clock import Clock
from gov_services.kit.errors import ServiceError, Unauthenticated, Unavailable
from gov_services.kit.ids import new_id
from graphql import VariableDefinitionNode

_DOCUMENT_ID = re.compile("[0-9a-f]{64}")
_log = structlog.get_logger("gov_services.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLRequest:
    """What a client asks, once HTTP is taken off."""

    document_id: str | None
    text: str | None = None
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    by_get: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names."""
    address: str = ""
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLAnswer:
    """What the client gets, before HTTP is put on."""

    body: dict[str, Any]
    status: int
    """What the HTTP status is, in media types that let it differ from 200."""
    request_id: str
    retry_after_s: int | None = None
    code: str = "OK"
    """The first error's code, or OK; what metrics count by."""


class Authenticates(Protocol):
    """Says who bears a token."""

    async def actor(self, bearer: str | None, *, now: dt.datetime) -> Actor:
        """Who bears it. Raises gateway.errors.InvalidToken."""
        ...


class SelectsDocuments(Protocol):
    """Finds the document of a request."""

    def select(
        self, actor: Actor, *, document_id: str | None, text: str | None, name: str | None, headers: Mapping[str, str]
    ) -> Selected:
        """The document, planned. Raises what `gateway.documents.Documents.select` does."""
        ...


class CountsRequests(Protocol):
    """Counts what a caller asks."""

    async def take(self, actor: Actor, *, address: str, is_query: bool, monotonic_s: float, cost: int = 0) -> None:
        """Count one request. Raises TooManyRequests, LimitsUnavailable."""
        ...


class Watches(Protocol):
    """Is told of each request: counts it, times it."""

    def begin(self) -> None:
        """A request came."""
        ...

    def end(self, document: str, code: str, seconds: float) -> None:
        """It was answered. `document` is a registered name, or empty where none was found."""
        ...


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
        watch: Watches | None = None,
    ) -> None:
        self._watch = watch
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
        if self._watch is None:
            return (await self._answered(request))[0]
        begun = time.perf_counter()
        self._watch.begin()
        answer, document = await self._answered(request)
        self._watch.end(document, answer.code, time.perf_counter() - begun)
        return answer

    async def _answered(self, request: GraphQLRequest) -> tuple[GraphQLAnswer, str]:
        """The answer, and the name of the document that was asked for."""
        now = self._clock.now()
        request_id = str(new_id(now))
        actor, counted, document = ANONYMOUS, False, ""
        try:
            bearer = bearer_of(request.headers.get("authorization"))
            actor = await self._authenticator.actor(bearer, now=now)
            selected = self._select(actor, request)
            document = selected.name
            prepared, denied = await self._authorization.permitted(selected.prepared, actor)
            self._limits.check_variables(request.variables)
            inputs = self._inputs(selected, request.variables)
            cost = self._demands.of(selected.prepared).estimate(inputs.coerced)
            self._limits.check_cost(cost)
            counted = True
            await self._count(actor, request, is_query=selected.is_query, cost=cost)
            call = GatewayCall(
                actor=actor,
                bearer=bearer,
                document=selected,
                request_id=request_id,
                locale=request.locale,
                headers=request.headers,
                **_stated(actor, request.headers),
            )
            result = await self._execute(prepared, inputs, call, denied)
        except ServiceError as refused:
            return await self._refused(refused, actor, request, request_id, now, counted=counted), document
        except Exception:  # noqa: BLE001  the front door answers whatever happens; the request id finds the cause
            _log.exception("a request failed", request_id=request_id)
            error = ServiceError()
            body = {"errors": [formatted(error, locale=request.locale, request_id=request_id)]}
            return GraphQLAnswer(body=body, status=500, request_id=request_id, code=error.code), document
        return _answer(result, locale=request.locale, request_id=request_id, masks=self._masks), document

    async def _execute(
        self, prepared: Prepared, inputs: Inputs, call: GatewayCall, denied: list[dict[str, Any]]
    ) -> ExecutionResult:
        try:
            async with asyncio.timeout(self._limits.request_s) as limit:
                return await self._engine.execute(prepared, inputs=inputs, context=call, errors=denied)
        except TimeoutError:
            if limit.expired():
                raise TookTooLong from None
            raise

    async def refuse(self, refused: ServiceError, request: GraphQLRequest) -> GraphQLAnswer:
        """The answer to what did not even become a request: counted and logged like every other refusal."""
        now = self._clock.now()
        return await self._refused(refused, ANONYMOUS, request, str(new_id(now)), now, counted=False)

    async def _refused(
        self,
        refused: ServiceError,
        actor: Actor,
        request: GraphQLRequest,
        request_id: str,
        now: dt.datetime,
        *,
        counted: bool,
    ) -> GraphQLAnswer:
        if not counted:
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

    def _select(self, actor: Actor, request: GraphQLRequest) -> Selected:
        selected = self._documents.select(
            actor,
            document_id=request.document_id,
            text=request.text,
            name=request.operation_name,
            headers=request.headers,
        )
        if request.by_get and (not selected.is_query or (selected.personal_variables and request.variables)):
            raise MethodNotAllowed(problem="GET")
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


def _answer(result: ExecutionResult, *, locale: str, request_id: str, masks: bool) -> GraphQLAnswer:
    if not result.errors:
        return GraphQLAnswer(body={"data": result.data}, status=200, request_id=request_id)
    errors = [_from_subgraph(error, locale=locale, request_id=request_id, masks=masks) for error in result.errors]
    body: dict[str, Any] = {"data": result.data, "errors": errors}
    codes = {error["extensions"].get("code") for error in errors}
    empty = not result.data or all(value is None for value in result.data.values())
    status = 200
    if empty and codes & UNAVAILABLE_CODES:
        status = 503
    elif empty and Unauthenticated.code in codes:
        status = 401
    code = str(errors[0]["extensions"].get("code", "UNCODED"))
    return GraphQLAnswer(body=body, status=status, request_id=request_id, code=code)


def _from_subgraph(error: Any, *, locale: str, request_id: str, masks: bool) -> dict[str, Any]:
    item = dict(error)
    extensions = dict(item.get("extensions") or {})
    if "code" not in extensions and masks:
        # An error that the engine made (a subgraph away, a null where there must be none) says nothing of the inside.
        unknown = ServiceError()
        item["message"] = unknown.message(locale)
        extensions["code"] = unknown.code
    extensions["requestId"] = request_id
    item["extensions"] = extensions
    item.pop("locations", None)
    return item
