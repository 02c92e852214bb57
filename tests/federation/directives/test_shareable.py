"""@shareable: a field that several subgraphs resolve alike. Whole plans."""

from small_graphs import plan_of, same


def test_it_comes_from_where_one_is_anyway() -> None:
    types = """
    type Query @t(graph: A) @t(graph: B) { permit: Permit @f(graph: A) bill: Permit @f(graph: B) }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") { id: ID! title: String fee: Int @f(graph: B) }
    """
    plan = plan_of(types, "{ permit { title fee } }")
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


def test_a_root_field_of_both_is_asked_of_the_one_that_serves_the_rest() -> None:
    types = """
    type Query @t(graph: A) @t(graph: B) { permit: Permit }
    type Permit @t(graph: A) @t(graph: B) { title: String fee: Int @f(graph: B) }
    """
    plan = plan_of(types, "{ permit { title fee } }")
    assert same(
        plan,
        """
        0 b
          {permit{title fee}}
        """,
    )


def test_a_value_without_a_key_is_put_together_from_both() -> None:
    types = """
    type Query @t(graph: A) @t(graph: B) { permit: Permit }
    type Permit @t(graph: A) @t(graph: B) { title: String @f(graph: A) fee: Int @f(graph: B) }
    """
    plan = plan_of(types, "{ permit { title fee } }")
    assert same(
        plan,
        """
        0 a
          {permit{title}}
        1 b
          {permit{fee}}
        """,
    )
