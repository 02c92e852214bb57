"""`gov-services bench sealed`: what it prints can be read, and the bare cipher is its measure."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gov_services.crypto.suites import Suite

SEALED = ("bench", "sealed", "--without-database")


def test_every_suite_is_measured_beside_the_bare_cipher(alone: Callable) -> None:
    figures = json.loads(alone(*SEALED, "--rounds", "3", "--repeats", "20", "--json").out)["fields"]
    table = alone(*SEALED, "--rounds", "1", "--repeats", "5").out

    ways = {f"field by {suite.name}, {way}" for suite in Suite for way in ("open", "close")}
    assert ways < set(figures)
    assert {figures[f"bare AES-256-GCM, {way}"]["ratio"] for way in ("open", "close")} == {1.0}
    assert all(found["us"] > 0 for found in figures.values())
    assert len(table.splitlines()) == 1 + len(figures)


def test_a_decision_is_timed_over_fields_that_are_given(alone: Callable) -> None:
    found = json.loads(alone("bench", "policy", "--rounds", "2", "--repeats", "5", "--json").out)

    assert (found["fields"], found["given"]) == (20, 20)
    assert found["decision_us"] > 0


@pytest.mark.slow
def test_entries_and_rows_are_timed_on_a_database_of_their_own(alone: Callable) -> None:
    once = ("--rounds", "1", "--seconds", "0.2")
    appended = json.loads(alone("bench", "audit", *once, "--callers", "2", "--sizes", "50,300", "--json").out)
    rows = json.loads(alone("bench", "sealed", *once, "--repeats", "5", "--json").out)["rows"]

    mapped = json.loads(alone("bench", "subjects", "--sizes", "50,300", "--json").out)
    grown = json.loads(alone("bench", "citizens", "--sizes", "500,1500", "--json").out)

    assert set(mapped["growth"]) == {"50", "300"}
    assert all(cost > 0 for row in mapped["growth"].values() for cost in row.values())
    assert mapped["recomputed"]["entries"] > 300
    assert mapped["recomputed"]["roots"] > 2
    assert set(grown) == {"500", "1500"}
    assert all(took > 0 for row in grown.values() for took in row.values())
    assert appended["appends"]["2"]["ratio"] > 0
    assert 0 < appended["lag"]["lag_p50_s"] <= appended["lag"]["lag_p99_s"]
    assert set(appended["growth"]) == {"50", "300"}
    assert appended["exported"]["entries"] > 300
    assert appended["exported"]["verified_per_s"] > 0
    assert rows["sealed_row_of_plain"] > 0.5
    assert rows["sealed_page_of_plain"] > 1
    assert 0 < rows["audited_of_plain"] < 2
