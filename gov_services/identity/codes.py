"""One-time codes: six digits, ten minutes, five tries, few sends. In Valkey only, as digests; they prove a phone."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import ClassVar

from redis.asyncio import Redis

from gov_services.kit.errors import UserError
from gov_services.kit.valkey import unavailable_when_away

LIFETIME_S = 600
ATTEMPTS = 5
SENDS_HOUR = 5
GUESSES_HOUR = 15


class CodeNotRight(UserError):
    """Another code was sent, or none, or it is over, or too many were tried; it is not said which."""

    code = "CODE_NOT_RIGHT"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "验证码不正确或已失效,请重新获取。",
        "en": "The code is not right, or no longer valid. Please ask for a new one.",
    }


class TooManyCodes(UserError):
    """More codes were asked for than an hour allows."""

    code = "TOO_MANY_CODES"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "验证码获取过于频繁,请稍后再试。",
        "en": "Too many codes were asked for. Please try again later.",
    }


# The code's digest and the tries left, together; a try is taken before it is looked at, and a right one takes all.
# Where no code is out there is nothing to guess, and nothing is counted: else anybody could lock the phone's owner out.
_TRY = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[2]) then return 0 end
local left = redis.call('HINCRBY', KEYS[1], 'left', -1)
if redis.call('HGET', KEYS[1], 'digest') == ARGV[1] then
  redis.call('DEL', KEYS[1], KEYS[2])
  return 1
end
if left <= 0 then redis.call('DEL', KEYS[1]) end
if redis.call('INCR', KEYS[2]) == 1 then redis.call('EXPIRE', KEYS[2], ARGV[3]) end
return 0
"""
_COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return count
"""


class OneTimeCodes:
    """Codes by whom they are for: a digest of the phone number, never the number."""

    def __init__(self, client: Redis, *, key: bytes) -> None:
        """`key` is the root `one-time-code`: a digest keyed by what Valkey knows is tried through in seconds."""
        self._client = client
        self._secret = key
        self._try = client.register_script(_TRY)
        self._count = client.register_script(_COUNT)

    async def count_send(self, holder: bytes) -> None:
        """Count a request for a code, whoever it is for. Raises TooManyCodes, ValkeyUnavailable."""
        with unavailable_when_away():
            sends = await self._count(keys=[_key("sends", holder)], args=[3600])
        if sends > SENDS_HOUR:
            raise TooManyCodes(field="input.phone")

    async def issue(self, holder: bytes) -> str:
        """A new code; the one before is void. Raises ValkeyUnavailable."""
        code = f"{secrets.randbelow(1_000_000):06d}"
        key = _key("code", holder)
        with unavailable_when_away():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hset(key, mapping={"digest": self._digest(holder, code), "left": ATTEMPTS})
                pipeline.expire(key, LIFETIME_S)
                await pipeline.execute()
        return code

    async def take(self, holder: bytes, code: str) -> None:
        """Use up the code. Raises CodeNotRight, ValkeyUnavailable."""
        keys = [_key("code", holder), _key("guesses", holder)]
        with unavailable_when_away():
            right = await self._try(keys=keys, args=[self._digest(holder, code), GUESSES_HOUR, 3600])
        if not right:
            raise CodeNotRight(field="input.code")

    def _digest(self, holder: bytes, code: str) -> str:
        return hmac.digest(self._secret, b"gov-code/1\n" + holder + b"\n" + code.encode(), hashlib.sha256).hex()


def _key(kind: str, holder: bytes) -> str:
    return f"{kind}:{{{holder.hex()}}}"
