"""The engine: a supergraph and ways to its subgraphs in, answers out. It knows no client, no token and no purpose."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gov_services.federation.executor import Execution
from gov_services.federation.planner.graph import Graph
from gov_services.federation.planner.normalize import Normalizer
from gov_services.federation.planner.optimize import build_plan
from gov_services.federation.planner.plan import Plan
from gov_services.federation.planner.search import PlanningTimedOut, Search, Unplannable
from gov_services.federation.projection import Projector
from gov_services.federation.public_schema import public_schema
from gov_services.federation.supergraph import SupergraphInvalid, read_supergraph
from gov_services.federation.transports import Transport
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    Visitor,
    execute_sync,
    get_variable_values,
    parse,
    print_schema,
    validate,
    visit,
)

__all__ = ["DocumentInvalid", "Engine", "ExecutionResult", "Prepared", "SupergraphInvalid"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """A GraphQL answer. `started`: whether any fetch began, so that a subgraph may have acted."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)
    started: bool = False


class Engine:
    """Plans and executes documents on one supergraph. Raises SupergraphInvalid when it is made of something else."""

    def __init__(
        self,
        supergraph_sdl: str,
        *,
        transports: Mapping[str, Transport],
        plan_cache_size: int = 1_000,
        planning_deadline_s: float = 10.0,
    ) -> None:
        self._supergraph = read_supergraph(supergraph_sdl)
        self._graph = Graph(self._supergraph)
        self._transports = dict(transports)
        self._plan_cache_size = plan_cache_size
        self._planning_deadline_s = planning_deadline_s
        self._cache: OrderedDict[tuple[str, str | None], Prepared] = OrderedDict()
        self.public_schema: GraphQLSchema = public_schema(self._supergraph)
        self.supergraph_hash = hashlib.sha256(supergraph_sdl.encode()).hexdigest()

    @cached_property
    def public_sdl(self) -> str:
        """The public schema as text."""
        return print_schema(self.public_schema)

    @property
    def subgraphs(self) -> Mapping[str, str]:
        """The subgraphs' names and their addresses as composed."""
        return self._supergraph.subgraphs

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
        )

    def _plan(self, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Plan:
        kind = operation.operation.value
        selection = Normalizer(self._supergraph, fragments).selection(
            self._supergraph.roots[kind], operation.selection_set
        )
        try:
            state = Search(self._graph, kind, selection, deadline_s=self._planning_deadline_s).run()
        except (Unplannable, PlanningTimedOut) as failed:
            raise DocumentInvalid([GraphQLError(str(failed), operation)]) from failed
        return build_plan(state, kind, operation)

    async def execute(
        self, prepared: Prepared, *, variables: Mapping[str, Any] | None = None, context: object = None
    ) -> ExecutionResult:
        """Execute a prepared query or mutation. Errors of subgraphs come back in the result, none are raised."""
        if prepared.kind == "subscription":
            return ExecutionResult(data=None, errors=[{"message": "a subscription is not executed but subscribed to"}])
        sent = dict(variables or {})
        values = get_variable_values(self.public_schema, prepared.operation.variable_definitions or (), sent)
        if isinstance(values, list):
            return ExecutionResult(data=None, errors=[dict(error.formatted) for error in values])
        execution = Execution(prepared.plan, self._transports, sent=sent, coerced=values.coerced, context=context)
        await execution.run()
        errors = execution.errors
        self._introspect(prepared, sent, values.coerced, execution.data)
        data = prepared.projector.project(execution.data, values.coerced, errors)
        return ExecutionResult(data=data, errors=errors, started=execution.started)

    def _introspect(
        self, prepared: Prepared, sent: Mapping[str, Any], coerced: Mapping[str, Any], data: dict[str, Any]
    ) -> None:
        """Answer what is asked about the schema itself from the public schema."""
        nodes = prepared.projector.introspection(coerced) if prepared.kind == "query" else []
        if not nodes:
            return
        operation = OperationDefinitionNode(
            operation=prepared.operation.operation,
            name=prepared.operation.name,
            variable_definitions=prepared.operation.variable_definitions,
            directives=(),
            selection_set=SelectionSetNode(selections=tuple(nodes)),
        )
        fragments = [item for item in prepared.document.definitions if isinstance(item, FragmentDefinitionNode)]
        document = DocumentNode(definitions=(operation, *fragments))
        result = execute_sync(self.public_schema, document, variable_values=dict(sent))
        data.update(result.data or {})


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
