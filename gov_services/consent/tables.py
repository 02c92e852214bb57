"""Reads a table of a purposes file key by key: of the right kind, none missing, none too many. It knows no purpose."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeVar

from gov_services.kit.errors import LOCALES

Value = TypeVar("Value")


class PurposeRefused(ValueError):
    """A purpose lacks what the law or the model asks of it."""


class Table:
    """A table of the file, read key by key: a key that nobody asked for is a mistake, not a remark."""

    def __init__(self, what: str, raw: Mapping[str, Any]) -> None:
        self._what = what
        self._raw = raw
        self._left = set(raw)

    def take(self, key: str, kind: type[Value], default: Value | None = None) -> Value:
        """The value of `key`, of exactly that kind: to Python, true is a whole number too."""
        self._left.discard(key)
        value = self._raw.get(key, default)
        if value is None:
            raise PurposeRefused(f"{self._what}: it lacks {key!r}")
        if type(value) is not kind:
            raise PurposeRefused(f"{self._what}: `{key}` is {kind.__name__}, not {type(value).__name__}")
        return value

    def pairs(self, key: str) -> dict[str, str]:
        """A table of texts; empty where there is none."""
        inner = Table(self._what, {f"{key}.{name}": value for name, value in self.take(key, dict, {}).items()})
        return {name.removeprefix(f"{key}."): inner.take(name, str) for name in inner._raw}

    def texts(self, key: str, default: dict[str, str] | None = None) -> dict[str, str]:
        """A text in our languages; which of them are missing is the law's to say."""
        self.take(key, dict, default)
        found = self.pairs(key)
        strange = found.keys() - set(LOCALES)
        if strange:
            raise PurposeRefused(f"{self._what}: `{key}.{min(strange)}` is no key of it")
        return found

    def names(self, key: str, default: list[str] | None = None) -> list[str]:
        """A list of texts."""
        found = self.take(key, list, default)
        if any(type(item) is not str for item in found):
            raise PurposeRefused(f"{self._what}: `{key}` holds str only")
        return found

    def day(self, key: str) -> dt.date | None:
        """A day, as TOML or as ISO 8601 writes it; None where it is empty or absent."""
        if type(self._raw.get(key)) is dt.date:
            return self.take(key, dt.date)
        text = self.take(key, str, "")
        return dt.date.fromisoformat(text) if text else None

    def require_no_more(self) -> None:
        """Raises PurposeRefused naming a key that was not asked for."""
        if self._left:
            raise PurposeRefused(f"{self._what}: `{min(self._left)}` is no key of it")
