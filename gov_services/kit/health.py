"""`/healthz` and `/readyz`, alike for every process. They decide nothing about what is served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response, get

Ready = Callable[[], Awaitable[dict[str, bool]]]
NEEDED = ("database", "keys", "started")
"""Whether entries are signed is told of only: the log's own process must stay there for whoever comes to look at it.

Without Valkey signed-in reads go on (ARCHITECTURE §4.18): it is told of, and takes nobody out of service."""


def health(ready: Ready) -> list[Any]:
    """The two route handlers; `ready` says of each thing that is depended on whether it is there."""

    @get("/healthz", media_type="text/plain", sync_to_thread=False)
    def healthz() -> str:
        return "ok\n"

    @get("/readyz")
    async def readyz() -> Response[dict[str, bool]]:
        found = await ready()
        return Response(found, status_code=200 if all(found.get(name, True) for name in NEEDED) else 503)

    return [healthz, readyz]
