"""The composition root of healthcode: settings, rules, keys, handler, route and job become a room."""

from __future__ import annotations

from pathlib import Path

from redis.asyncio import Redis

from gov_services.crypto.keys import DataClass
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.healthcode.graph.schema import create_schema
from gov_services.healthcode.ports import HealthcodePorts
from gov_services.healthcode.routes import routes
from gov_services.healthcode.rules import load_rules
from gov_services.healthcode.service.reviewing import on_review_taken
from gov_services.healthcode.service.upkeep import on_citizen_erased, remove_lapsed
from gov_services.kit.clock import Clock
from gov_services.kit.settings import Settings
from gov_services.subgraph.composition import Room, lay_foundation
from gov_services.subgraph.entrances import Job
from gov_services.subgraph.events import Handler

RULES = Path(__file__).parent / "rule_sets" / "example-city-1.json"
REMOVE_EVERY_S = 60.0


async def create_room(settings: Settings, *, clock: Clock, valkey: Redis) -> Room[HealthcodePorts]:
    """The room. Raises RuleSetRefused."""
    ports = HealthcodePorts(
        rules=load_rules(RULES.read_text()),
        key=SigningKey.load(settings.secrets_directory, "health-code"),
        keys=VerifyKeys.load(settings.secrets_directory, "health-code"),
        issuer=settings.public_url,
    )
    foundation = lay_foundation(
        settings,
        room="healthcode",
        data_class=DataClass.HEALTH,
        schema=create_schema(),
        clock=clock,
        valkey=valkey,
    )
    return foundation.room(
        ports,
        handlers={
            "privacy.citizen_erased": Handler(
                purpose="erasure-in-rooms", handle=on_citizen_erased, sources=frozenset({"privacy"})
            ),
            "privacy.review_taken": Handler(
                purpose="health-code-review", handle=on_review_taken, sources=frozenset({"privacy"})
            ),
        },
        routes=routes,
        jobs=[Job("remove-lapsed-health-data", "health-code-upkeep", REMOVE_EVERY_S, remove_lapsed)],
    )
