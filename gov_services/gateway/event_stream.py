"""GraphQL over server-sent events: the protocol graphql-sse, one connection an operation. It decides no request.

Source: "distinct connections mode" of the protocol's text in the repository enisdenjo/graphql-sse (PROTOCOL.md). A
stream that ends without `complete` was cut: the client asks how things stand, and opens another.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from typing import Any

import orjson
import structlog

from gov_services.gateway.events import LiveUnavailable
from gov_services.gateway.messages import GraphQLAnswer
from gov_services.gateway.subscriptions import Ended, Subscription
from gov_services.kit.errors import Unauthenticated
from gov_services.kit.rates import TooManyRequests
from gov_services.kit.tasks import end_tasks

EVENT_STREAM = "text/event-stream"
HEARTBEAT_S = 12.0
"""A comment so often: proxies close what is silent, and a client that is gone is noticed by what cannot be sent."""
RETRY_AFTER_S = 30
COMPLETE = b"event: complete\ndata:\n\n"
_log = structlog.get_logger("gov_services.gateway")


class Streams:
    """The streams of this process: `most` at once, and `most_a_caller` of each caller."""

    def __init__(self, most: int = 2_000, most_a_caller: int = 10) -> None:
        self.most, self.most_a_caller = most, most_a_caller
        self.open = 0
        self._callers: Counter[str] = Counter()

    def require_room(self, caller: str) -> None:
        """Raises LiveUnavailable, TooManyRequests where another would be one too many."""
        if self.open >= self.most:
            raise LiveUnavailable
        if self._callers[caller] >= self.most_a_caller:
            raise TooManyRequests(retry_after_s=RETRY_AFTER_S)

    async def carry(
        self,
        opened: GraphQLAnswer | Subscription,
        receive: Any,
        send: Any,
        *,
        caller: str,
        headers: list[tuple[bytes, bytes]],
        left: dt.timedelta | None,
    ) -> None:
        """Send all answers, and close the subscription. `left`: how long the client's token is good for."""
        self.open += 1
        self._callers[caller] += 1
        try:
            headers = [(b"content-type", b"text/event-stream; charset=utf-8"), *headers]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if isinstance(opened, GraphQLAnswer):
                await _say(send, _next(opened) + COMPLETE, more=False)
                return
            async with asyncio.timeout(left.total_seconds() if left is not None else None):
                await _until_gone(receive, _tell(opened, send))
        except (TimeoutError, LiveUnavailable):
            # Not complete: the client comes again, with a token that is good, and has missed nothing that it knows of.
            await _say(send, b"", more=False)
        finally:
            self.open -= 1
            self._callers[caller] -= 1
            if self._callers[caller] == 0:
                del self._callers[caller]
            if isinstance(opened, Subscription):
                await opened.aclose()


async def _tell(subscription: Subscription, send: Any) -> None:
    waiting = asyncio.ensure_future(subscription.next())
    try:
        await _say(send, b":\n\n")
        while True:
            await asyncio.wait({waiting}, timeout=HEARTBEAT_S)
            if not waiting.done():
                await _say(send, b":\n\n")
                continue
            try:
                answer = waiting.result()
            except Ended as ended:
                if ended.answer.code == Unauthenticated.code:
                    await _say(send, b"", more=False)
                    return
                await _say(send, _next(ended.answer) + COMPLETE, more=False)
                return
            if answer is None:
                await _say(send, COMPLETE, more=False)
                return
            await _say(send, _next(answer))
            waiting = asyncio.ensure_future(subscription.next())
    finally:
        await end_tasks([waiting])


async def _until_gone(receive: Any, telling: Any) -> None:
    """Run `telling` to its end, or until the client goes."""
    task, gone = asyncio.ensure_future(telling), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        await end_tasks([task, gone])


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _next(answer: GraphQLAnswer) -> bytes:
    return b"event: next\ndata: %b\n\n" % orjson.dumps(answer.body)


async def _say(send: Any, content: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": more})
