"""Builds and checks the manifest of trusted documents: joins plans with purposes. It signs and serves none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gov_services.consent.lawful import require_consistent
from gov_services.consent.purpose_files import load_seed
from gov_services.consent.purposes import Bundle, Form, Purpose
from gov_services.consent.tables import PurposeRefused
from gov_services.consent.vocabulary import Vocabulary
from gov_services.federation.planning import DocumentInvalid, Planning, Prepared
from gov_services.gateway.limits import Limits
from gov_services.kit.errors import ServiceError
from gov_services.kit.manifest import FORMAT, Manifest
from gov_services.kit.settings import PROJECT_ROOT
from graphql import (
    REMOVE,
    ConstDirectiveNode,
    DirectiveNode,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    Visitor,
    get_named_type,
    parse,
    print_ast,
    type_from_ast,
    visit,
)

SEED = PROJECT_ROOT / "gov_services" / "consent" / "purposes.toml"


class DocumentsRefused(Exception):
    """Documents that may not be registered. `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Source:
    """One operation file."""

    path: Path
    client: str
    name: str
    purpose: str
    sign_in: str
    body: str
    operation: OperationDefinitionNode


@cache
def seed_bundle() -> Bundle:
    """The bundle in the reviewed file."""
    return load_seed(SEED.read_text())


def build(graph_directory: Path, *, previous: Manifest | None, above: int = 0) -> bytes:
    """The manifest of all operation files, as JSON. Its version grows by one when anything changed.

    It is higher than `above` in any case: the way to go back is a newer manifest that says what an older one said.

    Raises DocumentsRefused where a document reads or collects what its purpose does not grant, or fits no schema.
    """
    supergraph = (graph_directory / "supergraph.graphql").read_text()
    planning = Planning(supergraph)
    vocabulary = Vocabulary.from_sdl(supergraph)
    bundle = seed_bundle()
    try:
        require_consistent(bundle, vocabulary)
    except PurposeRefused as refused:
        raise DocumentsRefused([str(refused)]) from refused
    operations: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for source in sources(graph_directory / "operations", problems):
        item, found = _register(source, planning, vocabulary, bundle)
        problems += [f"{source.client}/{source.name}: {problem}" for problem in found]
        if item is not None:
            problems += _merge(operations, item, source)
    if problems:
        raise DocumentsRefused(problems)
    ordered = sorted(operations.values(), key=lambda item: (item["name"], item["id"]))
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": 1,
        "manifestVersion": previous.version if previous else 1,
        "supergraph": hashlib.sha256(supergraph.encode()).hexdigest(),
        "operations": ordered,
    }
    if previous is not None and hashlib.sha256(_encode(content)).hexdigest() != previous.hash:
        content["manifestVersion"] = previous.version + 1
    content["manifestVersion"] = max(content["manifestVersion"], above + 1)
    return _encode(content)


def sources(directory: Path, problems: list[str]) -> Iterator[Source]:
    """The operation files, client by client. What is wrong with one is added to `problems`."""
    for path in sorted(directory.glob("*/*.graphql")):
        client = path.parent.name
        try:
            yield _source(path, client)
        except (ValueError, SyntaxError) as malformed:
            problems.append(f"{client}/{path.stem}: {malformed}")
        except Exception as malformed:  # noqa: BLE001  graphql-core's syntax errors; the line is in the message
            problems.append(f"{client}/{path.stem}: {malformed}")


def _encode(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _source(path: Path, client: str) -> Source:
    document = parse(path.read_text(), no_location=True)
    operations = [item for item in document.definitions if isinstance(item, OperationDefinitionNode)]
    if len(operations) != 1:
        raise ValueError("a file holds one operation")
    operation = operations[0]
    if operation.name is None or operation.name.value != path.stem:
        raise ValueError("the operation is named as its file")
    directives = [item for item in operation.directives or () if item.name.value == "purpose"]
    if len(directives) != 1:
        raise ValueError('it says no @purpose(code: "…")')
    arguments = _arguments(directives[0])
    body = print_ast(visit(document, StripPurpose())).strip() + "\n"
    return Source(
        path=path,
        client=client,
        name=path.stem,
        purpose=arguments.get("code", ""),
        sign_in=arguments.get("signIn", "required"),
        body=body,
        operation=operation,
    )


class StripPurpose(Visitor):
    """Takes `@purpose` out: it is ours, and in no schema."""

    def enter_directive(self, node: DirectiveNode, *_: object) -> object:
        """Remove it."""
        return REMOVE if node.name.value == "purpose" else None


def _arguments(directive: Any) -> dict[str, str]:
    node: ConstDirectiveNode = directive
    return {
        argument.name.value: argument.value.value
        for argument in node.arguments or ()
        if isinstance(argument.value, StringValueNode)
    }


def _register(
    source: Source, planning: Planning, vocabulary: Vocabulary, bundle: Bundle
) -> tuple[dict[str, Any] | None, list[str]]:
    purpose = bundle.purposes.get(source.purpose)
    if purpose is None:
        return None, [f"its purpose {source.purpose!r} is not registered"]
    try:
        limits = Limits()
        limits.check_shape(limits.check_text(source.body))
        # Whatever labels of progressive overrides are switched on one day: a document reads what any of its plans does.
        plans = [planning.prepare(source.body, source.name, labels) for labels in planning.all_labels()]
    except DocumentInvalid as invalid:
        return None, [error.message for error in invalid.errors]
    except ServiceError as refused:
        return None, [refused.message("en")]
    reads = frozenset[str]().union(*(personal_reads(prepared, vocabulary) for prepared in plans))
    collects = personal_inputs(source.operation, planning.public_schema, vocabulary)
    problems = _problems(source, purpose, reads, collects, vocabulary)
    fetches: dict[str, set[str]] = {}
    for fetch in (fetch for prepared in plans for fetch in prepared.plan.fetches):
        fetches.setdefault(fetch.subgraph, set()).add(fetch.document_hash)
    looks_up = any(form is Form.PREDICATE for form in purpose.grants.values())
    return {
        "id": hashlib.sha256(source.body.encode()).hexdigest(),
        "name": source.name,
        "type": plans[0].kind,
        "body": source.body,
        "clients": [source.client],
        "purpose": source.purpose,
        "signIn": source.sign_in,
        "reads": sorted(reads),
        "collects": sorted(collects),
        "personalVariables": bool(collects) or looks_up,
        "fetches": {name: sorted(hashes) for name, hashes in sorted(fetches.items())},
    }, problems


def _merge(operations: dict[str, dict[str, Any]], item: dict[str, Any], source: Source) -> list[str]:
    same = operations.setdefault(item["id"], item)
    if same is item:
        return []
    if same["purpose"] != item["purpose"] or same["signIn"] != item["signIn"]:
        return [f"{source.client}/{source.name}: the same document is registered for another purpose"]
    same["clients"] = sorted({*same["clients"], source.client})
    return []


def personal_reads(prepared: Prepared, vocabulary: Vocabulary) -> frozenset[str]:
    """Personal coordinates that the plan reads, what `@requires` carries included."""
    coordinates = prepared.plan.coordinates()
    return frozenset(
        item for found in coordinates.values() for item in found if item in vocabulary and not vocabulary[item].is_input
    )


def personal_inputs(
    operation: OperationDefinitionNode, schema: GraphQLSchema, vocabulary: Vocabulary
) -> frozenset[str]:
    """Personal coordinates of every input object that a variable of the operation can carry."""
    found: set[str] = set()
    seen: set[str] = set()

    def walk(input_type: Any) -> None:
        named = get_named_type(input_type)
        if not isinstance(named, GraphQLInputObjectType) or named.name in seen:
            return
        seen.add(named.name)
        for name, field in named.fields.items():
            if f"{named.name}.{name}" in vocabulary:
                found.add(f"{named.name}.{name}")
            walk(field.type)

    for definition in operation.variable_definitions or ():
        walk(type_from_ast(schema, definition.type))
    return frozenset(found)


def _problems(
    source: Source, purpose: Purpose, reads: frozenset[str], collects: frozenset[str], vocabulary: Vocabulary
) -> list[str]:
    problems = []
    client = "anonymous" if source.sign_in == "none" else source.client
    if client not in purpose.clients:
        problems.append(f"{client} does not act under {purpose.code}")
    for coordinate in sorted(reads):
        form = purpose.grants.get(coordinate)
        if form not in (Form.PLAIN, Form.MASKED, Form.DERIVED):
            problems.append(f"{purpose.code} does not grant {coordinate}")
        elif form is Form.MASKED and vocabulary[coordinate].mask is None:
            problems.append(f"{coordinate} is granted masked and has no mask")
        elif (form is Form.DERIVED) != (vocabulary[coordinate].derived_from is not None):
            problems.append(f"{coordinate} is granted {form.value}, which its schema does not bear out")
    problems += [
        f"{purpose.code} does not collect {coordinate}"
        for coordinate in sorted(collects)
        if purpose.grants.get(coordinate) not in (Form.COLLECT, Form.PREDICATE)
    ]
    roots = len(source.operation.selection_set.selections)
    if source.operation.operation is OperationType.MUTATION and roots != 1:
        problems.append("a document holds one root mutation")
    if source.operation.operation is OperationType.SUBSCRIPTION and source.sign_in != "required":
        problems.append("who listens has signed in")
    return problems
