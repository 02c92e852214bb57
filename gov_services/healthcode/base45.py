"""Base45 (RFC 9285): bytes as the 45 characters that a QR code packs tightly. It knows no code of ours."""

from __future__ import annotations

from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}


class NotBase45(ValueError):
    """The text is not the Base45 form of anything."""


def encode(data: bytes) -> str:
    """`data`, two bytes as three characters, a last odd one as two."""
    pieces = []
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        number = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            number, digit = divmod(number, 45)
            pieces.append(ALPHABET[digit])
    return "".join(pieces)


def decode(text: str) -> bytes:
    """The bytes in `text`. Raises NotBase45."""
    try:
        digits = [_VALUES[character] for character in text]
    except KeyError:
        raise NotBase45("a character outside the alphabet") from None
    data = bytearray()
    for at in range(0, len(digits), 3):
        group = digits[at : at + 3]
        number = sum(digit * 45**place for place, digit in enumerate(group))
        size = len(group) - 1
        if size == 0 or number >= 1 << (8 * size):
            raise NotBase45("a group that stands for no bytes")
        data += number.to_bytes(size, "big")
    return bytes(data)
