"""`gov-services privacy`: the record of processing, what does not fit, and what the trail says can go."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace

import asyncpg
import pytest

from gov_services.cli.documents import seed_bundle
from gov_services.consent.purposes import Bundle, Form, make_bundle
from gov_services.consent.vocabulary import Vocabulary
from gov_services.kit.manifest import Manifest
from gov_services.kit.settings import PROJECT_ROOT, Settings
from gov_services.privacy.lint import Rule, lint
from gov_services.privacy.records import activities, places

SEED = seed_bundle()
GRAPH = PROJECT_ROOT / "graphql"
SCHEMA = Vocabulary.from_sdl((GRAPH / "supergraph.graphql").read_text())
DOCUMENTS = list(Manifest.parse((GRAPH / "trusted-documents.json").read_bytes()).documents.values())
NAMED = frozenset(SEED.purposes)
OPENED = frozenset({field.coordinate for field in SCHEMA})


def with_(code: str, **changes: object) -> Bundle:
    return SEED.with_purpose(replace(SEED.purposes[code], **changes))  # type: ignore[arg-type]


def found(bundle: Bundle, names: frozenset[str] = NAMED, opens: frozenset[str] = OPENED) -> set[tuple[Rule, str]]:
    return {(item.rule, item.about) for item in lint(bundle, SCHEMA, DOCUMENTS, names=names, opens=opens)}


def test_what_is_committed_fits_and_whatever_does_not_is_named() -> None:
    assert found(SEED) == set()
    grants = dict(SEED.purposes["adult-check"].grants)
    assert found(with_("adult-check", grants={**grants, "Citizen.shoeSize": Form.PLAIN})) == {
        (Rule.NO_COORDINATE, "Citizen.shoeSize")
    }
    more = with_("adult-check", grants={**grants, "Citizen.address": Form.PLAIN})
    assert found(more, opens=OPENED - {"Citizen.address"}) == {(Rule.NO_READER, "Citizen.address")}
    without = {code: item for code, item in SEED.purposes.items() if "DeclareHealthInput.contactAt" not in item.grants}
    lost = make_bundle(2, without, parties=SEED.parties, assessments=SEED.assessments)
    assert (Rule.NO_PURPOSE, "DeclareHealthInput.contactAt") in found(lost)
    assert found(SEED, names=NAMED - {"payment-settlement"}) == {(Rule.NO_ENTRANCE, "payment-settlement")}
    unlawful = make_bundle(2, SEED.purposes, parties=SEED.parties)
    assert {rule for rule, _ in found(unlawful)} == {Rule.NOT_LAWFUL}


def test_what_an_answer_is_derived_from_needs_no_grant_of_its_own() -> None:
    granting = {code for code, purpose in SEED.purposes.items() if "Citizen.birthDate" in purpose.grants}
    purposes = {code: item for code, item in SEED.purposes.items() if code not in granting}
    derived = make_bundle(2, purposes, parties=SEED.parties, assessments=SEED.assessments)
    assert (Rule.NO_PURPOSE, "Citizen.birthDate") not in found(derived)
    purposes = {code: item for code, item in purposes.items() if code != "adult-check"}
    alone = make_bundle(2, purposes, parties=SEED.parties, assessments=SEED.assessments)
    assert (Rule.NO_PURPOSE, "Citizen.birthDate") in found(alone)


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_the_record_says_of_every_purpose_what_the_law_has_recorded(locale: str) -> None:
    records = activities(SEED, SCHEMA, locale=locale)
    assert {record.purpose for record in records} == {
        code for code, item in SEED.purposes.items() if any(name in SCHEMA for name in item.grants)
    }
    for record in records:
        assert record.controller
        assert record.contact
        assert record.categories
        assert record.methods
        assert record.retention_days > 0
        assert record.basis == "CONSENT" or record.law
        assert not record.sensitive or record.assessments


def test_every_coordinate_has_its_place() -> None:
    found = {place.coordinate: place for place in places(SEED, SCHEMA, {"Citizen.name": "identity.citizen.name"})}
    assert set(found) == {field.coordinate for field in SCHEMA}
    assert found["Citizen.name"].stored == "identity.citizen.name"
    assert found["Citizen.isAdult"].stored == "derived from Citizen.birthDate"
    assert found["RegisterInput.name"].stored == "taken in"
    assert found["Citizen.isAdult"].purposes == {"adult-check": "DERIVED"}


def test_the_commands_print_what_is_in_force(governed: Callable) -> None:
    mapped = governed("privacy", "map", "--json")
    assert mapped.status == 0, mapped
    assert {record["purpose"] for record in json.loads(mapped.out)} >= {"adult-check", "registration"}
    listed = governed("privacy", "map", "--by-field")
    assert "Citizen.name  name, general  [identity.citizen.name, sealed as identity]" in listed.out
    assert f"{len(json.loads(mapped.out))} activities" in governed("privacy", "map", "--committed").out
    narrowed = governed("privacy", "narrow")
    assert (narrowed.status, narrowed.out) == (0, "0 steps suggested\n")
    counted = governed("privacy", "audits")
    assert (counted.status, counted.out) == (
        0,
        "0 persons: an audit every 3 years, none was done yet; the next is not due\n",
    )
    # Nobody has used anything in this city: that is told, and is no fault of what is committed.
    linted = governed("privacy", "lint")
    assert linted.status == 1
    assert "purpose-without-use: adult-check: nobody used it in 400 days" in linted.out
    assert all(line.startswith("purpose-without-use") for line in linted.out.splitlines())
    committed = governed("privacy", "lint", "--committed")
    assert committed.status == 0, committed
    assert "all fits" in committed.out


def test_an_audit_that_is_overdue_is_told_and_fails(governed: Callable, settings: Settings) -> None:
    tag = "decode(repeat('00', 16), 'hex')"
    _insert(settings, f"INSERT INTO privacy.subject VALUES (gen_random_uuid(), {tag}, '2021-06-01Z')")
    told = governed("privacy", "audits", "--json")
    assert told.status == 1
    assert json.loads(told.out) == {
        "persons": 1,
        "everyYears": 3,
        "lastOn": None,
        "dueOn": "2024-06-01",
        "overdue": True,
    }
    assert governed("privacy", "audits").out == (
        "1 persons: an audit every 3 years, none was done yet; the next is due on 2024-06-01, which is over\n"
    )


def test_a_document_that_over_asks_is_named_from_the_trail(governed: Callable, settings: Settings) -> None:
    document = next(item for item in DOCUMENTS if item.name == "ReviewApplication")
    today = dt.datetime.now(dt.UTC).date()
    _insert(
        settings,
        "INSERT INTO privacy.field_use VALUES "
        f"('licence-review', 'Citizen.phone', 'counter', '{document.id}', '{today}', 40, 0, 0, 0, 0, now())",
    )
    remarks = json.loads(governed("privacy", "lint", "--json").out)
    assert {"rule": "document-over-asks", "about": "ReviewApplication", "text": remarks[-1]["text"]} in remarks


def _insert(settings: Settings, statement: str) -> None:
    async def insert() -> None:
        connection = await asyncpg.connect(settings.database_url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(insert())
