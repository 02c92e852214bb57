"""What can be wrong with a log, and how it is told. It looks for nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What can be wrong."""

    CHECKPOINT_FORGED = "CHECKPOINT_FORGED"
    ENTRY_MISSING = "ENTRY_MISSING"
    ENTRY_ALTERED = "ENTRY_ALTERED"
    ENTRY_REORDERED = "ENTRY_REORDERED"
    DESCRIPTION_ALTERED = "DESCRIPTION_ALTERED"
    TREE_ALTERED = "TREE_ALTERED"
    HISTORY_REWRITTEN = "HISTORY_REWRITTEN"
    PENDING_CONTRADICTS = "PENDING_CONTRADICTS"
    SET_ASIDE = "SET_ASIDE"
    """An entry waited that could not be numbered: what it says is not in the log."""
    TILE_LOST = "TILE_LOST"
    TILE_ALTERED = "TILE_ALTERED"
    CHAIN_BROKEN = "CHAIN_BROKEN"
    ENTRY_PLANTED = "ENTRY_PLANTED"
    """An entry that no writer signed for."""
    ENTRY_DROPPED = "ENTRY_DROPPED"
    """A writer signed for an entry that is not there."""
    MAP_CONTRADICTED = "MAP_CONTRADICTED"
    """A root of the map of subjects was stated, and the entries give another."""
    MAP_ALTERED = "MAP_ALTERED"
    """The stored map of subjects is not the one that was stated."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold: of which check, what, where, and how it shows."""

    check: int
    fault: Fault
    where: str
    detail: str


def lines_of(checks: Mapping[int, str], findings: Sequence[Finding], *, left_out: Collection[int] = ()) -> list[str]:
    """What was checked and found, for a person; `left_out` are checks for which there was nothing to look at."""
    failed = Counter(finding.check for finding in findings)
    lines = [
        f"{number}. {f'FAILED ({failed[number]})' if failed[number] else '--' if number in left_out else 'ok'} {title}"
        for number, title in checks.items()
    ]
    return lines + [f"   {one.fault.value} {one.where}: {one.detail}" for one in findings]
