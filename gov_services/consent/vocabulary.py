"""The map of personal data, read from the schema: every coordinate that carries `@personal`. It grants nothing."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphql import (
    ConstDirectiveNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    ObjectTypeDefinitionNode,
    StringValueNode,
    parse,
)


class VocabularyRefused(ValueError):
    """A schema's `@personal` cannot be meant."""


@dataclass(frozen=True, slots=True)
class PersonalField:
    """One coordinate that is personal data."""

    coordinate: str
    """`Type.field`, as in the GraphQL schema."""
    category: str
    sensitivity: str
    mask: str | None
    derived_from: str | None
    is_input: bool
    """Whether it is collected (a field of an input object) rather than disclosed."""

    @property
    def sensitive(self) -> bool:
        """Whether it is sensitive personal information (PIPL 28)."""
        return self.sensitivity == "sensitive"


class Vocabulary:
    """The personal coordinates of a schema. What is not in it is not personal; what is, needs a grant."""

    def __init__(self, fields: Mapping[str, PersonalField]) -> None:
        self._fields = dict(fields)
        for field in self._fields.values():
            if field.derived_from is not None and field.derived_from not in self._fields:
                raise VocabularyRefused(
                    f"{field.coordinate} is derived from {field.derived_from}, which is not personal"
                )

    @classmethod
    @functools.lru_cache(maxsize=16)  # it never changes, and a process reads the same few schemas many times
    def from_sdl(cls, sdl: str) -> Vocabulary:
        """Read `@personal` from a subgraph's or the supergraph's SDL. Raises VocabularyRefused."""
        fields: dict[str, PersonalField] = {}
        for definition in parse(sdl, no_location=True).definitions:
            if isinstance(definition, ObjectTypeDefinitionNode | InputObjectTypeDefinitionNode):
                is_input = isinstance(definition, InputObjectTypeDefinitionNode)
                for field in definition.fields or ():
                    found = _personal(definition.name.value, field, is_input=is_input)
                    if found is not None:
                        fields[found.coordinate] = found
        return cls(fields)

    def __contains__(self, coordinate: object) -> bool:
        return coordinate in self._fields

    def __getitem__(self, coordinate: str) -> PersonalField:
        return self._fields[coordinate]

    def __iter__(self) -> Iterator[PersonalField]:
        return iter(self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)


def _personal(
    type_name: str, field: FieldDefinitionNode | InputValueDefinitionNode, *, is_input: bool
) -> PersonalField | None:
    for directive in field.directives or ():
        if directive.name.value != "personal":
            continue
        coordinate = f"{type_name}.{field.name.value}"
        arguments = _arguments(directive)
        if arguments.get("sensitivity") not in ("general", "sensitive"):
            raise VocabularyRefused(f"{coordinate} says neither `general` nor `sensitive`")
        return PersonalField(
            coordinate=coordinate,
            category=arguments["category"],
            sensitivity=arguments["sensitivity"],
            mask=arguments.get("mask"),
            derived_from=arguments.get("derivedFrom"),
            is_input=is_input,
        )
    return None


def _arguments(directive: ConstDirectiveNode) -> dict[str, str]:
    return {
        argument.name.value: argument.value.value
        for argument in directive.arguments or ()
        if isinstance(argument.value, StringValueNode)
    }
