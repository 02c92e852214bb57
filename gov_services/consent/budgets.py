"""Budgets: how many people an actor may ask about in an hour, reserved before anything opens. It keeps no names."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import ClassVar, Protocol
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gov_services.consent.purposes import Purpose
from gov_services.kit.actor import Actor
from gov_services.kit.errors import Refusal, Unavailable


class BudgetExhausted(Refusal):
    """The actor has asked about as many people as this purpose allows in an hour."""

    code = "BUDGET_EXHAUSTED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "查询次数已达上限,已通知合规人员。",
        "en": "You have reached the limit of look-ups. The compliance office has been told.",
    }


class BudgetUnavailable(Unavailable):
    """The counters are away; whoever is counted waits (ARCHITECTURE §4.8, §4.18)."""

    code = "BUDGET_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "服务暂时不可用,请稍后再试。",
        "en": "The service is unavailable for the moment. Please try again.",
    }


class Budgets(Protocol):
    """Where look-ups are counted."""

    async def reserve(
        self, purpose: Purpose, actor: Actor, subjects: Sequence[UUID | str], *, now: dt.datetime
    ) -> None:
        """Count `subjects`; a miss is counted by what was looked for. Raises BudgetExhausted, BudgetUnavailable."""
        ...


# One set of subject digests per actor, purpose and clock hour. All of a request's subjects fit, or none is taken.
_RESERVE = """
local fresh = 0
for i = 3, #ARGV do
  if redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 0 then fresh = fresh + 1 end
end
if redis.call('SCARD', KEYS[1]) + fresh > tonumber(ARGV[1]) then return 0 end
for i = 3, #ARGV do redis.call('SADD', KEYS[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""


class ValkeyBudgets:
    """Counters in Valkey, taken atomically."""

    def __init__(self, client: Redis) -> None:
        self._reserve = client.register_script(_RESERVE)

    async def reserve(
        self, purpose: Purpose, actor: Actor, subjects: Sequence[UUID | str], *, now: dt.datetime
    ) -> None:
        """See Budgets. The same subject twice in an hour counts once."""
        if purpose.budget_hour <= 0 or not subjects:
            return
        hour = now.strftime("%Y%m%d%H")
        key = f"budget:{{{actor.ref}}}:{purpose.code}:{hour}"
        members = [hashlib.sha256(f"{key}:{subject}".encode()).hexdigest()[:16] for subject in subjects]
        try:
            allowed = await self._reserve(keys=[key], args=[purpose.budget_hour, 7200, *members])
        except (RedisError, OSError) as away:
            raise BudgetUnavailable from away
        if not allowed:
            raise BudgetExhausted
