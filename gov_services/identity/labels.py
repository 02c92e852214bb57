"""What fields, corrections and results are called, from one reviewed file. Pure once loaded; it knows no message."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

Words = Mapping[str, str]
"""A name in each locale."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Names by code; a code without a name stands for itself, so that no message is lost."""

    fields: Mapping[str, Words]
    """By coordinate, e.g. `Citizen.isAdult`."""
    corrections: Mapping[str, Words]
    """By what an officer asks to have corrected."""
    results: Mapping[str, Words]
    """By how an application was decided."""


def load_labels() -> Labels:
    """The labels in `labels.toml` beside this module."""
    raw = tomllib.loads((files("gov_services.identity") / "labels.toml").read_text())
    return Labels(fields=raw["fields"], corrections=raw["corrections"], results=raw["results"])


def called(words: Mapping[str, Words], code: str, locale: str) -> str:
    """What `code` is called in `locale`; the code itself where nobody named it."""
    return words.get(code, {}).get(locale, code)
