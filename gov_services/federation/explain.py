"""A plan as text for people and tests: fetches in order, what each waits for, sends and asks. Nothing parses it."""

from __future__ import annotations

from collections.abc import Iterable

from gov_services.federation.planner.fetches import Need
from gov_services.federation.planner.plan import Fetch, Plan, Representation, Target


def explain(plan: Plan) -> str:
    """The plan, a block a fetch."""
    return "\n".join(_fetch(item) for item in plan.fetches)


def _fetch(item: Fetch) -> str:
    after = f" after {','.join(str(index) for index in item.depends_on)}" if item.depends_on else ""
    lines = [f"{item.id} {item.subgraph}{after}"]
    targets = [target for part in item.parts for target in part.targets] or [item.target]
    lines += [f"  at {_path(target)}{_sends(target)}" for target in targets if target.path]
    lines.append(f"  {item.document}")
    return "\n".join(lines)


def _path(target: Target) -> str:
    steps = []
    for step in target.path:
        types = f"[{'|'.join(sorted(step.types))}]" if step.types is not None else ""
        steps.append(f"{types}{step.key}")
    return ".".join(steps)


def _sends(target: Target) -> str:
    return "".join(f" {_representation(item)}" for item in target.representations)


def _representation(item: Representation) -> str:
    needs = {need.name: need for _, need in item.keys} | {need.name: need for _, need, _ in item.needs}
    types = "|".join(sorted(item.types))
    named = types if types == item.type_name else f"{types} as {item.type_name}"
    return f"{named}{{{_needs(needs.values())}}}"


def _needs(needs: Iterable[Need]) -> str:
    texts = []
    for need in needs:
        name = need.name if need.key == need.name else f"{need.name}={need.key}"
        inner = {part.name: part for _, part in need.parts or ()}
        texts.append(f"{name}{{{_needs(inner.values())}}}" if inner else name)
    return " ".join(texts)
