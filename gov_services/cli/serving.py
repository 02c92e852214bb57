"""`gov-services serve`, `demo`, and each deployable by itself: gateway, subgraph, log, worker."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import rich_click as click
import uvloop
from litestar import Litestar

from gov_services.cli import deployables, installation
from gov_services.cli.failing import failing_in_one_line
from gov_services.cli.rooms import SUBGRAPHS
from gov_services.cli.running import listen, served, stop_on_signals
from gov_services.kit.settings import Settings, load_settings

THREADS = 4
Command = TypeVar("Command", bound=Callable[..., Any])


def run_served(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what serves, on the faster event loop; what we know can go wrong is told in one line."""
    with failing_in_one_line(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        # Hashing a password takes 64 MiB; as many at once as a large machine has threads would be its end.
        runner.get_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        return runner.run(work)


def _listening(command: Command) -> Command:
    port = click.option("--port", default=8000, show_default=True, help="Port to listen on.")
    host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
    return port(host(command))


@click.command("serve")
@_listening
def serve(port: int, host: str) -> None:
    """Everything in one process; without DATABASE_URL and VALKEY_URL on servers of its own.

    A development system with sandboxes and sample accounts, unless GOV_ENV says `production`: then it needs an
    installation that is ready, and makes nothing.
    """
    from gov_services.cli.running import serve_forever

    run_served(serve_forever(load_settings(), host=host, port=port))


@click.command("demo")
@click.option("--json", "as_json", is_flag=True, help="Print what came back as JSON.")
@click.option("--apart", is_flag=True, help="Each deployable in a process of its own, as in production.")
def demo(as_json: bool, apart: bool) -> None:
    """Play the citizen's journey over HTTP, against real servers, and stop what was started."""
    from gov_services.cli.demo import play_demo

    steps, complete = run_served(play_demo(load_settings(), quiet=as_json, apart=apart))
    if as_json:
        click.echo(json.dumps(steps, ensure_ascii=False, indent=2))
    if not complete:
        sys.exit(1)


@click.command("gateway")
@_listening
def gateway(port: int, host: str) -> None:
    """The gateway alone, over rooms elsewhere (GOV_ROOM_URLS)."""

    async def make(settings: Settings) -> Litestar:
        return deployables.create_gateway_app(settings)

    run_served(_serve_alone(make, host=host, port=port))


@click.command("subgraph")
@click.argument("name", type=click.Choice(SUBGRAPHS))
@_listening
def subgraph(name: str, port: int, host: str) -> None:
    """One room alone: identity, permits, payments, healthcode or privacy."""

    async def make(settings: Settings) -> Litestar:
        installation.require_database(settings)
        return await deployables.create_subgraph_app(settings, name)

    run_served(_serve_alone(make, host=host, port=port))


@click.command("log")
@_listening
def log(port: int, host: str) -> None:
    """The integrator, which numbers and signs, and the public log."""
    run_served(_serve_alone(_over_a_database(deployables.create_log_app), host=host, port=port))


@click.command("worker")
@_listening
def worker(port: int, host: str) -> None:
    """The worker: brings events and due jobs to rooms elsewhere (GOV_ROOM_URLS). The port is for its health alone."""
    run_served(_serve_alone(_over_a_database(deployables.create_worker_app), host=host, port=port))


def _over_a_database(make: Callable[[Settings], Litestar]) -> Callable[[Settings], Awaitable[Litestar]]:
    """`make`, which refuses where no database is set: only `serve` and `demo` bring one."""

    async def made(settings: Settings) -> Litestar:
        installation.require_database(settings)
        return make(settings)

    return made


async def _serve_alone(make: Callable[[Settings], Awaitable[Litestar]], *, host: str, port: int) -> None:
    """Serve until Ctrl-C or SIGTERM, then let requests in flight finish. Exits 1 where it could not start."""
    settings = load_settings()
    app = await make(settings)  # refuses before it listens
    stop = asyncio.Event()
    stop_on_signals(stop)
    listener, _ = listen(host, port)
    async with served(app, listener, trusted_proxies=settings.trusted_proxies):
        await stop.wait()
