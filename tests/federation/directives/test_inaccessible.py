"""@inaccessible: what clients do not see may still lead to what they do. Whole plans."""

from small_graphs import plan_of, same


def test_a_hidden_key_is_used() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
      id: ID! @inaccessible
      fee: Int @f(graph: B)
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
