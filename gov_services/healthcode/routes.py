"""The routes of healthcode: the keys that codes are checked with, for anyone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, get

from gov_services.crypto.tokens import jwks
from gov_services.healthcode.ports import HealthcodePorts
from gov_services.subgraph.context import RoomServices
from gov_services.subgraph.entrances import Route

KEYS_PATH = "/.well-known/health-code-keys.json"


def routes(services: RoomServices[HealthcodePorts]) -> Sequence[Route]:
    """Every route of the room."""

    @get(KEYS_PATH, sync_to_thread=False)
    def published_keys() -> Response[dict[str, Any]]:
        """RFC 7517."""
        return Response(jwks(services.ports.keys), headers={"cache-control": "public, max-age=86400"})

    return (Route(KEYS_PATH, "", published_keys),)
