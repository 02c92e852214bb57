"""When a key-encryption key is followed by another, and when it may be destroyed: pure rules. It holds no key.

    made -> every room that needs it says that it wraps by it -> what hangs on older ones is wrapped anew
         -> the database takes nothing more under the older ones -> after a grace they are destroyed

So whatever a dump holds wrapped opens no longer than `Terms.complete_after`, and an erasure is complete by then
(NIST SP 800-57 part 1 §5.3 calls the first part a cryptoperiod).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gov_services.crypto.key_ring import provider_of
from gov_services.crypto.keys import DataClass
from gov_services.crypto.models import HolderRow

OPERATOR = "operator"
"""The holder whose statement says since when a key is the newest."""
HOLDERS: Mapping[DataClass, tuple[str, ...]] = {
    DataClass.IDENTITY: ("identity",),
    DataClass.PERMITS: ("identity", "permits"),
    DataClass.PAYMENTS: ("identity", "payments"),
    DataClass.HEALTH: ("healthcode", "identity"),
    DataClass.AUDIT: ("healthcode", "identity", "payments", "permits", "privacy"),
}
"""Rooms that unwrap data keys of a class, or make them."""
SETTLED = dt.timedelta(hours=1)
"""A room has several processes, and speaks when the first of them has started anew: the others follow within this."""
PLACING = dt.timedelta(days=1)
"""In which a new key is put where the rooms find it, they are restarted, and that has settled."""
BETWEEN_RUNS = dt.timedelta(days=1)
"""At most; a key is made, left and destroyed by three of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an installation has set."""

    epoch: dt.timedelta
    """How long a key-encryption key is the newest."""
    grace: dt.timedelta
    """How long one is kept that wraps nothing any more: backups made under it can be restored meanwhile."""

    @property
    def complete_after(self) -> dt.timedelta:
        """After this long an erasure holds against every dump made before it, where the calendar is run daily."""
        return self.epoch + self.grace + PLACING + 3 * BETWEEN_RUNS


def is_next_due(terms: Terms, *, since: dt.datetime, now: dt.datetime) -> bool:
    """Whether the newest has been so for long enough."""
    return now - since >= terms.epoch


def lacking(data_class: DataClass, newest: str, said: Iterable[HolderRow], *, now: dt.datetime) -> list[str]:
    """Rooms that may still wrap by an older key, or could not unwrap by the newest; nothing is wrapped anew till then.

    A token or Vault shows a new key to whoever uses it already: there a room that wraps by it needs no new start.
    """
    ready = set()
    for row in said:
        has_it = row.kek_id == newest and now - row.since >= SETTLED
        if has_it or provider_of(newest) == provider_of(row.kek_id) != "file":
            ready.add(row.holder)
    return [room for room in HOLDERS[data_class] if room not in ready]


def is_late(waits_for: list[str], *, since: dt.datetime, now: dt.datetime) -> bool:
    """Whether rooms have been without the newest for longer than the promised term allows."""
    return bool(waits_for) and now - since > PLACING


def may_go(terms: Terms, kek_ids: Iterable[str], retired: Mapping[str, dt.datetime], *, now: dt.datetime) -> bool:
    """Whether all of them have wrapped nothing for the grace."""
    return all(kek_id in retired and now - retired[kek_id] >= terms.grace for kek_id in kek_ids)
