"""Several key providers as one: the first wraps, each unwraps what it wrapped. Going over is nothing but a rotation.

Of a class that has no key in the first yet, the next one wraps: classes go over one by one, while all serves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gov_services.crypto.keys import DataClass, KekKeeper, KeyRefused, LocalKeyProvider, Wrapped
from gov_services.crypto.pkcs11_keys import PKCS11_SUFFIX, Pkcs11KeyProvider
from gov_services.crypto.suites import Suite
from gov_services.crypto.vault_keys import VAULT_SUFFIX, VaultKeyProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlaces:
    """Where an installation keeps its key-encryption keys."""

    providers: tuple[str, ...]
    """The first wraps, the others unwrap what is older: `file`, `pkcs11`, `vault`."""
    directory: Path
    pkcs11_module: str = ""
    pkcs11_prefix: str = "gov"
    vault_url: str = ""
    vault_mount: str = "transit"
    vault_prefix: str = "gov"
    vault_authorities: Path | None = None


def open_ring(places: KeyPlaces, classes: Iterable[DataClass], *, holder: str) -> KekKeeper:
    """The provider of these classes for `holder`: a room, or `operator`. It asks nothing yet. Raises KeyRefused."""
    classes = tuple(classes)
    opened = [_opened(name, places, classes, holder) for name in places.providers]
    return opened[0] if len(opened) == 1 else KeyRing(opened)


def _opened(name: str, places: KeyPlaces, classes: tuple[DataClass, ...], holder: str) -> KekKeeper:
    if name == "file":
        return LocalKeyProvider(places.directory, classes, may_lack=len(places.providers) > 1)
    if name == "pkcs11":
        return Pkcs11KeyProvider(
            classes, module=places.pkcs11_module, prefix=places.pkcs11_prefix, pins=places.directory / "pkcs11"
        )
    return VaultKeyProvider(
        classes,
        url=places.vault_url,
        mount=places.vault_mount,
        prefix=places.vault_prefix,
        token=places.directory / "vault" / f"{holder}.token",
        authorities=places.vault_authorities,
    )


def provider_of(kek_id: str) -> str:
    """Which provider a key-encryption key is in: its name says it, so that no setting can come to differ."""
    return "pkcs11" if kek_id.endswith(PKCS11_SUFFIX) else "vault" if kek_id.endswith(VAULT_SUFFIX) else "file"


class KeyRing:
    """See the module. It holds no key itself."""

    name = "ring"

    def __init__(self, keepers: Sequence[KekKeeper]) -> None:
        """The first wraps."""
        self._first = keepers[0]
        self._keepers = {keeper.name: keeper for keeper in keepers}

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(map(repr, self._keepers.values()))})"

    @property
    def waits(self) -> bool:
        """See KeyProvider."""
        return any(keeper.waits for keeper in self._keepers.values())

    @property
    def classes(self) -> Collection[DataClass]:
        """See KeyProvider."""
        return self._first.classes

    def wrap(self, data_class: DataClass, key: bytes) -> Wrapped:
        """See KeyProvider."""
        return self._wrapping(data_class).wrap(data_class, key)

    def unwrap(self, data_class: DataClass, wrapped: Wrapped) -> bytes:
        """See KeyProvider."""
        return self._keeper(wrapped.kek_id).unwrap(data_class, wrapped)

    def wrap_all(self, data_class: DataClass, keys: Sequence[bytes]) -> list[Wrapped]:
        """See KeyProvider."""
        return self._wrapping(data_class).wrap_all(data_class, keys)

    def unwrap_all(self, data_class: DataClass, wrapped: Sequence[Wrapped]) -> list[bytes]:
        """See KeyProvider. Each provider is asked once, for all that are its own."""
        places: dict[str, list[int]] = {}
        for place, one in enumerate(wrapped):
            places.setdefault(provider_of(one.kek_id), []).append(place)
        found: dict[int, bytes] = {}
        for mine in places.values():
            keeper = self._keeper(wrapped[mine[0]].kek_id)
            found |= zip(mine, keeper.unwrap_all(data_class, [wrapped[place] for place in mine]), strict=True)
        return [found[place] for place in range(len(wrapped))]

    def newest(self, data_class: DataClass) -> str:
        """See KeyProvider."""
        return self._wrapping(data_class).newest(data_class)

    def suite(self, kek_id: str) -> Suite:
        """See KeyProvider."""
        return self._keeper(kek_id).suite(kek_id)

    def held(self, data_class: DataClass) -> list[str]:
        """See KekKeeper. Those of the first provider come last."""
        return [kek_id for keeper in reversed(self._keepers.values()) for kek_id in keeper.held(data_class)]

    def add(self, data_class: DataClass, *, sm: bool = False, above: int = 0) -> str:
        """See KekKeeper."""
        return self._first.add(data_class, sm=sm, above=above)

    def gone_with(self, kek_id: str) -> list[str]:
        """See KekKeeper."""
        return self._keeper(kek_id).gone_with(kek_id)

    def destroy(self, kek_id: str) -> None:
        """See KekKeeper."""
        self._keeper(kek_id).destroy(kek_id)

    def _wrapping(self, data_class: DataClass) -> KekKeeper:
        """The first that has a key of the class; it refuses where none has."""
        return next((keeper for keeper in self._keepers.values() if keeper.held(data_class)), self._first)

    def _keeper(self, kek_id: str) -> KekKeeper:
        name = provider_of(kek_id)
        if name not in self._keepers:
            raise KeyRefused(f"key-encryption key {kek_id} is not held here: GOV_KEY_PROVIDERS does not name {name}")
        return self._keepers[name]
