"""Blind indexes: keyed digests by which a sealed value is found. Their root is no data key's, and opens nothing."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256, SM3
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gov_services.crypto.keys import OF_SM, newest_root, read_root

INDEX_BYTES = 16
Normalizer = Callable[[str], str]


def exact(value: str) -> str:
    """NFKC, nothing else."""
    return unicodedata.normalize("NFKC", value)


def resident_number(value: str) -> str:
    """NFKC, spaces taken out, the check character X in capitals."""
    return "".join(exact(value).split()).upper()


def phone(value: str) -> str:
    """NFKC, digits and a leading plus only: give it E.164."""
    digits = "".join(one for one in exact(value) if one.isdecimal())
    return f"+{digits}"


class BlindIndex:
    """Digests of one installation. Each index has a key of its own, so that equal values in two are not linked.

    By HMAC-SHA256, or by HMAC-SM3 (GB/T 15852.2) where the root key is of that kind; kept to 16 bytes either way.
    """

    def __init__(self, root: bytes, *, version: int = 1, sm: bool = False) -> None:
        self._root = root
        self._version = version
        self._sm = sm

    def __repr__(self) -> str:
        return f"BlindIndex(version={self._version}{', sm=True' if self._sm else ''})"

    @classmethod
    def load(cls, directory: Path) -> BlindIndex:
        """With the root key of an installation. Raises KeyRefused."""
        sm = newest_root(directory, "blind-index").stem.endswith(OF_SM)
        return cls(read_root(directory, "blind-index"), sm=sm)

    def of(self, index_id: str, value: str, *, normalize: Normalizer) -> bytes:
        """16 bytes by which `value` is found in the index `index_id`, which never changes."""
        info = f"gov-blind-index/{self._version} {index_id}".encode()
        key = HKDFExpand(algorithm=SM3() if self._sm else SHA256(), length=32, info=info).derive(self._root)
        # What a client sent may hold a lone surrogate, which UTF-8 cannot write: it names nobody, and is no defect.
        text = normalize(value).encode(errors="surrogatepass")
        digest = hmac_sm3(key, text) if self._sm else hmac.digest(key, text, hashlib.sha256)
        return digest[:INDEX_BYTES]


def hmac_sm3(key: bytes, text: bytes) -> bytes:
    """HMAC with SM3 (GB/T 32905), 32 bytes."""
    mac = HMAC(key, SM3())
    mac.update(text)
    return mac.finalize()
