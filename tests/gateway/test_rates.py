"""Budgets that several processes share: never more than was set, and hardly a round trip a request."""

from __future__ import annotations

import asyncio
import time

import pytest
from front_door import FrontDoor
from redis.asyncio import Redis

from gov_services.gateway import demand, pipeline
from gov_services.gateway.rates import RateLimiter
from gov_services.gateway.standalone import NoRate
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.rates import LEASE_S, LeasedBudget, TooManyRequests

pytestmark = pytest.mark.untraced


async def leases(valkey: Redis) -> int:
    stats = await valkey.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval"))


async def test_two_processes_together_give_what_one_may(valkey: Redis) -> None:
    budgets = [LeasedBudget(valkey, "test", per_second=20, burst=40, largest=8) for _ in range(2)]
    begun = time.monotonic()
    taken = [0, 0]

    async def ask(number: int) -> None:
        for _ in range(200):
            if await budgets[number].take("caller", 1, monotonic_s=time.monotonic()) == 0:
                taken[number] += 1

    await asyncio.gather(ask(0), ask(1))
    earned = 20 * (time.monotonic() - begun)
    assert 40 - 2 * 8 <= sum(taken) <= 40 + earned + 1
    assert min(taken) > 0


async def test_a_fast_caller_costs_a_round_trip_a_block_and_a_slow_one_is_counted_exactly(valkey: Redis) -> None:
    budget = LeasedBudget(valkey, "test", per_second=1000, burst=500, largest=16)
    before = await leases(valkey)
    for _ in range(160):
        assert await budget.take("fast", 1, monotonic_s=5) == 0
    assert await leases(valkey) - before <= 16
    tat = float(await valkey.get("test:{fast}"))

    before = await leases(valkey)
    for number in range(5):
        assert await budget.take("slow", 1, monotonic_s=10 + number * LEASE_S) == 0
    assert await leases(valkey) - before == 5
    assert tat > 0


async def test_others_budgets_are_their_own_and_waiting_is_told(valkey: Redis) -> None:
    budget = LeasedBudget(valkey, "test", per_second=0.5, burst=2, largest=16)
    found = [await budget.take("a", 1, monotonic_s=1) for _ in range(3)]
    assert found[:2] == [0, 0]
    assert 1 < found[2] <= 2
    assert await budget.take("b", 1, monotonic_s=1) == 0


async def test_what_costs_more_than_all_takes_all(valkey: Redis) -> None:
    budget = LeasedBudget(valkey, "test", per_second=10, burst=100, largest=16)
    assert await budget.take("a", 1_000, monotonic_s=1) == 0
    assert await budget.take("a", 10, monotonic_s=1) > 0


async def test_cost_is_a_budget_beside_the_requests(valkey: Redis) -> None:
    rate = RateLimiter(valkey, per_second=100, burst=100, cost_per_second=10, cost_burst=100)
    bank = Actor(kind=ActorKind.CLIENT, client_id="bank")
    for cost in (60, 0, 40):
        await rate.take(bank, address="", is_query=True, monotonic_s=1, cost=cost)
    with pytest.raises(TooManyRequests) as refused:
        await rate.take(bank, address="", is_query=True, monotonic_s=1, cost=30)
    assert 1 <= refused.value.retry_after_s <= 3


async def test_who_used_more_than_they_took_pays_with_what_they_take_next(valkey: Redis) -> None:
    budget = LeasedBudget(valkey, "owed", per_second=10, burst=100, largest=10)
    assert await budget.take("caller", 10, monotonic_s=0) == 0
    budget.owe("caller", 80)
    budget.owe("nobody", 80)

    assert await budget.take("caller", 10, monotonic_s=0) == 0  # 10 of the 100 left, 80 owed
    wait_s = await budget.take("caller", 10, monotonic_s=5)

    assert 0 < wait_s <= 1.1


async def test_a_debt_is_no_more_than_a_burst(valkey: Redis) -> None:
    budget = LeasedBudget(valkey, "deep", per_second=1_000, burst=100, largest=10)
    await budget.take("caller", 1, monotonic_s=0)
    budget.owe("caller", 10**9)
    await asyncio.sleep(0.2)

    assert await budget.take("caller", 1, monotonic_s=2) == 0


@pytest.mark.parametrize("assumed", [10, 0])
async def test_an_answer_is_measured_and_what_it_cost_beyond_the_estimate_is_owed(
    door: FrontDoor, monkeypatch: pytest.MonkeyPatch, assumed: int
) -> None:
    owed: list[int] = []

    class Counting(NoRate):
        def owe(self, actor: Actor, *, address: str, cost: int) -> None:
            owed.append(cost)

    monkeypatch.setattr(demand, "ASSUMED_SIZE", assumed)
    monkeypatch.setattr(pipeline.random, "random", lambda: 0.01)
    counted = FrontDoor(door.town, rate=Counting())
    query = f"query Assuming{assumed} {{ services {{ code documents {{ kind }} }} }}"
    response = await counted.post({"query": query}, gov_purpose="catalogue")
    await counted.http.aclose()

    services = response.json()["data"]["services"]
    real = len(services) + sum(len(item["documents"]) for item in services)
    told = counted.gateway.metrics.text().decode()
    assert f'gov_gateway_cost_measured_total{{document="adhoc"}} {real}.0' in told
    assert f'gov_gateway_cost_estimated_total{{document="adhoc"}} {assumed * (1 + assumed)}.0' in told
    assert owed == ([] if assumed else [real * demand.MEASURED_OF])
