"""How a document is planned, as text: the stages that the engine takes it through. It executes nothing."""

from __future__ import annotations

from pathlib import Path

from gov_services.cli.documents import StripPurpose
from gov_services.federation.explain import explain as explain_plan
from gov_services.federation.planning import Planning
from graphql import parse, print_ast, visit


def explain(graph_directory: Path, file: Path) -> str:
    """The document without its `@purpose`, then its plan, a block a fetch, then every coordinate that it reads."""
    planning = Planning((graph_directory / "supergraph.graphql").read_text())
    text = print_ast(visit(parse(file.read_text(), no_location=True), StripPurpose()))
    prepared = planning.prepare(text)
    coordinates = sorted(
        f"{subgraph}  {item}" for subgraph, found in prepared.plan.coordinates().items() for item in found
    )
    plan = prepared.plan
    return "\n\n".join(
        (
            f"# document\n{text.strip()}",
            f"# plan: {len(plan.fetches)} fetches, depth {plan.depth()}\n{explain_plan(plan)}",
            "# coordinates\n" + "\n".join(coordinates),
        )
    )
