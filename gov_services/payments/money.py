"""Money as a whole number of fen. Pure; it never meets a float."""

from __future__ import annotations

MOST_FEN = 2_147_483_647
"""What a GraphQL Int and a PostgreSQL integer hold: 21 474 836.47 yuan, above any fee there is."""
CURRENCY = "CNY"
"""ISO 4217; the only currency that bills are in."""


class NotAnAmount(ValueError):
    """The value is no amount of money that can be owed."""


def require_amount(value: object) -> int:
    """`value`, if it is a positive whole number of fen that we can hold. Raises NotAnAmount."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise NotAnAmount("an amount is a whole number of fen")
    if not 1 <= value <= MOST_FEN:
        raise NotAnAmount(f"an amount is 1 to {MOST_FEN} fen")
    return value
