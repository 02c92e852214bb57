"""Resident numbers and phones: what a person typed is read or refused, and nothing else is raised on any text."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from town import sample_number

from gov_services.identity.phones import NotAPhoneNumber, parse_phone
from gov_services.identity.resident_number import NotAResidentNumber, age_on, check_character, has_turned, parse
from gov_services.kit.errors import LOCALES

pytestmark = pytest.mark.untraced

TODAY = dt.date(2026, 3, 2)
DIGITS = st.text(alphabet="0123456789", min_size=17, max_size=17)


def holds(number: str) -> bool:
    """ISO 7064 MOD 11-2, the other way round: the whole number, its check character included, is 1 modulo 11."""
    return sum((10 if one == "X" else int(one)) * pow(2, 17 - at, 11) for at, one in enumerate(number)) % 11 == 1


def accepted(text: str) -> bool:
    """Whether the text is a number. Anything but NotAResidentNumber escapes."""
    try:
        parse(text, today=TODAY)
    except NotAResidentNumber:
        return False
    return True


@given(st.text(max_size=40))
@example("\ud800" * 18)
@example("٩" * 18)
@example("１" * 18)
@example("²" * 18)
@example("1\x00" * 9)
@example("999999000000000000")
def test_any_text_is_a_number_or_is_none(text: str) -> None:
    assert accepted(text) in (True, False)


@given(st.text(alphabet="0123456789Xx 　０９", min_size=15, max_size=20))
def test_what_is_taken_for_a_number_holds_its_check(text: str) -> None:
    if accepted(text):
        assert holds(parse(text, today=TODAY).text)


@given(DIGITS)
def test_one_check_character_and_no_other_makes_the_sum_right(first: str) -> None:
    assert [one for one in "0123456789X" if holds(first + one)] == [check_character(first)]


@given(st.dates(dt.date(1850, 1, 1), TODAY), st.integers(100_000, 999_999), st.integers(0, 999))
def test_a_right_number_says_region_birth_date_and_sex(born: dt.date, region: int, sequence: int) -> None:
    first = f"{region}{born:%Y%m%d}{sequence:03d}"
    number = first + check_character(first)

    read = parse(number, today=TODAY)

    assert (read.text, read.birth_date, read.region) == (number, born, str(region))
    assert read.is_female == (sequence % 2 == 0)
    for wrong in set("0123456789X") - {number[-1]}:
        assert not accepted(first + wrong)


def test_one_wrong_digit_and_two_digits_exchanged_are_found() -> None:
    number = sample_number()
    for place, digit in itertools.product(range(18), "0123456789"):
        if number[place] != digit:
            assert not accepted(number[:place] + digit + number[place + 1 :])
    for place in range(17):
        exchanged = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
        assert exchanged == number or not accepted(exchanged)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "9" * 17, "9" * 19, "X" * 18, "9999991990030710X1", "999999199003071"),
        sample_number(born="19900230"),
        sample_number(born="19001301"),
        sample_number(born="18491231"),
        sample_number(born="20260303"),
        sample_number(born="00000101"),
        "0" + sample_number()[1:],
    ],
)
def test_what_is_no_number_is_refused_in_the_persons_language_with_its_field(text: str) -> None:
    with pytest.raises(NotAResidentNumber) as refused:
        parse(text, today=TODAY, field="input.nationalId")
    assert refused.value.field == "input.nationalId"
    messages = {refused.value.message(locale) for locale in LOCALES}
    assert messages == {"身份证号码有误,请核对。", "This is not a valid resident identity number."}


def test_a_number_is_read_as_people_write_it() -> None:
    number = next(item for item in (sample_number(sequence=at) for at in range(100)) if item.endswith("X"))
    wide = number.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)})
    for written in (number.lower(), f" {number[:6]} {number[6:14]} {number[14:]}\n", wide):
        assert parse(written, today=TODAY).text == number


@pytest.mark.parametrize(
    ("born", "day", "years"),
    [
        ("2008-03-02", "2026-03-02", 17),
        ("2008-03-02", "2026-03-03", 18),
        ("2008-02-29", "2026-02-28", 17),
        ("2008-02-29", "2026-03-01", 18),
        ("2026-03-02", "2026-03-02", -1),
        ("2012-12-31", "2026-12-31", 13),
        ("2012-12-31", "2027-01-01", 14),
    ],
)
def test_one_is_a_year_older_on_the_day_after_ones_birthday(born: str, day: str, years: int) -> None:
    assert age_on(dt.date.fromisoformat(born), dt.date.fromisoformat(day)) == years


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("13900000001", "+8613900000001"),
        (" 139 0000-0001 ", "+8613900000001"),
        ("+86 13900000001", "+8613900000001"),
        ("008613900000001", "+8613900000001"),
        ("１３９００００００１", None),
        ("１３９００００0001", "+8613900000001"),
        ("+852 5123 4567", "+85251234567"),
        ("", None),
        ("139", None),
        ("139000000011", None),
        ("phone", None),
    ],
)
def test_a_phone_is_read_as_people_write_it(typed: str, number: str | None) -> None:
    if number is None:
        with pytest.raises(NotAPhoneNumber) as refused:
            parse_phone(typed, field="input.phone")
        assert refused.value.field == "input.phone"
    else:
        assert parse_phone(typed) == number


@given(st.text(max_size=300))
@example("+" * 250)
@example("tel:13900000001;phone-context=+86")
@example("\ud800")
def test_any_text_is_a_phone_number_or_is_none(text: str) -> None:
    try:
        number = parse_phone(text)
    except NotAPhoneNumber:
        return
    assert number.startswith("+")
    assert parse_phone(number) == number


@given(born=st.dates(dt.date(1900, 1, 1), dt.date(2080, 1, 1)), years=st.integers(1, 20))
@example(born=dt.date(2012, 2, 29), years=14)
@example(born=dt.date(2012, 2, 29), years=16)
@example(born=dt.date(2011, 12, 31), years=14)
def test_the_day_on_which_one_has_turned_is_the_first_of_that_age(born: dt.date, years: int) -> None:
    day = has_turned(years, born)
    assert age_on(born, day) == years
    assert age_on(born, day - dt.timedelta(days=1)) == years - 1
