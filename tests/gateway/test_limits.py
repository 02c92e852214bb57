"""Limits without Valkey: who is still served, counted in this process; and what the counting does at its edges."""

from __future__ import annotations

import pytest
from front_door import FrontDoor, code_of
from redis.asyncio import Redis
from town import Town

from gov_services.gateway.errors import TooComplex
from gov_services.gateway.limits import Limits
from gov_services.gateway.rates import RateLimiter
from gov_services.kit.local_rates import LocalLimiter
from gov_services.kit.valkey import create_client
from graphql import get_introspection_query


async def test_without_valkey_signed_in_reads_go_on_and_others_wait(graph_town: Town) -> None:
    citizen = await graph_town.register()
    nowhere: Redis = create_client("redis://127.0.0.1:9/0")
    door = FrontDoor(graph_town, rate=RateLimiter(nowhere, per_second=0.5, burst=2))

    read = await door.ask("Me", actor=citizen)
    again = await door.ask("Me", actor=citizen)
    too_fast = await door.ask("Me", actor=citizen)
    stranger = await door.ask("Services")
    change = await door.ask("SignOut", actor=citizen)

    assert [read.status_code, again.status_code] == [200, 200]
    assert (too_fast.status_code, code_of(too_fast)) == (429, "RATE_LIMITED")
    for answer in (stranger, change):
        assert (answer.status_code, code_of(answer)) == (503, "SERVICE_UNAVAILABLE")
    await door.http.aclose()
    await nowhere.aclose()


def test_the_local_count_lets_a_burst_through_and_then_one_by_one() -> None:
    limiter = LocalLimiter(interval_s=1, burst=3)

    assert [limiter.take("a", monotonic_s=100) for _ in range(4)] == [0, 0, 0, 1]
    assert limiter.take("b", monotonic_s=100) == 0
    assert limiter.take("a", monotonic_s=101) == 0
    assert limiter.take("a", monotonic_s=101) == 1


def test_the_local_count_forgets_whom_it_has_not_seen_longest() -> None:
    limiter = LocalLimiter(interval_s=1, burst=1, capacity=2)
    for caller in ("a", "b", "c"):
        limiter.take(caller, monotonic_s=0)
    assert limiter.take("c", monotonic_s=0) > 0
    assert limiter.take("a", monotonic_s=0) == 0


def test_the_schema_may_be_asked_about_as_deeply_as_tools_do() -> None:
    introspection = get_introspection_query(input_value_deprecation=True)

    Limits().check_shape(Limits().check_text(introspection))

    deep = "{ __schema { types " + "{ ofType " * 20 + "{ name }" + " }" * 21 + " }"
    with pytest.raises(TooComplex):
        Limits().check_shape(Limits().check_text(deep))
