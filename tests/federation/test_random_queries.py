"""Random valid queries answer as one schema does, whatever the plan: the engine's invariant."""

import asyncio
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphql import (
    GraphQLEnumType,
    GraphQLInputType,
    GraphQLNonNull,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_object_type,
    parse,
    validate,
)

pytestmark = pytest.mark.untraced

IDS = ["p1", "p2", "p3", "c1", "c2", "m1", "m2", "b3", "nobody"]


class QueryMaker:
    """Writes one random query on a schema, with aliases, arguments, fragments, variables and conditions."""

    def __init__(self, schema: GraphQLSchema, random: Random) -> None:
        self._schema = schema
        self._random = random
        self._aliases = 0
        self._fragments: list[str] = []
        self.variables = {"yes": True, "no": False}

    def query(self) -> str:
        body = self._selection(self._schema.query_type, 4)
        head = "query($yes: Boolean!, $no: Boolean = false)"
        used = "yesUsed: version @include(if: $yes) noUsed: version @skip(if: $no)"
        return "\n".join([f"{head} {{ {used} {body} }}", *self._fragments])

    def _selection(self, owner: Any, depth: int) -> str:
        parts = [self._part(owner, depth) for _ in range(self._random.randint(1, 4))]
        return " ".join(part for part in parts if part) or "__typename"

    def _part(self, owner: Any, depth: int) -> str:
        roll = self._random.random()
        if roll < 0.08:
            return "__typename"
        if roll < 0.25 and depth > 0:
            return self._fragment(owner, depth)
        if not hasattr(owner, "fields"):
            return self._fragment(owner, depth) if depth > 0 else "__typename"
        names = sorted(
            name
            for name, field in owner.fields.items()
            if depth > 0 or not is_composite_type(get_named_type(field.type))
        )
        return self._field(owner, self._random.choice(names), depth) if names else "__typename"

    def _field(self, owner: Any, name: str, depth: int) -> str:
        field = owner.fields[name]
        arguments = [
            f"{key}: {self._value(argument.type)}"
            for key, argument in field.args.items()
            if isinstance(argument.type, GraphQLNonNull) or self._random.random() < 0.6
        ]
        text = f"{name}({', '.join(arguments)})" if arguments else name
        if field.args or self._random.random() < 0.2:
            text = f"{self._alias()}: {text}"
        text += self._condition()
        named = get_named_type(field.type)
        return f"{text} {{ {self._selection(named, depth - 1)} }}" if is_composite_type(named) else text

    def _alias(self) -> str:
        self._aliases += 1
        return f"a{self._aliases}"

    def _condition(self) -> str:
        if self._random.random() > 0.15:
            return ""
        return f" @{self._random.choice(['skip', 'include'])}(if: ${self._random.choice(['yes', 'no'])})"

    def _value(self, declared: GraphQLInputType) -> str:
        named = get_named_type(declared)
        if isinstance(named, GraphQLEnumType):
            return self._random.choice(sorted(named.values))
        return {"ID": f'"{self._random.choice(IDS)}"', "Int": str(self._random.randint(0, 3))}.get(named.name, '"en"')

    def _fragment(self, owner: Any, depth: int) -> str:
        candidates = [owner]
        if is_abstract_type(owner):
            candidates += self._schema.get_possible_types(owner)
        elif is_object_type(owner):
            candidates += owner.interfaces
        chosen = self._random.choice(sorted(candidates, key=lambda item: item.name))
        body = self._selection(chosen, depth - 1)
        if self._random.random() < 0.3:
            name = f"f{len(self._fragments)}"
            self._fragments.append(f"fragment {name} on {chosen.name} {{ {body} }}")
            return f"...{name}{self._condition()}"
        return f"... on {chosen.name}{self._condition()} {{ {body} }}"


def check(bench: Any, random: Random) -> bool:
    maker = QueryMaker(bench.engine.planning.public_schema, random)
    document = maker.query()
    if validate(bench.engine.planning.public_schema, parse(document)):
        return False
    asyncio.run(bench.compare(document, **maker.variables))
    return True


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_any_query_answers_as_one_schema_does(town, random):
    check(town, random)


@pytest.mark.slow
def test_thousands_of_queries_answer_as_one_schema_does(town):
    checked = sum(check(town, Random(seed)) for seed in range(3_000))
    assert checked > 1_000
