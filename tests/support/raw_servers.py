"""HTTP servers of a few lines, which do with a connection what a test says, also what no server should."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from gov_services.federation.http1 import Endpoint

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """One request's body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


class Server:
    """A server that does with each connection what the test says. `connections` counts them."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.connections = 0
        self.port = 0
        self.open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.open[task] = writer
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._serve(reader, writer, self.connections)
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()
            del self.open[task]


@contextlib.asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[tuple[Server, Endpoint]]:
    server = Server(serve)
    listener = await asyncio.start_server(server, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server, Endpoint(f"http://127.0.0.1:{server.port}/graphql?a=b", accept="application/json")
    finally:
        listener.close()
        for task in list(server.open):
            task.cancel()
        await asyncio.gather(*list(server.open), return_exceptions=True)
        await asyncio.sleep(0.005)
