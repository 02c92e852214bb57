"""The one way to a client of Valkey, with time-outs that leave room for an answer. It knows no key and no script."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import ClassVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as TimedOut

from gov_services.kit.errors import Unavailable

SOCKET_TIMEOUT_S = 0.25
POOL_TIMEOUT_S = 0.25
"""Every answer comes within a second while Valkey is away (ARCHITECTURE §4.18): one retry, and some time to say so."""


class ValkeyUnavailable(Unavailable):
    """Valkey does not answer."""

    code = "SERVICE_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "服务暂时不可用,请稍后再试。",
        "en": "The service is unavailable for the moment. Please try again.",
    }


def create_client(url: str, *, pool_size: int = 16) -> Redis:
    """A client that connects when first used. Close it with `aclose()`, which closes its connections too.

    A command whose answer was lost is sent a second time: scripts count twice rather than not at all.
    """
    pool = BlockingConnectionPool.from_url(
        url.replace("valkey://", "redis://", 1).replace("valkeys://", "rediss://", 1),
        max_connections=pool_size,
        timeout=POOL_TIMEOUT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        retry=Retry(ExponentialBackoff(cap=0.05, base=0.01), 1),
        retry_on_error=[NoConnection, TimedOut],
    )
    return Redis.from_pool(pool)


def create_listener(url: str) -> Redis:
    """A client for one subscription's connection, which tries nothing twice: what is lost in between must be known."""
    return Redis.from_url(
        url.replace("valkey://", "redis://", 1).replace("valkeys://", "rediss://", 1),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


@contextlib.contextmanager
def unavailable_when_away() -> Iterator[None]:
    """Turn what redis-py and the socket raise while Valkey is away, or still loading, into ValkeyUnavailable."""
    try:
        yield
    except (RedisError, OSError) as away:
        raise ValkeyUnavailable from away


async def valkey_answers(valkey: Redis) -> bool:
    """Whether Valkey does."""
    try:
        await valkey.ping()
    except (RedisError, OSError):
        return False
    return True
