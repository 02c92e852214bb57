"""The projection of an answer in which nothing went wrong: one closure an object type, made once. It reports nothing.

Whatever is not as it should be (a null where none may be, a value of another kind) raises `Irregular`: then
`projection.py` goes over the same tree again, and tells what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from gov_services.federation.planner.conditions import hold
from gov_services.federation.planner.normalize import TYPENAME
from graphql import (
    GraphQLAbstractType,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    is_abstract_type,
)

if TYPE_CHECKING:
    from gov_services.federation.projection import OutputField, Owner, Projector, Shape

Complete = Callable[[Any], Any]
"""Makes the answer's value of one that is not null. Raises Irregular."""


class Irregular(Exception):
    """The tree is not what the schema promises at some place."""


class CompiledProjection:
    """The closures for one operation and one choice of what its @skip and @include leave."""

    def __init__(self, projector: Projector, variables: Mapping[str, Any]) -> None:
        self._projector = projector
        self._variables = dict(variables)
        self.root: Complete = self._object(projector.shape, projector.root)

    def _object(self, shape: Shape, owner: Owner) -> Complete:
        fields = [item for item in self._projector.fields(shape, owner) if hold(item.conditions, self._variables)]
        if any(item.name != TYPENAME and item.type is None for item in fields):
            return _irregular  # introspection, which is answered elsewhere
        named = [item.key for item in fields if item.name == TYPENAME]
        if named and isinstance(owner, GraphQLInterfaceType):
            return _irregular
        read = [item for item in fields if item.name != TYPENAME]
        keys = tuple(item.key for item in read)
        get = _getter(keys)
        required = tuple(number for number, item in enumerate(read) if isinstance(item.type, GraphQLNonNull))
        nested = [(item.key, made) for item in read if (made := self._complete(item.type, item)) is not None]
        template = dict.fromkeys(item.key for item in fields)
        template.update(dict.fromkeys(named, owner.name))

        def complete(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise Irregular
            try:
                values = get(value)
            except KeyError:
                values = tuple([value.get(key) for key in keys])
            if None in values:
                for number in required:
                    if values[number] is None:
                        raise Irregular
            if named:
                answer: dict[str, Any] = template.copy()
                answer.update(zip(keys, values, strict=True))
            else:
                answer = dict(zip(keys, values, strict=True))
            for key, inner in nested:
                item = answer[key]
                if item is not None:
                    answer[key] = inner(item)
            return answer

        return complete

    def _complete(self, declared: GraphQLOutputType | None, item: OutputField) -> Complete | None:
        """How a value that is not null becomes the answer's; None where it does as it is."""
        if isinstance(declared, GraphQLNonNull):
            return self._complete(declared.of_type, item)
        if isinstance(declared, GraphQLList):
            inner = self._complete(declared.of_type, item)
            return _list(inner, is_required=isinstance(declared.of_type, GraphQLNonNull))
        if isinstance(declared, GraphQLEnumType):
            return _member(declared.values)
        if isinstance(declared, GraphQLObjectType):
            return self._object(item.shape, declared)
        if is_abstract_type(declared):
            return self._abstract(declared, item.shape)
        return None

    def _abstract(self, declared: GraphQLAbstractType, shape: Shape) -> Complete:
        known: dict[str | None, Complete] = {}

        def complete(value: Any) -> Any:
            name = value.get(TYPENAME) if type(value) is dict else None
            found = known.get(name)
            if found is None:
                owner = self._projector.runtime_type(declared, name)
                if owner is None:
                    raise Irregular
                found = known[name] = self._object(shape, owner)
            return found(value)

        return complete


def _irregular(_: Any) -> Any:
    raise Irregular


def _getter(keys: tuple[str, ...]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda value: tuple([value[key] for key in keys])


def _list(inner: Complete | None, *, is_required: bool) -> Complete:
    def check(value: Any) -> Any:
        if type(value) is not list or (is_required and None in value):
            raise Irregular
        return value

    if inner is None:
        return check

    def complete(value: Any) -> Any:
        return [None if item is None else inner(item) for item in check(value)]

    return complete


def _member(values: Mapping[str, Any]) -> Complete:
    def complete(value: Any) -> Any:
        if type(value) is not str or value not in values:
            raise Irregular
        return value

    return complete
