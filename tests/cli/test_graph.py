"""`gov-services graph`: what is committed is what the code says, and drift is seen without Node."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gov_services.cli.graph_review import personal_looking, reviewed_fields
from gov_services.federation.planning import Planning
from gov_services.kit.settings import PROJECT_ROOT


def test_the_committed_graph_is_what_the_code_says_and_exporting_it_again_changes_nothing(
    alone: Callable, graph_copy: Path
) -> None:
    assert alone("graph", "check").out == "the committed graph is what the code says\n"
    assert alone("graph", "export").out == ""


def test_a_schema_that_drifted_is_named_and_exporting_mends_it(alone: Callable, graph_copy: Path) -> None:
    path = graph_copy / "subgraphs" / "identity.graphql"
    path.write_text(path.read_text() + "\ntype Secret { id: ID! }\n")

    drifted = alone("graph", "check")
    mended = alone("graph", "export")

    assert drifted.status == 1
    assert drifted.err.splitlines() == [
        "subgraphs/identity.graphql is not what gov_services/identity/graph says: graph export",
        "supergraph.graphql was composed from other schemas: graph compose",
        "gov-services: the committed graph has drifted",
    ]
    assert mended.out == "subgraphs/identity.graphql\n"
    assert alone("graph", "check").status == 0


def test_a_supergraph_of_other_schemas_is_found(alone: Callable, graph_copy: Path) -> None:
    path = graph_copy / "supergraph.graphql"
    path.write_text(path.read_text().replace("# inputs sha256:", "# inputs sha256:0", 1))
    assert alone("graph", "check").err.splitlines()[0] == (
        "supergraph.graphql was composed from other schemas: graph compose"
    )


def test_a_document_is_explained_stage_by_stage(alone: Callable, graph_copy: Path) -> None:
    explained = alone("graph", "explain", str(graph_copy / "operations" / "riverside-bank" / "IsAdult.graphql"))

    document, normalized, paths, fetches, plan, coordinates = explained.out.strip().split("\n\n# ")
    assert normalized.splitlines()[:3] == ["normalized", "on Query", "  consentedCitizen(…)"]
    assert paths.splitlines()[-1] == "consentedCitizen  Citizen  privacy #0, identity #1 by {id}"
    assert fetches.splitlines()[-1] == "#1 identity at consentedCitizen after #0  {… Citizen {isAdult}}"
    assert document.splitlines()[:2] == ["# document", "query IsAdult($reference: ID!) {"]
    assert plan.startswith("plan: 2 fetches, depth 2\n")
    assert "identity  Citizen.isAdult" in coordinates.splitlines()
    assert "@purpose" not in explained.out


def test_without_node_composing_says_what_is_missing(
    alone: Callable, graph_copy: Path, nothing_set: pytest.MonkeyPatch
) -> None:
    before = (graph_copy / "supergraph.graphql").read_bytes()
    nothing_set.setenv("PATH", "/nowhere")

    complaint = alone("graph", "compose").complaint

    assert complaint == "composing needs Node.js 20 or newer with npm; everything else works without"
    assert (graph_copy / "supergraph.graphql").read_bytes() == before


@pytest.mark.slow
def test_composing_again_gives_the_committed_supergraph(alone: Callable, graph_copy: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("composing needs Node.js with npm, which is not here")
    committed = (PROJECT_ROOT / "graphql" / "supergraph.graphql").read_text()
    (graph_copy / "supergraph.graphql").unlink()

    composed = alone("graph", "compose")
    if "npm" in composed.err and "network" in composed.err:
        pytest.skip("npm reaches no registry")

    assert composed.out == "supergraph.graphql\n", composed.err
    assert (graph_copy / "supergraph.graphql").read_text() == committed


@pytest.mark.slow
def test_schemas_that_do_not_compose_are_refused(alone: Callable, graph_copy: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("composing needs Node.js with npm, which is not here")
    path = graph_copy / "subgraphs" / "payments.graphql"
    path.write_text(path.read_text().replace("  dueAt: DateTime", "  dueAt: Banana", 1))
    before = (graph_copy / "supergraph.graphql").read_bytes()

    composed = alone("graph", "compose")

    assert composed.status == 1
    assert "Banana" in composed.err
    assert (graph_copy / "supergraph.graphql").read_bytes() == before


def changed(graph_copy: Path, before: str, after: str) -> Path:
    """A supergraph that differs from the committed one."""
    text = (graph_copy / "supergraph.graphql").read_text()
    assert text.count(before) == 1
    path = graph_copy / "new.graphql"
    path.write_text(text.replace(before, after))
    return path


def test_a_change_that_breaks_a_registered_document_is_told_from_one_that_breaks_nobody(
    alone: Callable, graph_copy: Path
) -> None:
    committed = str(graph_copy / "supergraph.graphql")
    broken = changed(graph_copy, "  isAdult: Boolean", "  isGrownUp: Boolean")
    told = alone("graph", "check", "--supergraph", str(broken), "--against", committed, "--json")
    found = json.loads(told.out)
    assert told.status == 1
    assert [line.partition(":")[0] for line in found["breaks_documents"]] == ["riverside-bank/IsAdult"]
    assert found["breaks_nobody"] == ["Field Citizen.isAdult was removed."]

    told = alone("graph", "check", "--against", committed)
    assert (told.status, told.out) == (0, "the committed graph is what the code says\n")


def test_a_new_field_that_looks_personal_is_marked_or_reviewed(alone: Callable, graph_copy: Path) -> None:
    new = changed(graph_copy, "  isAdult: Boolean", "  homeAddress: String\n  note: Int\n  isAdult: Boolean")
    told = alone("graph", "check", "--supergraph", str(new))
    assert told.status == 1
    assert "looks personal and carries no @personal: Citizen.homeAddress" in told.err.splitlines()

    with (graph_copy / "reviewed-fields.txt").open("a") as file:
        file.write("Citizen.homeAddress\n")
    assert alone("graph", "check", "--supergraph", str(new)).status == 1, "a reason is missing"
    with (graph_copy / "reviewed-fields.txt").open("a") as file:
        file.write("Citizen.homeAddress # invented\n")
    assert alone("graph", "check", "--supergraph", str(new)).status == 0


def test_every_reviewed_field_is_there_and_looks_personal() -> None:
    graph = PROJECT_ROOT / "graphql"
    schema = Planning((graph / "supergraph.graphql").read_text()).public_schema
    assert reviewed_fields(graph / "reviewed-fields.txt") <= set(personal_looking(schema))
