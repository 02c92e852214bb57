"""Which of a client's headers reach a subgraph: those that a rule names."""

from __future__ import annotations

import pytest

from gov_services.gateway.headers import OURS, RulesRefused, forwarding, parse_rules

RULES = """
[[rule]]
forward = "Accept-Language"
as = "X-Language"
default = "zh-CN"

[[rule]]
forward = "authorization"
subgraphs = ["streets"]

[[rule]]
insert = "x-city"
value = "riverside"

[[rule]]
insert = "X-City"
value = "lakeside"
subgraphs = ["parks"]
"""


def sent(subgraph: str, **headers: str) -> dict[bytes, bytes]:
    client = {name.replace("_", "-"): value for name, value in headers.items()}
    return dict(forwarding(parse_rules(RULES), subgraph)(client))


def test_what_is_named_goes_on_and_nothing_else() -> None:
    found = sent("streets", accept_language="en", authorization="Bearer x", cookie="a", x_other="b")
    assert found == {b"x-language": b"en", b"authorization": b"Bearer x", b"x-city": b"riverside"}
    assert sent("parks", authorization="Bearer x") == {b"x-language": b"zh-CN", b"x-city": b"lakeside"}


def test_without_rules_nothing_goes_on() -> None:
    assert forwarding(parse_rules(""), "streets")({"authorization": "Bearer x"}) == ()


def test_what_is_always_the_same_is_made_once() -> None:
    headers = forwarding(parse_rules('[[rule]]\ninsert = "a"\nvalue = "b"'), "streets")
    assert headers({}) is headers({"a": "c"})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rule = ", "not TOML"),
        ("[other]", "unknown: other"),
        ("[[rule]]\nas = 'x'", "rule 1: it has"),
        ("[[rule]]\nforward = 'x'\nvalue = 'y'", "rule 1: it has"),
        ("[[rule]]\ninsert = 'x'", "rule 1: it has"),
        ("[[rule]]\nforward = 'x y'", "no name of a header"),
        ("[[rule]]\nforward = 1", "no name of a header"),
        ("[[rule]]\nforward = 'x'\nas = 'Host'", "host belongs to each connection"),
        ("[[rule]]\ninsert = 'x'\nvalue = \"a\\nb\"", "one line of ASCII"),
        ("[[rule]]\nforward = 'x'\nsubgraphs = 'a'", "list of names"),
        *((f"[[rule]]\nforward = '{name}'", "belongs to each connection") for name in sorted(OURS)),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(text: str, problem: str) -> None:
    with pytest.raises(RulesRefused, match=problem):
        parse_rules(text)
