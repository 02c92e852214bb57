"""Masks: some of a value, never all of it, and nothing raised whatever the value is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gov_services.crypto.masks import MASKS, STAR


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("name", "王小明", "王**"),
        ("name", "王明", "王*"),
        ("name", "欧阳晓明", "欧阳**"),
        ("name", "欧阳", "欧*"),
        ("name", "买买提·艾力", "买*****"),
        ("name", "Anna Example", "A*** E******"),
        ("name", "A", "A*"),
        ("name", "", ""),
        ("resident_number", "99999919900307100X", "999999********100X"),
        ("resident_number", "9999991990", "**********"),
        ("document_number", "C01234567", "C*******7"),
        ("document_number", "C1", "**"),
        ("phone", "+8613900000001", "+86139****0001"),
        ("phone", "13900000001", "139****0001"),
        ("phone", "1390001", "*******"),
        ("date", "1990-03-07", "1990-**-**"),
        ("business", "示例餐饮店", "示例*饮店"),
        ("business", "示例饭店", "****"),
    ],
)
def test_a_mask_shows_this_much(code: str, value: str, shown: str) -> None:
    assert MASKS[code](value) == shown


@given(st.sampled_from(sorted(MASKS)), st.text(max_size=40))
@example("address", "区")
@example("date", "1990")
@example("name", " ")
def test_a_mask_takes_any_text(code: str, value: str) -> None:
    assert isinstance(MASKS[code](value), str)


@pytest.mark.parametrize("code", ["resident_number", "document_number", "phone", "business"])
@given(value=st.text(alphabet="0123456789X甲乙丙", min_size=1, max_size=30))
def test_a_masked_number_hides_its_middle_and_keeps_its_length(code: str, value: str) -> None:
    shown = MASKS[code](value)
    assert len(shown) == len(value)
    assert STAR in shown
    assert all(one in (STAR, other) for one, other in zip(shown, value, strict=True))


@given(st.integers(1900, 2100), st.integers(1, 12), st.integers(1, 28), st.integers(0, 999))
def test_a_masked_resident_number_shows_no_birth_date(year: int, month: int, day: int, sequence: int) -> None:
    born = f"{year}{month:02d}{day:02d}"
    assert MASKS["resident_number"](f"999999{born}{sequence:03d}X")[6:14] == STAR * 8
    assert MASKS["date"](f"{year}-{month:02d}-{day:02d}") == f"{year}-**-**"
