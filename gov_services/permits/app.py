"""The composition root of permits: settings, catalogue, files, keys, handlers, routes and job become a room."""

from __future__ import annotations

from pathlib import Path

from redis.asyncio import Redis

from gov_services.crypto.keys import DataClass
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import Clock
from gov_services.kit.settings import Settings
from gov_services.permits.catalogue import load_catalogue
from gov_services.permits.files import LocalDocumentFiles
from gov_services.permits.graph.schema import create_schema
from gov_services.permits.ports import PermitsPorts
from gov_services.permits.routes import routes
from gov_services.permits.service.assigning import assign_waiting, on_staff_told
from gov_services.permits.service.settling import (
    on_bill_refunded,
    on_bill_settled,
    on_citizen_erased,
    on_refund_failed,
    on_refund_started,
)
from gov_services.subgraph.composition import Room, lay_foundation
from gov_services.subgraph.entrances import Job
from gov_services.subgraph.events import Handler

CATALOGUE = Path(__file__).with_name("services.toml")
DOCUMENTS = "documents"
"""Under the runtime directory."""
ASSIGN_EVERY_S = 30.0


async def create_room(settings: Settings, *, clock: Clock, valkey: Redis) -> Room[PermitsPorts]:
    """The room. Raises CatalogueRefused."""
    secrets = settings.secrets_directory
    ports = PermitsPorts(
        files=LocalDocumentFiles(settings.runtime_directory / DOCUMENTS),
        catalogue=load_catalogue(CATALOGUE.read_text()),
        upload_key=SigningKey.load(secrets, "upload"),
        upload_keys=VerifyKeys.load(secrets, "upload"),
        licence_key=SigningKey.load(secrets, "licence"),
        licence_keys=VerifyKeys.load(secrets, "licence"),
        issuer=settings.public_url,
    )
    foundation = lay_foundation(
        settings,
        room="permits",
        data_class=DataClass.PERMITS,
        schema=create_schema(),
        clock=clock,
        valkey=valkey,
    )
    return foundation.room(
        ports,
        handlers={
            "identity.staff_added": Handler(
                purpose="case-assignment", handle=on_staff_told, sources=frozenset({"identity"})
            ),
            "payments.bill_settled": Handler(
                purpose="licence-fee-settlement", handle=on_bill_settled, sources=frozenset({"payments"})
            ),
            "payments.bill_refunded": Handler(
                purpose="licence-fee-settlement", handle=on_bill_refunded, sources=frozenset({"payments"})
            ),
            "payments.refund_started": Handler(
                purpose="licence-fee-settlement", handle=on_refund_started, sources=frozenset({"payments"})
            ),
            "payments.refund_failed": Handler(
                purpose="licence-fee-settlement", handle=on_refund_failed, sources=frozenset({"payments"})
            ),
            "identity.staff_changed": Handler(
                purpose="case-assignment", handle=on_staff_told, sources=frozenset({"identity"})
            ),
            "privacy.citizen_erased": Handler(
                purpose="erasure-in-rooms", handle=on_citizen_erased, sources=frozenset({"privacy"})
            ),
            "privacy.term_over": Handler(
                purpose="retention-upkeep", handle=on_citizen_erased, sources=frozenset({"privacy"})
            ),
        },
        routes=lambda services: routes(services, clock),
        jobs=[Job("assign-waiting-cases", "case-assignment", ASSIGN_EVERY_S, assign_waiting)],
    )
