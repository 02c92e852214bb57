"""Blind indexes: keyed digests by which a sealed value is found. Their root is no data key's, and opens nothing."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gov_services.crypto.keys import read_root

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
    """Digests of one installation. Each index has a key of its own, so that equal values in two are not linked."""

    def __init__(self, root: bytes, *, version: int = 1) -> None:
        self._root = root
        self._version = version

    def __repr__(self) -> str:
        return f"BlindIndex(version={self._version})"

    @classmethod
    def load(cls, directory: Path) -> BlindIndex:
        """With the root key of an installation. Raises KeyRefused."""
        return cls(read_root(directory, "blind-index"))

    def of(self, index_id: str, value: str, *, normalize: Normalizer) -> bytes:
        """16 bytes by which `value` is found in the index `index_id`, which never changes."""
        info = f"gov-blind-index/{self._version} {index_id}".encode()
        key = HKDFExpand(algorithm=SHA256(), length=32, info=info).derive(self._root)
        # What a client sent may hold a lone surrogate, which UTF-8 cannot write: it names nobody, and is no defect.
        text = normalize(value).encode(errors="surrogatepass")
        return hmac.digest(key, text, hashlib.sha256)[:INDEX_BYTES]
