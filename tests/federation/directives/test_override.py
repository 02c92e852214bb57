"""@override: a subgraph takes a field over, at once or by a label. Whole plans."""

from small_graphs import plan_of, same

TYPES = """
type Query @t(graph: A) { permit: Permit }
type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
  id: ID!
  fee: Int @f(graph: A) @f(graph: B, override: "a", overrideLabel: "new-fees")
}
"""


def test_the_new_subgraph_is_asked() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
      id: ID!
      fee: Int @f(graph: A) @f(graph: B, override: "a")
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
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_with_a_label_that_is_off_the_old_one_is() -> None:
    plan = plan_of(TYPES, "{ permit { fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{fee}}
        """,
    )


def test_with_a_label_that_is_on_the_new_one_is() -> None:
    plan = plan_of(TYPES, "{ permit { fee } }", frozenset({"new-fees"}))
    assert same(
        plan,
        """
        0 a
          {permit{id}}
        1 b after 0
          at permit Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )


def test_taking_over_from_nobody_changes_nothing() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
      id: ID!
      fee: Int @f(graph: B, override: "gone")
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
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        """,
    )
