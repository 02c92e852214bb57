"""The client of Valkey: what is away is said to be away, within the second, and what comes back is used again."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from redis.asyncio import Redis

from gov_services.devstack.valkey import ValkeyServer
from gov_services.kit.valkey import ValkeyUnavailable, create_client, unavailable_when_away


async def refused_within_a_second(client: Redis) -> None:
    started = time.monotonic()
    with pytest.raises(ValkeyUnavailable) as refused, unavailable_when_away():
        await client.get("key")
    assert time.monotonic() - started < 1
    assert refused.value.code == "SERVICE_UNAVAILABLE"


async def test_a_client_reads_what_it_wrote_and_starts_from_nothing(valkey: Redis) -> None:
    assert await valkey.dbsize() == 0
    await valkey.set("key", "value")
    assert await valkey.get("key") == b"value"


async def test_a_valkey_that_crashed_is_unavailable_and_used_again_when_it_is_back(own_valkey: ValkeyServer) -> None:
    client = create_client(own_valkey.url)
    assert await client.incr("key") == 1
    own_valkey.crash()
    await refused_within_a_second(client)
    own_valkey.start()
    assert await client.incr("key") == 1
    await client.aclose()


async def test_a_valkey_that_hangs_is_unavailable_within_a_second(own_valkey: ValkeyServer) -> None:
    client = create_client(own_valkey.url)
    await client.ping()
    os.kill(own_valkey.process.pid, signal.SIGSTOP)
    try:
        await refused_within_a_second(client)
    finally:
        os.kill(own_valkey.process.pid, signal.SIGCONT)
    assert await client.get("key") is None
    await client.aclose()


async def test_more_callers_than_connections_wait_their_turn(own_valkey: ValkeyServer) -> None:
    client = create_client(own_valkey.url, pool_size=2)
    assert sorted(await asyncio.gather(*(client.incr("key") for _ in range(50)))) == list(range(1, 51))
    await client.aclose()


async def test_the_name_that_valkey_gives_its_addresses_is_understood(own_valkey: ValkeyServer) -> None:
    client = create_client(own_valkey.url.replace("redis://", "valkey://"))
    assert await client.ping()
    await client.aclose()
