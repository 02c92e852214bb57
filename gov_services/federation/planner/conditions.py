"""When a field is asked for: @skip and @include as sets of literals. It evaluates them; it knows no schema.

A `Clause` holds when all its literals (variable, wanted value) do; `Conditions` hold when any clause does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphql import BooleanValueNode, DirectiveNode, VariableNode

Clause = frozenset[tuple[str, bool]]
Conditions = frozenset[Clause]

NO_LITERALS: Clause = frozenset()
ALWAYS: Conditions = frozenset({NO_LITERALS})
NEVER: Conditions = frozenset()


def clause_of(directives: Iterable[DirectiveNode] | None) -> Clause | None:
    """The clause of a selection's directives; None where it is never included."""
    literals: set[tuple[str, bool]] = set()
    for directive in directives or ():
        if directive.name.value not in ("skip", "include"):
            continue
        wanted = directive.name.value == "include"
        value = next(item.value for item in directive.arguments or () if item.name.value == "if")
        if isinstance(value, BooleanValueNode):
            if value.value != wanted:
                return None
        elif isinstance(value, VariableNode):
            literals.add((value.name.value, wanted))
    return both(NO_LITERALS, frozenset(literals))


def both(first: Clause, second: Clause) -> Clause | None:
    """The clause that holds when both do; None where they contradict each other."""
    joined = first | second
    return None if any((name, not wanted) in joined for name, wanted in joined) else joined


def either(first: Conditions, second: Conditions) -> Conditions:
    """The conditions that hold when either does, without clauses that a wider one covers."""
    clauses = first | second
    return frozenset(item for item in clauses if not any(other < item for other in clauses))


def hold(conditions: Conditions, variables: Mapping[str, object]) -> bool:
    """Whether the conditions hold for these variables."""
    return any(all(bool(variables.get(name)) is wanted for name, wanted in clause) for clause in conditions)


def variables_of(conditions: Conditions) -> set[str]:
    """The variables that have a say in them."""
    return {name for clause in conditions for name, _ in clause}


def in_order(conditions: Conditions) -> list[list[tuple[str, bool]]]:
    """The clauses in one order, for texts that must not change from run to run."""
    return sorted(sorted(clause) for clause in conditions)
