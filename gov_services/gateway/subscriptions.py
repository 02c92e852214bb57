"""A subscription: let in once, then decided, executed and logged anew for each event. It knows no protocol."""

from __future__ import annotations

from gov_services.federation.engine import Engine
from gov_services.federation.transports import SubgraphUnavailable
from gov_services.gateway.events import EventStream, FindsEvents, LiveUnavailable
from gov_services.gateway.messages import GraphQLAnswer, GraphQLRequest
from gov_services.gateway.pipeline import Admitted, Event, Pipeline


class Ended(Exception):
    """The subscription would not be let in any more. `answer`: why."""

    def __init__(self, answer: GraphQLAnswer) -> None:
        super().__init__(answer.code)
        self.answer = answer


class Subscription:
    """An open one. Close it when done."""

    def __init__(self, pipeline: Pipeline, request: GraphQLRequest, events: EventStream) -> None:
        self._pipeline = pipeline
        self._request = request
        self._events = events

    async def next(self) -> GraphQLAnswer | None:
        """The next answer; None where there will be no more. Raises Ended, LiveUnavailable.

        An event that has nothing to tell (the subgraph says null, and no error) is passed over.
        """
        while (event := await self._events.next()) is not None:
            answer, is_refused = await self._pipeline.answer_event(self._request, event)
            if is_refused:
                raise Ended(answer)
            if "errors" in answer.body or any(value is not None for value in (answer.body.get("data") or {}).values()):
                return answer
        return None

    async def aclose(self) -> None:
        """Listen no more."""
        await self._events.aclose()


class Subscriptions:
    """Opens them."""

    def __init__(self, pipeline: Pipeline, source: FindsEvents) -> None:
        self._pipeline = pipeline
        self._source = source

    async def open(self, request: GraphQLRequest) -> GraphQLAnswer | Subscription:
        """A subscription; for a question, or where it is refused, the one answer there is. Never raises."""
        attempt = self._pipeline.attempt(request)
        try:
            admitted = await self._pipeline.admit(attempt)
            if admitted.prepared.kind != "subscription":
                return await self._pipeline.execute(admitted)
            return Subscription(self._pipeline, request, await self._source.open(admitted))
        except Exception as error:  # noqa: BLE001  the front door answers whatever happens
            return await self._pipeline.answer_failed(attempt, error)


class FromSubgraphs:
    """Events as the subgraphs themselves stream them; for the engine alone. See gateway.live.FindsEvents."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def open(self, admitted: Admitted) -> EventStream:
        """See FindsEvents."""
        return _Streamed(self._engine, admitted)


class _Streamed:
    """One subgraph's stream. See gateway.live.EventStream."""

    def __init__(self, engine: Engine, admitted: Admitted) -> None:
        self._responses = engine.events(admitted.prepared, inputs=admitted.inputs, context=admitted.call)

    async def next(self) -> Event | None:
        """See EventStream. Raises LiveUnavailable."""
        try:
            return Event(response=await anext(self._responses))
        except StopAsyncIteration:
            return None
        except SubgraphUnavailable:
            raise LiveUnavailable from None

    async def aclose(self) -> None:
        """See EventStream."""
        await self._responses.aclose()
