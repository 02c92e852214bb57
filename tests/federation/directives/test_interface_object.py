"""@interfaceObject: a subgraph that adds to all objects of an interface without knowing them. Whole plans."""

from small_graphs import plan_of, same

TYPES = """
type Query @t(graph: A) @t(graph: B) { place: Place @f(graph: A) noted: [Place!]! @f(graph: B) }
interface Place @t(graph: A, key: "id") @t(graph: B, key: "id", isInterfaceObject: true) {
  id: ID!
  name: String @f(graph: A)
  notes: [String!]! @f(graph: B)
}
type Shop implements Place @t(graph: A, key: "id") @i(graph: A, interface: "Place") {
  id: ID! name: String @f(graph: A) notes: [String!]! @join__field area: Int @f(graph: A)
}
type Stall implements Place @t(graph: A, key: "id") @i(graph: A, interface: "Place") {
  id: ID! name: String @f(graph: A) notes: [String!]! @join__field days: Int @f(graph: A)
}
"""


def test_its_fields_are_asked_for_under_the_interfaces_name() -> None:
    plan = plan_of(TYPES, "{ place { notes } }")
    assert same(
        plan,
        """
        0 a
          {place{__typename id}}
        1 b after 0
          at place Shop|Stall as Place{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Place{notes}}}
        """,
    )


def test_of_one_object_type_too() -> None:
    plan = plan_of(TYPES, "{ place { ... on Shop { area notes } } }")
    assert same(
        plan,
        """
        0 a
          {place{__typename ...on Shop{area id}}}
        1 b after 0
          at place Shop as Place{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Place{notes}}}
        """,
    )


def test_what_its_own_objects_are_is_learned_from_the_others() -> None:
    plan = plan_of(TYPES, "{ noted { notes __typename } }")
    assert same(
        plan,
        """
        0 b
          {noted{notes id}}
        1 a after 0
          at noted Shop|Stall{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Place{__typename}}}
        """,
    )


def test_and_so_are_their_fields() -> None:
    plan = plan_of(TYPES, "{ noted { ... on Shop { area } } }")
    assert same(
        plan,
        """
        0 b
          {noted{id}}
        1 a after 0
          at noted Shop|Stall{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Place{__typename ...on Shop{area}}}}
        """,
    )
