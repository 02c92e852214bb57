"""Listens and serves an ASGI application until told to stop. It knows no application."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import rich_click as click
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gov_services.cli.failing import failing_in_one_line
from gov_services.gateway.metrics import GatewayMetrics, metrics_app
from gov_services.kit.settings import Settings, load_settings

SHUTDOWN_S = 20
"""How long requests in flight may take to finish once we are told to stop."""
HEADER_BYTES = 16_384
CONNECTIONS = 5_000
MESSAGE_BYTES = 1024 * 1024
"""Of a WebSocket message, before the application sees it; its own bounds are smaller."""
GC_THRESHOLD = 100_000
"""New objects before the collector looks at the youngest; a request makes a thousand or two."""
THREADS = 4
Command = TypeVar("Command", bound=Callable[..., Any])


class NotListening(Exception):
    """The port is taken, or the server ended before it answered."""


class BoundedHttp(HttpToolsProtocol):
    """Uvicorn's faster protocol, with a bound to what a request's line and headers may take, which it has none for."""

    _head_bytes = _arrived = 0
    _is_in_head = True

    def data_received(self, data: bytes) -> None:
        """Bytes of a request; more than the bound before its headers end it."""
        super().data_received(data)
        if self._is_in_head:
            self._arrived += len(data)
            if self._arrived > HEADER_BYTES and not self.transport.is_closing():
                self.send_400_response("The request's headers are too long.")

    def shutdown(self) -> None:
        """Told to stop: requests finish, but a stream of events would not; its client opens another elsewhere."""
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete and self._streams(cycle):
            self.transport.close()
        else:
            super().shutdown()

    @staticmethod
    def _streams(cycle: Any) -> bool:
        return any(name == b"accept" and b"text/event-stream" in value for name, value in cycle.scope["headers"])

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head, self._head_bytes, self._arrived = True, 0, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, whole; they may all come with the body, in one piece."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEADER_BYTES:
            raise ValueError("the headers are too long")  # the parser ends the request with 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """What follows is the body, which the application bounds."""
        self._is_in_head = False
        super().on_headers_complete()


class OwnSignals(uvicorn.Server):
    """A server that leaves signals to whoever runs it, and so exits 0 when it was told to stop."""

    def leave(self) -> None:
        """Take no more connections, let requests in flight finish, then return from `serve`."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A socket that listens, and its address; port 0 is any that is free."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as taken:
        listener.close()
        raise NotListening(f"port {port} of {host}: {taken.strerror}") from None
    return listener, f"http://{host}:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def served(
    app: Any, listener: socket.socket, *, lifespan: Literal["on", "off"] = "on", trusted_proxies: str = ""
) -> AsyncIterator[None]:
    """Serve `app` from this process for as long as the block lasts; then let requests in flight finish."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan=lifespan,
        loop="none",
        ws=WebSocketsSansIOProtocol,
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,
        server_header=False,
        http=BoundedHttp,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=SHUTDOWN_S,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies or None,
    )
    server = OwnSignals(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
                raise NotListening("the server ended before it answered")
            await asyncio.sleep(0.02)
        yield
    finally:
        server.leave()
        await task


@contextlib.asynccontextmanager
async def metrics_shown(address: str, metrics: GatewayMetrics) -> AsyncIterator[None]:
    """Show metrics at `address` (`host:port`) for as long as the block lasts; nowhere where it is empty."""
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")
    listener, _ = listen(host.strip("[]"), int(port))
    async with served(metrics_app(metrics), listener, lifespan="off"):
        yield


def spare_the_collector() -> None:
    """Leave out what was made at the start (schemas, plans, code): walking it took the slowest requests tens of ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` on Ctrl-C and SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)


def run_served(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what serves, on the faster event loop; what we know can go wrong is told in one line."""
    with failing_in_one_line(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        # Hashing a password takes 64 MiB; as many at once as a large machine has threads would be its end.
        runner.get_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        return runner.run(work)


def listening(command: Command) -> Command:
    """Give a command `--port` and `--host`."""
    port = click.option("--port", default=8000, show_default=True, help="Port to listen on.")
    host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
    return port(host(command))


async def serve_alone(make: Callable[[Settings], Awaitable[Any]], *, host: str, port: int) -> None:
    """Serve until Ctrl-C or SIGTERM, then let requests in flight finish. Exits 1 where it could not start."""
    settings = load_settings()
    app = await make(settings)  # refuses before it listens
    stop = asyncio.Event()
    stop_on_signals(stop)
    listener, _ = listen(host, port)
    async with served(app, listener, trusted_proxies=settings.trusted_proxies):
        spare_the_collector()
        await stop.wait()
