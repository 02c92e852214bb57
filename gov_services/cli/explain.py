"""How a document is planned, as text: the stages that the engine takes it through. It executes nothing."""

from __future__ import annotations

from pathlib import Path

from gov_services.cli.documents import StripPurpose
from gov_services.federation.explain import explain as explain_plan
from gov_services.federation.explain import explain_groups, explain_paths, explain_selection
from gov_services.federation.planning import Planning
from graphql import parse, print_ast, visit


def explain(supergraph: Path, file: Path) -> str:
    """The document without its `@purpose`, each stage of its planning, then every coordinate that it reads."""
    planning = Planning(supergraph.read_text())
    text = print_ast(visit(parse(file.read_text(), no_location=True), StripPurpose()))
    prepared = planning.prepare(text)
    coordinates = sorted(
        f"{subgraph}  {item}" for subgraph, found in prepared.plan.coordinates().items() for item in found
    )
    plan, state = prepared.plan, planning.search(prepared)
    return "\n\n".join(
        (
            f"# document\n{text.strip()}",
            f"# normalized\n{explain_selection(planning.selection(prepared))}",
            f"# paths\n{explain_paths(state)}",
            f"# fetches\n{explain_groups(state)}",
            f"# plan: {len(plan.fetches)} fetches, depth {plan.depth()}\n{explain_plan(plan)}",
            "# coordinates\n" + "\n".join(coordinates),
        )
    )
