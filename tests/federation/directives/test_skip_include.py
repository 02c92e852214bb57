"""@skip and @include: kept in the fetch, and on it where all of it hangs on them. Whole plans."""

from small_graphs import plan_of, same

TYPES = """
type Query @t(graph: A) { permit: Permit }
type Permit @t(graph: A, key: "id") @t(graph: B, key: "id") {
  id: ID!
  title: String @f(graph: A)
  fee: Int @f(graph: B)
}
"""


def test_a_fetch_of_which_nothing_is_wanted_is_not_sent() -> None:
    plan = plan_of(TYPES, "query($a: Boolean!) { permit { title fee @include(if: $a) } }")
    assert same(
        plan,
        """
        0 a
          {permit{title id}}
        1 b after 0
          at permit Permit{id}
          query($representations:[_Any!]!,$a:Boolean!){_entities(representations:$representations){...on Permit{fee@include(if:$a)}}}
        """,
    )


def test_conditions_of_two_fields_stay_with_each() -> None:
    plan = plan_of(
        TYPES, "query($a: Boolean!, $b: Boolean!) { permit { title @skip(if: $a) fee @include(if: $a) @skip(if: $b) } }"
    )
    assert same(
        plan,
        """
        0 a
          query($a:Boolean!){permit{title@skip(if:$a) id}}
        1 b after 0
          at permit Permit{id}
          query($representations:[_Any!]!,$a:Boolean!,$b:Boolean!){_entities(representations:$representations){...on Permit{fee@include(if:$a)@skip(if:$b)}}}
        """,
    )


def test_what_is_never_wanted_is_not_planned() -> None:
    plan = plan_of(TYPES, "{ permit { title fee @skip(if: true) } }")
    assert same(
        plan,
        """
        0 a
          {permit{title}}
        """,
    )
