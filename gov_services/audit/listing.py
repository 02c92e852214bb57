"""Which entries are in the map of subjects by when, and what its root's entry says. Pure: it reads no database.

An entry is listed once, at the first root at which its subject may be told of it one by one: at once; when the embargo
of its purpose is over; never, where the law has only how often told. So a proof of everything that is listed tells
nothing of what may not be told yet, not even whether there is any. Each root's entry names the purposes that are told
late, or not one by one: what was kept out of it, everybody can read there.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gov_services.audit.entry import Entry, EntryKind
from gov_services.kit.ids import new_id

ROOM = "audit"
"""The log's own process: it alone states roots."""
ACTION = "subjects.mapped"
PURPOSE = "log-upkeep"
AGGREGATE = "aggregate"
_EMBARGO = re.compile(r"embargo:([1-9][0-9]{0,8})")
_OBJECT = re.compile(r"subjects:(0|[1-9][0-9]{0,18}):([0-9a-f]{64})")

Withheld = Mapping[str, int | None]
"""Purposes that are not told at once: after so many days, or (None) only how often."""


class NoRoot(ValueError):
    """The entry states no root of the map of subjects."""


class Mention(NamedTuple):
    """What the map needs of an entry that is about somebody."""

    number: int
    commitment: bytes
    tag: bytes
    purpose: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class RootStatement:
    """The map of all entries below `size`, as it stood at a moment."""

    size: int
    root: bytes
    at: dt.datetime
    withheld: Withheld

    def entry(self) -> Entry:
        """The entry that states it."""
        entry_id = new_id(self.at)
        told = ((code, AGGREGATE if days is None else f"embargo:{days}") for code, days in self.withheld.items())
        return Entry(
            id=entry_id,
            at=self.at,
            room=ROOM,
            kind=EntryKind.MAP,
            action=ACTION,
            actor="system",
            actor_tag=None,
            client="log",
            purpose=PURPOSE,
            entrance="log:subjects",
            subject_tag=None,
            object=f"subjects:{self.size}:{self.root.hex()}",
            coordinates=tuple(sorted(told)),
            outcome="allowed",
            request=str(entry_id),
        )

    @classmethod
    def of(cls, entry: Entry) -> RootStatement:
        """What an entry states. Raises NoRoot, also for one that another room wrote."""
        found = _OBJECT.fullmatch(entry.object or "")
        if entry.kind is not EntryKind.MAP or entry.room != ROOM or entry.action != ACTION or found is None:
            raise NoRoot("it is not the log's own process that states a root there")
        return cls(int(found[1]), bytes.fromhex(found[2]), entry.at, _withheld(entry.coordinates))


@dataclass(slots=True)
class Listing:
    """The rule, for whoever goes through the entries in order."""

    kept: dict[int, Mention] = field(default_factory=dict)
    """Entries that are not listed yet, by number."""

    def take(self, new: Iterable[Mention], withheld: Withheld, at: dt.datetime) -> list[Mention]:
        """What is listed at a root, in the order in which it is: of `new` entries, and of those kept back until now."""
        self.kept.update((mention.number, mention) for mention in new)
        listed = [one for one in self.kept.values() if is_told(one.purpose, one.at, withheld, now=at)]
        for mention in listed:
            del self.kept[mention.number]
        return sorted(listed)


def is_told(purpose: str, at: dt.datetime, withheld: Withheld, *, now: dt.datetime) -> bool:
    """Whether somebody may be told by now of what was logged about them under a purpose at a moment."""
    if purpose not in withheld:
        return True
    days = withheld[purpose]
    return days is not None and now - at >= dt.timedelta(days=days)


def _withheld(pairs: Iterable[tuple[str, str]]) -> Withheld:
    found: dict[str, int | None] = {}
    for code, told in pairs:
        embargo = _EMBARGO.fullmatch(told)
        if (embargo is None and told != AGGREGATE) or code in found:
            raise NoRoot("it does not say how a purpose is told")
        found[code] = int(embargo[1]) if embargo else None
    return found
