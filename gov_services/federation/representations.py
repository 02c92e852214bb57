"""Objects of the answer become representations, by which a subgraph knows them again. It calls nobody.

Source: Apollo Federation subgraph specification, `_entities(representations: [_Any!]!)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import orjson

from gov_services.federation.merging import Object, Path, objects_at, places_at
from gov_services.federation.planner.conditions import ALWAYS, Conditions, hold
from gov_services.federation.planner.fetches import Need
from gov_services.federation.planner.plan import Part, Representation, Target

_MISSING: Any = object()
Maker = Callable[[Object], Object | None]
"""Makes an object's representation; None where the slow way must be asked."""


@dataclass(slots=True)
class Entities:
    """One part's representations, each once and encoded, and the objects that each stands for."""

    part: Part
    representations: list[Object] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)
    objects: list[list[Object]] = field(default_factory=list)

    def places(self, root: Object) -> list[list[Path]]:
        """Where the objects of each representation stand. Walked again: it is asked for when something went wrong."""
        found: dict[int, Path] = {}
        for target in self.part.targets:
            for value, path in places_at(root, target.path):
                found[id(value)] = path
        return [[found[id(value)] for value in objects if id(value) in found] for objects in self.objects]


def collect(part: Part, root: Object, variables: Mapping[str, Any], failed: Set[Path]) -> Entities:
    """The representations of all objects that a part is about. `failed`: the places at or above errors."""
    entities = Entities(part)
    known: dict[bytes, int] = {}
    for target in part.targets:
        found = _made_with_care(target, root, variables, failed) if failed else _made(target, root, variables)
        for value, representation in found:
            text = orjson.dumps(representation)
            index = known.setdefault(text, len(known))
            if index == len(entities.encoded):
                entities.representations.append(representation)
                entities.encoded.append(text)
                entities.objects.append([])
            entities.objects[index].append(value)
    return entities


def _made(target: Target, root: Object, variables: Mapping[str, Any]) -> Iterator[tuple[Object, Object]]:
    """Object and representation, where no error is about."""
    for value in objects_at(root, target.path):
        typename = value.get("__typename") or target.type_name
        for maker, item in _makers(target, typename):
            representation = None if maker is None else maker(value)
            if representation is None:
                representation = _represent(value, typename, item, variables, _Place((), frozenset()))
            if representation is not None:
                yield value, representation


def _made_with_care(
    target: Target, root: Object, variables: Mapping[str, Any], failed: Set[Path]
) -> Iterator[tuple[Object, Object]]:
    """The same where some nulls were left by errors, and so are no values."""
    for value, path in places_at(root, target.path):
        typename = value.get("__typename") or target.type_name
        for _, item in _makers(target, typename):
            representation = _represent(value, typename, item, variables, _Place(path, failed))
            if representation is not None:
                yield value, representation


def _makers(target: Target, typename: str | None) -> list[tuple[Maker | None, Representation]]:
    """What an object of a type is sent as."""
    found = target.makers.get(typename)
    if found is None:
        found = target.makers[typename] = [
            (_maker(item, typename), item)
            for item in target.representations
            # Without a name the object can only be known as what it is not: an interface object.
            if (item.type_name not in item.types if typename is None else typename in item.types)
        ]
    return found


def _maker(item: Representation, typename: str | None) -> Maker | None:
    """The fast way for a representation of plain fields, all of them there; None where it has others."""
    if typename is None:
        return None
    needs = [need for types, need in item.keys if typename in types]
    needs += [need for types, need, _ in item.needs if typename in types]
    if any(need.parts is not None for need in needs) or any(when != ALWAYS for _, _, when in item.needs):
        return None
    keys = tuple(need.key for need in needs)
    names = ("__typename", *(need.name for need in needs))
    named = item.type_name if item.is_interface_object else typename
    if not keys:
        return lambda _: {"__typename": named}
    get = itemgetter(*keys) if len(keys) > 1 else _one(keys[0])

    def make(value: Object) -> Object | None:
        try:
            values = get(value)
        except KeyError:
            return None
        return None if None in values else dict(zip(names, (named, *values), strict=True))

    return make


def _one(key: str) -> Callable[[Object], tuple[Any, ...]]:
    return lambda value: (value[key],)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands."""

    path: Path
    failed: Set[Path]

    def at(self, step: str | int) -> _Place:
        """One step on."""
        return _Place((*self.path, step), self.failed) if self.failed else self


def _represent(
    value: Object, typename: str | None, item: Representation, variables: Mapping[str, Any], place: _Place
) -> Object | None:
    """The representation of an object; None where a key is not there, so that it cannot be named."""
    found = _fields(value, typename, item, lambda conditions: hold(conditions, variables), place)
    if found is None:
        return None
    own = item.is_interface_object or typename is None
    return {"__typename": item.type_name if own else typename, **found}


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
