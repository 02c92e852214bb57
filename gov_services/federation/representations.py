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
AddTexts = Callable[[list[Object], dict[Any, list[Object]], list[list[Object]], list[Object]], Iterator[Object]]
_NO_ERRORS: Set[Path] = frozenset()


@dataclass(slots=True)
class Entities:
    """One part's representations, each once, and the objects that each stands for."""

    part: Part
    representations: list[Object] = field(default_factory=list)
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
    known: dict[object, Any] = {}
    for target in part.targets:
        if failed:
            for value, path in places_at(root, target.path):
                typename = value.get("__typename") or target.type_name
                for maker in _makers(target, typename):
                    _add_slowly(entities, known, value, maker, variables, _Place(path, failed))
        else:
            _add_all(entities, known, objects_at(root, target.path), target, variables)
    return entities


def _add_all(
    entities: Entities,
    known: dict[object, Any],
    values: list[Object],
    target: Target,
    variables: Mapping[str, Any],
) -> None:
    """Add the objects of a target, where no error is about."""
    if target.type_name is not None:
        for maker in _makers(target, target.type_name):
            if maker.add_texts is None:
                _add(entities, known, values, maker, variables)
                continue
            told_apart = known.setdefault(maker.id, {})
            for value in maker.add_texts(values, told_apart, entities.objects, entities.representations):
                _add(entities, known, [value], maker, variables)
        return
    for value in values:
        for maker in _makers(target, value.get("__typename")):
            _add(entities, known, [value], maker, variables)


def _add(
    entities: Entities, known: dict[object, Any], values: list[Object], maker: _Maker, variables: Mapping[str, Any]
) -> None:
    """Add plain objects by what tells them apart; a representation is made of each that is new."""
    get, names, named = maker.get, maker.names, maker.named
    told_apart = known.setdefault(maker.id, {})
    for value in values:
        try:
            row = get(value)
            # Types too: 1, 1.0 and True are equal here, but not where they go to.
            key = None if row is None or None in row else (*row, *map(type, row))
            objects = None if key is None else told_apart.get(key)
        except (KeyError, TypeError):  # not all of it is there, or a list or an object, which has no hash
            key = row = None
        if key is None or row is None:
            _add_slowly(entities, known, value, maker, variables, _Place((), _NO_ERRORS))
            continue
        if objects is None:
            told_apart[key] = objects = []
            entities.objects.append(objects)
            entities.representations.append(dict(zip(names, (named, *row), strict=True)))
        objects.append(value)


def _add_slowly(
    entities: Entities,
    known: dict[object, Any],
    value: Object,
    maker: _Maker,
    variables: Mapping[str, Any],
    place: _Place,
) -> None:
    """The same for any object, told apart by its representation's text."""
    representation = _represent(value, maker.typename, maker.item, variables, place)
    if representation is None:
        return
    text = orjson.dumps(representation)
    objects = known.get(text)
    if objects is None:
        known[text] = objects = []
        entities.objects.append(objects)
        entities.representations.append(representation)
    objects.append(value)


@dataclass(frozen=True, slots=True, eq=False)
class _Maker:
    """How objects of one type are sent. `get` reads a plain one's values; `names` say what they are called."""

    item: Representation
    typename: str | None
    named: str
    names: tuple[str, ...]
    get: Callable[[Object], tuple[Any, ...] | None]
    id: tuple[str, tuple[str, ...]]
    add_texts: AddTexts | None
    """The usual case, and so the one that must cost least: adds objects of one type that plain texts tell apart."""


def _makers(target: Target, typename: str | None) -> list[_Maker]:
    """What an object of a type is sent as."""
    found = target.makers.get(typename)
    if found is None:
        found = target.makers[typename] = [
            _maker(item, typename)
            for item in target.representations
            # Without a name the object can only be known as what it is not: an interface object.
            if (item.type_name not in item.types if typename is None else typename in item.types)
        ]
    return found


def _maker(item: Representation, typename: str | None) -> _Maker:
    needs = [need for types, need in item.keys if typename is None or typename in types]
    needs += [need for types, need, _ in item.needs if typename is None or typename in types]
    is_plain = all(need.parts is None for need in needs) and all(when == ALWAYS for _, _, when in item.needs)
    named = item.type_name if item.is_interface_object or typename is None else typename
    names = ("__typename", *(need.name for need in needs))
    get = _getter(tuple(need.key for need in needs)) if is_plain else _not_plain
    add_texts = _adding(named, [(need.name, need.key) for need in needs]) if is_plain and needs else None
    return _Maker(item, typename, named, names, get, (named, names), add_texts)


def _adding(named: str, needs: list[tuple[str, str]]) -> AddTexts:
    """A function that does what `_add` does where all values are texts; it yields the objects whose values are not.

    It is written as Python once for each way to send a type: names of GraphQL's are all that gets into it, as literals.
    """
    values = [f"v{number}" for number in range(len(needs))]
    key = values[0] if len(values) == 1 else f"({', '.join(values)})"
    parts = ", ".join(f"{name!r}: {value}" for (name, _), value in zip(needs, values, strict=True))
    lines = [
        "def add_texts(objects, told_apart, found, representations):",
        " for item in objects:",
        *(f"  {value} = item.get({place!r})" for (_, place), value in zip(needs, values, strict=True)),
        f"  if {' or '.join(f'type({value}) is not str' for value in values)}:",
        "   yield item",
        "   continue",
        f"  known = told_apart.get({key})",
        "  if known is None:",
        f"   told_apart[{key}] = known = []",
        "   found.append(known)",
        f"   representations.append({{'__typename': {named!r}, {parts}}})",
        "  known.append(item)",
    ]
    made: dict[str, Any] = {}
    exec("\n".join(lines), made)  # noqa: S102  names of GraphQL's, as literals
    add_texts: AddTexts = made["add_texts"]
    return add_texts


def _getter(keys: tuple[str, ...]) -> Callable[[Object], tuple[Any, ...] | None]:
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda value: tuple([value[key] for key in keys])


def _not_plain(_: Object) -> None:
    return None


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
