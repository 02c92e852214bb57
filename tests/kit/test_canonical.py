"""Canonical JSON: the one text of RFC 8785, and no floats in what is ours."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gov_services.kit.canonical import NotCanonical, canonical_json, jcs, number_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_it_reads_back_and_both_ways_of_writing_agree(value: Any) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert text == jcs(value)


def test_keys_are_sorted_by_utf_16_also_beyond_the_basic_plane() -> None:
    # By code point the smiley comes last; RFC 8785 §3.2.3 has it before the last part of the basic plane.
    assert canonical_json({"\ufb33": 1, "\U0001f602": 2, "\u20ac": 3}).decode() == '{"€":3,"\U0001f602":2,"\ufb33":1}'
    assert canonical_json([{"a": {"\uffff": 1, "\U00010000": 2}}]).decode() == '[{"a":{"\U00010000":2,"\uffff":1}}]'


def test_text_is_escaped_the_one_way() -> None:
    assert canonical_json({"k": '\x00\x1f\b\t\n\f\r"\\/\x7f市'}).decode() == (
        '{"k":"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\/\x7f市"}'
    )
    assert canonical_json([{}, [], {"": None}]) == b'[{},[],{"":null}]'


# RFC 8785 appendix B.
@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_of_others_are_written_as_the_rfc_lists_them(bits: str, text: str) -> None:
    assert number_text(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_reads_back(number: float) -> None:
    assert float(number_text(number)) == number


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], {1: 2}, {"a": {None: 1}}, b"bytes", {"a": {1, 2}}])
def test_what_has_no_canonical_text_is_refused(value: object) -> None:
    for write in (jcs, canonical_json):
        with pytest.raises(NotCanonical):
            write(value)


@pytest.mark.parametrize("value", [1.5, [0.0], {"a": {"b": 1e3}}])
def test_floats_have_no_place_in_what_is_ours(value: object) -> None:
    with pytest.raises(NotCanonical, match="floats"):
        canonical_json(value)
    assert jcs(value)
