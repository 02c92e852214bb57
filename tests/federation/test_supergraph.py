"""Supergraphs of every join version, and what is refused in them, with line and directive."""

from __future__ import annotations

import pytest
from small_graphs import same, supergraph

from gov_services.federation.explain import explain
from gov_services.federation.planning import Planning
from gov_services.federation.supergraph import SupergraphInvalid

FEDERATION_1 = """
schema
  @core(feature: "https://specs.apollo.dev/core/v0.2")
  @core(feature: "https://specs.apollo.dev/join/v0.1", for: EXECUTION)
{ query: Query }
directive @core(feature: String!, as: String, for: core__Purpose) repeatable on SCHEMA
directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet) on FIELD_DEFINITION
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__owner(graph: join__Graph!) on INTERFACE | OBJECT
directive @join__type(graph: join__Graph!, key: join__FieldSet) repeatable on INTERFACE | OBJECT
scalar join__FieldSet
enum core__Purpose { EXECUTION SECURITY }
enum join__Graph {
  PERMITS @join__graph(name: "permits", url: "http://permits")
  FEES @join__graph(name: "fees", url: "http://fees")
}
type Query { permit: Permit @join__field(graph: PERMITS) newest: Permit @join__field(graph: FEES, provides: "title") }
type Permit @join__owner(graph: PERMITS) @join__type(graph: PERMITS, key: "id") @join__type(graph: FEES, key: "id") {
  id: ID! @join__field(graph: PERMITS)
  title: String @join__field(graph: PERMITS)
  area: Int
  fee: Money @join__field(graph: FEES, requires: "area")
}
type Money { amount: Int }
interface Priced { fee: Money }
union Found = Permit | Money
"""


def plan_of(text: str, document: str) -> str:
    return explain(Planning(text).prepare(document).plan)


def test_federation_1_types_have_owners_and_every_subgraph_holds_the_key() -> None:
    plan = plan_of(FEDERATION_1, "{ permit { title fee { amount } } newest { id title area } }")
    assert same(
        plan,
        """
        0 permits
          {permit{title id area}}
        1 fees
          {newest{id title}}
        2 fees after 0
          at permit Permit{id area}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee{amount}}}}
        3 permits after 1
          at newest Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{area}}}
        """,
    )


TYPES = "type Query @t(graph: A) { a: Int }\n"


@pytest.mark.parametrize("version", ["v0.2", "v0.3", "v0.4", "v0.5"])
def test_federation_2_by_each_version(version: str) -> None:
    text = supergraph(TYPES).replace("join/v0.5", f"join/{version}")
    assert plan_of(text, "{ a }") == "0 a\n  {a}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("type Query {", "line 1: the supergraph does not parse"),
        ("type Query { a: Int }", "links no join specification"),
        (supergraph(TYPES).replace("join/v0.5", "join/v9"), "line 2: @link: join v9 is not supported"),
        (
            supergraph(TYPES).replace("inaccessible/v0.2", "policy/v0.1"),
            "line 3: @link: policy is needed for security, and not understood here",
        ),
        (
            supergraph(TYPES).replace('inaccessible/v0.2", for: SECURITY', 'source/v0.1", for: EXECUTION'),
            "line 3: @link: source is needed for execution",
        ),
        (
            supergraph('type Query @t(graph: A) { a: Int @f(graph: A, contextArguments: ["x"]) }'),
            "line 17: @join__field: its argument contextArguments",
        ),
        (
            supergraph('type Query @t(graph: A) @join__directive(name: "connect") { a: Int }'),
            "line 17: @join__directive: it carries @connect",
        ),
        (supergraph("type Query @t(graph: A) { a: Int @join__new(graph: A) }"), "line 17: @join__new: it is not under"),
        (supergraph("type Query @t(graph: E) { a: Int }"), "@join__type on Query names the unknown subgraph E"),
        (supergraph('type Query @t(graph: A, key: "{") { a: Int }'), "Query @key: the field set '{' does not parse"),
        (supergraph("scalar Only @t(graph: A)"), "no query type"),
        (supergraph(TYPES).replace("enum join__Graph", "enum Other"), "names no subgraph"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, problem: str) -> None:
    with pytest.raises(SupergraphInvalid, match=problem.replace("(", r"\(").replace("{", r"\{")):
        Planning(text)


OVERRIDES = """
type Query @t(graph: A) {
  a: Int @f(graph: A) @f(graph: B, override: "a", overrideLabel: "x")
  b: Int @f(graph: A) @f(graph: C, override: "a", overrideLabel: "y")
}
"""


def test_labels_are_part_of_what_is_planned_and_unknown_ones_are_not() -> None:
    planning = Planning(supergraph(OVERRIDES))
    assert planning.labels == {"x", "y"}
    assert [sorted(item) for item in planning.all_labels()] == [[], ["x"], ["y"], ["x", "y"]]
    plans = {labels: explain(planning.prepare("{ a b }", labels=labels).plan) for labels in planning.all_labels()}
    assert len(set(plans.values())) == 4
    assert planning.prepare("{ a b }", labels=frozenset({"z"})) is planning.prepare("{ a b }")


def test_too_many_labels_to_go_over_are_refused() -> None:
    fields = " ".join(f'a{n}: Int @f(graph: A) @f(graph: B, override: "a", overrideLabel: "{n}")' for n in range(7))
    with pytest.raises(SupergraphInvalid, match="7 labels"):
        Planning(supergraph(f"type Query @t(graph: A) {{ {fields} }}")).all_labels()
