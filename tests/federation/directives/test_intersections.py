"""Enums and inputs of which each subgraph knows a part. Whole plans."""

from small_graphs import plan_of, same


def test_an_input_goes_where_it_is_known() -> None:
    types = """
    type Query @t(graph: A) @t(graph: B) {
      permits(filter: Filter): [Permit!]! @f(graph: A)
      bills(state: State): [Permit!]! @f(graph: B)
    }
    input Filter @t(graph: A) @t(graph: B) { title: String }
    enum State @t(graph: A) @t(graph: B) { OPEN @v(graph: A) @v(graph: B) }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") { id: ID! state: State @f(graph: A) }
    """
    plan = plan_of(types, "query($f: Filter, $s: State) { permits(filter: $f) { id } bills(state: $s) { state } }")
    assert same(
        plan,
        """
        0 a
          query($f:Filter){permits(filter: $f){id}}
        1 b
          query($s:State){bills(state: $s){id}}
        2 a after 1
          at bills Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{state}}}
        """,
    )
