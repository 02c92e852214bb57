"""The composition root of payments: settings, channel, handlers, webhook and job become a room."""

from __future__ import annotations

import httpx
from redis.asyncio import Redis

from gov_services.crypto.keys import DataClass
from gov_services.kit.clock import Clock
from gov_services.kit.settings import Settings, SettingsRefused
from gov_services.payments import webhook
from gov_services.payments.graph.schema import create_schema
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service.billing import on_citizen_erased, on_fee_assessed, on_fee_cancelled
from gov_services.payments.service.reconciling import reconcile
from gov_services.payments.wechat import WeChatPay
from gov_services.payments.wechat_files import load_merchant
from gov_services.subgraph.composition import Room, lay_foundation
from gov_services.subgraph.entrances import Job, Route
from gov_services.subgraph.events import Handler

MERCHANT_DIRECTORY = "payment-channel"
"""Under the secrets directory; see wechat_files."""
RECONCILE_EVERY_S = 30.0


async def create_room(
    settings: Settings, *, clock: Clock, valkey: Redis, transport: httpx.AsyncBaseTransport | None = None
) -> Room[PaymentsPorts]:
    """The room. `transport` replaces the network to the channel. Raises SettingsRefused, MerchantFilesRefused."""
    if not settings.payment_channel_url:
        raise SettingsRefused("GOV_PAYMENT_CHANNEL_URL is empty; payments has no channel to be paid through")
    channel = WeChatPay(
        load_merchant(settings.secrets_directory / MERCHANT_DIRECTORY),
        address=settings.payment_channel_url,
        notify_url=settings.public_url + webhook.PATH,
        clock=clock,
        transport=transport,
    )
    foundation = lay_foundation(
        settings,
        room="payments",
        data_class=DataClass.PAYMENTS,
        schema=create_schema(),
        clock=clock,
        valkey=valkey,
    )
    return foundation.room(
        PaymentsPorts(channel),
        handlers={
            "permits.fee_assessed": Handler(
                purpose="fee-billing", handle=on_fee_assessed, sources=frozenset({"permits"})
            ),
            "permits.fee_cancelled": Handler(
                purpose="fee-billing", handle=on_fee_cancelled, sources=frozenset({"permits"})
            ),
            "privacy.citizen_erased": Handler(
                purpose="erasure-in-rooms", handle=on_citizen_erased, sources=frozenset({"privacy"})
            ),
            "privacy.term_over": Handler(
                purpose="retention-upkeep", handle=on_citizen_erased, sources=frozenset({"privacy"})
            ),
        },
        routes=lambda services: [
            Route(webhook.PATH, webhook.PURPOSE, webhook.notification_route(services, clock)),
        ],
        jobs=[Job("reconcile-payments", "payment-settlement", RECONCILE_EVERY_S, reconcile)],
        closing=[channel.close_connections],
    )
