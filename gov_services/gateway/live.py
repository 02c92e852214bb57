"""Listens in Valkey for what has changed, on behalf of the sockets of this process. It answers nothing itself.

One connection a process: a channel for each citizen who listens here. What a channel brings names a subscription's
root field and the id of what changed. It is no secret and proves nothing: each event is decided where the data lies.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from uuid import UUID

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gov_services.gateway.events import LiveUnavailable
from gov_services.gateway.pipeline import Admitted, Event
from gov_services.kit.actor import ActorKind
from gov_services.kit.errors import Unauthenticated
from gov_services.kit.live import channel_of
from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, SelectionSetNode

MOST_PENDING = 100
"""Things that may have changed since a client last took an answer; whoever is further behind has to ask anew."""
PING_S = 2.0
CONFIRMED_WITHIN_S = 1.0
AGAIN_S = 0.5
_OURS = "live"
"""A channel that nobody tells anything on: it keeps the connection in the state that the others are added in."""
_log = structlog.get_logger("gov_services.gateway")


class Waiting:
    """One subscription's wait: each thing that changed once, however slow its client. See EventStream."""

    def __init__(self, live: Live, channel: str, field: str) -> None:
        self.field = field
        self._live, self._channel = live, channel
        self._pending: dict[UUID, None] = {}
        self._came = asyncio.Event()
        self._lost = False

    def tell(self, about: UUID) -> None:
        """Something has changed; told twice before it is asked about, it is one change."""
        self._pending[about] = None
        if len(self._pending) > MOST_PENDING:
            self.lose()
        self._came.set()

    def lose(self) -> None:
        """What has changed since may not be known."""
        self._lost = True
        self._came.set()

    async def next(self) -> Event | None:
        """See EventStream. Raises LiveUnavailable."""
        while not self._pending and not self._lost:
            self._came.clear()
            await self._came.wait()
        if self._lost:
            raise LiveUnavailable
        about = next(iter(self._pending))
        del self._pending[about]
        return Event(about=about)

    async def aclose(self) -> None:
        """See EventStream."""
        self._live.leave(self._channel, self)


class Live:
    """The one listener of a process. See FindsEvents."""

    def __init__(self, valkey: Redis) -> None:
        """`valkey`: a client of its own, which tries nothing twice (`kit.valkey.create_listener`)."""
        self._valkey = valkey
        self._channels: dict[str, set[Waiting]] = {}
        self._confirmed: dict[str, asyncio.Future[None]] = {}
        self._commands: asyncio.Queue[tuple[bool, str]] = asyncio.Queue()
        """Channels to add (True) and to take away, in that order."""
        self._is_connected = False
        self._task: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        """Subscriptions that wait."""
        return sum(map(len, self._channels.values()))

    async def start(self) -> None:
        """Connect, and go on connecting for as long as it runs."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="live")

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._valkey.aclose()

    async def open(self, admitted: Admitted) -> Waiting:
        """See FindsEvents: a citizen's own changes. Raises Unauthenticated, LiveUnavailable."""
        actor = admitted.call.actor
        if actor.kind is not ActorKind.CITIZEN or actor.id is None:
            raise Unauthenticated
        channel = channel_of(actor.id)
        waiting = Waiting(self, channel, root_field(admitted))
        listeners = self._channels.setdefault(channel, set())
        listeners.add(waiting)
        try:
            await self._confirm(channel)
        except BaseException:
            self.leave(channel, waiting)
            raise
        return waiting

    def leave(self, channel: str, waiting: Waiting) -> None:
        """A subscription ends; the last of a citizen's ends listening to them."""
        listeners = self._channels.get(channel, set())
        listeners.discard(waiting)
        if listeners or channel not in self._channels:
            return
        del self._channels[channel]
        self._confirmed.pop(channel, None)
        if self._is_connected:
            self._commands.put_nowait((False, channel))

    async def _confirm(self, channel: str) -> None:
        """Return once Valkey has said that it will tell. Raises LiveUnavailable."""
        known = self._confirmed.get(channel)
        if known is None:
            if not self._is_connected:
                raise LiveUnavailable
            known = self._confirmed[channel] = asyncio.get_running_loop().create_future()
            self._commands.put_nowait((True, channel))
        try:
            async with asyncio.timeout(CONFIRMED_WITHIN_S):
                await asyncio.shield(known)
        except (TimeoutError, asyncio.CancelledError) as ended:
            if isinstance(ended, asyncio.CancelledError) and not known.cancelled():
                raise
            raise LiveUnavailable from None

    async def _run(self) -> None:
        while True:
            pubsub = self._valkey.pubsub()
            try:
                await pubsub.subscribe(_OURS)
                self._is_connected = True
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._listen(pubsub))
                    tasks.create_task(self._obey(pubsub))
            except* (RedisError, OSError, TimeoutError) as away:
                _log.warning("changes cannot be listened for", problem=type(away.exceptions[0]).__name__)
            finally:
                self._is_connected = False
                self._commands = asyncio.Queue()
                self._lose_all()
                with contextlib.suppress(RedisError, OSError):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py gives it no types
            await asyncio.sleep(AGAIN_S)

    async def _obey(self, pubsub: Any) -> None:
        """Add channels and take them away, one after the other, whoever goes in between."""
        commands = self._commands
        while True:
            adds, channel = await commands.get()
            if adds:
                await pubsub.subscribe(channel)
            elif channel not in self._channels:  # somebody may listen there again by now
                await pubsub.unsubscribe(channel)

    async def _listen(self, pubsub: Any) -> None:
        """Take what comes. Raises TimeoutError for a server that has gone silent."""
        is_asked = False
        while True:
            message = await pubsub.get_message(timeout=PING_S)
            if message is None:
                if is_asked:
                    raise TimeoutError
                await pubsub.ping()
                is_asked = True
                continue
            is_asked = False
            channel = message["channel"].decode() if message.get("channel") else ""
            if message["type"] == "subscribe" and (known := self._confirmed.get(channel)) and not known.done():
                known.set_result(None)
            elif message["type"] == "message":
                self._tell(channel, message["data"])

    def _tell(self, channel: str, content: bytes) -> None:
        try:
            told = orjson.loads(content)
            field, about = told["field"], UUID(told["object"])
        except (ValueError, KeyError, TypeError, AttributeError):
            _log.warning("what was told of a change cannot be read")
            return
        for waiting in self._channels.get(channel, ()):
            if waiting.field == field:
                waiting.tell(about)

    def _lose_all(self) -> None:
        for known in self._confirmed.values():
            known.cancel()
        self._confirmed.clear()
        for listeners in self._channels.values():
            for waiting in listeners:
                waiting.lose()


def root_field(admitted: Admitted) -> str:
    """Name of the one field that a subscription asks for, through whatever fragments (GraphQL §5.2.3.1)."""
    fragments = {
        item.name.value: item
        for item in admitted.prepared.document.definitions
        if isinstance(item, FragmentDefinitionNode)
    }
    selections: SelectionSetNode = admitted.prepared.operation.selection_set
    while True:
        first = selections.selections[0]
        if isinstance(first, FieldNode):
            return first.name.value
        inside = fragments[first.name.value] if isinstance(first, FragmentSpreadNode) else first
        selections = inside.selection_set  # type: ignore[union-attr]  # an inline fragment has one, as a fragment has
