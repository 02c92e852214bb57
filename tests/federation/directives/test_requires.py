"""@requires: what a subgraph must be sent to compute a field. Whole plans."""

from small_graphs import plan_of, same


def test_the_required_field_is_fetched_first_and_sent() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") @t(graph: C, key: "id") {
      id: ID!
      area: Int @f(graph: B) @f(graph: C, external: true)
      fee: Int @f(graph: C, requires: "area")
    }
    """
    plan = plan_of(types, "{ permit { fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{id}}
        1 b after 0
          at permit Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{area}}}
        2 c after 0,1
          at permit Permit{id area}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_what_requires_what_requires_comes_last() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") @t(graph: C, key: "id") {
      id: ID!
      area: Int @f(graph: A) @f(graph: B, external: true)
      risk: Int @f(graph: B, requires: "area") @f(graph: C, external: true)
      fee: Int @f(graph: C, requires: "risk")
    }
    """
    plan = plan_of(types, "{ permit { fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{id area}}
        1 b after 0
          at permit Permit{id area}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{risk}}}
        2 c after 0,1
          at permit Permit{id risk}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_in_a_circle_of_two_subgraphs_each_is_asked_twice_at_most() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
      id: ID!
      area: Int @f(graph: A) @f(graph: B, external: true)
      risk: Int @f(graph: B, requires: "area") @f(graph: A, external: true)
      fee: Int @f(graph: A, requires: "risk")
    }
    """
    plan = plan_of(types, "{ permit { fee area } }")
    assert same(
        plan,
        """
        0 a
          {permit{area id}}
        1 b after 0
          at permit Permit{id area}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{risk}}}
        2 a after 0,1
          at permit Permit{id risk}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_a_required_field_with_an_argument_is_kept_apart_from_the_clients() -> None:
    types = r"""
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
      id: ID!
      area(unit: String!): Int @f(graph: A) @f(graph: B, external: true)
      fee: Int @f(graph: B, requires: "area(unit: \"m2\")")
    }
    """
    plan = plan_of(types, '{ permit { area(unit: "mu") fee } }')
    assert same(
        plan,
        """
        0 a
          {permit{area(unit: "mu") id _area_0:area(unit: "m2")}}
        1 b after 0
          at permit Permit{id area=_area_0}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_objects_and_fragments_are_required_by_type() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
      id: ID!
      place: Place @f(graph: A) @f(graph: B, external: true)
      fee: Int @f(graph: B, requires: "place { ... on Shop { area } ... on Stall { days } }")
    }
    interface Place @t(graph: A) @t(graph: B) { id: ID! }
    type Shop implements Place @t(graph: A) @t(graph: B) @i(graph: A, interface: "Place") @i(graph: B, interface: "Place") {
      id: ID! area: Int @f(graph: A) @f(graph: B, external: true)
    }
    type Stall implements Place @t(graph: A) @t(graph: B) @i(graph: A, interface: "Place") @i(graph: B, interface: "Place") {
      id: ID! days: Int @f(graph: A) @f(graph: B, external: true)
    }
    """
    plan = plan_of(types, "{ permit { fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{id place{__typename ...on Shop{area} ...on Stall{days}}}}
        1 b after 0
          at permit Permit{id place{area days}}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )
