"""Masks: how much of a value a MASKED grant shows. Pure; codes stand in `@personal(mask:)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

STAR = "*"
LAST_DISTRICT = 20
"""A district that is named later in an address is part of something smaller."""
NO_DISTRICT = frozenset(f"{kind}区" for kind in "小社园校厂宿住活属墅景片")
"""Compounds, campuses and works end in 区 too, and are where a person lives: 小区, 社区, 园区, 校区 …"""
SHORT_ADDRESS = 12


def name(value: str) -> str:
    """The family name: 欧阳晓明 is 欧阳**, 王小明 is 王**. Of a name in Latin letters the first letter of each part."""
    if value.isascii():
        return " ".join(part[:1] + STAR * max(1, len(part) - 1) for part in value.split())
    kept = 2 if value[:2] in COMPOUND_SURNAMES and len(value) > 2 else 1
    return value[:kept] + STAR * max(1, len(value) - kept)


def resident_number(value: str) -> str:
    """First six and last four digits; what lies between is the birth date."""
    return _middle(value, 6, 4)


def document_number(value: str) -> str:
    """First and last character."""
    return _middle(value, 1, 1)


def phone(value: str) -> str:
    """First three and last four digits of the national number; the country code stays."""
    prefix = "+86" if value.startswith("+86") else ""
    return prefix + _middle(value[len(prefix) :], 3, 4)


def address(value: str) -> str:
    """Down to the county or district; without one, the first six characters of what is longer than twelve."""
    for place, mark in enumerate(value[: LAST_DISTRICT + 1]):
        if place and mark in "区县旗" and value[place - 1 : place + 1] not in NO_DISTRICT:
            return value[: place + 1] + STAR * 4
    return value[:6] + STAR * 4 if len(value) > SHORT_ADDRESS else STAR * len(value)


def date(value: str) -> str:
    """The year of an ISO date."""
    return value[:4] + "-**-**"


def business(value: str) -> str:
    """First two and last two characters."""
    return _middle(value, 2, 2)


def _middle(value: str, first: int, last: int) -> str:
    if len(value) <= first + last:
        return STAR * len(value)
    return value[:first] + STAR * (len(value) - first - last) + value[-last:]


_COMPOUND = (
    "欧阳太史端木上官司马东方独孤南宫万俟闻人夏侯诸葛尉迟公羊赫连澹台皇甫宗政濮阳公冶太叔申屠公孙慕容仲孙钟离长孙宇文司徒鲜于"
    "司空闾丘子车亓官司寇巫马公西颛孙壤驷公良漆雕乐正宰父谷梁拓跋夹谷轩辕令狐段干百里呼延东郭南门羊舌微生梁丘左丘东门西门第五"
)
COMPOUND_SURNAMES = frozenset(_COMPOUND[at : at + 2] for at in range(0, len(_COMPOUND), 2))
"""Family names of two characters."""

MASKS: Mapping[str, Callable[[str], str]] = {
    "name": name,
    "resident_number": resident_number,
    "document_number": document_number,
    "phone": phone,
    "address": address,
    "date": date,
    "business": business,
}
"""By code."""
