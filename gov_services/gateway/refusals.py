"""Where the gateway's own refusals go to be logged. A port: the gateway holds no database handle."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar, Protocol

import httpx
import orjson

from gov_services.crypto.delivery import GATEWAY, HEADER, sign_delivery
from gov_services.crypto.signing import SigningKey
from gov_services.kit.actor import Actor
from gov_services.kit.clock import Clock
from gov_services.kit.errors import Unavailable

PATH = "/refusals"


class RefusalSink(Protocol):
    """Takes a refusal into the audit log."""

    async def refused(
        self, *, code: str, actor: Actor, document_id: str | None, request_id: str, now: dt.datetime
    ) -> None:
        """Log it. It may raise kit.errors.Unavailable; the refusal stands either way, since nothing was opened."""
        ...


class SinkUnavailable(Unavailable):
    """The room that logs for the gateway does not answer."""

    code = "AUDIT_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "审计日志暂时无法写入。请稍后再试。",
        "en": "The audit log cannot be written. Please try again later.",
    }


class HttpRefusalSink:
    """A sink in the room `room` at `url`, which is in another process."""

    def __init__(self, room: str, url: str, *, key: SigningKey, clock: Clock, client: httpx.AsyncClient) -> None:
        self._room = room
        self._url = url + PATH
        self._key = key
        self._clock = clock
        self._client = client

    async def refused(
        self, *, code: str, actor: Actor, document_id: str | None, request_id: str, now: dt.datetime
    ) -> None:
        """See RefusalSink. Raises SinkUnavailable."""
        at = round(now.timestamp() * 1_000_000)
        told = {"code": code, "actor": actor.claims(), "document": document_id, "request": request_id, "at": at}
        body = orjson.dumps(told)
        sent = self._clock.now()
        token = sign_delivery(self._key, sender=GATEWAY, audience=self._room, path=PATH, body=body, now=sent)
        try:
            headers = {HEADER: token, "content-type": "application/json"}
            response = await self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as away:
            raise SinkUnavailable from away
        if response.status_code != 204:
            raise SinkUnavailable
