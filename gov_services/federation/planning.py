"""What is made of a supergraph once: its model, the public schema, a plan for each document. It reaches nobody."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from gov_services.federation.planner.fetches import State
from gov_services.federation.planner.graph import Graph
from gov_services.federation.planner.normalize import Normalizer, Selection, TooManyFields
from gov_services.federation.planner.optimize import build_plan
from gov_services.federation.planner.plan import Plan
from gov_services.federation.planner.search import PlanningTimedOut, Search, Unplannable
from gov_services.federation.projection import Projector
from gov_services.federation.public_schema import public_schema
from gov_services.federation.supergraph import SupergraphInvalid
from gov_services.federation.supergraph_reader import read_supergraph
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    Visitor,
    parse,
    validate,
    visit,
)

NO_LABELS: frozenset[str] = frozenset()
MOST_LABELS = 6
MOST_GRAPHS = 64
"""Choices of labels whose graphs are kept; their plans are in the cache besides."""
BYTES_A_CHARACTER = 256
"""What a prepared document holds for each character of its text and its fetches: 144 at the median, 410 at most, over
the 191 valid documents of a public audit of gateways (tracemalloc)."""
PREPARED_BYTES = 8_192
MOST_VARIANTS = 64
"""Sets of coordinates that somebody may not have, for which a document's plan is kept."""


class DocumentInvalid(Exception):
    """The document cannot be executed on this supergraph. `errors` say why, in GraphQL's own form."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = tuple(errors)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A document's operation with its plan; made once, executed many times."""

    document: DocumentNode
    operation: OperationDefinitionNode
    kind: str
    plan: Plan
    projector: Projector = field(repr=False)
    schema: GraphQLSchema = field(repr=False)
    labels: frozenset[str] = frozenset()
    """The labels of progressive overrides under which it is planned."""
    notes: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)
    """What others work out once a document."""


class Planning:
    """Plans documents on one supergraph. Raises SupergraphInvalid when it is made of something else.

    `improving_s`: how long one document's plan is improved; then the best found is taken. None bounds the search by
    counted trials alone, so that a document has the same plan in every process that makes it. `understood`: linked
    specifications that the caller enforces, where the engine would refuse a supergraph that it cannot do justice to.
    """

    def __init__(
        self,
        supergraph_sdl: str,
        *,
        cache_bytes: int = 64 * 1024 * 1024,
        improving_s: float | None = None,
        deadline_s: float = 10.0,
        understood: frozenset[str] = frozenset(),
    ) -> None:
        composed = read_supergraph(supergraph_sdl, understood=understood)
        self.labels = composed.labels
        self.supergraph = composed.under(NO_LABELS)
        self._composed = composed
        self._graphs = {NO_LABELS: Graph(self.supergraph)}
        self._cache_bytes = cache_bytes
        self._improving_s = improving_s
        self._deadline_s = deadline_s
        self._cache: OrderedDict[tuple[str, str | None, frozenset[str]], tuple[Prepared, int]] = OrderedDict()
        self.cached_bytes = 0
        self.public_schema: GraphQLSchema = public_schema(self.supergraph)

    def prepare(self, document: str, operation_name: str | None = None, labels: frozenset[str] = NO_LABELS) -> Prepared:
        """Parse, validate and plan a document, or find it in the cache. Raises DocumentInvalid.

        `labels`: those of progressive overrides that are switched on; unknown ones do nothing.
        """
        labels &= self.labels
        found = self.known(document, operation_name, labels)
        if found is None:
            found = self._prepare(document, operation_name, labels)
            self._keep((document, operation_name, labels), found)
        return found

    def known(
        self, document: str, operation_name: str | None = None, labels: frozenset[str] = NO_LABELS
    ) -> Prepared | None:
        """A document that is in the cache already."""
        key = document, operation_name, labels & self.labels
        found = self._cache.get(key)
        if found is None:
            return None
        self._cache.move_to_end(key)
        return found[0]

    def documents(self) -> list[tuple[str, str | None, frozenset[str]]]:
        """Text, operation name and labels of what is in the cache."""
        return list(self._cache)

    def all_labels(self) -> list[frozenset[str]]:
        """Every choice of labels that can be switched on. Raises SupergraphInvalid where they are too many."""
        if len(self.labels) > MOST_LABELS:
            raise SupergraphInvalid(f"{len(self.labels)} labels of progressive overrides are too many to go over")
        names = sorted(self.labels)
        return [frozenset(chosen) for size in range(len(names) + 1) for chosen in combinations(names, size)]

    def selection(self, prepared: Prepared) -> Selection:
        """The normal form that a document was planned from, for explaining."""
        return self._normalize(prepared.operation, _fragments(prepared.document))

    def search(self, prepared: Prepared) -> State:
        """The finished search that a document's plan was made of, for explaining."""
        return self._search(prepared.kind, self.selection(prepared), prepared.labels)

    def without(self, prepared: Prepared, denied: frozenset[str]) -> Prepared:
        """The same document, of which these coordinates are not fetched, and null even where the plan reads them."""
        key = (Planning.without, denied)
        found: Prepared | None = prepared.notes.get(key)
        if found is None:
            if len(prepared.notes) >= MOST_VARIANTS:
                prepared.notes.clear()
            selection = self.selection(prepared).without(denied)
            state = self._search(prepared.kind, selection, prepared.labels)
            projector = Projector(
                self.public_schema,
                prepared.operation,
                _fragments(prepared.document),
                withheld=self._of_objects(denied),
            )
            plan = build_plan(state, prepared.kind, prepared.operation)
            found = prepared.notes[key] = replace(prepared, plan=plan, projector=projector, notes={})
        return found

    def _of_objects(self, coordinates: frozenset[str]) -> frozenset[str]:
        """The same coordinates on every object type that they may be asked of."""
        named = [item.partition(".") for item in coordinates]
        return frozenset(
            f"{owner}.{name}" for type_name, _, name in named for owner in self.supergraph.possible[type_name]
        )

    def _keep(self, key: tuple[str, str | None, frozenset[str]], prepared: Prepared) -> None:
        size = _size_of(key[0], prepared)
        self._cache[key] = prepared, size
        self.cached_bytes += size
        while self.cached_bytes > self._cache_bytes and len(self._cache) > 1:
            _, (_, freed) = self._cache.popitem(last=False)
            self.cached_bytes -= freed

    def _prepare(self, text: str, operation_name: str | None, labels: frozenset[str]) -> Prepared:
        try:
            return self._planned(text, operation_name, labels)
        except RecursionError:
            raise DocumentInvalid([GraphQLError("The document is nested too deeply.")]) from None

    def _planned(self, text: str, operation_name: str | None, labels: frozenset[str]) -> Prepared:
        try:
            document = parse(text)
        except GraphQLError as malformed:
            raise DocumentInvalid([malformed]) from malformed
        errors = validate(self.public_schema, document)
        if errors:
            raise DocumentInvalid(errors)
        _check_aliases(document)
        operation = _operation(document, operation_name)
        fragments = _fragments(document)
        kind = operation.operation.value
        return Prepared(
            document=document,
            operation=operation,
            kind=kind,
            plan=build_plan(self._search(kind, self._normalize(operation, fragments), labels), kind, operation),
            projector=Projector(self.public_schema, operation, fragments),
            schema=self.public_schema,
            labels=labels,
        )

    def _normalize(
        self, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
    ) -> Selection:
        normalizer = Normalizer(self.supergraph, fragments)
        try:
            return normalizer.selection(self.supergraph.roots[operation.operation.value], operation.selection_set)
        except TooManyFields as failed:
            raise DocumentInvalid([GraphQLError(str(failed), operation)]) from failed

    def _search(self, kind: str, selection: Selection, labels: frozenset[str]) -> State:
        graph = self._graphs.get(labels)
        if graph is None:
            if len(self._graphs) >= MOST_GRAPHS:
                self._graphs = {NO_LABELS: self._graphs[NO_LABELS]}
            graph = self._graphs[labels] = Graph(self._composed.under(labels))
        search = Search(graph, kind, selection, deadline_s=self._deadline_s, improving_s=self._improving_s)
        try:
            return search.run()
        except (Unplannable, PlanningTimedOut) as failed:
            raise DocumentInvalid([GraphQLError(str(failed))]) from failed


def _size_of(text: str, prepared: Prepared) -> int:
    return PREPARED_BYTES + BYTES_A_CHARACTER * (len(text) + sum(len(item.document) for item in prepared.plan.fetches))


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


class _Aliases(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.errors: list[GraphQLError] = []

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Note an alias that could pass for what the engine itself asks, such as `__typename`."""
        if node.alias is not None and node.alias.value.startswith("__"):
            self.errors.append(GraphQLError(f"The alias {node.alias.value!r} is reserved.", node))


def _check_aliases(document: DocumentNode) -> None:
    aliases = _Aliases()
    visit(document, aliases)
    if aliases.errors:
        raise DocumentInvalid(aliases.errors)


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None and len(operations) == 1:
        return operations[0]
    for operation in operations:
        if name is not None and operation.name is not None and operation.name.value == name:
            return operation
    if name is None:
        raise DocumentInvalid([GraphQLError("Must provide operation name if query contains multiple operations.")])
    raise DocumentInvalid([GraphQLError(f"Unknown operation named {name!r}.")])
