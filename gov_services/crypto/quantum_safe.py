"""Keys by ML-DSA-44 (FIPS 204) in files, which an installation may lack. It signs nothing and knows no format."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gov_services.crypto.keys import KeyRefused, parse_hexadecimal, read_secret, require_private_directory

PUBLIC_BYTES = 1312


def private_key(directory: Path, name: str) -> MLDSA44PrivateKey | None:
    """The newest key called `name` under `directory/signing`; None where there is none. Raises KeyRefused."""
    folder = directory / "signing" / name
    paths = sorted(folder.glob("*.pem"))
    if not paths:
        return None
    require_private_directory(folder)
    try:
        key = load_pem_private_key(read_secret(paths[-1]).encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRefused(f"{paths[-1]} is no ML-DSA-44 key") from None
    if not isinstance(key, MLDSA44PrivateKey):
        raise KeyRefused(f"{paths[-1]} is no ML-DSA-44 key")
    return key


def public_keys(directory: Path, name: str) -> tuple[bytes, ...]:
    """All public keys called `name`, oldest first, 1,312 bytes each. Raises KeyRefused."""
    paths = sorted((directory / "signing" / name).glob("*.pub"))
    return tuple(parse_hexadecimal(path.read_text(errors="replace"), path, length=PUBLIC_BYTES) for path in paths)
