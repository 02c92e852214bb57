"""The ciphers behind the envelope, by the number that a box carries. They know no citizen, no column and no key store.

    1   AES-256-GCM       NIST SP 800-38D, 96-bit random nonce: for a key that one citizen's boxes share
    2   XAES-256-GCM      C2SP XAES-256-GCM, 192-bit random nonce: for a key that very many boxes share
    16  SM4-GCM           GB/T 32907, RFC 8998: for an installation that is bound to GB/T 39786

None commits to its key; DataKey.commitment does. Other nonce lengths are refused: a shorter one repeats sooner, and
one that is not 96 bits is hashed by GCM, which costs its bound on forgery.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SM3, HashAlgorithm

TAG_BYTES = 16
GCM_NONCE_BYTES = 12
_BLOCK = 16


class CipherRefused(Exception):
    """The text was altered, or made under another key, nonce or additional data; or key or nonce has a wrong length."""


class Suite(IntEnum):
    """The number in a box."""

    AES_256_GCM = 1
    XAES_256_GCM = 2
    SM4_GCM = 16


Decrypt = Callable[[bytes, bytes, bytes], bytes]


class Aead(Protocol):
    """Authenticated encryption under one key."""

    nonce_bytes: int

    @property
    def decrypt_bare(self) -> Decrypt:
        """As `decrypt`, for what every opened field waits for: the nonce's length is its caller's concern.

        It may raise InvalidTag and ValueError instead.
        """
        ...

    def encrypt(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Ciphertext and tag. Raises CipherRefused for a nonce of another length."""
        ...

    def decrypt(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """The plaintext. Raises CipherRefused."""
        ...


class Aes256Gcm:
    """Suite 1."""

    nonce_bytes = GCM_NONCE_BYTES

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes. Raises CipherRefused."""
        _require_length("key", key, 32)
        self._gcm = AESGCM(key)
        self.decrypt_bare: Decrypt = self._gcm.decrypt

    def encrypt(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """See Aead."""
        _require_length("nonce", nonce, self.nonce_bytes)
        return self._gcm.encrypt(nonce, plaintext, aad)

    def decrypt(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """See Aead."""
        _require_length("nonce", nonce, self.nonce_bytes)
        try:
            return self._gcm.decrypt(nonce, sealed, aad)
        except InvalidTag:
            raise CipherRefused("altered, or made otherwise") from None


class XAes256Gcm:
    """Suite 2: AES-256-GCM under a key derived from the first half of the nonce (NIST SP 800-108r1, CMAC)."""

    nonce_bytes = 24

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes. Raises CipherRefused."""
        _require_length("key", key, 32)
        # One block in ECB mode is the block cipher itself, which is what CMAC is made of.
        self._block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        self._subkey = _doubled(self._block.update(bytes(_BLOCK)))

    def encrypt(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """See Aead."""
        return self._under(nonce).encrypt(nonce[12:], plaintext, aad)

    def decrypt(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """See Aead."""
        return self._under(nonce).decrypt(nonce[12:], sealed, aad)

    decrypt_bare = decrypt

    def _under(self, nonce: bytes) -> Aes256Gcm:
        _require_length("nonce", nonce, self.nonce_bytes)
        halves = (b"\x00" + bytes([counter]) + b"X\x00" + nonce[:12] for counter in (1, 2))
        return Aes256Gcm(b"".join(self._block.update(_xor(half, self._subkey)) for half in halves))


class Sm4Gcm:
    """Suite 16."""

    nonce_bytes = GCM_NONCE_BYTES

    def __init__(self, key: bytes) -> None:
        """`key`: 16 bytes. Raises CipherRefused."""
        _require_length("key", key, 16)
        self._cipher = algorithms.SM4(key)

    def encrypt(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """See Aead."""
        _require_length("nonce", nonce, self.nonce_bytes)
        gcm = Cipher(self._cipher, modes.GCM(nonce)).encryptor()
        gcm.authenticate_additional_data(aad)
        return gcm.update(plaintext) + gcm.finalize() + gcm.tag

    def decrypt(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """See Aead."""
        _require_length("nonce", nonce, self.nonce_bytes)
        if len(sealed) < TAG_BYTES:
            raise CipherRefused("too short")
        gcm = Cipher(self._cipher, modes.GCM(nonce, sealed[-TAG_BYTES:])).decryptor()
        gcm.authenticate_additional_data(aad)
        try:
            return gcm.update(sealed[:-TAG_BYTES]) + gcm.finalize()
        except InvalidTag:
            raise CipherRefused("altered, or made otherwise") from None

    decrypt_bare = decrypt


@dataclass(frozen=True, slots=True)
class SuiteKind:
    """How a suite is keyed."""

    cipher: Callable[[bytes], Aead]
    key_bytes: int
    label: bytes
    """From which its key is derived: no key serves two ciphers."""
    by: Callable[[], HashAlgorithm] = SHA256
    """The hash that derives it."""


SUITES: dict[int, SuiteKind] = {
    Suite.AES_256_GCM: SuiteKind(Aes256Gcm, 32, b"seal"),
    Suite.XAES_256_GCM: SuiteKind(XAes256Gcm, 32, b"seal/xaes-256-gcm"),
    Suite.SM4_GCM: SuiteKind(Sm4Gcm, 16, b"seal/sm4-gcm", by=SM3),
}


def random_nonce(cipher: Aead) -> bytes:
    """A nonce from the system's generator, as long as the cipher takes."""
    return os.urandom(cipher.nonce_bytes)


def _require_length(what: str, value: bytes, length: int) -> None:
    if len(value) != length:
        raise CipherRefused(f"a {what} is {length} bytes here")


def _doubled(block: bytes) -> bytes:
    """Twice the block in GF(2^128): the first subkey of CMAC (NIST SP 800-38B §6.1)."""
    doubled = int.from_bytes(block) << 1
    if doubled >> 128:
        doubled ^= (1 << 128) | 0x87
    return doubled.to_bytes(_BLOCK)


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))
