"""@external: a field that a subgraph names and does not resolve. Whole plans."""

from small_graphs import plan_of, same


def test_an_external_field_is_fetched_where_it_is_resolved() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
      id: ID!
      title: String @f(graph: A, external: true) @f(graph: B)
    }
    """
    plan = plan_of(types, "{ permit { title } }")
    assert same(
        plan,
        """
        0 a
          {permit{id}}
        1 b after 0
          at permit Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{title}}}
        """,
    )
