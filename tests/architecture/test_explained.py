"""What docs/federation.md shows of `graph explain` is what it prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gov_services.cli.explain import explain
from gov_services.kit.settings import PROJECT_ROOT

pytestmark = pytest.mark.untraced
PAGE = PROJECT_ROOT / "docs" / "federation.md"
BENCH = PROJECT_ROOT / "gov_services" / "devstack" / "bench"


def explained(name: str) -> str:
    if name == "caseload":
        return explain(BENCH / "graph" / "supergraph.graphql", BENCH / "caseload.graphql")
    graph = PROJECT_ROOT / "graphql"
    return explain(graph / "supergraph.graphql", graph / "operations" / Path(f"{name}.graphql"))


def test_the_page_shows_what_the_command_prints() -> None:
    shown = dict(re.findall(r"^```text (\S+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    assert len(shown) == 3
    for name, text in shown.items():
        assert text.strip() == explained(name).strip(), name
