"""What the planner makes of a document, stage by stage, as text for people and tests. Nothing parses it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gov_services.federation.planner.conditions import ALWAYS, Conditions, in_order
from gov_services.federation.planner.fetches import Group, Need, OutSelection, Position, State
from gov_services.federation.planner.normalize import Selection
from gov_services.federation.planner.plan import Fetch, Plan, Representation, Target


def explain_selection(selection: Selection) -> str:
    """The normal form: fields by the type that they are asked for on, no fragments."""
    return "\n".join(_selection(selection, ""))


def _selection(selection: Selection, indent: str) -> Iterator[str]:
    for type_name, fields in selection.by_type.items():
        yield f"{indent}on {type_name}"
        for item in fields.values():
            name = item.name if item.key == item.name else f"{item.key}: {item.name}"
            yield f"{indent}  {name}{'(…)' if item.arguments else ''}{_when(item.conditions)}"
            if item.selection is not None:
                yield from _selection(item.selection, indent + "    ")


def _when(conditions: Conditions) -> str:
    if conditions == ALWAYS:
        return ""
    clauses = (
        " and ".join(f"{'' if wanted else 'not '}${name}" for name, wanted in item) for item in in_order(conditions)
    )
    return f" if {' or '.join(clauses)}"


def explain_paths(state: State) -> str:
    """Which groups bring each place of the answer, and how they came there."""
    return "\n".join(_positions(state.root))


def _positions(position: Position) -> Iterator[str]:
    reached = []
    for item in position.presences:
        way = "" if item.entered is None else f" by {_key(item.entered[1].key)}"
        reached.append(f"{item.group.subgraph} #{item.group.index}{way}")
    if reached:
        place = ".".join(key for _, key in position.path()) or "(root)"
        yield f"{place}  {position.type_name}  {', '.join(reached)}"
    for child in position.children.values():
        yield from _positions(child)


def _key(key: Selection) -> str:
    names = (f"{item.name}{_key(item.selection) if item.selection else ''}" for _, item in key)
    return f"{{{' '.join(names)}}}"


def explain_groups(state: State) -> str:
    """Groups before those that can go together do: what each brings, and after which."""
    return "\n".join(_group(item) for item in state.groups)


def _group(item: Group) -> str:
    after = f" after {', '.join(f'#{index}' for index in sorted(item.parents))}" if item.parents else ""
    place = ".".join(key for _, key in item.position.path()) or "(root)"
    return f"#{item.index} {item.subgraph} at {place}{after}  {{{_out(item.selection)}}}"


def _out(selection: OutSelection) -> str:
    parts = [
        item.key if item.selection is None else f"{item.key} {{{_out(item.selection)}}}"
        for item in selection.fields.values()
    ]
    parts += [f"… {name} {{{_out(part)}}}" for name, part in selection.fragments.items()]
    return " ".join(parts)


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
    named = f"{types} as {item.type_name}" if item.is_interface_object else types
    return f"{named}{{{_needs(needs.values())}}}"


def _needs(needs: Iterable[Need]) -> str:
    texts = []
    for need in needs:
        name = need.name if need.key == need.name else f"{need.name}={need.key}"
        inner = {part.name: part for _, part in need.parts or ()}
        texts.append(f"{name}{{{_needs(inner.values())}}}" if inner else name)
    return " ".join(texts)
