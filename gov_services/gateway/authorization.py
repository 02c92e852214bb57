"""`@authenticated`, `@requiresScopes` and `@policy`: what of a document an actor may not have is not fetched at all.

Sources: https://specs.apollo.dev/authenticated/v0.1, …/requiresScopes/v0.1, …/policy/v0.1 (in the arguments the outer
list is "any of", the inner "all of"). What is denied is null in the answer, with an error that names the coordinate; a
mutation of which anything is denied is refused whole. A field of an interface is denied where one of its objects' is:
what it would say of that object is what that object's own field says. Keys and required fields that the plan reads for
itself are not asked about: they reach subgraphs, and never the client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from gov_services.federation.engine import Engine
from gov_services.federation.planner.normalize import TYPENAME, Selection
from gov_services.federation.planning import Prepared
from gov_services.federation.supergraph import Supergraph
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.errors import Refusal
from graphql import ConstDirectiveNode, value_from_ast_untyped

FEATURES = frozenset({"authenticated", "requiresScopes", "policy"})
"""What a supergraph may link because this module understands it."""
DENIED = "UNAUTHORIZED_FIELD_OR_TYPE"
Policies = Callable[[Actor, frozenset[str]], Awaitable[frozenset[str]]]
"""Which of these policies hold for an actor."""


class Unauthorized(Refusal):
    """A mutation of which the actor may not have everything."""

    code = DENIED
    status: ClassVar[int] = 403
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "您无权执行该操作({coordinates})。",
        "en": "You may not do this ({coordinates}).",
    }


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one directive asks for: a token, or one of these sets of scopes or policies."""

    scopes: tuple[frozenset[str], ...] = ()
    policies: tuple[frozenset[str], ...] = ()

    def is_met(self, actor: Actor, granted: frozenset[str]) -> bool:
        """Whether an actor meets it, for whom these policies hold."""
        if self.policies:
            return any(item <= granted for item in self.policies)
        if actor.kind is ActorKind.ANONYMOUS:
            return False
        return not self.scopes or any(item <= actor.roles for item in self.scopes)


Needs = dict[str, frozenset[Requirement]]


async def no_policies(actor: Actor, names: frozenset[str]) -> frozenset[str]:
    """Without anybody to ask, no policy holds."""
    return frozenset()


class Authorization:
    """Decides for documents of an engine's supergraph."""

    def __init__(self, engine: Engine, policies: Policies = no_policies) -> None:
        self._engine = engine
        self._policies = policies
        self._planning = engine.planning
        self._asked = _asked(engine.planning.supergraph)

    async def permitted(self, prepared: Prepared, actor: Actor) -> tuple[Prepared, list[dict[str, Any]]]:
        """The document as this actor may have it, and an error for each coordinate left out. Raises Unauthorized."""
        needs = self._needs(prepared)
        if not needs:
            return prepared, []
        names = frozenset(name for items in needs.values() for item in items for part in item.policies for name in part)
        granted = await self._policies(actor, names) if names else frozenset()
        denied = frozenset(
            coordinate for coordinate, items in needs.items() if not all(item.is_met(actor, granted) for item in items)
        )
        if not denied:
            return prepared, []
        if prepared.kind == "mutation":
            raise Unauthorized(coordinates=", ".join(sorted(denied)))
        errors = [
            {"message": f"You may not see {item}.", "path": [], "extensions": {"code": DENIED, "field": item}}
            for item in sorted(denied)
        ]
        return self._engine.planning.without(prepared, denied), errors

    def _needs(self, prepared: Prepared) -> Needs:
        """Coordinate → what it takes, for all that a document asks for and that asks for something."""
        found: Needs | None = prepared.notes.get(Authorization)
        if found is None:
            if self._engine.planning is not self._planning:
                self._planning = self._engine.planning
                self._asked = _asked(self._planning.supergraph)
            found = {}
            if self._asked:
                for type_name, field_name in _coordinates(self._planning.selection(prepared)):
                    items = self._of_field(type_name, field_name)
                    if items:
                        found[f"{type_name}.{field_name}"] = items
            prepared.notes[Authorization] = found
        return found

    def _of_field(self, type_name: str, field_name: str) -> frozenset[Requirement]:
        """The field's own, its types', and for an interface those of each of its objects."""
        supergraph, found = self._planning.supergraph, set[Requirement]()
        for owner in {type_name, *supergraph.possible[type_name]}:
            found |= self._asked.get(owner, frozenset()) | self._asked.get(f"{owner}.{field_name}", frozenset())
        if field_name != TYPENAME:
            found |= self._asked.get(supergraph.field(type_name, field_name).type_name, frozenset())
        return frozenset(found)


def _asked(supergraph: Supergraph) -> Needs:
    """Type or coordinate → what its directives ask for."""
    found: Needs = {}
    for node in supergraph.document.definitions:
        name = getattr(getattr(node, "name", None), "value", None)
        for at, directives in _directives(str(name), node):
            items = frozenset(item for item in map(_requirement, directives) if item is not None)
            if items:
                found[at] = items
    return found


def _directives(name: str, node: Any) -> Iterator[tuple[str, tuple[ConstDirectiveNode, ...]]]:
    yield name, getattr(node, "directives", None) or ()
    for item in getattr(node, "fields", None) or ():
        yield f"{name}.{item.name.value}", item.directives or ()


def _requirement(directive: ConstDirectiveNode) -> Requirement | None:
    name = directive.name.value
    if name == "authenticated":
        return Requirement()
    if name not in ("requiresScopes", "policy"):
        return None
    (value,) = (value_from_ast_untyped(item.value) for item in directive.arguments or ())
    sets = tuple(frozenset(map(str, part if isinstance(part, list) else [part])) for part in value)
    # An empty list is met by nobody, rather than by everybody.
    sets = sets or (frozenset({""}),)
    return Requirement(scopes=sets) if name == "requiresScopes" else Requirement(policies=sets)


def _coordinates(selection: Selection) -> Iterator[tuple[str, str]]:
    for type_name, item in selection:
        yield type_name, item.name
        if item.selection is not None:
            yield from _coordinates(item.selection)
