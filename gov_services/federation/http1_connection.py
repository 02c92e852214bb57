"""One HTTP/1.1 connection: a request, its answer, the next. It is opened and kept by `http1`, and sends nothing twice.

Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httptools

HEAD_BYTES = 32 * 1024


class HttpFailed(Exception):
    """No whole answer came. `acted`: whether the other side may have acted on the request."""

    def __init__(self, problem: str, *, acted: bool) -> None:
        super().__init__(problem)
        self.acted = acted


class Unreachable(HttpFailed):
    """No connection, or none free."""


class TimedOut(HttpFailed):
    """The deadline passed first."""


class Cut(HttpFailed):
    """The connection ended before the answer did."""


class TooLarge(HttpFailed):
    """More came than is taken. The rest was not read."""


class Malformed(HttpFailed):
    """What came is no HTTP."""


@dataclass(slots=True, eq=False)  # a frozen one takes thrice as long to make
class HttpAnswer:
    """A whole answer. `content_type` as it was sent, empty without one."""

    status: int
    content_type: str
    body: bytes


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next."""

    def __init__(self) -> None:
        self.since = self.ends_at = 0.0
        self.used = False
        self.received = 0
        """Bytes of the answer that is on its way."""
        self._transport: Any = None
        self._parser: Any = None
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._most_bytes = self._size = self._head_size = 0
        self._parts: list[bytes] = []
        self._content_type = b""
        self._ends_with_connection = True

    @property
    def is_open(self) -> bool:
        """Whether it can be used (again)."""
        return self._transport is not None

    async def exchange(self, request: bytes, most_bytes: int) -> HttpAnswer:
        """Send a request and take its answer. Whatever goes wrong closes the connection. Raises HttpFailed."""
        if self._transport is None:
            raise Cut("the connection is closed", acted=False)
        answer: asyncio.Future[HttpAnswer] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._most_bytes, self.received = most_bytes, 0
        self._parser = httptools.HttpResponseParser(self)
        self._begin()
        self._transport.write(request)
        try:
            return await answer
        except BaseException:
            self.abort()
            raise
        finally:
            self.used = True
            self._answer = None

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _begin(self) -> None:
        self._parts = []
        self._size = self._head_size = 0
        self._content_type = b""
        self._ends_with_connection = True

    def fail(self, problem: HttpFailed) -> None:
        """End the exchange."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(problem)
        self.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.abort()  # nobody asked: what comes now belongs to no request
            return
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.fail(Malformed("the answer is no HTTP", acted=True))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is None or self._answer.done():
            return
        if self._parser.get_status_code() and self._ends_with_connection and self._head_size < 0 and exc is None:
            self._done()
        else:
            self._answer.set_exception(Cut("the connection ended before the answer", acted=True))

    # The parser's side

    def on_message_begin(self) -> None:
        """A message begins. One after the answer is nobody's, and could be taken for the next request's."""
        if self._answer is None or self._answer.done():
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the answer."""
        self._head_size += len(name) + len(value)
        if self._head_size > HEAD_BYTES:
            self.fail(TooLarge("the answer's headers are too long", acted=True))
            return
        name = name.lower()
        if name == b"content-type":
            self._content_type = value
        elif name == b"content-length":
            self._ends_with_connection = False
            if value.isdigit() and int(value) > self._most_bytes:
                self.fail(TooLarge(f"the answer is longer than {self._most_bytes} bytes", acted=True))
        elif name == b"transfer-encoding":
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_size = -1

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        self._size += len(part)
        if self._size > self._most_bytes:
            self.fail(TooLarge(f"the answer is longer than {self._most_bytes} bytes", acted=True))
        else:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was an interim one (RFC 9110 §15.2)."""
        if 100 <= self._parser.get_status_code() < 200:
            self._begin()
            return
        self._done()
        if not self._parser.should_keep_alive():
            self.abort()

    def _done(self) -> None:
        if self._answer is None or self._answer.done():
            return
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._answer.set_result(HttpAnswer(self._parser.get_status_code(), self._content_type.decode("latin-1"), body))
