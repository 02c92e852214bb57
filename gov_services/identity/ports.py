"""What identity reaches outside our process, and the keys that only it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import httpx
from redis.asyncio import Redis

from gov_services.crypto.blind_index import BlindIndex
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.identity.codes import OneTimeCodes
from gov_services.identity.labels import Labels
from gov_services.identity.refresh_tokens import RefreshTokens
from gov_services.identity.text_messages import TextMessages
from gov_services.kit.errors import Unavailable


class PopulationRegister(Protocol):
    """The authority that knows whether a name and a resident number belong together."""

    async def matches(self, *, name: str, national_id: str) -> bool:
        """Whether they do. Raises ProviderUnavailable."""
        ...


class ProviderUnavailable(Unavailable):
    """A provider that we depend on does not answer."""

    code = "SERVICE_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "服务暂时不可用,请稍后再试。",
        "en": "The service is unavailable for the moment. Please try again.",
    }


class HttpSms:
    """A provider with one HTTP call a message."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def send(self, *, phone: str, text: str) -> None:
        """See Sms."""
        try:
            response = await self._client.post(self._url, json={"to": phone, "text": text})
            response.raise_for_status()
        except httpx.HTTPError as away:
            raise ProviderUnavailable from away


class HttpPopulationRegister:
    """The register's match service over HTTP."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def matches(self, *, name: str, national_id: str) -> bool:
        """See PopulationRegister."""
        try:
            response = await self._client.post(self._url, json={"name": name, "number": national_id})
            response.raise_for_status()
            return response.json().get("match") is True
        except (httpx.HTTPError, ValueError, AttributeError) as away:
            raise ProviderUnavailable from away


@dataclass(frozen=True, slots=True)
class IdentityPorts:
    """What the composition root gives the room beside the common foundation."""

    texts: TextMessages
    register: PopulationRegister
    valkey: Redis
    codes: OneTimeCodes
    refresh_tokens: RefreshTokens
    labels: Labels
    index: BlindIndex
    token_key: SigningKey
    token_keys: VerifyKeys
    issuer: str
