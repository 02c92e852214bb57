"""Where the gateway's own refusals go to be logged. A port: the gateway holds no database handle."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from gov_services.kit.actor import Actor


class RefusalSink(Protocol):
    """Takes a refusal into the audit log."""

    async def refused(
        self, *, code: str, actor: Actor, document_id: str | None, request_id: str, now: dt.datetime
    ) -> None:
        """Log it. It may raise kit.errors.Unavailable; the refusal stands either way, since nothing was opened."""
        ...
