"""What a caller may ask of the gateway: requests, and what they cost (`gateway.demand`). Counting is `kit.rates`'."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gov_services.kit.actor import Actor
from gov_services.kit.rates import LeasedBudget, RequestRate, caller_of, require_local, require_no_wait


class RateLimiter:
    """Requests, `per_second` on average and `burst` at once, and cost beside them."""

    def __init__(
        self,
        client: Redis,
        *,
        per_second: float = 20,
        burst: int = 60,
        cost_per_second: float = 10_000,
        cost_burst: int = 50_000,
    ) -> None:
        self._requests = RequestRate(client, per_second=per_second, burst=burst)
        self._costs = LeasedBudget(client, "cost", per_second=cost_per_second, burst=cost_burst, largest=4_000)

    async def take(self, actor: Actor, *, address: str, is_query: bool, monotonic_s: float, cost: int = 0) -> None:
        """Count one request. Raises TooManyRequests; LimitsUnavailable where nothing may go uncounted."""
        await self._requests.take(actor, address=address, is_query=is_query, monotonic_s=monotonic_s)
        if cost <= 0:
            return
        try:
            wait_s = await self._costs.take(caller_of(actor, address), cost, monotonic_s=monotonic_s)
        except (RedisError, OSError):
            require_local(actor, is_query=is_query)
            wait_s = 0.0
        require_no_wait(wait_s)

    def owe(self, actor: Actor, *, address: str, cost: int) -> None:
        """See gateway.pipeline.CountsRequests."""
        self._costs.owe(caller_of(actor, address), cost)
