"""Answers of subgraphs become one tree, and objects of it become representations. It calls nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from gov_services.federation.planner.conditions import Conditions, hold
from gov_services.federation.planner.fetches import Need
from gov_services.federation.planner.plan import Representation, Step, Target

Path = tuple[str | int, ...]
Object = dict[str, Any]
_MISSING: Any = object()


def objects_at(root: Object, path: tuple[Step, ...]) -> Iterator[tuple[Object, Path]]:
    """All objects at a position, each with its path in the answer."""
    yield from _walk(root, path, 0, ())


def _walk(value: Any, path: tuple[Step, ...], index: int, here: Path) -> Iterator[tuple[Object, Path]]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _walk(item, path, index, (*here, number))
        return
    if not isinstance(value, dict):
        return
    if index == len(path):
        yield value, here
        return
    step = path[index]
    known = value.get("__typename")
    if step.types is None or known is None or known in step.types:
        yield from _walk(value.get(step.key), path, index + 1, (*here, step.key))


def represent(
    value: Object, target: Target, variables: Mapping[str, Any], path: Path, failed: Set[Path]
) -> Iterator[Object]:
    """The representations of the object at `path`; none where a key is not there, so that it cannot be named.

    `failed`: the places at or above errors, whose nulls are no values.
    """
    typename = value.get("__typename") or target.type_name
    for item in target.representations:
        if typename is None:
            if item.type_name in item.types:
                continue
        elif typename not in item.types:
            continue
        found = _fields(value, typename, item, lambda conditions: hold(conditions, variables), _Place(path, failed))
        if found is not None:
            own = item.is_interface_object or typename is None
            yield {"__typename": item.type_name if own else typename, **found}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands."""

    path: Path
    failed: Set[Path]

    def at(self, step: str | int) -> _Place:
        """One step on."""
        return _Place((*self.path, step), self.failed)


def _fields(
    value: Object, typename: str | None, item: Representation, holds: Callable[[Conditions], bool], place: _Place
) -> Object | None:
    found: Object = {}
    known = False
    for types, need in item.keys:
        if typename is None or typename in types:
            found[need.name] = part = _part(value.get(need.key, _MISSING), need, place.at(need.key))
            if part is _MISSING:
                return None
            known = known or part is not None
    if item.keys and not known:
        return None
    for types, need, conditions in item.needs:
        if typename is None or typename in types:
            part = _part(value.get(need.key, _MISSING), need, place.at(need.key))
            if part is not _MISSING:
                found[need.name] = part
            elif holds(conditions):
                # What it requires could not be had: no value is better than one computed without it.
                return None
    return found


def _part(value: Any, need: Need, place: _Place) -> Any:
    if value is None or value is _MISSING:
        # A null that an error left is not had: what required it would be computed from what nobody said.
        return _MISSING if place.path in place.failed else value
    if isinstance(value, list):
        parts = [_part(item, need, place.at(index)) for index, item in enumerate(value)]
        return _MISSING if any(part is _MISSING for part in parts) else parts
    if need.parts is None:
        return value
    typename = value.get("__typename")
    found: Object = {} if typename is None else {"__typename": typename}
    for types, nested in need.parts:
        if typename is None or typename in types:
            part = _part(value.get(nested.key, _MISSING), nested, place.at(nested.key))
            if part is _MISSING:
                return _MISSING
            found[nested.name] = part
    return found


def merge(target: Object, source: Mapping[str, Any]) -> None:
    """Add an answer's fields to an object. A null never takes the place of a value."""
    for key, value in source.items():
        known = target.get(key)
        if known is None:
            target[key] = _fresh(value)
        elif isinstance(known, dict) and isinstance(value, dict):
            merge(known, value)
        elif isinstance(known, list) and isinstance(value, list) and len(known) == len(value):
            _merge_lists(known, value)
        elif value is not None and not isinstance(known, dict | list):
            target[key] = value


def _merge_lists(target: list[Any], source: list[Any]) -> None:
    for index, value in enumerate(source):
        known = target[index]
        if known is None:
            target[index] = _fresh(value)
        elif isinstance(known, dict) and isinstance(value, dict):
            merge(known, value)
        elif isinstance(known, list) and isinstance(value, list) and len(known) == len(value):
            _merge_lists(known, value)


def _fresh(value: Any) -> Any:
    """A copy, as one entity of an answer may stand at many places that then grow apart."""
    if isinstance(value, dict):
        return {key: _fresh(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_fresh(item) for item in value]
    return value


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The answer under the response keys of the plan."""
    if not names:
        return value
    if isinstance(value, list):
        return [renamed(item, names) for item in value]
    if not isinstance(value, Mapping):
        return value
    found: Object = {}
    for key, item in value.items():
        name = names.get(key, key)
        if name in found and item is None:
            continue
        found[name] = renamed(item, names)
    return found
