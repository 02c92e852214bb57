"""Interfaces and unions whose objects differ from subgraph to subgraph. Whole plans."""

from small_graphs import plan_of, same


def test_an_interfaces_field_is_asked_by_type_where_one_type_lacks_it() -> None:
    types = """
    type Query @t(graph: A) { place: Place }
    interface Place @t(graph: A) @t(graph: B) { id: ID! name: String }
    type Shop implements Place @t(graph: A, key: "id") @t(graph: B, key: "id")
      @i(graph: A, interface: "Place") @i(graph: B, interface: "Place") { id: ID! name: String @f(graph: B) }
    type Stall implements Place @t(graph: A, key: "id") @i(graph: A, interface: "Place") { id: ID! name: String }
    """
    plan = plan_of(types, "{ place { name } }")
    assert same(
        plan,
        """
        0 a
          {place{__typename ...on Shop{id} ...on Stall{name}}}
        1 b after 0
          at place Shop{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Shop{name}}}
        """,
    )


def test_a_member_that_a_subgraph_does_not_know_is_not_asked_of_it() -> None:
    types = """
    type Query @t(graph: A) @t(graph: B) { found: Found }
    union Found @t(graph: A) @t(graph: B) @m(graph: A, member: "Shop") @m(graph: A, member: "Stall")
      @m(graph: B, member: "Shop") = Shop | Stall
    type Shop @t(graph: A) @t(graph: B) { name: String }
    type Stall @t(graph: A) { days: Int }
    """
    plan = plan_of(types, "{ found { ... on Shop { name } ... on Stall { days } } }")
    assert same(
        plan,
        """
        0 a
          {found{__typename ...on Shop{name}}}
        """,
    )
