"""`POST /webhooks/payments/wechat`: where the channel says what happened. It takes nobody's word but the channel's."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from gov_services.kit.actor import system
from gov_services.kit.clock import Clock
from gov_services.kit.context import Entrance, EntranceKind
from gov_services.kit.errors import Refusal, Unavailable
from gov_services.payments.channel import Notification, NotificationRefused, Trade
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service.returning import apply_return
from gov_services.payments.service.settling import id_of, log_refused_fact, refuse_trade, settle_payment
from gov_services.subgraph.context import ReadContext, RoomServices
from gov_services.subgraph.entrances import entrance_context
from gov_services.subgraph.unit_of_work import commit

PATH = "/webhooks/payments/wechat"
PURPOSE = "payment-settlement"
CHANNEL_CLIENT = "payment-channel"
"""The client that the purpose lists for notifications whose signature holds."""
BODY_LIMIT_BYTES = 65_536
_log = structlog.get_logger("gov_services.payments")


def notification_route(services: RoomServices[PaymentsPorts], clock: Clock) -> HTTPRouteHandler:
    """The route over the room's services."""

    @post(PATH, request_max_body_size=BODY_LIMIT_BYTES, include_in_schema=False, media_type="application/json")
    async def receive(request: Request[Any, Any, Any]) -> Response[object]:
        body = await request.body()
        headers = {name.lower(): value for name, value in request.headers.items()}
        status = await receive_notification(services, headers=headers, body=body, clock=clock)
        if status is HTTPStatus.NO_CONTENT:
            return Response(None, status_code=status)
        return Response({"code": "FAIL", "message": status.phrase}, status_code=status)

    return receive


async def receive_notification(
    services: RoomServices[PaymentsPorts], *, headers: Mapping[str, str], body: bytes, clock: Clock
) -> HTTPStatus:
    """Take a notification; anything but 204 makes the channel send it again later.

    1 the channel's own, fresh (channel.open_notification)   2 ours, new, and of our amount (settling)   3 committed
    """
    now = clock.now()
    entrance = Entrance(EntranceKind.ROUTE, PATH, PURPOSE)
    try:
        # (1)
        try:
            notification = services.ports.channel.open_notification(headers=headers, body=body, now=now)
        except NotificationRefused as refused:
            _log.warning("notification refused", check=refused.reason)
            await log_refused_fact(entrance_context(services, entrance, now=now), refused, object_ref=None)
            return HTTPStatus.UNAUTHORIZED
        # (2), (3)
        context = entrance_context(services, entrance, now=now, actor=system(CHANNEL_CLIENT))
        return await _take(context, notification)
    except Unavailable as away:
        _log.warning("notification not taken now", code=away.code)
        return HTTPStatus.SERVICE_UNAVAILABLE


async def _take(context: ReadContext[PaymentsPorts], notification: Notification) -> HTTPStatus:
    fact = notification.fact
    try:
        if isinstance(fact, Trade):
            errors = (await commit(context, settle_payment, trade=fact, notification_id=notification.id)).errors
        else:
            errors = (await commit(context, apply_return, returned=fact, notification_id=notification.id)).errors
    except Refusal as refusal:
        _log.error("notification not taken", notification=notification.id, code=refusal.code)
        if isinstance(fact, Trade):
            await refuse_trade(context, fact, refusal)
        else:
            identifier = id_of(fact.number)
            await log_refused_fact(context, refusal, object_ref=f"refund:{identifier}" if identifier else None)
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.NO_CONTENT
