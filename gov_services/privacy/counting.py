"""Counts uses of grants in entries of the log, day by day. It reads no table; the same entries give the same counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from gov_services.audit.entry import Entry, EntryKind
from gov_services.consent.policy import Withheld
from gov_services.consent.purposes import DISCLOSING, Form
from gov_services.kit.clock import local_day

OPENED, USED = "OPENED", "USED"
USE_TOLD = "fields.used"
"""Action of an entry in which a client tells what it showed; its object names whose purpose and document."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What is counted apart."""

    purpose: str
    coordinate: str
    client: str
    document: str
    day: dt.date


@dataclass(slots=True)
class Counts:
    """How often, on that day."""

    last_at: dt.datetime
    declared: int = 0
    masked: int = 0
    opened: int = 0
    used: int = 0
    withheld: int = 0


def count(entries: Iterable[Entry]) -> dict[Key, Counts]:
    """The uses that these entries tell of."""
    found: dict[Key, Counts] = {}
    for entry in entries:
        purpose, document = _of(entry)
        for coordinate, form in entry.coordinates:
            what = _what(entry.kind, form)
            if what is None:
                continue
            key = Key(purpose, coordinate, entry.client, document, local_day(entry.at))
            counts = found.setdefault(key, Counts(entry.at))
            counts.last_at = max(counts.last_at, entry.at)
            setattr(counts, what, getattr(counts, what) + 1)
            counts.masked += form == Form.MASKED
    return found


def add(to: dict[Key, Counts], more: dict[Key, Counts]) -> None:
    """Add the counts of `more` to those of `to`."""
    for key, counts in more.items():
        held = to.setdefault(key, Counts(counts.last_at))
        held.last_at = max(held.last_at, counts.last_at)
        for name in ("declared", "masked", "opened", "used", "withheld"):
            setattr(held, name, getattr(held, name) + getattr(counts, name))


def told_of(purpose: str, document: str | None) -> str:
    """The object of an entry by which a client tells what it showed of a disclosure."""
    return f"use-of:{purpose}:{document or ''}"


def _of(entry: Entry) -> tuple[str, str]:
    if entry.action == USE_TOLD and entry.object is not None:
        _, purpose, document = entry.object.split(":", 2)
        return purpose, document
    return entry.purpose, entry.document or ""


def _what(kind: EntryKind, form: str) -> str | None:
    if kind is EntryKind.READ and form in DISCLOSING:
        return "declared"
    if kind in (EntryKind.READ, EntryKind.REFUSAL) and form in set(Withheld):
        return "withheld"
    if kind is EntryKind.USE:
        return {OPENED: "opened", USED: "used"}.get(form)
    return None
