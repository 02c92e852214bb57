"""The engine: a supergraph and ways to its subgraphs in, answers out. It knows no client, no token and no purpose."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gov_services.federation.executor import Execution, request_of
from gov_services.federation.planning import Planning, Prepared
from gov_services.federation.transports import Streams, SubgraphResponse, SubgraphUnavailable, Transport
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    execute_sync,
    get_variable_values,
    print_ast,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """A GraphQL answer. `started`: whether any fetch began, so that a subgraph may have acted."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)
    started: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """An operation's variables: as they were sent, which subgraphs get, and coerced, with defaults."""

    sent: Mapping[str, Any]
    coerced: Mapping[str, Any]


def _together(extensions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What several subgraphs said under one name: lists together, of anything else what was said last."""
    told: dict[str, Any] = {}
    for said in extensions:
        for name, value in said.items():
            earlier = told.get(name)
            told[name] = [*earlier, *value] if isinstance(earlier, list) and isinstance(value, list) else value
    return told


class VariablesInvalid(Exception):
    """Variables do not fit the operation. `errors` are graphql-core's, whose messages quote values."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("variables do not fit the operation")
        self.errors = errors


class Engine:
    """Executes planned documents over ways to the subgraphs."""

    def __init__(self, planning: Planning, *, transports: Mapping[str, Transport]) -> None:
        self.planning = planning
        self._transports = dict(transports)

    def replace(self, planning: Planning, *, transports: Mapping[str, Transport]) -> None:
        """Serve another supergraph from now on. What was prepared on the old one is still executed as it was."""
        self.planning = planning
        self._transports = {**self._transports, **transports}

    def inputs(self, prepared: Prepared, variables: Mapping[str, Any]) -> Inputs:
        """Coerce an operation's variables; those that it does not declare are left out. Raises VariablesInvalid."""
        definitions = prepared.operation.variable_definitions
        if not definitions:
            return _NO_INPUTS
        names = [item.variable.name.value for item in definitions]
        sent = {name: variables[name] for name in names if name in variables}
        if _are_plain(prepared, sent):
            return Inputs(sent=sent, coerced=sent)
        values = get_variable_values(prepared.schema, definitions, sent, max_errors=1)
        if isinstance(values, list):
            raise VariablesInvalid(values)
        return Inputs(sent=sent, coerced=values.coerced)

    async def execute(
        self,
        prepared: Prepared,
        *,
        variables: Mapping[str, Any] | None = None,
        inputs: Inputs | None = None,
        context: object = None,
        errors: Sequence[dict[str, Any]] = (),
        event: SubgraphResponse | None = None,
    ) -> ExecutionResult:
        """Execute a prepared operation with variables, or with `inputs` made of them before.

        Errors of subgraphs come back in the result, after those that are known already (`errors`); none are raised.
        A subscription is executed once for each of its events: what the subgraph said of one is `event`; without it
        the subgraph is asked, and answers as for a question.
        """
        try:
            inputs = inputs or self.inputs(prepared, variables or {})
        except VariablesInvalid as invalid:
            return ExecutionResult(data=None, errors=[dict(error.formatted) for error in invalid.errors])
        execution = Execution(
            prepared.plan, self._transports, sent=inputs.sent, coerced=inputs.coerced, context=context, event=event
        )
        await execution.run()
        found = [*errors, *execution.errors] if errors else execution.errors
        if prepared.projector.asks_about_schema:
            _introspect(prepared, inputs, execution.data)
        data = prepared.projector.project(execution.data, inputs.coerced, found)
        told = _together(execution.extensions) if execution.extensions else {}
        return ExecutionResult(data=data, errors=found, extensions=told, started=execution.started)

    async def events(
        self, prepared: Prepared, *, inputs: Inputs, context: object = None
    ) -> AsyncGenerator[SubgraphResponse]:
        """What the subgraph says of each event of a subscription, for `execute` to complete, until it says no more.

        Raises SubgraphUnavailable, also for a subgraph that no stream comes from.
        """
        first = next(item for item in prepared.plan.fetches if not item.depends_on)
        transport = self._transports.get(first.subgraph)
        if not isinstance(transport, Streams):
            raise SubgraphUnavailable(first.subgraph)
        request = request_of(first, {name: inputs.sent[name] for name in first.variables if name in inputs.sent})
        async with contextlib.aclosing(transport.subscribe(request, context=context)) as told:
            async for response in told:
                yield response


def _are_plain(prepared: Prepared, sent: Mapping[str, Any]) -> bool:
    """Whether all variables are there and of just the type that is wanted, so that coercing would change nothing."""
    wanted = prepared.notes.get(_are_plain)
    if wanted is None:
        definitions = prepared.operation.variable_definitions or ()
        wanted = prepared.notes[_are_plain] = [
            (item.variable.name.value, _PLAIN.get(print_ast(item.type).removesuffix("!"))) for item in definitions
        ]
    for name, kind in wanted:
        value: Any = sent.get(name)
        if type(value) is not kind or (kind is int and not -(2**31) <= value < 2**31):
            return False
    return True


_PLAIN = {"Int": int, "String": str, "ID": str, "Boolean": bool}
_NO_INPUTS = Inputs(sent={}, coerced={})


def _introspect(prepared: Prepared, inputs: Inputs, data: dict[str, Any]) -> None:
    """Answer what is asked about the schema itself from the public schema."""
    nodes = prepared.projector.introspection(inputs.coerced) if prepared.kind == "query" else []
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
    result = execute_sync(prepared.schema, document, variable_values=dict(inputs.sent))
    data.update(result.data or {})
