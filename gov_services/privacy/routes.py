"""The routes of privacy: the keys that receipts of consents are checked with, for anyone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, get

from gov_services.crypto.tokens import jwks
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import RoomServices
from gov_services.subgraph.entrances import Route

KEYS_PATH = "/.well-known/consent-receipt-keys.json"


def routes(services: RoomServices[PrivacyPorts]) -> Sequence[Route]:
    """Every route of the room."""

    @get(KEYS_PATH, sync_to_thread=False)
    def published_keys() -> Response[dict[str, Any]]:
        """RFC 7517."""
        return Response(jwks(services.ports.receipt_keys), headers={"cache-control": "public, max-age=86400"})

    return (Route(KEYS_PATH, "", published_keys),)
