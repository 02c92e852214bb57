"""How often a caller may ask: one budget for all processes, leased from Valkey in blocks. Cost is the gateway's.

Generic cell rate algorithm (ITU-T I.371, annex A): one moment a caller, by which all that was taken would be earned
again. What is leased is taken at once, so that all processes together never give more than the budget; what a process
leased and did not use is lost, at most a block a caller and process. A block begins at one and doubles while its caller
uses blocks up within a second: a slow caller is counted exactly, and a fast one costs a round trip a block.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.errors import Refusal, Unavailable
from gov_services.kit.local_rates import LocalLimiter

MOST_CALLERS = 50_000
"""Callers whose leases are kept; the one longest unseen is forgotten first."""
LEASE_S = 1.0
"""A lease is used for so long, then what is left of it is forgotten."""

# On Valkey's own clock: processes need not agree on theirs. Returns what was leased, and µs to wait where nothing was.
_LEASE = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst, least, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
if tat < now then tat = now end
local units = math.floor((now + burst - tat) / interval)
if units < least then return {0, math.ceil(tat + least * interval - burst - now)} end
if units > most then units = most end
tat = tat + units * interval
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
return {units, 0}
"""


class TooManyRequests(Refusal):
    """Faster than this caller may."""

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__(retry_after_s=retry_after_s)
        self.retry_after_s = retry_after_s

    code = "RATE_LIMITED"
    status: ClassVar[int] = 429
    """Of HTTP."""
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "请求过于频繁,请 {retry_after_s} 秒后再试。",
        "en": "Too many requests. Please try again in {retry_after_s} seconds.",
    }


class LimitsUnavailable(Unavailable):
    """The counters are away, and this kind of request is not served uncounted (ARCHITECTURE §4.18)."""

    code = "SERVICE_UNAVAILABLE"
    status: ClassVar[int] = 503
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "服务暂时不可用,请稍后再试。",
        "en": "The service is unavailable for the moment. Please try again.",
    }


@dataclass(slots=True)
class _Lease:
    """What a process holds for a caller."""

    units: int = 0
    block: int = 0
    since_s: float = 0.0


class LeasedBudget:
    """So many units a second, `burst` of them at once, for each caller; `largest`: of a block."""

    def __init__(self, client: Redis, name: str, *, per_second: float, burst: int, largest: int) -> None:
        self._script = client.register_script(_LEASE)
        self._name = name
        self._interval_us = 1_000_000 / per_second
        self._burst_us = self._interval_us * burst
        self._burst, self._largest = burst, max(1, min(largest, burst // 2))
        self._leases: OrderedDict[str, _Lease] = OrderedDict()

    async def take(self, caller: str, units: int, *, monotonic_s: float) -> float:
        """Take units; seconds to wait where they are not there, else 0. Raises RedisError, OSError without Valkey."""
        lease = self._leases.get(caller)
        if lease is None:
            lease = self._leases[caller] = _Lease()
            if len(self._leases) > MOST_CALLERS:
                self._leases.popitem(last=False)
        else:
            self._leases.move_to_end(caller)
        if monotonic_s - lease.since_s >= LEASE_S:
            lease.units, lease.block = min(lease.units, 0), 0  # a debt stays
        if lease.units >= units:
            lease.units -= units
            return 0.0
        least = min(min(units, self._burst) - lease.units, self._burst)
        block = max(least, min(self._largest, lease.block * 2))
        arguments = [self._interval_us, self._burst_us, least, block]
        leased, wait_us = await self._script(keys=[f"{self._name}:{{{caller}}}"], args=arguments)
        if leased == 0:
            return int(wait_us) / 1_000_000
        lease.units = max(0, lease.units + int(leased) - units)
        lease.block, lease.since_s = block, monotonic_s
        return 0.0

    def owe(self, caller: str, units: int) -> None:
        """Note that a caller used more than they took: they pay with what they take next."""
        lease = self._leases.get(caller)
        if lease is not None:
            lease.units = max(lease.units - units, -self._burst)


class RequestRate:
    """How many requests a caller may make, `per_second` on average and `burst` at once, whichever process they ask."""

    def __init__(self, client: Redis, *, per_second: float = 20, burst: int = 60) -> None:
        self._requests = LeasedBudget(client, "rate", per_second=per_second, burst=burst, largest=16)
        self._local = LocalLimiter(interval_s=1 / per_second, burst=burst)

    async def take(self, actor: Actor, *, address: str, is_query: bool, monotonic_s: float) -> None:
        """Count one request. Raises TooManyRequests; LimitsUnavailable where nothing may go uncounted."""
        caller = caller_of(actor, address)
        try:
            wait_s = await self._requests.take(caller, 1, monotonic_s=monotonic_s)
        except (RedisError, OSError):
            require_local(actor, is_query=is_query)
            wait_s = self._local.take(caller, monotonic_s=monotonic_s)
        require_no_wait(wait_s)


def caller_of(actor: Actor, address: str) -> str:
    """What limits know a caller by: who they are, or which network they ask from."""
    return f"address:{network_of(address)}" if actor.kind is ActorKind.ANONYMOUS else f"{actor.ref}:{actor.id}"


def network_of(address: str) -> str:
    """An IPv4 address as it is; of an IPv6 address the /64, all of which one line is given (RFC 6177)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((int(found), 64), strict=False))
    return str(found)


def require_local(actor: Actor, *, is_query: bool) -> None:
    """Without counters that all processes share, who signed in is counted in one process alone; others wait.

    That is ARCHITECTURE §4.18: strangers and relying parties wait, and so do changes. Raises LimitsUnavailable.
    """
    if actor.kind not in (ActorKind.CITIZEN, ActorKind.STAFF) or not is_query:
        raise LimitsUnavailable from None


def require_no_wait(wait_s: float) -> None:
    """Raises TooManyRequests."""
    if wait_s > 0:
        raise TooManyRequests(retry_after_s=math.ceil(wait_s))
