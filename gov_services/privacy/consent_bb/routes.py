"""Every route of the consent API: its forty-two operations, under one prefix. They decide nothing."""

from __future__ import annotations

from collections.abc import Sequence

from gov_services.kit.clock import Clock
from gov_services.privacy.consent_bb import audit, config, service
from gov_services.privacy.consent_bb.operations import routes_of
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import RoomServices
from gov_services.subgraph.entrances import Route

OPERATIONS = (*config.OPERATIONS, *service.OPERATIONS, *audit.OPERATIONS)


def routes(services: RoomServices[PrivacyPorts], clock: Clock) -> Sequence[Route]:
    """A route an operation."""
    return routes_of(services, clock, OPERATIONS)
