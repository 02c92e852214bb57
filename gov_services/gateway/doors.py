"""The protocols before one pipeline, put together: requests, event streams, sockets. It wires, and decides nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

from gov_services.gateway.events import FindsEvents
from gov_services.gateway.http import GraphQLEndpoint, either
from gov_services.gateway.limits import Limits
from gov_services.gateway.metrics import GatewayMetrics
from gov_services.gateway.pipeline import Pipeline
from gov_services.gateway.subscriptions import Subscriptions
from gov_services.gateway.websocket import SocketLimits, WebSocketEndpoint


class Doors(NamedTuple):
    """What stands behind `/graphql`."""

    app: Any
    """The ASGI application, for requests and for sockets."""
    requests: GraphQLEndpoint
    sockets: WebSocketEndpoint


def open_doors(
    pipeline: Pipeline,
    source: FindsEvents,
    *,
    limits: Limits,
    metrics: GatewayMetrics,
    origins: frozenset[str] = frozenset(),
    any_page: bool = False,
    needs_token: bool = True,
) -> Doors:
    """Doors to `pipeline`. `any_page`: pages of anywhere may ask; `needs_token`: sockets are for who signed in."""
    subscriptions = Subscriptions(pipeline, source)
    requests = GraphQLEndpoint(
        pipeline, subscriptions, body_bytes=limits.body_bytes, origins=origins, asks_preflight=not any_page
    )
    sockets = WebSocketEndpoint(
        pipeline,
        subscriptions,
        limits=SocketLimits(message_bytes=limits.body_bytes),
        origins=None if any_page else origins,
        needs_token=needs_token,
    )
    metrics.show("gov_gateway_sockets", "Open sockets", lambda: sockets.open)
    metrics.show("gov_gateway_event_streams", "Open event streams", lambda: requests.streams.open)
    return Doors(either(requests, sockets), requests, sockets)
