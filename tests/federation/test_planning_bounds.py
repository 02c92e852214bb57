"""However a document is nested, aliased and spread: a plan within its deadline and its memory, or a clear refusal."""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path

import pytest

from gov_services.federation.planning import DocumentInvalid, Planning
from gov_services.kit.settings import PROJECT_ROOT
from graphql import (
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_non_null_type,
    is_object_type,
    specified_scalar_types,
)

pytestmark = pytest.mark.untraced
TOWN = Path(__file__).parent / "supergraphs" / "town" / "supergraph.graphql"
CITY = PROJECT_ROOT / "graphql" / "supergraph.graphql"
SECONDS, BYTES = 6.0, 256 * 1024 * 1024
"""Of this thread's own processor time, so that what else runs does not count. A third of a second is the most that was
seen on an ordinary machine, a second and a half on one at a quarter of its speed; the deadline itself is 10."""


class Fuzzer:
    """Writes valid documents that are as much of a burden as their size allows."""

    def __init__(self, schema: GraphQLSchema, seed: int) -> None:
        self._schema, self._random = schema, random.Random(seed)
        self._fragments: list[str] = []
        self._left = 0

    def document(self, fields: int) -> str:
        self._left, self._fragments = fields, []
        assert self._schema.query_type is not None
        body = self._selection(self._schema.query_type, depth=0)
        return " ".join(("query", body, *self._fragments))

    def _selection(self, owner: object, depth: int) -> str:
        parts = ["__typename"]
        wanted = self._random.randint(1, 6)
        names = [name for name, field in getattr(owner, "fields", {}).items() if self._is_plain(field)]
        for _ in range(wanted if names else 0):
            if self._left <= 0:
                break
            self._left -= 1
            parts.append(self._field(owner, self._random.choice(names), depth))
        if is_abstract_type(owner) and self._left > 0 and depth < 12:
            for item in self._schema.get_possible_types(owner):
                parts.append(f"... on {item.name} {self._selection(item, depth + 1)}")
        if self._random.random() < 0.3:
            name = f"F{len(self._fragments)}"
            self._fragments.append(f"fragment {name} on {owner.name} {{ {' '.join(parts)} }}")
            parts = [f"...{name}"] * self._random.randint(1, 3)
        return f"{{ {' '.join(parts)} }}"

    def _field(self, owner: object, name: str, depth: int) -> str:
        named = get_named_type(owner.fields[name].type)
        alias = f"a{self._random.randint(0, 10**9)}: "
        if not is_composite_type(named):
            return alias + name
        if depth > 12:
            return "__typename"
        return f"{alias}{name} {self._selection(named, depth + 1)}"

    def _is_plain(self, field: object) -> bool:
        named = get_named_type(field.type)
        takes = any(is_non_null_type(item.type) and item.ast_node.default_value is None for item in field.args.values())
        return not takes and (
            is_composite_type(named) or named.name in specified_scalar_types or not is_object_type(named)
        )


def plan_all(path: Path, count: int, fields: int, improving_s: float | None) -> tuple[float, int]:
    """The slowest plan's seconds, and by how many bytes the process grew at its largest."""
    planning = Planning(path.read_text(), improving_s=improving_s, cache_bytes=1)
    slowest, planned, refused = 0.0, 0, list[str]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(count):
        text = Fuzzer(planning.public_schema, seed).document(fields)
        begun = time.thread_time()
        try:
            planning.prepare(text)
            planned += 1
        except DocumentInvalid as failed:
            refused.append(str(failed))
        slowest = max(slowest, time.thread_time() - begun)
    most = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert planned > count / 2
    assert all("more than" in item for item in refused)
    return slowest, most


@pytest.mark.parametrize("path", [TOWN, CITY], ids=["town", "city"])
def test_random_documents_are_planned_in_time_and_space(path: Path) -> None:
    slowest, most = plan_all(path, count=6, fields=60, improving_s=0.05)
    assert slowest < SECONDS
    assert most < BYTES


@pytest.mark.slow
@pytest.mark.parametrize("path", [TOWN, CITY], ids=["town", "city"])
@pytest.mark.parametrize(("improving_s", "fields", "seconds"), [(None, 200, 10), (0.1, 600, SECONDS)])
def test_large_random_documents_are_planned_in_time_and_space(
    path: Path, improving_s: float | None, fields: int, seconds: float
) -> None:
    slowest, most = plan_all(path, count=40, fields=fields, improving_s=improving_s)
    assert slowest < seconds
    assert most < BYTES


def test_fragments_that_would_spread_without_end_are_refused() -> None:
    spread = " ".join(
        f"fragment F{n} on Person {{ a{n}: friends {{ ...F{n + 1} }} b{n}: friends {{ ...F{n + 1} }} }}"
        for n in range(40)
    )
    text = f"{{ me {{ ...F0 }} }} {spread} fragment F40 on Person {{ name }}"
    begun = time.thread_time()
    with pytest.raises(DocumentInvalid, match="more than 20000 selections"):
        Planning(TOWN.read_text()).prepare(text)
    assert time.thread_time() - begun < SECONDS


def test_nesting_past_every_measure_is_refused() -> None:
    text = "{ me " + "{ friends " * 2000 + "{ name }" + "}" * 2000 + "}"
    with pytest.raises(DocumentInvalid, match="nested too deeply"):
        Planning(TOWN.read_text()).prepare(text)


def test_the_cache_holds_so_many_bytes_and_forgets_the_longest_unused() -> None:
    planning = Planning(TOWN.read_text(), cache_bytes=60_000)
    first = planning.prepare("{ me { name } }")
    for number in range(20):
        planning.prepare(f"{{ me {{ n{number}: name }} }}")
        assert planning.prepare("{ me { name } }") is first
    assert 0 < planning.cached_bytes <= 60_000
    assert len(planning.documents()) < 7
    assert planning.known("{ me { n0: name } }") is None
