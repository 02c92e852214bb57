"""Which key files each deployable needs, and no others; how they are taken out and put in place. It makes no key."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from gov_services.crypto.keys import ROOTS, DataClass, KeyRefused

WEBHOOKS = "webhook"
"""The root that only privacy holds."""
SLASH = "__"
"""Stands for `/` in the flat names of an exported set: a Kubernetes Secret knows no folders."""


def _keks(room: str, *classes: DataClass) -> tuple[str, ...]:
    """Of each class the files, or what a token or Vault knows the room by: alternatives, of which one must be there."""
    return tuple(f"kek/{item.value}/*.key|pkcs11/{item.value}.pin|vault/{room}.token" for item in classes)


_MANIFEST = ("signing/manifest-author/*.pub", "signing/manifest-officer/*.pub")
# The public halves that every room checks by.
_ROOM = (
    "signing/assertion/*.pub",
    "signing/worker/*.pub",
    "signing/access-token/*.pub",
    *_MANIFEST,
    "signing/bundle/*.pub",
)
KEY_SETS: Mapping[str, tuple[str, ...]] = {
    "gateway": ("signing/assertion/*", "signing/access-token/*.pub", *_MANIFEST),
    # Registration makes a citizen's keys of every class, and so wraps under every key-encryption key.
    "identity": (
        *_ROOM,
        *_keks("identity", *DataClass),
        *(f"{root}/*.key" for root in ROOTS if root != WEBHOOKS),
        "signing/access-token/*.pem",
        "signing/writer-identity/*.pem",
        "db/identity",
    ),
    "permits": (
        *_ROOM,
        *_keks("permits", DataClass.PERMITS, DataClass.AUDIT),
        "signing/upload/*",
        "signing/licence/*",
        "signing/writer-permits/*.pem",
        "db/permits",
    ),
    "payments": (
        *_ROOM,
        *_keks("payments", DataClass.PAYMENTS, DataClass.AUDIT),
        "payment-channel/**/*",
        "signing/writer-payments/*.pem",
        "db/payments",
    ),
    "healthcode": (
        *_ROOM,
        *_keks("healthcode", DataClass.HEALTH, DataClass.AUDIT),
        "signing/health-code/*",
        "signing/writer-healthcode/*.pem",
        "db/healthcode",
    ),
    # Whoever verifies the log does so by the public half of every key that signs in it.
    "privacy": (
        *_ROOM,
        *_keks("privacy", DataClass.AUDIT),
        "signing/bundle/*.pem",
        "signing/consent-receipt/*",
        f"{WEBHOOKS}/*.key",
        "signing/log/*.pub|signing/log-ml-dsa-44/*.pub",
        "signing/writer-*/*.pub",
        "signing/writer-privacy/*.pem",
        "db/privacy",
    ),
    # It writes which roots the map of subjects had.
    "log": ("signing/log/*|signing/log-ml-dsa-44/*", "signing/writer-audit/*.pem", "db/audit"),
    "worker": ("signing/worker/*.pem", "db/worker"),
    "migration": ("db/*", *_MANIFEST, "signing/bundle/*", "signing/writer-privacy/*.pem"),
    # Nothing that serves: two people, each on a machine of their own.
    "author": ("signing/manifest-author/*", "signing/manifest-officer/*.pub"),
    "officer": ("signing/manifest-officer/*", "signing/manifest-author/*.pub"),
}
"""Deployable → patterns of files under the secrets directory, alternatives apart by `|`.

`migration` is the job that readies the database; `author` and `officer` sign the manifest of trusted documents."""


def export_keys(secrets: Path, deployable: str, target: Path) -> list[str]:
    """Copy what `deployable` needs into `target`, flat, for its owner alone; the names. Raises KeyRefused.

    All of it or nothing: what fails on the way leaves nothing that it made.
    """
    if target.exists() and any(target.iterdir()):
        raise KeyRefused(f"{target} is not empty")
    paths, names = files_of(secrets, deployable), []
    with contextlib.ExitStack() as made:
        for folder in reversed([target, *target.parents]):
            if not folder.exists():
                folder.mkdir(mode=0o700)
                made.callback(folder.rmdir)
        for path in paths:
            name = str(path.relative_to(secrets)).replace("/", SLASH)
            made.callback((target / name).unlink, missing_ok=True)
            _copy(path, target / name)
            names.append(name)
        made.pop_all()
    return names


def files_of(secrets: Path, deployable: str) -> list[Path]:
    """The files of a set. Raises KeyRefused where a pattern finds none."""
    found: set[Path] = set()
    for pattern in KEY_SETS[deployable]:
        paths = {path for one in pattern.split("|") for path in secrets.glob(one) if path.is_file()}
        if not paths:
            raise KeyRefused(f"there is no {' or '.join(pattern.split('|'))} in {secrets}")
        found |= paths
    return sorted(found)


def place_keys(source: Path, secrets: Path) -> list[str]:
    """Put an exported set where the product reads it, private again: a mounted Secret is readable by a group.

    Raises KeyRefused for a name that leads elsewhere. What is in place already is replaced.
    """
    placed = []
    # A mounted Secret keeps its files in a hidden folder and shows links to them.
    for path in sorted(item for item in source.iterdir() if item.is_file() and not item.name.startswith(".")):
        parts = path.name.split(SLASH)
        if any(part in ("", ".", "..") or "/" in part for part in parts):
            raise KeyRefused(f"{path.name} is no name of a key file")
        target = secrets.joinpath(*parts)
        for folder in reversed([target.parent, *target.parent.parents]):
            if folder == secrets or secrets in folder.parents:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(path, target)
        placed.append("/".join(parts))
    if not placed:
        raise KeyRefused(f"there are no key files in {source}")
    return placed


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.partial")
    try:
        with (
            source.open("rb") as file,
            open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as copy,
        ):
            shutil.copyfileobj(file, copy)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
