"""Where the events of subscriptions come from: a port. `live` has the city's, `subscriptions` those of subgraphs."""

from __future__ import annotations

from typing import ClassVar, Protocol

from gov_services.gateway.pipeline import Admitted, Event
from gov_services.kit.errors import Unavailable


class LiveUnavailable(Unavailable):
    """Changes may have been missed. Whoever listened has to ask how things stand, and listen anew."""

    code = "SERVICE_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "实时推送暂时不可用,请重新订阅。",
        "en": "Changes cannot be told for the moment. Please subscribe again.",
    }


class EventStream(Protocol):
    """The events of one subscription, until it is closed."""

    async def next(self) -> Event | None:
        """The next event; None where there will be no more. Raises ServiceError where some were missed."""
        ...

    async def aclose(self) -> None:
        """Listen no more."""
        ...


class FindsEvents(Protocol):
    """Where the events of subscriptions come from."""

    async def open(self, admitted: Admitted) -> EventStream:
        """Listen from now on. Raises ServiceError."""
        ...
