"""The engine: a supergraph and ways to its subgraphs in, answers out. It knows no client, no token and no purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gov_services.federation.executor import Execution
from gov_services.federation.planning import Planning, Prepared
from gov_services.federation.transports import Transport
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    SelectionSetNode,
    execute_sync,
    get_variable_values,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """A GraphQL answer. `started`: whether any fetch began, so that a subgraph may have acted."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)
    started: bool = False


class Engine:
    """Executes planned documents over ways to the subgraphs."""

    def __init__(self, planning: Planning, *, transports: Mapping[str, Transport]) -> None:
        self.planning = planning
        self._transports = dict(transports)

    async def execute(
        self, prepared: Prepared, *, variables: Mapping[str, Any] | None = None, context: object = None
    ) -> ExecutionResult:
        """Execute a prepared query or mutation. Errors of subgraphs come back in the result, none are raised."""
        if prepared.kind == "subscription":
            return ExecutionResult(data=None, errors=[{"message": "a subscription is not executed but subscribed to"}])
        sent = dict(variables or {})
        values = get_variable_values(self.planning.public_schema, prepared.operation.variable_definitions or (), sent)
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
        result = execute_sync(self.planning.public_schema, document, variable_values=dict(sent))
        data.update(result.data or {})
