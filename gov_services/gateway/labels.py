"""Which labels of progressive overrides are on for a caller: the same ones at each request. It plans nothing.

Source: the Federation specification, `@override(from:, label:)`: `percent(x)` is on for x of a hundred; what any other
label means is the gateway's to say.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping

from gov_services.kit.actor import Actor
from gov_services.kit.rates import caller_of

_PERCENT = re.compile(r"percent\((\d{1,3}(?:\.\d{1,8})?)\)")
NONE: frozenset[str] = frozenset()


class LabelsRefused(ValueError):
    """Not a list of labels with percentages."""


class Labels:
    """Chooses labels. `shares`: of how many callers in a hundred each label is on; one that is not named never is."""

    def __init__(self, shares: Mapping[str, float] | None = None) -> None:
        self._shares = dict(shares or {})

    def chosen(self, known: frozenset[str], actor: Actor) -> frozenset[str]:
        """Those of the `known` labels that are on for who asks. Who did not sign in is somebody else each time."""
        if not known:
            return NONE
        caller = caller_of(actor, secrets.token_hex(8))
        return frozenset(label for label in known if _place(label, caller) < self._share(label))

    def _share(self, label: str) -> float:
        found = _PERCENT.fullmatch(label)
        return float(found[1]) if found else self._shares.get(label, 0.0)


def _place(label: str, caller: str) -> float:
    """Where a caller stands among a hundred; another place for each label, so that not always the same go first."""
    digest = hashlib.sha256(f"{label}\n{caller}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


def parse_labels(text: str) -> dict[str, float]:
    """`new-register=20,other=100` → label → share. Raises LabelsRefused."""
    found = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        label, _, share = item.rpartition("=")
        try:
            found[label] = float(share)
        except ValueError:
            raise LabelsRefused(f"{item!r} is not like `new-register=20`") from None
        if not label or not 0 <= found[label] <= 100:
            raise LabelsRefused(f"{item!r} is not like `new-register=20`, with a number from 0 to 100")
    return found
