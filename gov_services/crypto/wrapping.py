"""Key wrap (RFC 3394, NIST SP 800-38F KW) over AES and over SM4. It keeps no key and derives none.

With SM4 it is the same construction over another block cipher of 128 bits; the library has it for AES only.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

_HALF = 8
_INITIAL = b"\xa6" * _HALF
_ROUNDS = 6
_SHORTEST = 16


class UnwrapRefused(Exception):
    """It was not wrapped under this key, or altered."""


def wrap_aes(kek: bytes, key: bytes) -> bytes:
    """`key` under an AES key-encryption key, eight bytes longer."""
    return aes_key_wrap(kek, key)


def unwrap_aes(kek: bytes, wrapped: bytes) -> bytes:
    """The key. Raises UnwrapRefused."""
    try:
        return aes_key_unwrap(kek, wrapped)
    except (InvalidUnwrap, ValueError) as wrong:
        raise UnwrapRefused("not wrapped under this key") from wrong


def wrap_sm4(kek: bytes, key: bytes) -> bytes:
    """`key` under an SM4 key-encryption key (16 bytes), eight bytes longer."""
    return wrap(algorithms.SM4(kek), key)


def unwrap_sm4(kek: bytes, wrapped: bytes) -> bytes:
    """The key. Raises UnwrapRefused."""
    return unwrap(algorithms.SM4(kek), wrapped)


def wrap(algorithm: BlockCipherAlgorithm, key: bytes) -> bytes:
    """`key`, in multiples of 8 bytes, 16 at least, wrapped (RFC 3394 §2.2.1). Raises ValueError for other lengths."""
    if len(key) < _SHORTEST or len(key) % _HALF:
        raise ValueError("a key that is wrapped is a multiple of 8 bytes, 16 at least")
    # One block in ECB mode is the block cipher itself.
    block = Cipher(algorithm, modes.ECB()).encryptor()  # noqa: S305
    check, parts = _INITIAL, _halves(key)
    for round_ in range(_ROUNDS):
        for place, part in enumerate(parts):
            made = block.update(check + part)
            check = _counted(made[:_HALF], len(parts) * round_ + place + 1)
            parts[place] = made[_HALF:]
    return check + b"".join(parts)


def unwrap(algorithm: BlockCipherAlgorithm, wrapped: bytes) -> bytes:
    """What was wrapped (RFC 3394 §2.2.2). Raises UnwrapRefused."""
    if len(wrapped) < _SHORTEST + _HALF or len(wrapped) % _HALF:
        raise UnwrapRefused("of no length that wrapping makes")
    block = Cipher(algorithm, modes.ECB()).decryptor()  # noqa: S305
    check, *parts = _halves(wrapped)
    for round_ in reversed(range(_ROUNDS)):
        for place in reversed(range(len(parts))):
            made = block.update(_counted(check, len(parts) * round_ + place + 1) + parts[place])
            check, parts[place] = made[:_HALF], made[_HALF:]
    if not hmac.compare_digest(check, _INITIAL):
        raise UnwrapRefused("not wrapped under this key")
    return b"".join(parts)


def _halves(text: bytes) -> list[bytes]:
    return [text[begin : begin + _HALF] for begin in range(0, len(text), _HALF)]


def _counted(half: bytes, count: int) -> bytes:
    return (int.from_bytes(half) ^ count).to_bytes(_HALF)
