"""Resident identity numbers (公民身份号码, GB 11643-2019): reading one, total over any text. Pure; it stores none."""

from __future__ import annotations

import datetime as dt
import unicodedata
from dataclasses import dataclass
from typing import ClassVar

from gov_services.kit.errors import UserError

_WEIGHTS = tuple(2**place % 11 for place in range(17, 0, -1))
_CHECK = "10X98765432"
"""ISO 7064 MOD 11-2: the check character for each remainder."""


class NotAResidentNumber(UserError):
    """The text is no resident identity number."""

    code = "RESIDENT_NUMBER_INVALID"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "身份证号码有误,请核对。",
        "en": "This is not a valid resident identity number.",
    }


@dataclass(frozen=True, slots=True)
class ResidentNumber:
    """A number whose check character is right and whose birth date exists."""

    text: str
    birth_date: dt.date

    @property
    def region(self) -> str:
        """GB/T 2260 code of the county where it was issued; 81 to 83 residence permits of Hong Kong, Macao, Taiwan."""
        return self.text[:6]

    @property
    def is_female(self) -> bool:
        """By the parity of the seventeenth digit."""
        return int(self.text[16]) % 2 == 0


def check_character(first_seventeen: str) -> str:
    """The eighteenth character for seventeen ASCII digits."""
    return _CHECK[sum(int(digit) * weight for digit, weight in zip(first_seventeen, _WEIGHTS, strict=True)) % 11]


def parse(text: str, *, today: dt.date, field: str = "") -> ResidentNumber:
    """The number in `text`. Raises NotAResidentNumber for any other text, and nothing else whatever the text is.

    1 eighteen characters, digits and a last X   2 a region   3 a birth date that exists and is past   4 the check
    """
    normal = "".join(unicodedata.normalize("NFKC", text).split()).upper()
    # (1)
    if len(normal) != 18 or not _digits(normal[:17]) or not (_digits(normal[17]) or normal[17] == "X"):
        raise NotAResidentNumber(field=field)
    # (2) Regions begin with 1 to 6, Taiwan's with 7, residence permits with 8, foreigners' permits with 9.
    if normal[0] == "0":
        raise NotAResidentNumber(field=field)
    # (3)
    try:
        born = dt.date(int(normal[6:10]), int(normal[10:12]), int(normal[12:14]))
    except ValueError:
        raise NotAResidentNumber(field=field) from None
    if not dt.date(1850, 1, 1) <= born <= today:
        raise NotAResidentNumber(field=field)
    # (4)
    if check_character(normal[:17]) != normal[17]:
        raise NotAResidentNumber(field=field)
    return ResidentNumber(normal, born)


def age_on(born: dt.date, day: dt.date) -> int:
    """Full years (周岁) on `day`: one turns a year older on the day after the birthday (民法典解释; 刑法解释 §2)."""
    had_birthday = (day.month, day.day) > (born.month, born.day)
    return day.year - born.year - (0 if had_birthday else 1)


def has_turned(years: int, born: dt.date) -> dt.date:
    """The first day on which `age_on` says so many years: the day after the birthday."""
    try:
        birthday = born.replace(year=born.year + years)
    except ValueError:  # a leap day, in a year that has none: the day after it begins March
        return dt.date(born.year + years, 3, 1)
    return birthday + dt.timedelta(days=1)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
