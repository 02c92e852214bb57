"""Answers of subgraphs become one tree, and the objects of a position are found in it. It calls nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gov_services.federation.planner.plan import Step

Path = tuple[str | int, ...]
Object = dict[str, Any]


def objects_at(root: Object, path: tuple[Step, ...]) -> list[Object]:
    """All objects at a position, in the order of the answer. Where they stand is `places_at`'s, which costs more."""
    level = [root]
    for step in path:
        key, types, found = step.key, step.types, []
        for value in level:
            if types is not None:
                known = value.get("__typename")
                if known is not None and known not in types:
                    continue
            child = value.get(key)
            if isinstance(child, dict):
                found.append(child)
            elif isinstance(child, list):
                _flatten(child, found)
        level = found
    return level


def _flatten(values: list[Any], found: list[Object]) -> None:
    for value in values:
        if isinstance(value, dict):
            found.append(value)
        elif isinstance(value, list):
            _flatten(value, found)


def places_at(root: Object, path: tuple[Step, ...]) -> Iterator[tuple[Object, Path]]:
    """What `objects_at` finds, each with its path in the answer."""
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


def merge(target: Object, source: Mapping[str, Any]) -> None:
    """Add an answer's fields to an object, which takes them over as they are. A null never replaces a value."""
    if target.keys().isdisjoint(source):
        target.update(source)
        return
    for key, value in source.items():
        known = target.get(key)
        if known is None:
            target[key] = value
        elif isinstance(known, dict):
            if isinstance(value, dict):
                merge(known, value)
        elif isinstance(known, list):
            if isinstance(value, list) and len(known) == len(value):
                _merge_lists(known, value)
        elif value is not None:
            target[key] = value


def _merge_lists(target: list[Any], source: list[Any]) -> None:
    for index, value in enumerate(source):
        known = target[index]
        if known is None:
            target[index] = value
        elif isinstance(known, dict):
            if isinstance(value, dict):
                merge(known, value)
        elif isinstance(known, list) and isinstance(value, list) and len(known) == len(value):
            _merge_lists(known, value)


def merge_copy(target: Object, source: Mapping[str, Any]) -> None:
    """The same with a copy of the answer, which stands at another place too; the two may then grow apart."""
    merge(target, copied(source))


def copied(value: Any) -> Any:
    """A value that shares no object and no list with this one."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
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
