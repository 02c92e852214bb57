"""Small subgraphs in this process, made from SDL and one world of records, strict about what they may be asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from engine_world import town_world
from graphql.language import REMOVE, Visitor

from gov_services.federation.engine import Engine, ExecutionResult
from gov_services.federation.explain import explain
from gov_services.federation.planning import Planning
from gov_services.federation.transports import SubgraphRequest, SubgraphResponse, SubgraphUnavailable
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    build_ast_schema,
    execute,
    execute_sync,
    extend_schema,
    parse,
    validate,
    value_from_ast_untyped,
    visit,
)

SUPERGRAPHS = Path(__file__).parent / "supergraphs"
Record = dict[str, Any]
World = Mapping[str, Any]

PATIENCE_S = 120.0
"""What is compared here is answers; how long planning may take is tested elsewhere, and the machine may be busy."""


class _Plain(Visitor):
    """Takes federation's own directives and the link out of a subgraph's text."""

    def enter_directive(self, *_: Any) -> Any:
        return REMOVE

    def enter_schema_extension(self, *_: Any) -> Any:
        return REMOVE


def field_set(text: str) -> SelectionSetNode:
    return parse("{" + text + "}").definitions[0].selection_set


def value_of(record: Record, name: str, arguments: Mapping[str, Any]) -> Any:
    """What the world says of a record. A callable is asked with the arguments."""
    value = record.get(name)
    if isinstance(value, Exception):
        raise value
    return value(**arguments) if callable(value) else value


def project(record: Any, selection: SelectionSetNode, read: Callable[[Record, str, FieldNode], Any]) -> Any:
    """The part of a record that a field set names."""
    if record is None:
        return None
    if isinstance(record, list):
        return [project(item, selection, read) for item in record]
    found: dict[str, Any] = {}
    for node in selection.selections:
        if isinstance(node, InlineFragmentNode):
            if node.type_condition is None or node.type_condition.name.value == record.get("__typename"):
                found.update(project(record, node.selection_set, read))
            continue
        assert isinstance(node, FieldNode)
        value = read(record, node.name.value, node)
        found[node.name.value] = project(value, node.selection_set, read) if node.selection_set else value
    return found


def computed(name: str, given: Any, arguments: Mapping[str, Any]) -> str:
    """The value of every field with @requires: a text of all that it required, so that a wrong input shows."""
    return f"{name}{json.dumps(arguments, sort_keys=True)}{json.dumps(given, sort_keys=True)}"


class View(dict[str, Any]):
    """A record as one subgraph holds it: with what a representation gave, and what a path provides."""

    given: Any = None
    provided: SelectionSetNode | None = None


class Subgraph:
    """A subgraph over a world. It refuses to resolve what is external to it and what does not validate."""

    def __init__(self, name: str, sdl: str, world: World) -> None:
        self.name = name
        self.requests: list[SubgraphRequest] = []
        self.answer: Callable[[SubgraphRequest], SubgraphResponse | None] = lambda request: None
        self._world = world
        self._types: dict[str, Any] = {}
        document = parse(sdl)
        for node in document.definitions:
            if getattr(node, "fields", None):
                self._types[node.name.value] = node
        self.schema = self._schema(visit(document, _Plain()))

    def _schema(self, document: DocumentNode) -> GraphQLSchema:
        schema = build_ast_schema(document, assume_valid_sdl=True)
        entities = [
            name for name, node in self._types.items() if self._keys(node) and node.kind == "object_type_definition"
        ]
        if entities:
            union = " | ".join(sorted(entities))
            text = f"scalar _Any union _Entity = {union} type _Service {{ sdl: String }}"
            more = "extend schema { query: Query } type Query" if schema.query_type is None else "extend type Query"
            text += more + " { _entities(representations: [_Any!]!): [_Entity]! }"
            schema = extend_schema(schema, parse(text), assume_valid_sdl=True)
        return schema

    def _keys(self, node: Any) -> list[SelectionSetNode]:
        return [
            field_set(argument.value.value)
            for directive in node.directives or ()
            if directive.name.value == "key"
            for argument in directive.arguments
            if argument.name.value == "fields"
        ]

    def _directive(self, type_name: str, field_name: str, name: str) -> Any:
        node = self._types.get(type_name)
        field = next((item for item in node.fields or () if item.name.value == field_name), None) if node else None
        return next((item for item in field.directives or () if item.name.value == name), None) if field else None

    def _field_set(self, type_name: str, field_name: str, name: str) -> SelectionSetNode | None:
        directive = self._directive(type_name, field_name, name)
        return field_set(directive.arguments[0].value.value) if directive else None

    def resolve(self, source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        type_name, field_name = info.parent_type.name, info.field_name
        if field_name == "_entities":
            return [self._entity(item) for item in arguments["representations"]]
        if source is None:
            root = info.parent_type.name
            return self._wrap(value_of(self._world[root], field_name, arguments), type_name, field_name, None)
        requires = self._field_set(type_name, field_name, "requires")
        if requires is not None:
            return computed(field_name, project(source.given, requires, self._given), arguments)
        if self._directive(type_name, field_name, "external") and not self._is_provided(source, field_name):
            raise GraphQLError(f"{type_name}.{field_name} is external to {self.name}")
        inner = next((node.selection_set for node in self._provided(source) if node.name.value == field_name), None)
        return self._wrap(value_of(source, field_name, arguments), type_name, field_name, inner)

    def _given(self, record: Any, name: str, _: FieldNode) -> Any:
        if record is None or name not in record:
            raise GraphQLError(f"the representation for {self.name} lacks {name}")
        return record[name]

    def _is_provided(self, source: View, field_name: str) -> bool:
        return any(node.name.value == field_name for node in self._provided(source))

    def _provided(self, source: View) -> list[FieldNode]:
        found: list[FieldNode] = []
        for node in source.provided.selections if source.provided else ():
            if isinstance(node, FieldNode):
                found.append(node)
            elif node.type_condition.name.value == source["__typename"]:
                found += [item for item in node.selection_set.selections if isinstance(item, FieldNode)]
        return found

    def _wrap(self, value: Any, type_name: str, field_name: str, provided: SelectionSetNode | None) -> Any:
        if isinstance(value, list):
            return [self._wrap(item, type_name, field_name, provided) for item in value]
        if not isinstance(value, dict):
            return value
        view = View(value)
        view.provided = self._field_set(type_name, field_name, "provides") or provided
        return view

    def _entity(self, representation: Mapping[str, Any]) -> View | None:
        wanted = representation["__typename"]
        keys = self._keys(self._types[wanted])
        for record in self._world["records"]:
            names = {record["__typename"], *record.get("__interfaces", ())}
            if wanted in names and any(self._matches(record, representation, key) for key in keys):
                view = View(record)
                view.given = representation
                if record["__typename"] != wanted and self._types[wanted].kind == "object_type_definition":
                    view["__typename"] = wanted
                return view
        return None

    def _matches(self, record: Record, representation: Any, key: SelectionSetNode) -> bool:
        try:
            given = project(representation, key, self._given)
        except GraphQLError:
            return False
        return given == project(record, key, lambda item, name, _: item.get(name))

    async def fetch(self, request: SubgraphRequest, *, context: object) -> SubgraphResponse:
        self.requests.append(request)
        assert request.document_hash == hashlib.sha256(request.document.encode()).hexdigest()
        told = self.answer(request)
        if told is not None:
            return told
        document = parse(request.document)
        invalid = validate(self.schema, document)
        assert not invalid, f"{self.name}: {invalid[0].message}\n{request.document}"
        result = execute(
            self.schema,
            document,
            variable_values=json.loads(json.dumps(dict(request.variables))),
            field_resolver=self.resolve,
            type_resolver=lambda value, *_: value["__typename"],
        )
        errors = [error.formatted for error in result.errors or ()]
        return SubgraphResponse(data=result.data, errors=errors)


class Bench:
    """An engine over subgraphs of this process, beside one schema that resolves all of it by itself."""

    def __init__(self, folder: str, world: World) -> None:
        at = SUPERGRAPHS / folder
        self.sdl = (at / "supergraph.graphql").read_text()
        texts = {item.stem: item.read_text() for item in sorted(at.glob("*.graphql")) if item.stem != "supergraph"}
        self.subgraphs = {name: Subgraph(name, text, world) for name, text in texts.items()}
        self.engine = Engine(Planning(self.sdl, deadline_s=PATIENCE_S), transports=self.subgraphs)
        self._world = world
        self._requires = {
            (type_name, field.name): join.requires
            for type_name, item in self.engine.planning.supergraph.types.items()
            for field in item.fields.values()
            for join in field.joins.values()
            if join.requires is not None
        }

    def plan(self, document: str) -> str:
        return explain(self.engine.planning.prepare(document).plan)

    async def run(self, document: str, **variables: Any) -> ExecutionResult:
        for subgraph in self.subgraphs.values():
            subgraph.requests.clear()
        return await self.engine.execute(self.engine.planning.prepare(document), variables=variables, context=None)

    def merged(self, document: str, **variables: Any) -> Any:
        """What one schema with all fields answers."""
        return execute_sync(
            self.engine.planning.public_schema,
            parse(document),
            variable_values=variables,
            field_resolver=self._resolve,
            type_resolver=lambda value, *_: value["__typename"],
        )

    def _resolve(self, source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        record = source if source is not None else self._world[info.parent_type.name]
        return self._read(record, info.field_name, arguments, info.parent_type.name)

    def _read(self, record: Record, name: str, arguments: Mapping[str, Any], type_name: str) -> Any:
        names = [type_name, *record.get("__interfaces", ())]
        requires = next((self._requires[owner, name] for owner in names if (owner, name) in self._requires), None)
        if requires is None:
            return value_of(record, name, arguments)
        given = project(record, requires, self._required)
        return computed(name, given, arguments)

    def _required(self, record: Record, name: str, node: FieldNode) -> Any:
        arguments = {item.name.value: value_from_ast_untyped(item.value) for item in node.arguments or ()}
        return self._read(record, name, arguments, record["__typename"])

    async def compare_with_errors(self, document: str, **variables: Any) -> ExecutionResult:
        """Assert that both answer the same data, and both tell of errors or neither does."""
        wanted = self.merged(document, **variables)
        result = await self.run(document, **variables)
        assert result.data == wanted.data, f"{document}\n{self.plan(document)}"
        assert bool(result.errors) == bool(wanted.errors), f"{document}\n{result.errors}\n{wanted.errors}"
        return result

    async def compare(self, document: str, **variables: Any) -> ExecutionResult:
        """Assert that both answer the same, and without errors."""
        wanted = self.merged(document, **variables)
        assert wanted.errors is None, wanted.errors
        result = await self.run(document, **variables)
        assert (result.data, result.errors) == (wanted.data, []), f"{document}\n{self.plan(document)}"
        return result


def away(request: SubgraphRequest) -> SubgraphResponse:
    raise SubgraphUnavailable(request.subgraph)


@pytest.fixture
def town() -> Bench:
    return Bench("town", town_world())


@pytest.fixture
def bench() -> Callable[[str, World], Bench]:
    return Bench


@pytest.fixture
def unavailable() -> Callable[[SubgraphRequest], SubgraphResponse]:
    return away
