"""The privacy room's composition root: keys, jobs and handlers become a Room. It alone reads settings."""

from __future__ import annotations

import httpx
from redis.asyncio import Redis

from gov_services.audit.verify import Trust
from gov_services.consent.vocabulary import Vocabulary
from gov_services.crypto.keys import DataClass, read_root
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import Clock
from gov_services.kit.rates import RequestRate
from gov_services.kit.settings import PROJECT_ROOT, Settings
from gov_services.privacy.consent_bb import webhooks
from gov_services.privacy.consent_bb.register import Register
from gov_services.privacy.consent_bb.routes import routes as consent_bb_routes
from gov_services.privacy.face_routes import routes as face_routes
from gov_services.privacy.graph.schema import create_schema
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.routes import routes
from gov_services.privacy.service import audits, breaches, deletions, evidence, findings, jobs, rights, terms, upkeep
from gov_services.subgraph.bearer import Bearers
from gov_services.subgraph.composition import Room, lay_foundation
from gov_services.subgraph.entrances import Job
from gov_services.subgraph.events import Handler

LOG_REVIEW = "log-upkeep"
"""Purpose of what this room does by itself."""
CONSENT_UPKEEP = "consent-upkeep"
"""Purpose of ending consents that have run out."""
CONSENT_VERIFICATION = "consent-verification"
"""Purpose of letting a party know how consents that it was given stand."""
ERASURE = "erasure-in-rooms"
"""Purpose of knowing what an erasure must leave."""
RETENTION = "retention-upkeep"
"""Purpose of ending what is kept no longer."""
WEBHOOK_TIMEOUT_S = 3.0


async def create_room(
    settings: Settings,
    *,
    clock: Clock,
    valkey: Redis,
    transport: httpx.AsyncBaseTransport | None = None,
    rate: RequestRate | None = None,
) -> Room[PrivacyPorts]:
    """The room, wired. Tests answer as parties' webhooks by `transport`, and ask as fast as they can by `rate`."""
    http = httpx.AsyncClient(timeout=WEBHOOK_TIMEOUT_S, transport=transport, follow_redirects=False, trust_env=False)
    foundation = lay_foundation(
        settings, room="privacy", data_class=DataClass.AUDIT, schema=create_schema(), clock=clock, valkey=valkey
    )
    ports = PrivacyPorts(
        bundle_key=SigningKey.load(settings.secrets_directory, "bundle"),
        receipt_key=SigningKey.load(settings.secrets_directory, "consent-receipt"),
        receipt_keys=VerifyKeys.load(settings.secrets_directory, "consent-receipt"),
        bearers=Bearers(VerifyKeys.load(settings.secrets_directory, "access-token"), issuer=settings.public_url),
        issuer=settings.public_url,
        trust=Trust.load(settings.secrets_directory, settings.log_origin),
        register=Register(foundation.discloser.bundles),
        webhook_root=read_root(settings.secrets_directory, "webhook"),
        rate=rate or RequestRate(valkey),
        http=http,
        vocabulary=Vocabulary.from_sdl((PROJECT_ROOT / "graphql" / "supergraph.graphql").read_text()),
    )
    return foundation.room(
        ports,
        handlers={
            "identity.citizen_registered": Handler(
                LOG_REVIEW, jobs.on_citizen_registered, sources=frozenset({"identity"})
            ),
            "permits.application_submitted": Handler(
                ERASURE, jobs.on_application_submitted, sources=frozenset({"permits"})
            ),
            "identity.glass_broken": Handler(LOG_REVIEW, findings.on_glass_broken, sources=frozenset({"identity"})),
            "payments.bill_settled": Handler(ERASURE, jobs.on_bill_settled, sources=frozenset({"payments"})),
        },
        jobs=(
            Job(jobs.TELL, LOG_REVIEW, 1.0, jobs.tell_of_disclosures),
            Job(findings.REFUSED, LOG_REVIEW, 1.0, findings.find_refused),
            Job(findings.GROUNDLESS, LOG_REVIEW, 60.0, findings.find_groundless),
            Job(findings.ODD, LOG_REVIEW, 600.0, findings.find_odd),
            Job(findings.OVER_ASKING, LOG_REVIEW, 86_400.0, findings.find_over_asking),
            Job(deletions.UNDELETED, LOG_REVIEW, 3600.0, deletions.find_undeleted),
            Job(rights.OVERDUE, LOG_REVIEW, 3600.0, rights.find_overdue),
            Job(breaches.LATE, LOG_REVIEW, 300.0, breaches.find_late),
            Job(audits.OVERDUE, LOG_REVIEW, 86_400.0, audits.find_overdue),
            Job(evidence.COUNT, LOG_REVIEW, 10.0, evidence.count_uses),
            Job(upkeep.END, CONSENT_UPKEEP, 60.0, upkeep.end_consents),
            Job(upkeep.LAPSE, CONSENT_UPKEEP, 60.0, upkeep.lapse_requests),
            Job(webhooks.JOB, CONSENT_VERIFICATION, 1.0, webhooks.tell_due),
            Job(upkeep.REMOVE, RETENTION, 3600.0, upkeep.remove_old_requests),
            Job(terms.TERMS, RETENTION, 600.0, terms.end_terms),
            Job(upkeep.NOTICES, CONSENT_UPKEEP, 600.0, upkeep.give_deferred_notices),
        ),
        routes=lambda services: [
            *routes(services),
            *face_routes(services, clock),
            *consent_bb_routes(services, clock),
        ],
        closing=(http.aclose,),
    )
