"""What healthcode reaches outside itself: the rules in force and the keys that only it holds. Wired by app.py."""

from __future__ import annotations

from dataclasses import dataclass

from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.healthcode.rules import RuleSet


@dataclass(frozen=True, slots=True)
class HealthcodePorts:
    """The room's ports."""

    rules: RuleSet
    key: SigningKey
    keys: VerifyKeys
    issuer: str
    """Where citizens reach us: stands in every code."""
