"""What an actor may not have is not fetched, is null, and is named; nobody is denied what they may have."""

from __future__ import annotations

from typing import Any

import pytest
from small_graphs import supergraph

from gov_services.federation.engine import Engine
from gov_services.federation.planning import Planning
from gov_services.federation.supergraph import SupergraphInvalid
from gov_services.federation.transports import SubgraphRequest, SubgraphResponse
from gov_services.gateway.authorization import DENIED, FEATURES, Authorization, Unauthorized
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind

LINKS = "".join(
    f' @link(url: "https://specs.apollo.dev/{name}/v0.1", for: SECURITY)'
    for name in ("authenticated", "policy", "requiresScopes")
)
TYPES = """
type Query @t(graph: A) {
  open: String
  inner: String @authenticated
  must: String! @authenticated
  ledger: Ledger
  person: Person
  place: Place
  places: [Place!]
  found: Found
}
type Mutation @t(graph: A) { touch: String close: Ledger @policy(policies: [["auditor"]]) }
type Person @t(graph: A, key: "id") @t(graph: B, key: "id") {
  id: ID @authenticated @requiresScopes(scopes: [["ids"]])
  name: String @f(graph: A) @requiresScopes(scopes: [["read", "names"], ["all"]])
  salary: Int @f(graph: B) @requiresScopes(scopes: [["pay"]])
}
type Ledger @t(graph: A) @policy(policies: [["auditor"], ["judge", "case"]]) { total: Int }
interface Place @t(graph: A) { title: String }
type Shop implements Place @t(graph: A) @i(graph: A, interface: "Place") {
  title: String rent: Int @requiresScopes(scopes: [])
}
type Vault implements Place @t(graph: A) @i(graph: A, interface: "Place") { title: String @authenticated depth: Int }
union Found @t(graph: A) @m(graph: A, member: "Shop") @m(graph: A, member: "Ledger") = Shop | Ledger
"""
WORLD = {
    "Query": {
        "open": "o",
        "inner": "i",
        "must": "m",
        "ledger": {"total": 5},
        "person": {"id": "p", "name": "n"},
        "place": {"__typename": "Vault", "title": "t", "depth": 3},
        "places": [{"__typename": "Shop", "title": "s", "rent": 1}],
        "found": {"__typename": "Shop", "title": "s", "rent": 1},
    }
}


class Graph:
    """A subgraph that gives all it has, and remembers what it was asked."""

    def __init__(self, name: str, asked: list[str]) -> None:
        self._name, self._asked = name, asked

    async def fetch(self, request: SubgraphRequest, *, context: object) -> SubgraphResponse:
        self._asked.append(f"{self._name} {request.document}")
        if "_entities" in request.document:
            return SubgraphResponse(data={"_entities": [{"salary": 7} for _ in request.variables["representations"]]})
        return SubgraphResponse(data={key: value for key, value in WORLD["Query"].items() if key in request.document})


def actor(*scopes: str) -> Actor:
    return Actor(kind=ActorKind.CLIENT, client_id="bank", roles=frozenset(scopes))


class Door:
    """An engine behind an authorization, with policies that hold for the one whose client id they are told of."""

    def __init__(self, *policies: str) -> None:
        self.asked: list[str] = []
        sdl = supergraph(TYPES).replace(" { query: Query", f"{LINKS} {{ query: Query")
        self.engine = Engine(
            Planning(sdl, understood=FEATURES), transports={name: Graph(name, self.asked) for name in "ab"}
        )

        async def granted(_: Actor, names: frozenset[str]) -> frozenset[str]:
            return names & set(policies)

        self.authorization = Authorization(self.engine, granted)

    async def ask(self, document: str, who: Actor) -> tuple[Any, list[str]]:
        """The data, and the fields that were denied."""
        prepared, denied = await self.authorization.permitted(self.engine.planning.prepare(document), who)
        result = await self.engine.execute(prepared, errors=denied)
        assert {error["extensions"]["code"] for error in result.errors} <= {DENIED}
        return result.data, [error["extensions"]["field"] for error in result.errors]


@pytest.mark.parametrize(
    ("document", "who", "policies", "data", "denied"),
    [
        ("{ open }", ANONYMOUS, (), {"open": "o"}, []),
        ("{ open inner }", ANONYMOUS, (), {"open": "o", "inner": None}, ["Query.inner"]),
        ("{ open inner }", actor(), (), {"open": "o", "inner": "i"}, []),
        ("{ a: open must }", ANONYMOUS, (), None, ["Query.must"]),
        (
            "{ person { name salary } }",
            actor("names", "read"),
            (),
            {"person": {"name": "n", "salary": None}},
            ["Person.salary"],
        ),
        ("{ person { name salary } }", actor("all", "pay"), (), {"person": {"name": "n", "salary": 7}}, []),
        ("{ person { name } }", actor("names"), (), {"person": {"name": None}}, ["Person.name"]),
        ("{ person { name } }", ANONYMOUS, (), {"person": {"name": None}}, ["Person.name"]),
        ("{ ledger { total } }", actor(), (), {"ledger": None}, ["Ledger.total", "Query.ledger"]),
        ("{ ledger { total } }", actor(), ("judge",), {"ledger": None}, ["Ledger.total", "Query.ledger"]),
        ("{ ledger { total } }", actor(), ("judge", "case"), {"ledger": {"total": 5}}, []),
        ("{ ledger { total } }", ANONYMOUS, ("auditor",), {"ledger": {"total": 5}}, []),
        ("{ place { title } }", ANONYMOUS, (), {"place": {"title": None}}, ["Place.title"]),
        ("{ place { title } }", actor(), (), {"place": {"title": "t"}}, []),
        ("{ place { ... on Vault { depth } } }", ANONYMOUS, (), {"place": {"depth": 3}}, []),
        (
            "{ places { ... on Shop { title rent } } }",
            actor("rent"),
            (),
            {"places": [{"title": "s", "rent": None}]},
            ["Shop.rent"],
        ),
        (
            "{ found { ... on Ledger { total } ... on Shop { title } } }",
            actor(),
            (),
            {"found": {"title": "s"}},
            ["Ledger.total"],
        ),
        ("{ person { id salary } }", actor("pay"), (), {"person": {"id": None, "salary": 7}}, ["Person.id"]),
        (
            "{ place { ... on Vault { title depth } } }",
            ANONYMOUS,
            (),
            {"place": {"title": None, "depth": 3}},
            ["Vault.title"],
        ),
        ("{ x: inner ...F } fragment F on Query { open }", ANONYMOUS, (), {"x": None, "open": "o"}, ["Query.inner"]),
    ],
)
async def test_who_gets_what(
    document: str, who: Actor, policies: tuple[str, ...], data: Any, denied: list[str]
) -> None:
    assert await Door(*policies).ask(document, who) == (data, denied)


async def test_what_is_denied_is_not_fetched_and_the_plan_is_made_once() -> None:
    door = Door()
    for _ in range(2):
        await door.ask("{ person { name salary } open }", actor("all"))
    assert door.asked == ["a {open person{name}}"] * 2
    prepared = door.engine.planning.prepare("{ person { name salary } open }")
    first, _ = await door.authorization.permitted(prepared, actor("all"))
    again, _ = await door.authorization.permitted(prepared, actor("all", "x"))
    whole, _ = await door.authorization.permitted(prepared, actor("all", "pay"))
    assert first is again
    assert whole is prepared


async def test_a_mutation_is_done_whole_or_not_at_all() -> None:
    door = Door()
    with pytest.raises(Unauthorized) as refused:
        await door.ask("mutation { touch close { total } }", actor())
    assert refused.value.details["coordinates"] == "Ledger.total, Mutation.close"
    assert door.asked == []


def test_an_engine_whose_caller_does_not_enforce_them_refuses_such_a_supergraph() -> None:
    sdl = supergraph(TYPES).replace(" { query: Query", f"{LINKS} {{ query: Query")
    with pytest.raises(SupergraphInvalid, match="authenticated is needed for security"):
        Planning(sdl)
