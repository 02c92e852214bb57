"""A pooled HTTP/1.1 client for POST, small because a plan sends many. It knows no GraphQL and follows no redirect.

Source: RFC 9112 (messages, persistent connections), RFC 9110 §9.2.2 (what may be sent again).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from urllib.parse import urlsplit

from gov_services.federation.http1_connection import Connection, Cut, HttpAnswer, TimedOut, Unreachable

SWEEP_S = 0.1
"""How often deadlines are looked at: an answer may come so much too late."""
FRESH_S = 1.0
"""What must not be sent twice goes over a connection that was in use so lately; an older one may be closing."""


class Endpoint:
    """One address to post to, with the part of the request that never changes. Raises ValueError for another scheme."""

    def __init__(self, url: str, *, accept: str, user_agent: str = "gov-services") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is no http or https address")
        self.is_secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if self.is_secure else 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        named = host if parts.port is None else f"{host}:{parts.port}"
        lines = (
            f"POST {path} HTTP/1.1",
            f"Host: {named}",
            "Content-Type: application/json",
            f"Accept: {accept}",
            f"User-Agent: {user_agent}",
        )
        self._head = "\r\n".join(lines).encode("ascii")

    def request(self, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> bytes:
        """The request's bytes. Raises ValueError for a header that would be two."""
        if not headers:
            return b"%b\r\nContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body)
        more = b"".join([b"\r\n%b: %b" % header for header in headers])
        if more.count(b"\n") != len(headers) or more.count(b"\r") != len(headers) or b"\0" in more:
            raise ValueError("a header's value has a line break in it")
        return b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (self._head, more, len(body), body)


class HttpClient:
    """Connections to all origins. Close it when done."""

    def __init__(self, *, connections: int = 64, waiting: int = 1024, idle_s: float = 20.0) -> None:
        self._connections, self._waiting, self._idle_s = connections, waiting, idle_s
        self._pools: dict[tuple[str, int, bool], _Pool] = {}
        self._tls: ssl.SSLContext | None = None
        self._busy: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    async def post(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        deadline_s: float,
        most_bytes: int,
        is_safe: bool,
    ) -> HttpAnswer:
        """One request and its answer. `is_safe`: it may be sent again. Raises HttpFailed, ValueError."""
        pool = self._pool(endpoint)
        request = endpoint.request(headers, body)
        ends_at = time.monotonic() + deadline_s
        connection = pool.idle(is_safe=is_safe) or await self._take(pool, ends_at, is_safe=is_safe)
        was_used = connection.used
        try:
            return await self._exchange(pool, connection, request, most_bytes, ends_at)
        except Cut:
            # The other side closed an idle connection while this request was on its way.
            if not (is_safe and was_used and connection.received == 0):
                raise
        connection = await self._take(pool, ends_at, is_safe=False)
        return await self._exchange(pool, connection, request, most_bytes, ends_at)

    async def _take(self, pool: _Pool, ends_at: float, *, is_safe: bool) -> Connection:
        try:
            async with asyncio.timeout(ends_at - time.monotonic()) as limit:
                return await pool.take(is_safe=is_safe)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimedOut("no connection in time", acted=False) from None

    async def _exchange(
        self, pool: _Pool, connection: Connection, request: bytes, most_bytes: int, ends_at: float
    ) -> HttpAnswer:
        connection.ends_at = ends_at
        self._busy.add(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._end_overdue)
        try:
            return await connection.exchange(request, most_bytes)
        finally:
            self._busy.discard(connection)
            pool.give_back(connection)

    def _end_overdue(self) -> None:
        """Fail what is past its deadline. One timer for all: one for each exchange costs more than the exchange."""
        now = time.monotonic()
        for connection in [item for item in self._busy if now >= item.ends_at]:
            connection.fail(TimedOut("no answer in time", acted=True))
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._end_overdue) if self._busy else None

    def _pool(self, endpoint: Endpoint) -> _Pool:
        key = endpoint.host, endpoint.port, endpoint.is_secure
        found = self._pools.get(key)
        if found is None:
            if endpoint.is_secure and self._tls is None:
                self._tls = ssl.create_default_context()
            context = self._tls if endpoint.is_secure else None
            found = self._pools[key] = _Pool(
                endpoint.host, endpoint.port, context, self._connections, self._waiting, self._idle_s
            )
        return found

    async def aclose(self) -> None:
        """Close every connection. Requests on their way fail."""
        if self._sweep is not None:
            self._sweep.cancel()
        for pool in self._pools.values():
            pool.close()


class _Pool:
    """The connections to one origin."""

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None, connections: int, waiting: int, idle_s: float
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._free = connections
        self._waiting, self._idle_s = waiting, idle_s
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._waiters: deque[asyncio.Future[None]] = deque()

    def idle(self, *, is_safe: bool) -> Connection | None:
        """A connection that was in use lately, to use alone."""
        connection = self._idle_one(self._idle_s if is_safe else FRESH_S)
        if connection is not None:
            self._busy.add(connection)
        return connection

    async def take(self, *, is_safe: bool) -> Connection:
        """The same, or a new one; waits while there are too many."""
        while True:
            connection = self.idle(is_safe=is_safe)
            if connection is not None:
                return connection
            if self._free > 0:
                return await self._connect()
            await self._wait()

    def _idle_one(self, at_most_s: float) -> Connection | None:
        now = time.monotonic()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_open:
                self._free += 1
            elif now - connection.since > at_most_s:
                connection.abort()
                self._free += 1
            else:
                return connection
        return None

    async def _connect(self) -> Connection:
        self._free -= 1
        try:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, self._host, self._port, ssl=self._tls)
        except OSError as away:
            self._release()
            raise Unreachable(f"{type(away).__name__}", acted=False) from away
        except BaseException:
            self._release()
            raise
        self._busy.add(connection)
        return connection

    async def _wait(self) -> None:
        if len(self._waiters) >= self._waiting:
            raise Unreachable("every connection is in use, and too many wait for one", acted=False)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # what it was woken for is another's now
            raise

    def give_back(self, connection: Connection) -> None:
        """Take a connection back, to use again where it can be."""
        self._busy.discard(connection)
        if connection.is_open:
            connection.since = time.monotonic()
            self._idle.append(connection)
            self._wake()
        else:
            self._release()

    def _release(self) -> None:
        self._free += 1
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def close(self) -> None:
        """Close all of them."""
        for connection in (*self._idle, *self._busy):
            connection.abort()
        self._free += len(self._idle)
        self._idle.clear()
