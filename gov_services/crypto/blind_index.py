"""Blind indexes: keyed digests by which a sealed value is found. Their root is no data key's, and opens nothing.

A root that is added makes a layer: the digest under it is that of the digest before, so that what stands in a table is
followed up without opening anything (decision 0025). No root is ever taken away.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256, SM3
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gov_services.crypto.keys import KEY_BYTES, OF_SM, KeyRefused, read_key, roots, write_secret

NAME = "blind-index"
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

    def __init__(
        self, root: bytes, *, version: int = 1, sm: bool = False, later: Sequence[tuple[bytes, bool]] = ()
    ) -> None:
        """`later` are the roots that were added, oldest first: key, and whether it digests by SM3."""
        self._version = version
        self._roots = ((root, sm), *later)

    def __repr__(self) -> str:
        sm = ", sm=True" if self._roots[-1][1] else ""
        return f"BlindIndex(version={self._version}{sm}{f', layers={self.depth}' if self.depth > 1 else ''})"

    @classmethod
    def load(cls, directory: Path) -> BlindIndex:
        """With the root keys of an installation. Raises KeyRefused, also where one between them is missing."""
        paths = roots(directory, NAME)
        for place, path in enumerate(paths, 1):
            if path.name.partition(".")[0] != f"{place:04d}":
                raise KeyRefused(f"root {place:04d} of {NAME} is missing: digests are made under each in turn")
        first, *later = [(read_key(path), path.stem.endswith(OF_SM)) for path in paths]
        return cls(first[0], sm=first[1], later=later)

    @property
    def depth(self) -> int:
        """How many layers a digest can have here."""
        return len(self._roots)

    def of(self, index_id: str, value: str, *, normalize: Normalizer) -> bytes:
        """16 bytes that stand for `value` in the index `index_id`, which never changes: the first of its layers."""
        # What a client sent may hold a lone surrogate, which UTF-8 cannot write: it names nobody, and is no defect.
        text = normalize(value).encode(errors="surrogatepass")
        return self._digest(1, index_id, text)

    def layers(self, index_id: str, first: bytes) -> tuple[bytes, ...]:
        """The digest under each root, from `first`, which `of` gave: by one of them the value is found."""
        found = [first]
        for layer in range(2, self.depth + 1):
            found.append(self._digest(layer, index_id, found[-1]))
        return tuple(found)

    def followed_up(self, index_id: str, digest: bytes, *, layers: int) -> bytes:
        """The digest of all layers, from one of `layers`."""
        for layer in range(layers + 1, self.depth + 1):
            digest = self._digest(layer, index_id, digest)
        return digest

    def _digest(self, layer: int, index_id: str, text: bytes) -> bytes:
        root, sm = self._roots[layer - 1]
        info = f"gov-blind-index/{self._version} {f'layer {layer} ' if layer > 1 else ''}{index_id}".encode()
        key = HKDFExpand(algorithm=SM3() if sm else SHA256(), length=32, info=info).derive(root)
        digest = hmac_sm3(key, text) if sm else hmac.digest(key, text, hashlib.sha256)
        return digest[:INDEX_BYTES]


def add_root(directory: Path, *, sm: bool = False) -> str:
    """Make the next root, by which digests have one more layer once they are followed up; its name.

    Raises KeyRefused.
    """
    place = BlindIndex.load(directory).depth + 1
    path = directory / NAME / f"{place:04d}{OF_SM if sm else ''}.key"
    write_secret(path, secrets.token_hex(KEY_BYTES), directory)
    return f"{NAME}/{path.stem}"


def hmac_sm3(key: bytes, text: bytes) -> bytes:
    """HMAC with SM3 (GB/T 32905), 32 bytes."""
    mac = HMAC(key, SM3())
    mac.update(text)
    return mac.finalize()
