"""Mutations: one after the other, whatever subgraph each is of. Whole plans."""

from small_graphs import plan_of, same


def test_each_waits_for_all_that_the_one_before_brings() -> None:
    types = """
    type Query @t(graph: A) { permit: Permit }
    type Mutation @t(graph: A) @t(graph: B) { submit: Permit @f(graph: A) pay: Permit @f(graph: B) close: Permit @f(graph: A) }
    type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") { id: ID! title: String @f(graph: A) fee: Int @f(graph: B) }
    """
    plan = plan_of(types, "mutation { submit { fee } pay { title } close { title } }")
    assert same(
        plan,
        """
        0 a
          mutation{submit{id}}
        1 b after 0
          at submit Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{fee}}}
        2 b after 0,1
          mutation{pay{id}}
        3 a after 2
          at pay Permit{id}
          query($representations:[_Any!]!){_entities(representations:$representations){...on Permit{title}}}
        4 a after 0,1,2,3
          mutation{close{title}}
        """,
    )
