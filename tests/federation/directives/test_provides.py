"""@provides: what a subgraph brings of another's along one path. Whole plans."""

from small_graphs import plan_of, same

TYPES = """
type Query @t(graph: A) { permit: Permit @f(graph: A, provides: "title") other: Permit }
type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
  id: ID!
  title: String @f(graph: A, external: true) @f(graph: B)
  fee: Int @f(graph: B)
}
"""


def test_what_is_provided_is_not_fetched() -> None:
    plan = plan_of(TYPES, "{ permit { title } }")
    assert same(
        plan,
        """
        0 a
          {permit{title}}
        """,
    )


def test_on_another_path_it_is() -> None:
    plan = plan_of(TYPES, "{ permit { title } other { title } }")
    assert same(
        plan,
        """
        0 a
          {permit{title} other{id}}
        1 b after 0
          at other Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{title}}}
        """,
    )


def test_on_an_interface_by_its_objects() -> None:
    types = """
    type Query @t(graph: A) { place: Place @f(graph: A, provides: "... on Shop { area }") }
    interface Place @t(graph: A) @t(graph: B) { id: ID! }
    type Shop implements Place @t(graph: A, key: "id") @t(graph: B, key: "id")
      @i(graph: A, interface: "Place") @i(graph: B, interface: "Place") {
      id: ID! area: Int @f(graph: A, external: true) @f(graph: B) rent: Int @f(graph: B)
    }
    type Stall implements Place @t(graph: A, key: "id") @t(graph: B, key: "id")
      @i(graph: A, interface: "Place") @i(graph: B, interface: "Place") {
      id: ID! days: Int @f(graph: B)
    }
    """
    plan = plan_of(types, "{ place { ... on Shop { area } } }")
    assert same(
        plan,
        """
        0 a
          {place{__typename ...on Shop{area}}}
        """,
    )
