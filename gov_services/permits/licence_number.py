"""Numbers of licences: unified social credit codes (GB 32100-2015) of individual businesses. Pure but for the dice."""

from __future__ import annotations

import secrets
import string

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""GB 32100: no I, O, S, V, Z."""
INDIVIDUAL_BUSINESS = "92"
"""Registered by market supervision (9) as an individual business (2)."""
_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_ORGANIZATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ORGANIZATION_ALPHABET = string.digits + string.ascii_uppercase


def new_licence_number(division: str) -> str:
    """A number not given out before, as likely as 31 ** 6 allow; the register refuses a second one."""
    body = "MA" + "".join(secrets.choice(ALPHABET) for _ in range(6))
    first = INDIVIDUAL_BUSINESS + division + body + organization_check(body)
    return first + check_character(first)


def organization_check(body: str) -> str:
    """The check character of an organization code's first eight characters (GB 11714-1997)."""
    total = sum(
        _ORGANIZATION_ALPHABET.index(letter) * weight
        for letter, weight in zip(body, _ORGANIZATION_WEIGHTS, strict=True)
    )
    return "0123456789X"[-total % 11]


def check_character(first: str) -> str:
    """The eighteenth character for the first seventeen."""
    total = sum(ALPHABET.index(letter) * weight for letter, weight in zip(first, _WEIGHTS, strict=True))
    return ALPHABET[-total % 31]
