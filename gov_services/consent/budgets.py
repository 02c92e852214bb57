"""Budgets: how many people an actor and their office may ask about, reserved before anything opens.

Over an hour, a day and thirty days, which roll. Each counter holds digests of those asked about, by when last. One that
is not there, because nobody asked or because Valkey lost it, is made from the log (docs/decisions/0009). No names.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gov_services.audit import usage
from gov_services.consent.purposes import Purpose
from gov_services.kit.actor import Actor
from gov_services.kit.database import Database
from gov_services.kit.errors import Refusal, Unavailable

OFFICE_SHARE = 10
"""An office asks about no more people than so many of its members could, however many it has."""


class BudgetExhausted(Refusal):
    """The actor, or their office, has asked about as many people as this purpose allows."""

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


# Sorted sets of digests by the moment when they were asked about last, in milliseconds. All of a request's subjects fit
# into every counter, or none is taken. A counter that is not there is first filled from what the log says.
_RESERVE = """
local now, longest, subjects = tonumber(ARGV[1]), tonumber(ARGV[2]), cjson.decode(ARGV[3])
local counters = {}
for i, key in ipairs(KEYS) do
  counters[i] = cjson.decode(ARGV[3 + i])
  if redis.call('EXISTS', key) == 0 and not counters[i].logged then return 'lost' end
end
local fits = true
for i, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 0 then
    for place, at in ipairs(counters[i].logged) do
      redis.call('ZADD', key, string.format('%.0f', at), 'log:' .. place)
    end
  end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - longest))
  local asked = {}
  for place, subject in ipairs(subjects) do asked[place] = tonumber(redis.call('ZSCORE', key, subject) or '-1') end
  for _, limit in ipairs(counters[i].limits) do
    local since, fresh = now - limit.window, 0
    for _, at in ipairs(asked) do
      if at <= since then fresh = fresh + 1 end
    end
    local counted = redis.call('ZCOUNT', key, string.format('(%.0f', since), '+inf')
    if counted + fresh > limit.most then fits = false end
  end
end
for _, key in ipairs(KEYS) do
  if fits then
    for _, subject in ipairs(subjects) do redis.call('ZADD', key, ARGV[1], subject) end
  end
  redis.call('PEXPIRE', key, 2 * longest)
end
return fits and 'taken' or 'exhausted'
"""


class ValkeyBudgets:
    """Counters in Valkey, taken atomically; `database` is where the log is asked for one that is not there."""

    def __init__(self, client: Redis, database: Database) -> None:
        self._script = client.register_script(_RESERVE)
        self._database = database

    async def reserve(
        self, purpose: Purpose, actor: Actor, subjects: Sequence[UUID | str], *, now: dt.datetime
    ) -> None:
        """See Budgets. The same subject twice in a time counts once in it."""
        limits = purpose.budgets()
        if not limits or not subjects:
            return
        # One tag for both keys, so that a cluster of servers holds them in one place.
        tag = f"budget:{{{actor.office or actor.ref}}}:{purpose.code}"
        members = sorted({hashlib.sha256(f"{tag}:{subject}".encode()).hexdigest()[:16] for subject in subjects})
        counters = {f"{tag}:actor:{actor.ref}": _counter(limits, share=1)}
        if actor.office is not None:
            counters[f"{tag}:office"] = _counter(limits, share=OFFICE_SHARE)
        longest = max(window for window, _ in limits)
        outcome = await self._take(counters, members, longest, now)
        if outcome == "lost":
            await self._read_log(list(counters.values()), purpose, actor, now - longest)
            outcome = await self._take(counters, members, longest, now)
        if outcome != "taken":
            raise BudgetExhausted

    async def _take(
        self, counters: dict[str, dict[str, Any]], members: Sequence[str], longest: dt.timedelta, now: dt.datetime
    ) -> str:
        told = [json.dumps(value) for value in (members, *counters.values())]
        try:
            outcome = await self._script(keys=list(counters), args=[_ms(now), _ms_of(longest), *told])
        except (RedisError, OSError) as away:
            raise BudgetUnavailable from away
        return bytes(outcome).decode()

    async def _read_log(
        self, counters: Sequence[dict[str, Any]], purpose: Purpose, actor: Actor, since: dt.datetime
    ) -> None:
        """Fill in when the actor, and the office, asked about somebody since then."""
        whose: tuple[dict[str, str | None], ...] = ({"actor": actor.ref}, {"office": actor.office})
        async with self._database.reading() as session:
            for counter, of in zip(counters, whose, strict=False):  # an actor without an office has one counter
                found = await usage.asked(session, purpose=purpose.code, since=since, **of)
                counter["logged"] = [_ms(at) for at in found][-max(limit["most"] for limit in counter["limits"]) :]


def _counter(limits: Sequence[tuple[dt.timedelta, int]], *, share: int) -> dict[str, Any]:
    return {"limits": [{"window": _ms_of(window), "most": most * share} for window, most in limits]}


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _ms_of(span: dt.timedelta) -> int:
    return int(span.total_seconds() * 1000)
