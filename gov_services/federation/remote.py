"""A subgraph over HTTP: deadline, retries of reads, a circuit breaker, one request for equal reads. It plans nothing.

Source: GraphQL over HTTP §6 (which responses are GraphQL answers whatever their status).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from gov_services.federation.breaker import Breaker
from gov_services.federation.http1 import Endpoint, HttpClient
from gov_services.federation.http1_connection import Cut, HttpAnswer, HttpFailed, TimedOut, Unreachable
from gov_services.federation.transports import SubgraphRequest, SubgraphResponse, SubgraphUnavailable

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
ACCEPT = f"{GRAPHQL_RESPONSE}, {JSON};q=0.9"
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePolicy:
    """How a subgraph is called. `shares`: whether equal reads that are on their way together are one request."""

    deadline_s: float = 10.0
    response_bytes: int = 16 * 1024 * 1024
    retries: int = 1
    backoff_s: float = 0.05
    shares: bool = True


class _Shared:
    """A read on its way, for whoever asks the same meanwhile."""

    __slots__ = ("_waiting", "failed", "found")

    def __init__(self) -> None:
        self.found: HttpAnswer | None = None
        self.failed: HttpFailed | None = None
        self._waiting: list[asyncio.Future[None]] = []

    async def answer(self) -> HttpAnswer | None:
        """What came of it; None where whoever had asked gave up. Raises HttpFailed."""
        waiting = asyncio.get_running_loop().create_future()  # of one's own: who gives up takes nothing from others
        self._waiting.append(waiting)
        await waiting
        if self.failed is not None:
            raise self.failed
        return self.found

    def tell(self) -> None:
        """It is over."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


class RemoteSubgraph:
    """A transport to one subgraph. `headers` says what goes with a request; without sharing it is asked at each try."""

    def __init__(
        self,
        name: str,
        url: str,
        client: HttpClient,
        *,
        policy: RemotePolicy | None = None,
        headers: Callable[[Any, SubgraphRequest], Headers] = lambda *_: (),
        breaker: Breaker | None = None,
    ) -> None:
        self._name = name
        self._endpoint = Endpoint(url, accept=ACCEPT)
        self._client = client
        self._policy = policy or RemotePolicy()
        self._headers = headers
        self._breaker = breaker or Breaker()
        self._on_their_way: dict[tuple[bytes, Headers], _Shared] = {}

    async def fetch(self, request: SubgraphRequest, *, context: object) -> SubgraphResponse:
        """See federation.transports.Transport. Raises SubgraphUnavailable."""
        is_read = request.operation_kind != "mutation"
        try:
            if not is_read or not self._policy.shares:
                answer = await self._ask(request.body, lambda: self._headers(context, request), is_read=is_read)
                return self._decode(answer)
            headers = self._headers(context, request)
            key = request.body, headers
            while (known := self._on_their_way.get(key)) is not None:
                # The very same is on its way: its answer is ours too.
                found = await known.answer()
                if found is not None:
                    return self._decode(found)
                # Who had asked gave up: nothing is known, and the first of the others asks.
            mine = self._on_their_way[key] = _Shared()
            try:
                answer = mine.found = await self._ask(request.body, lambda: headers, is_read=True)
            except HttpFailed as failed:
                mine.failed = failed
                raise
            finally:
                del self._on_their_way[key]
                mine.tell()
        except HttpFailed as failed:
            raise SubgraphUnavailable(self._name) from failed
        return self._decode(answer)

    async def _ask(self, body: bytes, headers: Callable[[], Headers], *, is_read: bool) -> HttpAnswer:
        """One request, and for a read others after it, all within the deadline. Raises HttpFailed."""
        now = time.monotonic()
        ends_at = now + self._policy.deadline_s
        left = self._policy.retries if is_read else 0
        while True:
            permit = self._breaker.permit(now)
            if permit is None:
                raise TimedOut("the subgraph failed too often, and is left alone for a while", acted=False)
            is_away, failed = True, None
            try:
                answer = await self._client.post(
                    self._endpoint,
                    body,
                    headers=headers(),
                    deadline_s=ends_at - now,
                    most_bytes=self._policy.response_bytes,
                    is_safe=is_read,
                )
                is_away = answer.status != 200 and _is_away(answer)
            except HttpFailed as problem:
                failed = problem
            except BaseException:
                self._breaker.forget(permit)
                raise
            self._breaker.note(permit, time.monotonic(), failed=is_away)
            if failed is None and (not is_away or left == 0):
                return answer
            if failed is not None and (left == 0 or not isinstance(failed, Cut | Unreachable)):
                raise failed
            left -= 1
            now = await self._pause(self._policy.retries - left, ends_at)

    async def _pause(self, number: int, ends_at: float) -> float:
        """Wait before try `number`, longer each time and never for the same time as others. Raises TimedOut."""
        pause_s = self._policy.backoff_s * 2 ** (number - 1) * random.uniform(0.5, 1.5)  # noqa: S311  no secret
        if time.monotonic() + pause_s >= ends_at:
            raise TimedOut("no time is left for another try", acted=True)
        await asyncio.sleep(pause_s)
        return time.monotonic()

    def _decode(self, answer: HttpAnswer) -> SubgraphResponse:
        """The GraphQL answer in an HTTP one, made anew for each who asked. Raises SubgraphUnavailable."""
        if answer.status != 200 and not _is_graphql(answer):
            raise SubgraphUnavailable(self._name)
        return read_answer(self._name, answer.body)


def read_answer(subgraph: str, content: bytes) -> SubgraphResponse:
    """A GraphQL answer in JSON. Raises SubgraphUnavailable for what is none."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as malformed:
        raise SubgraphUnavailable(subgraph) from malformed
    if not isinstance(found, dict) or not ("data" in found or "errors" in found):
        raise SubgraphUnavailable(subgraph)
    data, errors = found.get("data"), found.get("errors")
    if (data is not None and not isinstance(data, dict)) or (errors and not isinstance(errors, list)):
        raise SubgraphUnavailable(subgraph)
    return SubgraphResponse(
        data=data,
        errors=[error for error in errors if isinstance(error, dict)] if errors else (),
        extensions=found.get("extensions") or {},
    )


def _is_graphql(answer: HttpAnswer) -> bool:
    """Whether a response other than 200 may be a GraphQL answer: a proxy's own error page is none."""
    return answer.content_type.partition(";")[0].strip().lower() in (GRAPHQL_RESPONSE, JSON)


def _is_away(answer: HttpAnswer) -> bool:
    """Whether something before the subgraph answered in its stead (RFC 9110 §15.6)."""
    return answer.status in (502, 503, 504) and not _is_graphql(answer)
