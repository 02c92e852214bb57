"""The projection of an answer in which nothing went wrong, as Python made once for an operation. It reports nothing.

Whatever is not as it should be (a null where none may be, a value of another kind) raises `Irregular`: then
`projection.py` goes over the same tree again, and tells what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    """The functions for one operation and one choice of what its @skip and @include leave.

    One is written for each object type at each place: it reads the fields into variables, looks at those that may not
    be null, has the nested ones completed, and returns the answer's object. A document's names are all that of it gets
    into the text, and only as literals.
    """

    def __init__(self, projector: Projector, variables: Mapping[str, Any]) -> None:
        self._projector = projector
        self._variables = dict(variables)
        self.root: Complete = self._object(projector.shape, projector.root)

    def _object(self, shape: Shape, owner: Owner) -> Complete:
        fields = [item for item in self._projector.fields(shape, owner) if hold(item.conditions, self._variables)]
        asks_type = any(item.name == TYPENAME for item in fields)
        if any(item.is_withheld or (item.name != TYPENAME and item.type is None) for item in fields):
            return _irregular  # introspection is answered elsewhere
        if asks_type and isinstance(owner, GraphQLInterfaceType):
            return _irregular
        read = [item for item in fields if item.name != TYPENAME]
        known: dict[str, Any] = {"Irregular": Irregular}
        lines = ["def complete(value):", " if type(value) is not dict: raise Irregular"]
        if read:
            lines += [" try:", *(f"  v{number} = value[{item.key!r}]" for number, item in enumerate(read))]
            lines += [
                " except KeyError:",
                *(f"  v{number} = value.get({item.key!r})" for number, item in enumerate(read)),
            ]
        required = [f"v{number} is None" for number, item in enumerate(read) if isinstance(item.type, GraphQLNonNull)]
        if required:
            lines.append(f" if {' or '.join(required)}: raise Irregular")
        for number, item in enumerate(read):
            made = self._complete(item.type, item)
            if made is not None:
                known[f"c{number}"] = made
                lines.append(f" if v{number} is not None: v{number} = c{number}(v{number})")
        numbers = {id(item): number for number, item in enumerate(read)}
        parts = [
            f"{item.key!r}: {f'v{numbers[id(item)]}' if item.name != TYPENAME else repr(owner.name)}" for item in fields
        ]
        lines.append(f" return {{{', '.join(parts)}}}")
        exec("\n".join(lines), known)  # noqa: S102  names of GraphQL's, as literals
        complete: Complete = known["complete"]
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


def _list(inner: Complete | None, *, is_required: bool) -> Complete:
    def check(value: Any) -> Any:
        if type(value) is not list or (is_required and None in value):
            raise Irregular
        return value

    if inner is None:
        return check

    def complete(value: Any) -> Any:
        if type(value) is not list:
            raise Irregular
        if None in value:
            if is_required:
                raise Irregular
            return [None if item is None else inner(item) for item in value]
        return [inner(item) for item in value]

    return complete


def _member(values: Mapping[str, Any]) -> Complete:
    def complete(value: Any) -> Any:
        if type(value) is not str or value not in values:
            raise Irregular
        return value

    return complete
