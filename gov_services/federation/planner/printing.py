"""The text of a fetch. The same groups always give the same text, byte for byte. It plans nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gov_services.federation.planner.conditions import ALWAYS, Conditions, in_order
from gov_services.federation.planner.fetches import OutField, OutSelection
from gov_services.federation.planner.graph import Graph
from gov_services.federation.planner.normalize import TYPENAME
from graphql import (
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
    print_ast,
)


class Printer:
    """Prints one fetch, and notes which of the operation's variables it uses."""

    def __init__(self, operation: OperationDefinitionNode) -> None:
        self._operation = operation
        self.used: set[str] = set()

    def document(self, kind: str, body: str, own_variables: Sequence[str]) -> str:
        """The whole text: `own_variables` are those for representations."""
        definitions = [f"${name}:[_Any!]!" for name in own_variables]
        definitions += [self._definition(name) for name in self.variables()]
        head = kind if kind != "query" else ""
        if definitions:
            head = f"{kind}({','.join(definitions)})"
        return f"{head}{{{body}}}"

    def variables(self) -> tuple[str, ...]:
        """The operation's variables in use, in the order of its definition."""
        return tuple(
            item.variable.name.value
            for item in self._operation.variable_definitions or ()
            if item.variable.name.value in self.used
        )

    def _definition(self, name: str) -> str:
        node = next(item for item in self._operation.variable_definitions or () if item.variable.name.value == name)
        default = f"={print_ast(node.default_value)}" if node.default_value is not None else ""
        return f"${name}:{print_ast(node.type)}{default}"

    def selection(self, selection: OutSelection) -> str:
        """The inside of a selection set."""
        texts = [self._field(item) for item in selection.fields.values()]
        texts += [
            f"...on {name}{{{self.selection(fragment)}}}"
            for name, fragment in selection.fragments.items()
            if fragment.fields or fragment.fragments
        ]
        return " ".join(texts) or "__typename"

    def _field(self, item: OutField) -> str:
        key = item.alias or item.key
        text = item.name if key == item.name else f"{key}:{item.name}"
        if item.arguments:
            text += f"({','.join(print_ast(argument) for argument in item.arguments)})"
        for argument in item.arguments:
            self.used |= variables_in(argument.value)
        nested = "" if item.selection is None else f"{{{self.selection(item.selection)}}}"
        return self._conditional(text, nested, item.conditions)

    def _conditional(self, text: str, nested: str, conditions: Conditions) -> str:
        if conditions == ALWAYS or text == TYPENAME:
            return text + nested
        clauses = in_order(conditions)
        self.used |= {name for clause in clauses for name, _ in clause}
        plain = len(clauses) == 1 and len({wanted for _, wanted in clauses[0]}) == len(clauses[0])
        if plain:
            return f"{text}{self._directives(clauses[0])}{nested}"
        # Several clauses, or a directive twice: a fragment for each literal, one inside the other.
        return " ".join(self._nested(clause, text + nested) for clause in clauses)

    def _directives(self, clause: Iterable[tuple[str, bool]]) -> str:
        return "".join(f"@{'include' if wanted else 'skip'}(if:${name})" for name, wanted in clause)

    def _nested(self, clause: Sequence[tuple[str, bool]], text: str) -> str:
        for literal in reversed(clause):
            text = f"...{self._directives([literal])}{{{text}}}"
        return text


def variables_in(value: ValueNode) -> set[str]:
    """The variables that a value uses."""
    if isinstance(value, VariableNode):
        return {value.name.value}
    if isinstance(value, ListValueNode):
        return set().union(*(variables_in(item) for item in value.values))
    if isinstance(value, ObjectValueNode):
        return set().union(*(variables_in(item.value) for item in value.fields))
    return set()


class Separator:
    """Gives fields of different shape different response keys, where a subgraph's text would else not validate."""

    def __init__(self, graph: Graph, subgraph: str) -> None:
        self._graph = graph
        self._subgraph = subgraph
        self._taken: set[str] = set()
        self.renames: dict[str, str] = {}

    def separate(self, selection: OutSelection) -> None:
        """Walk a fetch's selection set."""
        self._taken |= _keys(selection)
        self._walk([selection])

    def _walk(self, selections: Sequence[OutSelection]) -> None:
        """Walk selection sets whose fields meet in one answer."""
        met: dict[str, list[tuple[OutSelection, OutField]]] = {}
        for selection in selections:
            for part in (selection, *_fragments(selection)):
                for item in part.fields.values():
                    met.setdefault(item.key, []).append((part, item))
        for entries in met.values():
            self._separate_key(entries)

    def _separate_key(self, entries: list[tuple[OutSelection, OutField]]) -> None:
        alike: dict[tuple[object, ...], list[OutField]] = {}
        for part, item in entries:
            alike.setdefault(self._shape(part, item), []).append(item)
        for number, items in enumerate(alike.values()):
            for item in items:
                item.alias = None
                if number:
                    item.alias = self._free(f"_{number}_{item.key}")
                    self.renames[item.alias] = item.key
            nested = [item.selection for item in items if item.selection is not None]
            if nested:
                self._walk(nested)

    def _free(self, alias: str) -> str:
        while alias in self._taken:
            alias = f"_{alias}"
        return alias

    def _shape(self, part: OutSelection, item: OutField) -> tuple[object, ...]:
        if item.name == "__typename":
            return ("__typename",)
        text = self._graph.output_shape(self._subgraph, part.type_name, item.name)
        if item.selection is None:
            return (text,)
        return ("".join(letter for letter in text if letter in "[]!"), "{}")


def _keys(selection: OutSelection) -> set[str]:
    found = set(selection.fields)
    for item in selection.fields.values():
        if item.selection is not None:
            found |= _keys(item.selection)
    for fragment in selection.fragments.values():
        found |= _keys(fragment)
    return found


def _fragments(selection: OutSelection) -> list[OutSelection]:
    found: list[OutSelection] = []
    for fragment in selection.fragments.values():
        found += [fragment, *_fragments(fragment)]
    return found
