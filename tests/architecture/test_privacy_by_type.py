"""Every sealed column, entrance and personal field is accounted for; a new one that is not fails here, by name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import Table, text
from sqlalchemy.exc import DBAPIError
from town import Town

from gov_services.cli import documents, graph
from gov_services.cli.database import drift, load_all_models
from gov_services.cli.rooms import SUBGRAPHS, create_schema
from gov_services.consent.purposes import Form
from gov_services.consent.vocabulary import Vocabulary
from gov_services.crypto.columns import sealed_columns
from gov_services.crypto.masks import MASKS
from gov_services.kit.database import Base, Database
from gov_services.kit.manifest import Manifest
from gov_services.kit.settings import PROJECT_ROOT
from gov_services.permits.models import FileBase

GRAPH = PROJECT_ROOT / "graphql"
SUPERGRAPH = (GRAPH / "supergraph.graphql").read_text()
VOCABULARY = Vocabulary.from_sdl(SUPERGRAPH)
BUNDLE = documents.seed_bundle()
MANIFEST = Manifest.parse((GRAPH / "trusted-documents.json").read_bytes())
NOT_BY_CITIZEN = {
    # Institutional: they hold nothing of one citizen.
    *("audit", "consent.bundle", "events", "keys.retired", "keys.holder", "identity.staff", "identity.client"),
    "identity.blind_index",
    *("permits.transition", "permits.service", "permits.officer", "payments.notification", "payments.transition"),
    *("privacy.narrowing", "privacy.finding", "privacy.finding_review", "privacy.field_use", "privacy.watermark"),
    *("privacy.breach", "privacy.purpose_draft", "privacy.compliance_audit", "public"),
    *("privacy.processing_policy", "privacy.agreement_policy", "privacy.webhook", "privacy.webhook_message"),
    # Of nobody until a citizen scans its code.
    "privacy.consent_request",
    # Directories: from a keyed digest, a token or a tag to a citizen.
    *("identity.directory", "identity.session", "privacy.subject"),
    # The public register names no citizen.
    "permits.register",
}
"""Tables without `citizen_id` first in every unique key, each with its reason (ARCHITECTURE §4.16)."""


def every_sealed_column() -> list[tuple[Table, Any, Any]]:
    """Of all tables, and of the files that are declared as tables."""
    load_all_models()
    return [*sealed_columns(Base.metadata), *sealed_columns(FileBase.metadata)]


def test_every_sealed_column_has_a_coordinate_a_purpose_and_an_id_of_its_own() -> None:
    columns = every_sealed_column()
    granted = {name for purpose in BUNDLE.purposes.values() for name in purpose.grants}
    derived = {field.derived_from for field in VOCABULARY if field.coordinate in granted}

    assert len(columns) >= 15
    ids = [kind.column_id for _, _, kind in columns]
    assert len(set(ids)) == len(ids)
    for table, column, kind in columns:
        name = f"{table.fullname}.{column.name}"
        assert kind.coordinate in VOCABULARY, f"{name} stores {kind.coordinate}, which no schema has as personal"
        assert kind.coordinate in granted | derived, f"{name}: no purpose gives {kind.coordinate}"
        assert kind.subject in table.columns, f"{name} is about {kind.subject}, which the table lacks"
        assert kind.row in table.columns, f"{name} is bound to {kind.row}, which the table lacks"


def test_every_personal_field_is_granted_by_some_purpose_and_every_grant_is_of_one() -> None:
    granted = {name for purpose in BUNDLE.purposes.values() for name in purpose.grants}
    sources = {field.derived_from for field in VOCABULARY} - {None}

    assert {field.coordinate for field in VOCABULARY} - granted - sources == set()
    assert {name for name in granted if name not in VOCABULARY} == set()


def test_grants_fit_the_fields_that_they_are_of() -> None:
    for purpose in BUNDLE.purposes.values():
        for name, form in purpose.grants.items():
            field = VOCABULARY[name]
            where = f"{purpose.code}: {name} {form.value}"
            assert (form in (Form.COLLECT, Form.PREDICATE)) or not field.is_input, where
            assert form is not Form.COLLECT or field.is_input or name == "ApplicationDocument.content", where
            assert form is not Form.MASKED or field.mask in MASKS, where
            assert (form is Form.DERIVED) <= (field.derived_from is not None), where


def test_every_operation_has_a_purpose_that_admits_its_client() -> None:
    assert len(MANIFEST.documents) >= 58
    for document in MANIFEST.documents.values():
        purpose = BUNDLE.purposes[document.purpose]
        for client in document.clients:
            admitted = "anonymous" if document.sign_in == "none" else client
            assert admitted in purpose.clients or client in purpose.clients, f"{client}/{document.name}"


async def test_every_entrance_is_listed_with_a_purpose_in_force(town: Town) -> None:
    found = set()
    for room in town.rooms.values():
        found |= {(f"event {name}", handler.purpose) for name, handler in room.handlers.items()}
        found |= {(f"job {job.name}", job.purpose) for job in room.jobs.values()}
        found |= {(f"route {route.path}", route.purpose) for route in room.routes if route.purpose}

    assert len(found) >= 12
    for entrance, purpose in found:
        assert purpose in BUNDLE.purposes, entrance
    for room in town.rooms.values():
        for name, handler in room.handlers.items():
            assert "events" in BUNDLE.purposes[handler.purpose].clients, name
        for job in room.jobs.values():
            assert "jobs" in BUNDLE.purposes[job.purpose].clients, job.name


def test_the_graph_and_the_documents_have_not_drifted() -> None:
    assert graph.drift(GRAPH) == []
    assert documents.build(GRAPH, previous=MANIFEST) == (GRAPH / "trusted-documents.json").read_bytes()


async def test_models_and_migrations_have_not_drifted(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(drift) == []


async def test_a_citizens_rows_are_found_by_citizen(database: Database) -> None:
    keys = """
      SELECT n.nspname || '.' || c.relname AS name, i.indexrelid::regclass::text AS key,
             (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = i.indkey[0]) AS first
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE i.indisunique AND c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
    """
    async with database.reading() as session:
        rows = (await session.execute(text(keys))).all()

    astray = {
        f"{row.name} {row.key}"
        for row in rows
        if row.first != "citizen_id"
        and row.name not in NOT_BY_CITIZEN
        and row.name.partition(".")[0] not in NOT_BY_CITIZEN
    }
    assert astray == set()


async def test_append_only_tables_refuse_even_their_owner(database: Database) -> None:
    triggers = """
      SELECT DISTINCT n.nspname || '.' || c.relname AS name
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE t.tgname LIKE '%append_only'
    """
    async with database.reading() as session:
        names = [row.name for row in (await session.execute(text(triggers))).all()]
    assert len(names) >= 10
    for name in names:
        for statement in (f"DELETE FROM {name}", f"TRUNCATE {name} CASCADE"):
            with pytest.raises(DBAPIError):
                async with database.writing() as session:
                    await session.execute(text(statement))


def test_no_personal_coordinate_is_a_key() -> None:
    keys = set(re.findall(r'@key\(fields: "([^"]+)"', "".join(create_schema(name).as_str() for name in SUBGRAPHS)))
    assert keys == {"id"}


def test_everything_in_the_graph_is_described() -> None:
    for name in SUBGRAPHS:
        schema = create_schema(name)._schema
        for kind in schema.type_map.values():
            if kind.name.startswith("_") or (kind.ast_node is None and kind.description is None):
                continue
            assert kind.description, f"{name}: {kind.name}"
            for field_name, field in getattr(kind, "fields", {}).items():
                if field_name.startswith("_"):
                    continue
                assert field.description, f"{name}: {kind.name}.{field_name}"
                for argument_name, argument in getattr(field, "args", {}).items():
                    assert argument.description, f"{name}: {kind.name}.{field_name}({argument_name})"
            for value_name, value in getattr(kind, "values", {}).items():
                assert value.description, f"{name}: {kind.name}.{value_name}"
