"""The sandboxes that a development system needs around it, started together. Those that are given are not started."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gov_services.devstack.payment_channel import PaymentChannelServer
from gov_services.devstack.providers import ProvidersServer
from gov_services.kit.settings import Settings

MERCHANT_DIRECTORY = "payment-channel"


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """Where the sandboxes answer, and settings that point to them."""

    settings: Settings
    providers_url: str
    channel_url: str


@contextlib.asynccontextmanager
async def sandboxes(settings: Settings) -> AsyncIterator[Sandboxes]:
    """Start the providers and the payment channel; stop them at the end."""
    providers = ProvidersServer(settings.runtime_directory / "providers")
    channel = PaymentChannelServer(
        settings.runtime_directory / "channel", merchant=settings.secrets_directory / MERCHANT_DIRECTORY
    )
    with contextlib.ExitStack() as stack:
        for server in (providers, channel):
            await asyncio.to_thread(server.start)
            stack.callback(server.stop)
        settings = dataclasses.replace(
            settings,
            sms_url=settings.sms_url or f"{providers.url}/sms",
            population_register_url=settings.population_register_url or f"{providers.url}/population-register/match",
            payment_channel_url=settings.payment_channel_url or channel.url,
        )
        yield Sandboxes(settings, providers.url, channel.url)
