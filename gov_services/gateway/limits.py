"""How much a request may ask for, and how often. Counting people is `consent.budgets`', not this."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gov_services.gateway.errors import (
    DocumentInvalid,
    LimitsUnavailable,
    TooComplex,
    TooManyRequests,
    VariablesRefused,
)
from gov_services.kit.actor import Actor, ActorKind
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

MOST_SELECTIONS = 10_000
"""Selection sets once fragments are put in for their names."""
MOST_NESTED = 200
"""Fields and fragments one inside the other; Python's own stack ends at a few times that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that any request may be."""

    body_bytes: int = 64 * 1024
    tokens: int = 2000
    depth: int = 12
    aliases: int = 20
    root_fields: int = 10
    directives: int = 50
    cost: int = 5000
    string_length: int = 10_000
    list_length: int = 100
    variable_depth: int = 8

    def check_text(self, text: str) -> DocumentNode:
        """Refuse a text with too many tokens before any more is done with it. Raises TooComplex, DocumentInvalid."""
        try:
            return parse(text, no_location=True, max_tokens=self.tokens)
        except RecursionError:
            raise TooComplex(measure="depth", found=f"> {self.depth}", most=self.depth) from None
        except GraphQLSyntaxError as malformed:
            if "token limit" in malformed.message or "tokens" in malformed.message:
                raise TooComplex(measure="tokens", found=f"> {self.tokens}", most=self.tokens) from None
            raise DocumentInvalid(problem=malformed.message) from None

    def check_shape(self, document: DocumentNode) -> None:
        """Refuse a document that is too deep or has too many aliases, root fields or directives. Raises TooComplex."""
        shape = _Shape(document, self.depth)
        for measure, found, most in (
            ("depth", shape.depth, self.depth),
            ("aliases", shape.aliases, self.aliases),
            ("root fields", shape.root_fields, self.root_fields),
            ("directives", shape.directives, self.directives),
            ("selections", shape.selections, MOST_SELECTIONS),
        ):
            if found > most:
                raise TooComplex(measure=measure, found=found, most=most)

    def check_cost(self, cost: int) -> None:
        """Refuse what would cost too much (see `gateway.demand`). Raises TooComplex."""
        if cost > self.cost:
            raise TooComplex(measure="cost", found=cost, most=self.cost)

    def check_variables(self, variables: Mapping[str, Any]) -> None:
        """Refuse values longer, wider or deeper than any field of ours takes. Raises VariablesRefused."""
        for name, value in variables.items():
            if _NAME.fullmatch(name) is None:
                raise VariablesRefused(variable="$")
            self._check_value(name, value, depth=0)

    def _check_value(self, name: str, value: object, *, depth: int) -> None:
        if isinstance(value, str):
            too_much = len(value) > self.string_length or not _is_text(value)
        elif isinstance(value, list | dict):
            too_much = len(value) > self.list_length or depth >= self.variable_depth
            too_much = too_much or (isinstance(value, dict) and not all(map(_NAME.fullmatch, value)))
        else:
            too_much = isinstance(value, int) and abs(value) > 2**63
        if too_much:
            raise VariablesRefused(variable=f"${name}")
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for child in children:
            self._check_value(name, child, depth=depth + 1)


def _is_text(value: str) -> bool:
    """Whether it can be stored: JSON can write half a character, and one that ends a text elsewhere."""
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


_NAME = re.compile("[_A-Za-z][_0-9A-Za-z]{0,127}")
"""A name of GraphQL's; the name of a variable is told back, and so must be one."""


class _Shape:
    """Depth, aliases, root fields and directives of a document's operations, fragments followed."""

    def __init__(self, document: DocumentNode, deepest: int) -> None:
        self._deepest = deepest
        self._fragments = {
            item.name.value: item for item in document.definitions if isinstance(item, FragmentDefinitionNode)
        }
        self.depth = self.aliases = self.root_fields = self.directives = self.selections = 0
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                self._walk(definition.selection_set, depth=1, nested=0)

    def _walk(self, selections: SelectionSetNode, *, depth: int, nested: int) -> None:
        self.selections += 1
        # Past every limit already: fragments, in a circle at that, could make this walk itself the attack.
        if self.selections > MOST_SELECTIONS or depth > self._deepest:
            return
        if nested > MOST_NESTED:
            self.selections = MOST_SELECTIONS + 1
            return
        for selection in selections.selections:
            self.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                self._field(selection, depth=depth, nested=nested)
            elif isinstance(selection, InlineFragmentNode):
                self._walk(selection.selection_set, depth=depth, nested=nested + 1)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = self._fragments.get(selection.name.value)
                if fragment is not None:
                    self._walk(fragment.selection_set, depth=depth, nested=nested + 1)

    def _field(self, field: FieldNode, *, depth: int, nested: int) -> None:
        self.depth = max(self.depth, depth)
        self.aliases += field.alias is not None
        self.root_fields += depth == 1
        if field.selection_set is not None:
            self.depth = max(self.depth, depth + 1)
            self._walk(field.selection_set, depth=depth + 1, nested=nested + 1)


# Generic cell rate algorithm on Valkey's own clock: one number a caller, exact between processes.
_GCRA = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
if tat < now then tat = now end
local allow_at = tat + interval - burst
if now < allow_at then return allow_at - now end
redis.call('SET', KEYS[1], tat + interval, 'PX', math.ceil((tat + interval - now) / 1000) + 1)
return 0
"""


class RateLimiter:
    """Requests a caller may make: `per_second` on average, `burst` at once."""

    def __init__(self, client: Redis, *, per_second: float = 20, burst: int = 60) -> None:
        self._script = client.register_script(_GCRA)
        self._interval_us = int(1_000_000 / per_second)
        self._burst_us = self._interval_us * burst
        self._local = LocalLimiter(interval_s=1 / per_second, burst=burst)

    async def take(self, actor: Actor, *, address: str, is_query: bool, monotonic_s: float) -> None:
        """Count one request. Raises TooManyRequests; LimitsUnavailable where nothing may go uncounted."""
        caller = f"{actor.ref}:{actor.id}" if actor.kind is not ActorKind.ANONYMOUS else f"address:{address}"
        try:
            wait_us = int(await self._script(keys=[f"rate:{{{caller}}}"], args=[self._interval_us, self._burst_us]))
        except (RedisError, OSError):
            # Without counters that all processes share, those who signed in are counted in this process alone;
            # strangers and relying parties wait (ARCHITECTURE §4.18).
            if actor.kind not in (ActorKind.CITIZEN, ActorKind.STAFF) or not is_query:
                raise LimitsUnavailable from None
            wait_us = int(self._local.take(caller, monotonic_s=monotonic_s) * 1_000_000)
        if wait_us > 0:
            raise TooManyRequests(retry_after_s=math.ceil(wait_us / 1_000_000))


class LocalLimiter:
    """The same rule within one process, for so many callers; the longest unseen is forgotten first."""

    def __init__(self, *, interval_s: float, burst: int, capacity: int = 50_000) -> None:
        self._interval_s = interval_s
        self._tolerance_s = interval_s * burst
        self._capacity = capacity
        self._arrivals: OrderedDict[str, float] = OrderedDict()

    def take(self, caller: str, *, monotonic_s: float) -> float:
        """Count one; returns seconds to wait, 0 when it was counted."""
        arrival = max(self._arrivals.pop(caller, monotonic_s), monotonic_s)
        wait = arrival + self._interval_s - self._tolerance_s - monotonic_s
        if wait > 0:
            self._arrivals[caller] = arrival
            return wait
        self._arrivals[caller] = arrival + self._interval_s
        if len(self._arrivals) > self._capacity:
            self._arrivals.popitem(last=False)
        return 0.0
