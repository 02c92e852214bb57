"""What the privacy room is given by its composition root, beside the common foundation."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from gov_services.audit.verify import Trust
from gov_services.consent.vocabulary import Vocabulary
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.rates import RequestRate
from gov_services.privacy.consent_bb.register import Register
from gov_services.subgraph.bearer import Bearers


@dataclass(frozen=True, slots=True)
class PrivacyPorts:
    """Keys that only this room holds."""

    bundle_key: SigningKey
    """Signs bundles of purposes."""
    receipt_key: SigningKey
    """Signs receipts of consents."""
    receipt_keys: VerifyKeys
    bearers: Bearers
    """Verifies access tokens at this room's own routes."""
    issuer: str
    """Address under which the city is known; stands in what it signs."""
    trust: Trust
    """The log's name and public keys, for checking proofs before they are shown."""
    register: Register
    """Agreements by number, as the bundles until now give them."""
    webhook_root: bytes
    """From which the secrets of webhooks are derived."""
    rate: RequestRate
    """How often whoever asks this room's own routes may: the gateway's budget is the same."""
    http: httpx.AsyncClient
    """By which webhooks are called."""
    vocabulary: Vocabulary
    """The personal coordinates of all rooms, with their masks."""
