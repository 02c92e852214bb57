"""The identity room's composition root: providers, keys and handlers become a Room. It alone reads settings."""

from __future__ import annotations

import httpx
from redis.asyncio import Redis

from gov_services.crypto.blind_index import BlindIndex
from gov_services.crypto.keys import DataClass, read_root
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.identity.codes import OneTimeCodes
from gov_services.identity.graph.schema import create_schema
from gov_services.identity.labels import load_labels
from gov_services.identity.ports import HttpPopulationRegister, HttpSms, IdentityPorts
from gov_services.identity.refresh_tokens import RefreshTokens
from gov_services.identity.routes import routes
from gov_services.identity.service import citizens, messages, upkeep
from gov_services.identity.text_messages import TextMessages
from gov_services.kit.clock import Clock
from gov_services.kit.settings import Settings
from gov_services.subgraph.composition import Room, lay_foundation
from gov_services.subgraph.entrances import Job
from gov_services.subgraph.events import Handler

PROVIDER_TIMEOUT_S = 3.0
REMOVE_EVERY_S = 3600.0
MESSAGES_FROM = frozenset({"identity", "permits", "payments", "healthcode", "privacy"})
"""Rooms that put messages into a citizen's box."""


async def create_room(
    settings: Settings, *, clock: Clock, valkey: Redis, transport: httpx.AsyncBaseTransport | None = None
) -> Room[IdentityPorts]:
    """The room, wired. `transport` replaces the network to the providers."""
    foundation = lay_foundation(
        settings, room="identity", data_class=DataClass.IDENTITY, schema=create_schema(), clock=clock, valkey=valkey
    )
    providers = httpx.AsyncClient(timeout=PROVIDER_TIMEOUT_S, transport=transport)
    texts = TextMessages(HttpSms(providers, settings.sms_url))
    ports = IdentityPorts(
        texts=texts,
        register=HttpPopulationRegister(providers, settings.population_register_url),
        valkey=valkey,
        codes=OneTimeCodes(valkey, key=read_root(settings.secrets_directory, "one-time-code")),
        refresh_tokens=RefreshTokens(read_root(settings.secrets_directory, "refresh-token")),
        labels=load_labels(),
        index=BlindIndex.load(settings.secrets_directory),
        token_key=SigningKey.load(settings.secrets_directory, "access-token"),
        token_keys=VerifyKeys.load(settings.secrets_directory, "access-token"),
        issuer=settings.public_url,
    )
    return foundation.room(
        ports,
        handlers={
            "message.requested": Handler("messages-to-citizens", messages.on_message_requested, MESSAGES_FROM),
            "privacy.citizen_erased": Handler("erasure-in-rooms", citizens.on_citizen_erased, frozenset({"privacy"})),
        },
        routes=lambda services: routes(services, clock),
        jobs=[Job(upkeep.REMOVE, "retention-upkeep", REMOVE_EVERY_S, upkeep.remove_lapsed)],
        closing=(texts.settled, providers.aclose),
    )
