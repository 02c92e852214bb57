"""Runs a plan: each fetch as soon as those before it are done, answers merged into one tree. It plans nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from gov_services.federation.merging import Object, Path, merge, merge_copy, places_at, renamed
from gov_services.federation.planner.conditions import ALWAYS, hold
from gov_services.federation.planner.plan import Fetch, Plan
from gov_services.federation.representations import Entities, collect
from gov_services.federation.transports import SubgraphRequest, SubgraphResponse, SubgraphUnavailable, Transport

UNAVAILABLE = "SERVICE_UNAVAILABLE"


class Execution:
    """One run of a plan. `data` is the merged tree, with what the client did not ask for still in it."""

    def __init__(
        self,
        plan: Plan,
        transports: Mapping[str, Transport],
        *,
        sent: Mapping[str, Any],
        coerced: Mapping[str, Any],
        context: object,
        event: SubgraphResponse | None = None,
    ) -> None:
        self.data: Object = {}
        self.errors: list[dict[str, Any]] = []
        self.started = False
        self._failed: set[Path] = set()
        """Every place at or above an error: a null there is no value."""
        self._transports = transports
        self._sent = sent
        self._coerced = coerced
        self._context = context
        self._event = event
        """What the subgraph of a subscription's root field has said already."""
        self.extensions: list[Mapping[str, Any]] = []
        """What subgraphs said beside data and errors, in the order in which they answered."""
        self._plan = plan
        self._waiting = {item.id: len(item.depends_on) for item in plan.fetches}

    async def run(self) -> None:
        """Run all fetches. A subgraph that is away leaves nulls and an error; anything else that goes wrong raises."""
        try:
            await self._start([item for item in self._plan.fetches if not item.depends_on])
        except BaseExceptionGroup as failed:
            raise _first(failed) from failed

    async def _start(self, ready: list[Fetch]) -> None:
        """Start what is ready, and what becomes ready by it; the last of it in this very task: most plans are a row."""
        while ready:
            if len(ready) > 1:
                async with asyncio.TaskGroup() as tasks:
                    for item in ready[:-1]:
                        tasks.create_task(self._start([item]))
                    await self._start(ready[-1:])
                return
            current = ready[0]
            if current.conditions == ALWAYS or hold(current.conditions, self._coerced):
                sent = self._sent
                variables = {name: sent[name] for name in current.variables if name in sent} if sent else {}
                if current.is_entity_fetch:
                    await self._fetch_entities(current, variables)
                else:
                    await self._fetch_root(current, variables)
            ready = []
            for item in self._plan.next_after[current.id]:
                self._waiting[item.id] -= 1
                if self._waiting[item.id] == 0:
                    ready.append(item)

    async def _fetch_root(self, item: Fetch, variables: dict[str, Any]) -> None:
        places = list(places_at(self.data, item.target.path))
        if not places:
            return
        response = self._event or await self._send(item, variables, _body(item, variables, ()))
        if response is None:
            for _, path in places:
                for key, conditions in item.keys:
                    if hold(conditions, self._coerced):
                        self._add_error(_AWAY, (*path, key))
            return
        if isinstance(response.data, dict):
            answer = renamed(response.data, item.renames)
            for number, (target, _) in enumerate(places):
                (merge_copy if number else merge)(target, answer)
        for error in response.errors:
            for _, path in places:
                self._add_error(error, (*path, *_named(error.get("path") or (), item)))

    async def _fetch_entities(self, item: Fetch, variables: dict[str, Any]) -> None:
        found = [collect(part, self.data, self._coerced, self._failed) for part in item.parts]
        if not any(entities.objects for entities in found):
            return
        response = await self._send(item, variables, _body(item, variables, found))
        if response is None:
            self._add_error(_AWAY, _common([place for entities in found for place in self._places(entities)]))
            return
        data = response.data if isinstance(response.data, dict) else {}
        for entities in found:
            answers = data.get(entities.part.key)
            if not isinstance(answers, list):
                continue
            for answer, objects in zip(answers, entities.objects, strict=False):
                if type(answer) is not dict:
                    continue  # null: there is no such entity
                if item.renames:
                    answer = renamed(answer, item.renames)
                if len(objects) > 1:
                    for target in objects[1:]:
                        merge_copy(target, answer)
                target = objects[0]
                if target.keys().isdisjoint(answer):  # as `merge` would; a call less for each entity
                    target.update(answer)
                else:
                    merge(target, answer)
        for error in response.errors:
            self._add_entity_error(error, item, found)

    async def _send(self, item: Fetch, variables: dict[str, Any], body: bytes) -> SubgraphResponse | None:
        """A fetch's answer; None where the subgraph gave none."""
        request = request_of(item, variables, body)
        self.started = True
        transport = self._transports.get(item.subgraph)
        if transport is None:
            return None
        try:
            response = await transport.fetch(request, context=self._context)
        except SubgraphUnavailable:
            return None
        if response.extensions:
            self.extensions.append(response.extensions)
        return response

    # Errors

    def _places(self, entities: Entities) -> list[Path]:
        return [path for paths in entities.places(self.data) for path in paths]

    def _add_entity_error(self, error: Mapping[str, Any], item: Fetch, found: list[Entities]) -> None:
        """An error at one entity is one at every place where that entity stands."""
        path = list(error.get("path") or ())
        entities = next((part for part in found if path and part.part.key == path[0]), None)
        if entities is None or len(path) < 2 or not isinstance(path[1], int) or path[1] >= len(entities.objects):
            self._add_error(error, _common([place for part in found for place in self._places(part)]))
            return
        for place in entities.places(self.data)[path[1]]:
            self._add_error(error, (*place, *_named(path[2:], item)))

    def _add_error(self, error: Mapping[str, Any], path: Path) -> None:
        item: dict[str, Any] = {"message": str(error.get("message", "")), "path": list(path)}
        if error.get("extensions"):
            item["extensions"] = dict(error["extensions"])
        self.errors.append(item)
        self._failed |= {path[:length] for length in range(1, len(path) + 1)}


def request_of(item: Fetch, variables: dict[str, Any], body: bytes | None = None) -> SubgraphRequest:
    """A fetch, for a transport to carry."""
    return SubgraphRequest(
        subgraph=item.subgraph,
        document=item.document,
        document_hash=item.document_hash,
        operation_kind=item.operation_kind,
        variables=variables,
        body=_body(item, variables, ()) if body is None else body,
    )


_AWAY = {"message": "A service is unavailable.", "extensions": {"code": UNAVAILABLE}}


def _body(item: Fetch, variables: dict[str, Any], found: Iterable[Entities]) -> bytes:
    """The request's body."""
    for entities in found:
        variables[entities.part.variable] = entities.representations
    return b'{"query":%b,"variables":%b}' % (item.encoded_document, orjson.dumps(variables))


def _named(path: Iterable[str | int], item: Fetch) -> Path:
    return tuple(item.renames.get(step, step) if isinstance(step, str) else step for step in path)


def _common(places: list[Path]) -> Path:
    """The path that all places have in common."""
    if not places:
        return ()
    first = places[0]
    length = next(
        (index for index, step in enumerate(first) if any(place[index : index + 1] != (step,) for place in places)),
        len(first),
    )
    return first[:length]


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = failed
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
