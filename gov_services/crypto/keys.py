"""Key-encryption keys and where they live: a port, and local files behind it (others: pkcs11_keys, vault_keys)."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.hashes import SM3
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gov_services.crypto.suites import Suite
from gov_services.crypto.wrapping import UnwrapRefused, unwrap_aes, unwrap_sm4, wrap_aes, wrap_sm4
from gov_services.kit.canonical import sha256
from gov_services.kit.errors import Unavailable

KEY_BYTES = 32
DATABASE_ROOMS = ("identity", "permits", "payments", "healthcode", "privacy", "audit", "worker")
WRITERS = ("identity", "permits", "payments", "healthcode", "privacy", "audit")
"""Rooms that write to the log, each signing by a key of its own."""

SIGNING_NAMES = (
    "access-token",
    "assertion",
    "manifest-author",
    "manifest-officer",
    "bundle",
    "log",
    "licence",
    "health-code",
    "consent-receipt",
    "upload",
    "worker",
    *(f"writer-{room}" for room in WRITERS),
)

QUANTUM_SAFE_NAMES = ("log-ml-dsa-44",)
"""By ML-DSA-44 (FIPS 204), beside another's signature: made only where somebody asks for it."""
ROOTS = ("blind-index", "one-time-code", "refresh-token", "webhook")
"""Keys from which others are derived; no two uses share one."""

OF_SM = ".sm"
"""Ends the name of a key that serves by China's commercial algorithms: `0002.sm.key` wraps by SM4, or digests by SM3.

The name of a file says it, so that no setting can come to differ from what was written under the key.
"""


class DataClass(StrEnum):
    """What a data key is for. A room can open its own classes only."""

    IDENTITY = "identity"
    PERMITS = "permits"
    PAYMENTS = "payments"
    HEALTH = "health"
    AUDIT = "audit"


class KeyRefused(Exception):
    """A key is missing, laxly kept, malformed, or not the one that wrapped."""


class KeysUnavailable(Unavailable):
    """What holds the key-encryption keys does not answer: nothing is opened, and nobody is registered."""

    code = "KEYS_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "密钥服务暂时不可用,为保护个人信息,暂不提供数据。请稍后再试。",
        "en": "The keys cannot be reached, so no personal data is given. Please try again later.",
    }


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key under a key-encryption key."""

    kek_id: str
    """`<class>/<epoch>`: which key-encryption key wrapped it."""
    blob: bytes


class KeyProvider(Protocol):
    """Holds key-encryption keys of the classes it was given, and no others.

    All of it raises KeyRefused, and KeysUnavailable where keys are elsewhere and do not answer.
    """

    @property
    def waits(self) -> bool:
        """Whether it asks something outside this process, so that it is called in a thread (see crypto.asking)."""
        ...

    @property
    def classes(self) -> Collection[DataClass]:
        """Which those are."""
        ...

    def wrap(self, data_class: DataClass, key: bytes) -> Wrapped:
        """Wrap a data key under the newest epoch. Raises KeyRefused."""
        ...

    def unwrap(self, data_class: DataClass, wrapped: Wrapped) -> bytes:
        """The data key. Raises KeyRefused."""
        ...

    def wrap_all(self, data_class: DataClass, keys: Sequence[bytes]) -> list[Wrapped]:
        """Wrap many, in their order."""
        ...

    def unwrap_all(self, data_class: DataClass, wrapped: Sequence[Wrapped]) -> list[bytes]:
        """Unwrap many, in their order; one that is refused refuses all."""
        ...

    def newest(self, data_class: DataClass) -> str:
        """The id of the key-encryption key that wraps. Raises KeyRefused."""
        ...

    def suite(self, kek_id: str) -> Suite:
        """By which suite a data key seals that is wrapped under this key-encryption key."""
        ...


class KekKeeper(KeyProvider, Protocol):
    """What an operator's command asks of a provider besides."""

    name: str
    """As GOV_KEY_PROVIDERS and `keys status` call it."""

    def held(self, data_class: DataClass) -> list[str]:
        """Ids of all key-encryption keys of the class, oldest first."""
        ...

    def add(self, data_class: DataClass, *, sm: bool = False, above: int = 0) -> str:
        """Make the class's next key-encryption key; its id. Its place is above those that were retired, too."""
        ...

    def gone_with(self, kek_id: str) -> list[str]:
        """Ids of what is destroyed with it, itself included: some providers destroy all that is older too."""
        ...

    def destroy(self, kek_id: str) -> None:
        """Destroy it and what goes with it, for good. What is gone already is no error."""
        ...


class LocalKeyProvider:
    """Key-encryption keys in files: `<directory>/kek/<class>/<epoch>.key`, 64 hexadecimal digits, ours alone to read.

    AES-KW (RFC 3394): keys are random and single, so that no nonce is needed and a wrong key is found out. An epoch
    that ends in OF_SM wraps by the same construction over SM4, and what it wraps seals by SM4-GCM from then on.
    """

    name = "file"
    waits = False

    def __init__(self, directory: Path, classes: Iterable[DataClass], *, may_lack: bool = False) -> None:
        """Read the keys of `classes`. Raises KeyRefused where a file is missing or others could read it.

        With `may_lack` a class without any file is no error: another provider has its keys.
        """
        self._directory = directory
        self._keys: dict[DataClass, dict[str, bytes]] = {}
        for data_class in classes:
            folder = directory / "kek" / data_class.value
            if may_lack and not list(folder.glob("*.key")):
                self._keys[data_class] = {}
                continue
            require_private_directory(folder)
            epochs = {path.stem: read_key(path) for path in sorted(folder.glob("*.key"), key=_place_of)}
            if not epochs:
                raise KeyRefused(f"there is no key-encryption key of class {data_class.value}")
            if len({_place_of(Path(epoch)) for epoch in epochs}) < len(epochs):
                raise KeyRefused(f"two key-encryption keys of class {data_class.value} have one place in their order")
            self._keys[data_class] = epochs

    def __repr__(self) -> str:
        return f"LocalKeyProvider(classes={sorted(self._keys)})"

    @property
    def classes(self) -> Collection[DataClass]:
        """See KeyProvider."""
        return self._keys.keys()

    def wrap(self, data_class: DataClass, key: bytes) -> Wrapped:
        """See KeyProvider."""
        newest = self.newest(data_class).partition("/")[2]
        kek = self._epochs(data_class)[newest]
        blob = wrap_sm4(_sm4(kek), key) if newest.endswith(OF_SM) else wrap_aes(kek, key)
        return Wrapped(f"{data_class.value}/{newest}", blob)

    def newest(self, data_class: DataClass) -> str:
        """See KeyProvider."""
        epochs = list(self._epochs(data_class))
        if not epochs:
            raise KeyRefused(f"there is no key-encryption key of class {data_class.value}")
        return f"{data_class.value}/{epochs[-1]}"

    def unwrap(self, data_class: DataClass, wrapped: Wrapped) -> bytes:
        """See KeyProvider."""
        named, _, epoch = wrapped.kek_id.partition("/")
        key = self._epochs(data_class).get(epoch)
        if named != data_class.value or key is None:
            raise KeyRefused(f"key-encryption key {wrapped.kek_id} is not held here")
        try:
            return unwrap_sm4(_sm4(key), wrapped.blob) if epoch.endswith(OF_SM) else unwrap_aes(key, wrapped.blob)
        except UnwrapRefused as wrong:
            raise KeyRefused(f"the key was not wrapped under {wrapped.kek_id}") from wrong

    def wrap_all(self, data_class: DataClass, keys: Sequence[bytes]) -> list[Wrapped]:
        """See KeyProvider."""
        return [self.wrap(data_class, key) for key in keys]

    def unwrap_all(self, data_class: DataClass, wrapped: Sequence[Wrapped]) -> list[bytes]:
        """See KeyProvider."""
        return [self.unwrap(data_class, one) for one in wrapped]

    def held(self, data_class: DataClass) -> list[str]:
        """See KekKeeper."""
        return [f"{data_class.value}/{epoch}" for epoch in self._epochs(data_class)]

    def add(self, data_class: DataClass, *, sm: bool = False, above: int = 0) -> str:
        """See KekKeeper. It wraps from the next start on."""
        return add_kek(self._directory, data_class, sm=sm, above=above)

    def gone_with(self, kek_id: str) -> list[str]:
        """See KekKeeper."""
        return [kek_id]

    def destroy(self, kek_id: str) -> None:
        """See KekKeeper."""
        path = kek_path(self._directory, kek_id)
        if path.exists():
            destroy_file(path)

    def suite(self, kek_id: str) -> Suite:
        """See KeyProvider."""
        return Suite.SM4_GCM if kek_id.endswith(OF_SM) else Suite.AES_256_GCM

    def _epochs(self, data_class: DataClass) -> dict[str, bytes]:
        try:
            return self._keys[data_class]
        except KeyError:
            raise KeyRefused(f"keys of class {data_class.value} are not held here") from None


def _sm4(kek: bytes) -> bytes:
    """The 16 bytes that SM4 takes, from the 32 of every key file (HKDF-Expand with SM3)."""
    return HKDFExpand(algorithm=SM3(), length=16, info=b"gov-kek/sm4").derive(kek)


def init_keys(directory: Path, *, sm: bool = False, keks: bool = True) -> list[str]:
    """Make every key and password of an installation that is not there yet; the names of those made. Never overwrites.

    With `sm` key-encryption keys and the root of the blind indexes serve by SM4 and SM3; without `keks` something else
    than files holds the former.
    """
    made: list[str] = []
    _make_directory(directory)
    of_sm = OF_SM if sm else ""
    first = {f"kek/{data_class.value}": f"0001{of_sm}" for data_class in DataClass if keks}
    first |= {root: f"0001{of_sm if root == 'blind-index' else ''}" for root in ROOTS}
    for folder, name in first.items():
        if not list((directory / folder).glob("*.key")):
            write_secret(directory / folder / f"{name}.key", secrets.token_hex(KEY_BYTES), directory)
            made.append(f"{folder}/{name}")
    for name in SIGNING_NAMES:
        if not list((directory / "signing" / name).glob("*.pem")):
            made.append(f"signing/{name}/{add_signing_key(directory, name)}")
    for room in DATABASE_ROOMS:
        if not (directory / "db" / room).exists():
            write_secret(directory / "db" / room, secrets.token_urlsafe(24), directory)
            made.append(f"db/{room}")
    return made


def add_kek(directory: Path, data_class: DataClass, *, sm: bool = False, above: int = 0) -> str:
    """Make the class's next key-encryption key, which wraps from the next start on; its id. Raises KeyRefused."""
    folder = directory / "kek" / data_class.value
    require_private_directory(folder)
    highest = max([above, *(_place_of(path) for path in folder.glob("*.key"))])
    epoch = f"{highest + 1:04d}{OF_SM if sm else ''}"
    write_secret(folder / f"{epoch}.key", secrets.token_hex(KEY_BYTES), directory)
    return f"{data_class.value}/{epoch}"


def kek_path(directory: Path, kek_id: str) -> Path:
    """The file of a key-encryption key."""
    return directory / "kek" / f"{kek_id}.key"


def destroy_file(path: Path) -> None:
    """Overwrite a key file and take it away. What a medium or a backup keeps besides is for its owner to destroy."""
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def add_signing_key(directory: Path, name: str) -> str:
    """Make a signing key of that name beside those there are; the newest signs, all verify. Returns its id.

    Raises KeyRefused. The file's name begins with its place in the order, so that the newest is found without asking
    the file system's clock; the id ends with eight digits of the public key's hash.
    """
    if name not in (names := (*SIGNING_NAMES, *QUANTUM_SAFE_NAMES)):
        raise KeyRefused(f"{name!r} is the name of no signing key; they are {', '.join(names)}")
    folder = directory / "signing" / name
    key = (MLDSA44PrivateKey if name in QUANTUM_SAFE_NAMES else Ed25519PrivateKey).generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    # One more than the highest there ever was: an old private key may be gone while its public half still verifies.
    highest = max((_place_of(path) for path in folder.glob("*.p*")), default=0)
    key_id = f"{highest + 1:04d}-{sha256(public).hex()[:8]}"
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    write_secret(folder / f"{key_id}.pem", text, directory)
    (folder / f"{key_id}.pub").write_text(public.hex() + "\n")
    return key_id


def _place_of(path: Path) -> int:
    place = path.name.partition(".")[0].partition("-")[0]
    if not (place.isascii() and place.isdigit()):
        raise KeyRefused(f"{path} does not begin with its place in the order, as 0001 does")
    return int(place)


def read_secret(path: Path) -> str:
    """The text of a file that only its owner may read, and that is ours. Raises KeyRefused."""
    try:
        found = path.stat()
    except OSError as missing:
        raise KeyRefused(f"{path.name} is not there or not readable") from missing
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise KeyRefused(f"{path} can be read by others: chmod 600")
    if found.st_uid != os.geteuid():
        raise KeyRefused(f"{path} belongs to another user")
    # What is no text is refused by whoever looks for a key in it.
    return path.read_text(errors="replace")


def require_private_directory(path: Path) -> None:
    """Refuse a directory of keys that others may write to, or that is not there. Raises KeyRefused."""
    try:
        found = path.stat()
    except OSError as missing:
        raise KeyRefused(f"{path.name} is not there or not readable") from missing
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise KeyRefused(f"{path} can be entered by others: chmod 700")


def read_key(path: Path) -> bytes:
    return parse_hexadecimal(read_secret(path), path)


def parse_hexadecimal(text: str, path: Path, *, length: int = KEY_BYTES) -> bytes:
    """The bytes that the text of `path` writes in hexadecimal. Raises KeyRefused, which names the file."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != length:
        raise KeyRefused(f"{path} is not {length} bytes in hexadecimal")
    return key


def read_root(directory: Path, name: str) -> bytes:
    """The newest root key called `name`, one of ROOTS, 32 bytes. Raises KeyRefused."""
    return read_key(roots(directory, name)[-1])


def roots(directory: Path, name: str) -> list[Path]:
    """The files of the root keys called `name`, one of ROOTS, newest last; one at least. Raises KeyRefused."""
    folder = directory / name
    require_private_directory(folder)
    paths = sorted(folder.glob("*.key"), key=_place_of)
    if not paths:
        raise KeyRefused(f"there is no {name}")
    return paths


def _make_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_secret(path: Path, text: str, root: Path) -> None:
    """A new file for its owner alone, in directories under `root` that are so too."""
    for folder in reversed([path.parent, *path.parent.parents]):
        if folder == root or root in folder.parents:
            _make_directory(folder)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n" if not text.endswith("\n") else text)
