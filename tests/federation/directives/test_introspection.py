"""__schema and __type: answered from the public schema, and never fetched. Whole plans."""

from small_graphs import plan_of, same

TYPES = """
type Query @t(graph: A) { permit: Permit }
type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
  id: ID!
  title: String @f(graph: A)
  fee: Int @f(graph: B)
}
"""


def test_nothing_is_fetched() -> None:
    plan = plan_of(TYPES, "{ __schema { queryType { name } } }")
    assert same(
        plan,
        """

        """,
    )


def test_the_rest_is() -> None:
    plan = plan_of(TYPES, '{ __type(name: "Permit") { name } permit { title } }')
    assert same(
        plan,
        """
        0 a
          {permit{title}}
        """,
    )
