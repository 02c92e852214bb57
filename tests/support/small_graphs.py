"""Supergraphs of a few lines, as a composer would write them, and the plans that the engine makes on them."""

from __future__ import annotations

import textwrap

from gov_services.federation.explain import explain
from gov_services.federation.planning import NO_LABELS, Planning

_HEAD = """
schema @link(url: "https://specs.apollo.dev/link/v1.0") @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION)
  @link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY) {{ query: Query {mutation} }}
directive @link(url: String, as: String, for: String) repeatable on SCHEMA
directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ENUM | ENUM_VALUE | SCALAR | INPUT_OBJECT
  | INPUT_FIELD_DEFINITION | ARGUMENT_DEFINITION
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!, key: String, extension: Boolean! = false, resolvable: Boolean! = true
  isInterfaceObject: Boolean! = false) repeatable on OBJECT | INTERFACE | UNION | ENUM | INPUT_OBJECT | SCALAR
directive @join__field(graph: join__Graph, requires: String, provides: String, type: String, external: Boolean
  override: String, usedOverridden: Boolean, overrideLabel: String) repeatable on FIELD_DEFINITION
  | INPUT_FIELD_DEFINITION
directive @join__implements(graph: join__Graph!, interface: String!) repeatable on OBJECT | INTERFACE
directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION
directive @join__enumValue(graph: join__Graph!) repeatable on ENUM_VALUE
enum join__Graph {{ {graphs} }}
"""


def supergraph(types: str) -> str:
    """The text of a supergraph with these types, which write `@t`, `@f`, `@i` and `@m` for the join directives' names.

    Its subgraphs are A, B, C and D, called a, b, c and d.
    """
    for short, name in (("t", "type"), ("f", "field"), ("i", "implements"), ("m", "unionMember"), ("v", "enumValue")):
        types = types.replace(f"@{short}(", f"@join__{name}(")
    graphs = " ".join(f'{name} @join__graph(name: "{name.lower()}", url: "http://{name.lower()}")' for name in "ABCD")
    mutation = "mutation: Mutation" if "type Mutation" in types else ""
    return _HEAD.format(graphs=graphs, mutation=mutation) + types


def plan_of(types: str, document: str, labels: frozenset[str] = NO_LABELS) -> str:
    """The whole plan of a document, as `explain` writes it."""
    return explain(Planning(supergraph(types)).prepare(document, labels=labels).plan)


def same(plan: str, expected: str) -> bool:
    """Whether a plan is the expected one, however that is indented in a test; shows both where it is not."""
    wanted = textwrap.dedent(expected).strip()
    assert plan == wanted, f"\n{plan}\n\nis not\n\n{wanted}"
    return True
