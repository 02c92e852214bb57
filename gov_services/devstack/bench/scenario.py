"""What is measured: four small subgraphs, invented data, and one query that takes five fetches. It measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from graphql.language import REMOVE, Visitor

from graphql import (
    GraphQLResolveInfo,
    GraphQLSchema,
    ObjectTypeDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    print_ast,
    visit,
)

GRAPH = Path(__file__).parent / "graph"
SUBGRAPHS = ("residents", "permits", "premises", "inspections")
RESIDENTS, PERMITS_EACH, OFFICERS = 10, 3, 10
"""50 distinct entities are asked for: residents, premises (one a permit) and officers."""

QUERY = (Path(__file__).parent / "caseload.graphql").read_text()
VARIABLES = {"first": RESIDENTS}


def supergraph(address: str) -> str:
    """The supergraph, with the subgraphs under `address`."""
    text = (GRAPH / "supergraph.graphql").read_text()
    for name in SUBGRAPHS:
        text = text.replace(f"http://{name}/graphql", f"{address}/{name}")
    return text


class Subgraph:
    """One of the four, answered by graphql-core: slow, and so asked once for each text; then it is replayed."""

    def __init__(self, name: str) -> None:
        self._schema = _schema((GRAPH / f"{name}.graphql").read_text())

    def answer(self, body: bytes) -> bytes:
        """The answer to the body of a GraphQL request."""
        asked = orjson.loads(body)
        result = execute_sync(
            self._schema,
            parse(asked["query"]),
            variable_values=asked.get("variables"),
            operation_name=asked.get("operationName"),
            field_resolver=_resolve,
            type_resolver=lambda value, *_: str(value["__typename"]),
        )
        if result.errors:
            raise ValueError(f"a replayed subgraph was asked what it does not know: {result.errors[0].message}")
        return orjson.dumps({"data": result.data})


class _Plain(Visitor):
    def enter_directive(self, *_: Any) -> Any:
        return REMOVE

    def enter_schema_extension(self, *_: Any) -> Any:
        return REMOVE


def _schema(text: str) -> GraphQLSchema:
    document = parse(text)
    entities = [
        node.name.value
        for node in document.definitions
        if isinstance(node, ObjectTypeDefinitionNode)
        and any(item.name.value == "key" for item in node.directives or ())
    ]
    entry = "type" if "type Query" not in text else "extend type"
    return build_schema(
        f"{print_ast(visit(document, _Plain()))}\nscalar _Any\nunion _Entity = {' | '.join(entities)}\n"
        f"{entry} Query {{ _entities(representations: [_Any!]!): [_Entity]! }}"
    )


def _resolve(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    if info.field_name == "_entities":
        return arguments["representations"]
    if info.field_name == "residents":
        return [{"__typename": "Resident", "id": f"r{number}"} for number in range(arguments["first"])]
    return _value(source, info.field_name)


def _value(source: Mapping[str, Any], name: str) -> Any:
    if name in source:
        return source[name]
    number = int("".join(letter for letter in str(source.get("id", source.get("code"))) if letter.isdigit()))
    if source["__typename"] == "Resident":
        return _of_resident(number, name)
    if source["__typename"] == "Permit":
        return {
            "kind": ("food", "market stall", "hairdresser")[number % 3],
            "state": ("SUBMITTED", "ACCEPTED", "ISSUED")[number % 3],
            "premises": {"__typename": "Premises", "code": f"p{number}"},
            "officer": {"__typename": "Resident", "id": f"r{100 + number % OFFICERS}"},
        }[name]
    return {
        "name": f"Invented lane {number}",
        "area": 20 + number,
        "floor": number % 5,
        "risk": source.get("area", 0) % 7,
        "grade": "ABC"[number % 3],
    }[name]


def _of_resident(number: int, name: str) -> Any:
    if name == "permits":
        first = number * PERMITS_EACH
        return [{"__typename": "Permit", "id": f"t{first + index}"} for index in range(PERMITS_EACH)]
    return {"name": f"测试居民{number}", "district": f"District {number % 4}"}[name]
