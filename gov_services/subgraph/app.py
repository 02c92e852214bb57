"""One subgraph: bytes in with an assertion, bytes out; the same in this process and over HTTP. It plans nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
import structlog

from gov_services.kit.assertion import ADHOC
from gov_services.kit.clock import Clock
from gov_services.kit.errors import Refusal, ServiceError, Unavailable
from gov_services.kit.manifest import Manifest
from gov_services.subgraph.assertion import AssertionRefused, AssertionVerifier
from gov_services.subgraph.context import ReadContext, RoomServices
from gov_services.subgraph.entrances import refuse_at
from gov_services.subgraph.errors import describe_error, format_errors, service_error_of, warning
from gov_services.subgraph.requested import RequestedCoordinates
from gov_services.subgraph.schema import Schema
from gov_services.subgraph.unit_of_work import log_refusal
from graphql import GraphQLError

Ports = TypeVar("Ports")
_log = structlog.get_logger("gov_services.subgraph")

DOOR = "/graphql"
"""Where a fetch comes in, for the log of those that are refused there."""


@dataclass(frozen=True, slots=True)
class _Fetch:
    document: str
    variables: dict[str, Any]


class Subgraph(Generic[Ports]):
    """A room's schema behind the one verifier."""

    def __init__(
        self, *, name: str, schema: Schema, verifier: AssertionVerifier, services: RoomServices[Ports], clock: Clock
    ) -> None:
        self.name = name
        self.schema = schema
        self._verifier = verifier
        self._services = services
        self._clock = clock
        self._requested = RequestedCoordinates(schema._schema, schema.vocabulary)

    def trust(self, manifest: Manifest) -> None:
        """Take a newer manifest of trusted documents. Raises ManifestRefused for an older one."""
        self._verifier.trust(manifest, now=self._clock.now())

    async def handle(self, body: bytes, *, assertion: str, access_token: str | None, locale: str = "zh-CN") -> bytes:
        """Answer one fetch: `body` is `{"query": …, "variables": …}`; the answer a GraphQL response. Never raises.

        `locale` is for who has no valid assertion; one that has is answered in the language that it states.
        """
        now = self._clock.now()
        try:
            fetch = _decode(body)
            call = self._verifier.verify(
                token=assertion, bearer=access_token, body=body, document=fetch.document, now=now
            )
        except AssertionRefused as refused:
            _log.warning("assertion refused", subgraph=self.name, reason=refused.reason)
            return await self._refuse(refused, locale=locale, now=now)
        disclosures = self._services.discloser.begin(call, self._requested.of(fetch.document))
        context = ReadContext(call, self._services, disclosures)
        data, errors = await self._execute(context, fetch)
        disclosures.close()
        unlogged = await self._log_refusals(context, errors)
        if unlogged is not None:
            # A refusal that cannot be logged is not answered (ARCHITECTURE §4.6): nothing of this fetch is. But what
            # has changed stands, and its answer must not deny it: there the fields that were refused are null already.
            data = data if _begins_with(fetch.document, "mutation") else None
            errors = [GraphQLError("", original_error=unlogged)]
        formatted = format_errors(errors, locale=call.locale, request_id=call.request_id)
        answer: dict[str, Any] = {"data": data}
        if formatted:
            answer["errors"] = formatted
        warned = disclosures.warned()
        if warned:
            answer["extensions"] = {"warnings": [warning(name, locale=call.locale) for name in sorted(warned)]}
        return orjson.dumps(answer)

    async def _execute(
        self, context: ReadContext[Ports], fetch: _Fetch
    ) -> tuple[dict[str, Any] | None, list[GraphQLError]]:
        """Data and errors of a fetch; an ad-hoc one that reads beyond its purpose is refused before anything runs."""
        if context.call.entrance.document_id == ADHOC:
            try:
                await context.disclosures.require_within_purpose()
            except ServiceError as refused:
                return None, [GraphQLError("", original_error=refused)]
        if _begins_with(fetch.document, "subscription"):
            return await self._event(context, fetch)
        result = await self.schema.execute(fetch.document, variable_values=fetch.variables, context_value=context)
        return result.data, list(result.errors or ())

    async def _event(
        self, context: ReadContext[Ports], fetch: _Fetch
    ) -> tuple[dict[str, Any] | None, list[GraphQLError]]:
        """The answer to one event: what the subscription gives now, once. The gateway asks again at the next."""
        events = await self.schema.subscribe(fetch.document, variable_values=fetch.variables, context_value=context)
        async with contextlib.aclosing(events) as told:
            async for event in told:
                return event.data, list(event.errors or ())
        return None, []

    async def _refuse(self, refused: ServiceError, *, locale: str, now: dt.datetime) -> bytes:
        """The refusal of whoever came around the gateway: in the log as a stranger's, told without a word on why."""
        try:
            await refuse_at(self._services, DOOR, refused, now=now)
        except Unavailable as unlogged:
            refused = unlogged
        return orjson.dumps({"data": None, "errors": [describe_error(refused, locale=locale)]})

    async def _log_refusals(self, context: ReadContext[Ports], errors: list[GraphQLError]) -> ServiceError | None:
        found = {
            error.code: error
            for error in map(service_error_of, errors)
            if isinstance(error, Refusal) and not error.logged
        }
        for error in found.values():
            try:
                await log_refusal(context, error)
            except Unavailable as unavailable:
                return unavailable
        return None


def _begins_with(document: str, kind: str) -> bool:
    """Whether a fetch, whose text the planner wrote, is of that kind."""
    return document.lstrip().startswith(kind)


def _decode(body: bytes) -> _Fetch:
    try:
        raw = json.loads(body)
        document, variables = raw["query"], raw.get("variables") or {}
        if not isinstance(document, str) or not isinstance(variables, dict):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise AssertionRefused("the body is not a fetch") from None
    return _Fetch(document, variables)
