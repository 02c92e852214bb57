"""Runs a plan: each fetch as soon as those before it are done, answers merged into one tree. It plans nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gov_services.federation.merging import Object, Path, merge, objects_at, renamed, represent
from gov_services.federation.planner.conditions import hold
from gov_services.federation.planner.plan import Fetch, Part, Plan
from gov_services.federation.transports import SubgraphRequest, SubgraphResponse, SubgraphUnavailable, Transport

UNAVAILABLE = "SERVICE_UNAVAILABLE"
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Entities:
    """One part's representations, each once, and the objects that each stands for."""

    part: Part
    representations: list[Object] = field(default_factory=list)
    objects: list[list[tuple[Object, Path]]] = field(default_factory=list)


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
        self._plan = plan
        self._waiting = {item.id: len(item.depends_on) for item in plan.fetches}
        self._next: dict[int, list[Fetch]] = {item.id: [] for item in plan.fetches}
        for item in plan.fetches:
            for before in item.depends_on:
                self._next[before].append(item)

    async def run(self) -> None:
        """Run all fetches. A subgraph that is away leaves nulls and an error; anything else that goes wrong raises."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._start([item for item in self._plan.fetches if not item.depends_on], tasks)
        except BaseExceptionGroup as failed:
            raise _first(failed) from failed

    async def _start(self, ready: list[Fetch], tasks: asyncio.TaskGroup) -> None:
        """Start what is ready; the last of it in this very task, as most plans are a single row."""
        while ready:
            for item in ready[:-1]:
                tasks.create_task(self._start([item], tasks))
            current = ready[-1]
            await self._fetch(current)
            ready = []
            for item in self._next[current.id]:
                self._waiting[item.id] -= 1
                if self._waiting[item.id] == 0:
                    ready.append(item)

    async def _fetch(self, item: Fetch) -> None:
        if not hold(item.conditions, self._coerced):
            return
        variables = {name: self._sent[name] for name in item.variables if name in self._sent}
        if item.is_entity_fetch:
            await self._fetch_entities(item, variables)
            return
        places = list(objects_at(self.data, item.target.path))
        if places:
            await self._fetch_root(item, variables, places)

    async def _fetch_root(self, item: Fetch, variables: dict[str, Any], places: list[tuple[Object, Path]]) -> None:
        response = await self._send(item, variables, [path for _, path in places])
        if response is None:
            return
        for target, path in places:
            if isinstance(response.data, Mapping):
                merge(target, renamed(response.data, item.renames))
            for error in response.errors:
                self._add_error(error, (*path, *_named(error.get("path") or (), item)))

    async def _fetch_entities(self, item: Fetch, variables: dict[str, Any]) -> None:
        found = [self._collect(part) for part in item.parts]
        if not any(entities.representations for entities in found):
            return
        for entities in found:
            variables[entities.part.variable] = entities.representations
        places = [path for entities in found for objects in entities.objects for _, path in objects]
        response = await self._send(item, variables, places)
        if response is None:
            return
        data = response.data if isinstance(response.data, Mapping) else {}
        for entities in found:
            answers = data.get(entities.part.key)
            if isinstance(answers, list):
                for answer, objects in zip(answers, entities.objects, strict=False):
                    if isinstance(answer, Mapping):
                        named = renamed(answer, item.renames)
                        for target, _ in objects:
                            merge(target, named)
        for error in response.errors:
            self._add_entity_error(error, item, found, places)

    def _collect(self, part: Part) -> _Entities:
        entities = _Entities(part)
        known: dict[bytes, int] = {}
        for target in part.targets:
            for value, path in objects_at(self.data, target.path):
                for representation in represent(value, target, self._coerced, path, self._failed):
                    text = _encode(representation)
                    index = known.setdefault(text, len(known))
                    if index == len(entities.representations):
                        entities.representations.append(representation)
                        entities.objects.append([])
                    entities.objects[index].append((value, path))
        return entities

    async def _send(self, item: Fetch, variables: dict[str, Any], places: list[Path]) -> SubgraphResponse | None:
        request = SubgraphRequest(
            subgraph=item.subgraph,
            document=item.document,
            document_hash=item.document_hash,
            operation_kind=item.operation_kind,
            variables=variables,
        )
        self.started = True
        try:
            transport = self._transports.get(item.subgraph)
            if transport is None:
                raise SubgraphUnavailable(item.subgraph)
            return await transport.fetch(request, context=self._context)
        except SubgraphUnavailable:
            error = {"message": "A service is unavailable.", "extensions": {"code": UNAVAILABLE}}
            if item.is_entity_fetch:
                self._add_error(error, _common(places))
            for place in () if item.is_entity_fetch else places:
                for key, conditions in item.keys:
                    if hold(conditions, self._coerced):
                        self._add_error(error, (*place, key))
            return None

    # Errors

    def _add_entity_error(
        self, error: Mapping[str, Any], item: Fetch, found: list[_Entities], places: list[Path]
    ) -> None:
        """An error at one entity is one at every place where that entity stands."""
        path = list(error.get("path") or ())
        entities = next((part for part in found if path and part.part.key == path[0]), None)
        if entities is None or len(path) < 2 or not isinstance(path[1], int) or path[1] >= len(entities.objects):
            self._add_error(error, _common(places))
            return
        for _, place in entities.objects[path[1]]:
            self._add_error(error, (*place, *_named(path[2:], item)))

    def _add_error(self, error: Mapping[str, Any], path: Path) -> None:
        item: dict[str, Any] = {"message": str(error.get("message", "")), "path": list(path)}
        if error.get("extensions"):
            item["extensions"] = dict(error["extensions"])
        self.errors.append(item)
        self._failed |= {path[:length] for length in range(1, len(path) + 1)}


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
