"""Counting refusals of strangers and at the gateway, so that a flood is a few entries and silences no log. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

from gov_services.audit.entry import Entry
from gov_services.kit.actor import ActorKind
from gov_services.kit.ids import new_id

GATEWAY_REFUSED = "gateway.refused"
RATE_LIMITED = "RATE_LIMITED"
"""The action of what the gateway refused before any room was asked: it is about nobody's data."""
Bucket = tuple[str, str, str, bytes, dt.datetime]
"""(code, entrance, actor, actor's tag, minute)."""


@dataclass(slots=True)
class StrangersRefusals:
    """Refusals of strangers beyond the first of each (code, entrance, minute), until their count is written."""

    _counted: dict[Bucket, Entry | None] = field(default_factory=dict)

    def take(self, entry: Entry) -> bool:
        """Count a refusal. True for the first of its bucket, which is written by itself and at once."""
        bucket = bucket_of(entry)
        if bucket not in self._counted:
            self._counted[bucket] = None
            return True
        counted = self._counted[bucket]
        self._counted[bucket] = _counted_as(entry, 1 if counted is None else counted.count + 1)
        return False

    def drain(self, bucket: Bucket) -> list[Entry]:
        """Forget a bucket; the entry that stands for what was counted in it, none for none."""
        counted = self._counted.pop(bucket, None)
        return [] if counted is None else [counted]

    def drain_all(self) -> list[Entry]:
        """The same of every bucket."""
        return [entry for bucket in list(self._counted) for entry in self.drain(bucket)]


def is_counted(entry: Entry) -> bool:
    """Whether nobody that we know was refused, or at the gateway already, or for asking too often.

    None of them says whose data was asked for; and whoever asks too often writes no line each time.
    """
    counted = entry.actor == ActorKind.ANONYMOUS.value or entry.action == GATEWAY_REFUSED
    return counted or entry.code == RATE_LIMITED


def bucket_of(entry: Entry) -> Bucket:
    """What refusals are counted by."""
    minute = entry.at.replace(second=0, microsecond=0)
    return (entry.code or "", entry.entrance, entry.actor, entry.actor_tag or b"", minute)


def _counted_as(entry: Entry, count: int) -> Entry:
    """An entry that says of `count` refusals what they share."""
    strangers = entry.actor == ActorKind.ANONYMOUS.value
    return replace(
        entry,
        id=new_id(entry.at),
        client="" if strangers else entry.client,
        roles=() if strangers else entry.roles,
        office=None if strangers else entry.office,
        document=None,
        object=None,
        coordinates=(),
        case=None,
        reason=None,
        request="",
        count=count,
    )
