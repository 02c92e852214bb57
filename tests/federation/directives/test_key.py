"""@key: how an object of one subgraph is found again in another. Whole plans."""

from small_graphs import plan_of, same

TYPES = """
type Query @t(graph: A) { permit: Permit }
type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
  id: ID!
  title: String @f(graph: A)
  fee: Int @f(graph: B)
}
"""


def test_a_field_of_another_subgraph_is_fetched_by_the_key() -> None:
    plan = plan_of(TYPES, "{ permit { title fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{title id}}
        1 b after 0
          at permit Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_what_is_at_hand_is_not_fetched_again() -> None:
    plan = plan_of(TYPES, "{ permit { id title } }")
    assert same(
        plan,
        """
        0 a
          {permit{id title}}
        """,
    )


def test_a_composite_key_sends_all_its_fields() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "office number") @t(graph: B, key: "office number") {
      office: String!
      number: Int!
      fee: Int @f(graph: B)
    }
    """
    plan = plan_of(types, "{ permit { fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{office number}}
        1 b after 0
          at permit Permit{office number}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_a_nested_key_sends_objects() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "office { code } number") @t(graph: B, key: "office { code } number") {
      office: Office!
      number: Int!
      fee: Int @f(graph: B)
    }
    type Office @t(graph: A) @t(graph: B) { code: String! }
    """
    plan = plan_of(types, "{ permit { fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{office{code} number}}
        1 b after 0
          at permit Permit{office{code} number}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_of_several_keys_the_one_at_hand_is_taken() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "number") @t(graph: B, key: "id") @t(graph: B, key: "number") {
      id: ID! @f(graph: B)
      number: Int!
      fee: Int @f(graph: B)
    }
    """
    plan = plan_of(types, "{ permit { id fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{number}}
        1 b after 0
          at permit Permit{number}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{id fee}}}
        """,
    )


def test_where_no_key_is_shared_a_third_subgraph_leads_on() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "number") @t(graph: B, key: "number") @t(graph: B, key: "id") @t(graph: C, key: "id") {
      number: Int! @f(graph: A) @f(graph: B)
      id: ID! @f(graph: B) @f(graph: C)
      fee: Int @f(graph: C)
    }
    """
    plan = plan_of(types, "{ permit { fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{number}}
        1 b after 0
          at permit Permit{number}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{id}}}
        2 c after 1
          at permit Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_a_key_that_is_not_resolvable_is_no_way_in() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id", resolvable: false) @t(graph: C, key: "id") {
      id: ID!
      fee: Int @f(graph: B) @f(graph: C)
    }
    """
    plan = plan_of(types, "{ permit { fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{id}}
        1 c after 0
          at permit Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_two_places_that_want_the_same_share_a_request() -> None:
    types = """
    type Query @t(graph: A) { first: Permit second: Permit many: [Permit!]! }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") { id: ID! fee: Int @f(graph: B) note: String @f(graph: B) }
    """
    plan = plan_of(types, "{ first { fee } second { fee } many { note } }")
    assert same(
        plan,
        """
        0 a
          {first{id} second{id} many{id}}
        1 b after 0
          at first Permit{id}
          at second Permit{id}
          at many Permit{id}
          query($representations0:[_Any!]!,$representations1:[_Any!]!){_e0:_entities(representations:$representations0){...on Permit{fee}} _e1:_entities(representations:$representations1){...on Permit{note}}}
        """,
    )
