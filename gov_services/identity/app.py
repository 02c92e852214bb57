"""The identity room's composition root: providers, keys and handlers become a Room. It alone reads settings."""

from __future__ import annotations

import httpx
from redis.asyncio import Redis

from gov_services.crypto.blind_index import BlindIndex
from gov_services.crypto.keys import DataClass
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.identity.graph.schema import create_schema
from gov_services.identity.ports import HttpPopulationRegister, HttpSms, IdentityPorts
from gov_services.identity.routes import routes
from gov_services.identity.service import citizens, messages
from gov_services.kit.clock import Clock
from gov_services.kit.settings import Settings
from gov_services.subgraph.composition import Room, lay_foundation
from gov_services.subgraph.events import Handler

PROVIDER_TIMEOUT_S = 3.0


async def create_room(
    settings: Settings, *, clock: Clock, valkey: Redis, transport: httpx.AsyncBaseTransport | None = None
) -> Room[IdentityPorts]:
    """The room, wired. `transport` replaces the network to the providers."""
    foundation = lay_foundation(
        settings, room="identity", data_class=DataClass.IDENTITY, schema=create_schema(), clock=clock, valkey=valkey
    )
    providers = httpx.AsyncClient(timeout=PROVIDER_TIMEOUT_S, transport=transport)
    ports = IdentityPorts(
        sms=HttpSms(providers, settings.sms_url),
        register=HttpPopulationRegister(providers, settings.population_register_url),
        valkey=valkey,
        index=BlindIndex.load(settings.secrets_directory),
        token_key=SigningKey.load(settings.secrets_directory, "access-token"),
        token_keys=VerifyKeys.load(settings.secrets_directory, "access-token"),
        issuer=settings.public_url,
    )
    return foundation.room(
        ports,
        handlers={
            "message.requested": Handler("messages-to-citizens", messages.on_message_requested),
            "privacy.citizen_erased": Handler("erasure-in-rooms", citizens.on_citizen_erased),
        },
        routes=lambda services: routes(services, clock),
        closing=(providers.aclose,),
    )
