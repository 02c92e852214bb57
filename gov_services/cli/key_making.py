"""Making the keys that an installation lacks, wherever its settings say that they are. It opens no database."""

from __future__ import annotations

from collections.abc import Iterable

from gov_services.crypto.keys import DataClass, KekKeeper, KeyRefused, init_keys
from gov_services.kit.settings import Settings
from gov_services.subgraph.composition import open_keys


def operator_keys(settings: Settings, classes: Iterable[DataClass] = DataClass) -> KekKeeper:
    """Key-encryption keys as an operator's command holds them. Raises KeyRefused."""
    return open_keys(settings, classes, holder="operator")


def make_missing(settings: Settings, *, sm: bool = False) -> list[str]:
    """Make what is missing, key-encryption keys in the provider that wraps; their names. Raises KeyRefused."""
    files = settings.names_of_key_providers()[0] == "file"
    if files:
        return init_keys(settings.secrets_directory, sm=sm)
    if sm:
        raise KeyRefused("key-encryption keys serve by SM4 in files only: GOV_KEY_PROVIDERS=file")
    keeper = operator_keys(settings)
    made = init_keys(settings.secrets_directory, keks=False)
    return made + [f"kek/{keeper.add(data_class)}" for data_class in DataClass if not keeper.held(data_class)]
