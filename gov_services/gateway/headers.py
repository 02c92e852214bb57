"""Which headers go on to which subgraph, by a file of rules. What no rule names stays here. It sends nothing itself.

    [[rule]]                        # for every subgraph, or those in `subgraphs = ["streets"]`
    forward = "accept-language"     # the client's header
    as = "x-language"               # under another name; optional
    default = "zh-CN"               # where the client sent none; optional

    [[rule]]
    insert = "x-city"
    value = "riverside"

Sources: RFC 9110 §7.6.1 (what a proxy must not forward), RFC 6750 (a bearer token is for whom it was issued to).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Pairs = tuple[tuple[bytes, bytes], ...]
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
OURS = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
        *("transfer-encoding", "upgrade", "host", "content-length", "content-type", "content-encoding"),
        *("accept", "accept-encoding", "cookie", "expect", "user-agent", "gov-assertion"),
    }
)
"""Headers of this connection, or of this gateway: no rule may send them."""


class RulesRefused(ValueError):
    """The file has a rule that cannot be meant."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One header. `source` is the client's, None for one that is inserted with `value`."""

    name: str
    source: str | None
    value: str | None
    subgraphs: frozenset[str]


def parse_rules(text: str) -> tuple[Rule, ...]:
    """The rules of a file. Raises RulesRefused."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as malformed:
        raise RulesRefused(f"not TOML: {malformed}") from malformed
    if set(found) - {"rule"}:
        raise RulesRefused(f"unknown: {', '.join(sorted(set(found) - {'rule'}))}")
    return tuple(_rule(number, item) for number, item in enumerate(found.get("rule", []), 1))


def _rule(number: int, item: Mapping[str, object]) -> Rule:
    kinds = {"forward": {"forward", "as", "default", "subgraphs"}, "insert": {"insert", "value", "subgraphs"}}
    kind = next((kind for kind in kinds if kind in item), None)
    if kind is None or set(item) - kinds[kind] or (kind == "insert" and "value" not in item):
        raise RulesRefused(f"rule {number}: it has `forward` (with `as`, `default`), or `insert` and `value`")
    subgraphs = item.get("subgraphs", [])
    if not isinstance(subgraphs, list) or not all(isinstance(name, str) for name in subgraphs):
        raise RulesRefused(f"rule {number}: `subgraphs` is a list of names")
    source = _name(number, item["forward"]) if kind == "forward" else None
    name = _name(number, item.get("as", source) if source else item["insert"])
    value = item.get("default" if source else "value")
    if value is not None and (not isinstance(value, str) or not value.isascii() or not value.isprintable()):
        raise RulesRefused(f"rule {number}: the value is not one line of ASCII")
    return Rule(name, source, value, frozenset(subgraphs))


def _name(number: int, value: object) -> str:
    name = value.lower() if isinstance(value, str) else ""
    if not NAME.fullmatch(name):
        raise RulesRefused(f"rule {number}: {value!r} is no name of a header")
    if name in OURS:
        raise RulesRefused(f"rule {number}: {name} belongs to each connection, and is not sent on")
    return name


def forwarding(rules: tuple[Rule, ...], subgraph: str) -> Callable[[Mapping[str, str]], Pairs]:
    """From a client's headers (lower-case names) to those for a subgraph; a later rule replaces an earlier one."""
    own = [rule for rule in rules if not rule.subgraphs or subgraph in rule.subgraphs]
    fixed = {rule.name: rule.value for rule in own if rule.source is None}
    if all(rule.source is None for rule in own):
        pairs = tuple((name.encode(), str(value).encode()) for name, value in fixed.items())
        return lambda _: pairs

    def headers(sent: Mapping[str, str]) -> Pairs:
        found: dict[str, str] = {}
        for rule in own:
            value = rule.value if rule.source is None else sent.get(rule.source, rule.value)
            if value is not None:
                found[rule.name] = value
        return tuple([(name.encode(), value.encode("latin-1", "replace")) for name, value in found.items()])

    return headers
