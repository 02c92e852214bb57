"""A room elsewhere, as a worker reaches it: each call signed for that room, that path and those bytes."""

from __future__ import annotations

from typing import Any, ClassVar

import httpx

from gov_services.crypto.delivery import HEADER, WORKER, sign_delivery
from gov_services.crypto.signing import SigningKey
from gov_services.kit.clock import Clock
from gov_services.kit.errors import Unavailable
from gov_services.subgraph.worker import Work


class RoomUnavailable(Unavailable):
    """The room does not answer, or did not take what it was brought."""

    code = "ROOM_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "服务 {room} 暂时不可用。",
        "en": "The service {room} is unavailable for the moment.",
    }


class RemoteRoom:
    """A subgraph.worker.Workplace over HTTP."""

    def __init__(self, name: str, url: str, *, key: SigningKey, clock: Clock, client: httpx.AsyncClient) -> None:
        self.name = name
        self._url = url
        self._key = key
        self._clock = clock
        self._client = client

    async def work(self) -> Work:
        """See Workplace. Raises RoomUnavailable."""
        found = await self._send("GET", "/work")
        return Work(frozenset(found["events"]), dict(found["jobs"]))

    async def receive(self, content: bytes) -> bool:
        """See Workplace. Raises RoomUnavailable: the event stays the worker's."""
        return bool((await self._send("POST", "/events", content))["made"])

    async def run_job(self, name: str) -> int:
        """See Workplace. Raises RoomUnavailable."""
        return int((await self._send("POST", f"/jobs/{name}"))["done"])

    async def _send(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        now = self._clock.now()
        token = sign_delivery(self._key, sender=WORKER, audience=self.name, path=path, body=body, now=now)
        headers = {HEADER: token, "content-type": "application/json"}
        try:
            response = await self._client.request(method, self._url + path, content=body, headers=headers)
        except httpx.HTTPError as away:
            raise RoomUnavailable(room=self.name) from away
        if response.status_code != 200:
            raise RoomUnavailable(room=self.name)
        found: dict[str, Any] = response.json()
        return found
