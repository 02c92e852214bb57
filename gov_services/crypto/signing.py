"""Ed25519 signatures under named keys in files; the newest signs, all verify. It knows no format that is signed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gov_services.crypto.keys import KeyRefused, parse_hexadecimal, read_secret, require_private_directory

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


class SignatureRefused(Exception):
    """The signature is not that of the key that it names."""


class SigningKey:
    """A private key. Its repr shows its id alone."""

    __slots__ = ("_key", "key_id")

    def __init__(self, key: Ed25519PrivateKey, key_id: str) -> None:
        self._key = key
        self.key_id = key_id

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id!r})"

    @classmethod
    def load(cls, directory: Path, name: str) -> SigningKey:
        """The newest key called `name` under `directory/signing`. Raises KeyRefused."""
        folder = directory / "signing" / name
        require_private_directory(folder)
        paths = sorted(folder.glob("*.pem"))
        if not paths:
            raise KeyRefused(f"there is no signing key {name}")
        return cls(_private(paths[-1]), paths[-1].stem)

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """The key itself, for crypto.tokens and for formats that sign in their own way."""
        return self._key

    @property
    def public_bytes(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes, /) -> bytes:
        """The signature of `message`, 64 bytes."""
        return self._key.sign(message)


class VerifyKeys:
    """Public keys by id."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """`keys`: raw public keys. Raises KeyRefused for one that is not 32 bytes."""
        for key_id, raw in keys.items():
            if len(raw) != PUBLIC_BYTES:
                raise KeyRefused(f"public key {key_id} is not {PUBLIC_BYTES} bytes")
        self._raw = dict(keys)
        self._keys = {key_id: Ed25519PublicKey.from_public_bytes(raw) for key_id, raw in keys.items()}

    def __repr__(self) -> str:
        return f"VerifyKeys({sorted(self._raw)})"

    @classmethod
    def load(cls, directory: Path, name: str) -> VerifyKeys:
        """All public keys called `name`; of a signing key whose public half was not kept, that of the private one.

        Raises KeyRefused.
        """
        folder = directory / "signing" / name
        found = {path.stem: _public(path) for path in sorted(folder.glob("*.pub"))}
        for path in sorted(folder.glob("*.pem")):
            if path.stem not in found:
                found[path.stem] = SigningKey(_private(path), path.stem).public_bytes
        if not found:
            raise KeyRefused(f"there is no key {name} to verify by")
        return cls(found)

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    def public_keys(self) -> dict[str, bytes]:
        """Raw public keys by id."""
        return dict(self._raw)

    def public_key(self, key_id: str) -> Ed25519PublicKey:
        """The key of that id. Raises SignatureRefused."""
        try:
            return self._keys[key_id]
        except KeyError:
            raise SignatureRefused("made by a key that is not known here") from None

    def verify(self, key_id: str, message: bytes, signature: bytes) -> None:
        """Return where the signature is that key's of this message. Raises SignatureRefused."""
        if len(signature) != SIGNATURE_BYTES:
            raise SignatureRefused(f"a signature is {SIGNATURE_BYTES} bytes")
        try:
            self.public_key(key_id).verify(signature, message)
        except InvalidSignature:
            raise SignatureRefused("not the signature of this message") from None


def _public(path: Path) -> bytes:
    # Not private, so anybody may read it; what is no text at all is no hexadecimal either.
    return parse_hexadecimal(path.read_text(errors="replace"), path)


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(read_secret(path).encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRefused(f"{path} is no Ed25519 key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefused(f"{path} is no Ed25519 key")
    return key
