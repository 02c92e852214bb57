"""What is made of a supergraph once: its model, the public schema, a plan for each document. It reaches nobody."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gov_services.federation.planner.graph import Graph
from gov_services.federation.planner.normalize import Normalizer
from gov_services.federation.planner.optimize import build_plan
from gov_services.federation.planner.plan import Plan
from gov_services.federation.planner.search import PlanningTimedOut, Search, Unplannable
from gov_services.federation.projection import Projector
from gov_services.federation.public_schema import public_schema
from gov_services.federation.supergraph import read_supergraph
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
    notes: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)
    """What others work out once a document."""


class Planning:
    """Plans documents on one supergraph. Raises SupergraphInvalid when it is made of something else."""

    def __init__(
        self,
        supergraph_sdl: str,
        *,
        plan_cache_size: int = 1_000,
        planning_deadline_s: float = 10.0,
    ) -> None:
        self.supergraph = read_supergraph(supergraph_sdl)
        self._graph = Graph(self.supergraph)
        self._plan_cache_size = plan_cache_size
        self._planning_deadline_s = planning_deadline_s
        self._cache: OrderedDict[tuple[str, str | None], Prepared] = OrderedDict()
        self.public_schema: GraphQLSchema = public_schema(self.supergraph)

    def prepare(self, document: str, operation_name: str | None = None) -> Prepared:
        """Parse, validate and plan a document, or find it in the cache. Raises DocumentInvalid."""
        key = (document, operation_name)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._prepare(document, operation_name)
            while len(self._cache) > self._plan_cache_size:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return found

    def known(self, document: str, operation_name: str | None = None) -> Prepared | None:
        """A document that is in the cache already."""
        return self._cache.get((document, operation_name))

    def documents(self) -> list[tuple[str, str | None]]:
        """Text and operation name of what is in the cache."""
        return list(self._cache)

    def _prepare(self, text: str, operation_name: str | None) -> Prepared:
        try:
            document = parse(text)
        except GraphQLError as malformed:
            raise DocumentInvalid([malformed]) from malformed
        errors = validate(self.public_schema, document)
        if errors:
            raise DocumentInvalid(errors)
        _check_aliases(document)
        operation = _operation(document, operation_name)
        fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        return Prepared(
            document=document,
            operation=operation,
            kind=operation.operation.value,
            plan=self._plan(operation, fragments),
            projector=Projector(self.public_schema, operation, fragments),
            schema=self.public_schema,
        )

    def _plan(self, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Plan:
        kind = operation.operation.value
        selection = Normalizer(self.supergraph, fragments).selection(
            self.supergraph.roots[kind], operation.selection_set
        )
        try:
            state = Search(self._graph, kind, selection, deadline_s=self._planning_deadline_s).run()
        except (Unplannable, PlanningTimedOut) as failed:
            raise DocumentInvalid([GraphQLError(str(failed), operation)]) from failed
        return build_plan(state, kind, operation)


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
