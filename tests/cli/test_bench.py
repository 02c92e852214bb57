"""`gov-services bench sealed`: what it prints can be read, and the bare cipher is its measure."""

from __future__ import annotations

import json
from collections.abc import Callable

from gov_services.crypto.suites import Suite


def test_every_suite_is_measured_beside_the_bare_cipher(alone: Callable) -> None:
    figures = json.loads(alone("bench", "sealed", "--rounds", "3", "--repeats", "20", "--json").out)
    table = alone("bench", "sealed", "--rounds", "1", "--repeats", "5").out

    ways = {f"field by {suite.name}, {way}" for suite in Suite for way in ("open", "close")}
    assert ways < set(figures)
    assert {figures[f"bare AES-256-GCM, {way}"]["ratio"] for way in ("open", "close")} == {1.0}
    assert all(found["us"] > 0 for found in figures.values())
    assert len(table.splitlines()) == 1 + len(figures)
