"""What a document costs, by the directives of its supergraph and without them."""

from __future__ import annotations

from typing import Any

import pytest

from gov_services.federation.engine import Engine
from gov_services.federation.planning import Planning
from gov_services.gateway.demand import ASSUMED_SIZE, MUTATION, Demands
from gov_services.gateway.errors import TooComplex
from gov_services.gateway.limits import Limits

SUPERGRAPH = """
schema @link(url: "https://specs.apollo.dev/link/v1.0") @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION)
  @link(url: "https://specs.apollo.dev/cost/v0.1") { query: Query mutation: Mutation }
directive @link(url: String, as: String, for: String) repeatable on SCHEMA
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!) repeatable on OBJECT | INTERFACE | SCALAR
directive @join__implements(graph: join__Graph!, interface: String!) repeatable on OBJECT
directive @cost(weight: Int!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | OBJECT | SCALAR
directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!]) on FIELD_DEFINITION
enum join__Graph { A @join__graph(name: "a", url: "http://a") }

type Query @join__type(graph: A) {
  clock: Int
  heavy: Int @cost(weight: 7)
  street: Street
  streets: [Street!]!
  ten: [Street!]! @listSize(assumedSize: 10)
  some(limit: Int, page: Int = 4): [Street!]! @listSize(slicingArguments: ["limit", "page"])
  listed(first: Int! = 20): StreetConnection!
  sized(count: Int!): Sheet! @listSize(slicingArguments: ["count"], sizedFields: ["rows"])
  found(text: String @cost(weight: 3)): Street
  place: Place
}
type Mutation @join__type(graph: A) { rename: Street }
interface Place @join__type(graph: A) { name: String }
type Street implements Place @join__type(graph: A) @join__implements(graph: A, interface: "Place") {
  name: String houses: [House!]! stamp: Stamp
}
type Park implements Place @join__type(graph: A) @join__implements(graph: A, interface: "Place") @cost(weight: 5) {
  name: String house: House
}
type House @join__type(graph: A) { number: Int }
type StreetConnection @join__type(graph: A) { edges: [StreetEdge!]! pageInfo: PageInfo! }
type StreetEdge @join__type(graph: A) { node: Street! cursor: String! }
type PageInfo @join__type(graph: A) { hasNextPage: Boolean! }
type Sheet @join__type(graph: A) { rows: [House!]! others: [House!]! }
scalar Stamp @join__type(graph: A) @cost(weight: 2)
"""


@pytest.fixture(scope="module")
def demands() -> Demands:
    return Demands(Engine(Planning(SUPERGRAPH), transports={}))


@pytest.mark.parametrize(
    ("text", "variables", "cost"),
    [
        ("{ clock }", {}, 0),
        ("{ heavy }", {}, 7),
        ("{ a: heavy b: heavy }", {}, 14),
        ("{ street { name } }", {}, 1),
        ("{ street { stamp } }", {}, 3),
        ("{ streets { name } }", {}, ASSUMED_SIZE),
        ("{ ten { houses { number } } }", {}, 10 * (1 + ASSUMED_SIZE)),
        ("{ some(limit: 3, page: 2) { name } }", {}, 3),
        ("{ some { name } }", {}, 4),
        ("query($n: Int) { some(limit: $n, page: 1) { name } }", {"n": 50}, 50),
        ("query($n: Int) { some(limit: $n, page: 1) { name } }", {}, 1),
        ("query($n: Int = 9) { some(limit: $n, page: 1) { name } }", {"n": 9}, 9),
        ("{ listed { edges { node { name } } pageInfo { hasNextPage } } }", {}, 1 + 20 * 2 + 1),
        ("{ listed(first: 5) { edges { node { name } } } }", {}, 1 + 5 * 2),
        ("query($n: Int!) { sized(count: $n) { rows { number } } }", {"n": 6}, 7),
        ("{ sized(count: 6) { others { number } } }", {}, 1 + ASSUMED_SIZE),
        ('{ found(text: "x") { name } }', {}, 4),
        ("{ found { name } }", {}, 1),
        (
            "{ place { name ... on Street { houses { number } } ... on Park { house { number } } } }",
            {},
            1 + ASSUMED_SIZE,
        ),
        ("{ street { ...F ...F } } fragment F on Street { stamp }", {}, 3),
        ("query($a: Boolean!) { heavy @include(if: $a) }", {"a": False}, 0),
        ("query($a: Boolean!) { heavy @include(if: $a) }", {"a": True}, 7),
        ("mutation { rename { name } }", {}, MUTATION + 1),
    ],
)
def test_costs(demands: Demands, text: str, variables: dict[str, Any], cost: int) -> None:
    prepared = demands._engine.planning.prepare(text)
    assert demands.of(prepared).estimate(variables) == cost
    Limits(cost=cost).check_cost(demands.of(prepared).estimate(variables))
    if cost:
        with pytest.raises(TooComplex) as refused:
            Limits(cost=cost - 1).check_cost(demands.of(prepared).estimate(variables))
        assert refused.value.details["found"] == cost


def test_nested_lists_of_the_largest_size_are_refused_without_being_walked(demands: Demands) -> None:
    text = "query($n: Int!) { some(limit: $n) { houses { number } } }"
    cost = demands.of(demands._engine.planning.prepare(text)).estimate({"n": 2**31 - 1})
    with pytest.raises(TooComplex):
        Limits().check_cost(cost)


@pytest.mark.parametrize(
    ("text", "data", "cost"),
    [
        ("{ street { name } }", None, 0),
        ("{ street { name } }", {"street": None}, 0),
        ("{ s: street { name stamp } }", {"s": {"name": "x", "stamp": "y"}}, 3),
        (
            "{ streets { name houses { number } } }",
            {"streets": [{"name": "x", "houses": [{"number": 1}] * 30}] * 2},
            62,
        ),
        ("{ streets { name } }", {"streets": []}, 0),
        ("{ found(text: $text) { name } }", {"found": None}, 3),
        (
            "{ place { ... on Park { house { number } } ... on Street { name } } }",
            {"place": {"house": {"number": 1}}},
            2,
        ),
        ("mutation { rename { name } }", {"rename": {"name": "x"}}, MUTATION + 1),
    ],
)
def test_what_an_answer_really_cost(demands: Demands, text: str, data: dict[str, Any] | None, cost: int) -> None:
    prepared = demands._planning.prepare(text.replace("{ found", "query($text: String) { found"))

    assert demands.of(prepared).measured(data) == cost
