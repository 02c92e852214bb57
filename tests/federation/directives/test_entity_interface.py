"""@key on an interface: its objects are entered under their own names. Whole plans."""

from small_graphs import plan_of, same


def test_fields_of_the_interface_are_fetched_for_all_at_once() -> None:
    types = """
    type Query @t(graph: A) { place: Place }
    interface Place @t(graph: A, key: "id") @t(graph: B, key: "id") { id: ID! name: String @f(graph: B) }
    type Shop implements Place @t(graph: A, key: "id") @t(graph: B, key: "id")
      @i(graph: A, interface: "Place") @i(graph: B, interface: "Place") { id: ID! name: String @f(graph: B) }
    type Stall implements Place @t(graph: A, key: "id") @t(graph: B, key: "id")
      @i(graph: A, interface: "Place") @i(graph: B, interface: "Place") { id: ID! name: String @f(graph: B) }
    """
    plan = plan_of(types, "{ place { name } }")
    assert same(
        plan,
        """
        0 a
          {place{__typename id}}
        1 b after 0
          at place Shop|Stall{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Place{__typename name}}}
        """,
    )
