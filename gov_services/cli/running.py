"""Runs the whole system: starts what is not given, prepares it, serves, stops what it started. It wires no room."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import rich_click as click
import uvicorn

from gov_services.cli import installation
from gov_services.cli.accounts import SampleAccounts, make_sample_accounts
from gov_services.cli.serve import create_app, create_site
from gov_services.devstack.journey.play import play
from gov_services.devstack.sandboxes import Sandboxes, sandboxes
from gov_services.devstack.servers import servers
from gov_services.kit.clock import SystemClock
from gov_services.kit.manifest import Manifest
from gov_services.kit.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """A system that answers."""

    url: str
    settings: Settings
    accounts: SampleAccounts
    sandboxes: Sandboxes
    manifest: Manifest


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def system(
    settings: Settings, *, host: str = "127.0.0.1", port: int = 0, tell: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Running]:
    """A development system: servers unless they are given, sandboxes, sample accounts, everything served."""
    async with contextlib.AsyncExitStack() as stack:
        data = settings.runtime_directory
        data.mkdir(parents=True, exist_ok=True)
        addresses = await stack.enter_async_context(
            servers(data, database_url=settings.database_url, valkey_url=settings.valkey_url)
        )
        tell("PostgreSQL and Valkey answer")
        settings = dataclasses.replace(
            settings, database_url=addresses.database_url, valkey_url=addresses.valkey_url, environment="development"
        )
        around = await stack.enter_async_context(sandboxes(settings))
        settings = around.settings
        clock = SystemClock()
        manifest = await installation.prepare(settings, clock=clock)
        tell(f"the schema is up to date, {len(manifest.documents)} trusted documents are signed")
        socket = _listen(host, port)
        actual = socket.getsockname()[1]
        if port == 0:
            settings = dataclasses.replace(settings, public_url=f"http://{host}:{actual}")
        site = await create_site(settings, clock=clock)
        accounts = await make_sample_accounts(settings, site)
        config = uvicorn.Config(
            create_app(site), log_level="warning", access_log=False, lifespan="on", loop="none", ws="none"
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[socket]))
        url = f"http://{host}:{actual}"
        try:
            await _answers(url, task)
            yield Running(url, settings, accounts, around, manifest)
        finally:
            server.should_exit = True
            await task


def _listen(host: str, port: int) -> Any:
    import socket

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


async def _answers(url: str, task: asyncio.Task[None]) -> None:
    async with httpx.AsyncClient(timeout=1) as client:
        for _ in range(200):
            if task.done():
                task.result()
                raise installation.NotInstalled("the server ended before it answered")
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"{url}/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
    raise installation.NotInstalled("the server does not answer")


async def serve_forever(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    if workers != 1:
        raise installation.NotInstalled("one process serves everything; more of them come with `gov-services subgraph`")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with system(settings, host=host, port=port, tell=click.echo) as running:
        click.echo(f"serving on {running.url}/graphql (Ctrl-C ends it)")
        for line in running.accounts.lines():
            click.echo(line)
        await stop.wait()


async def play_demo(settings: Settings, *, quiet: bool) -> tuple[list[dict[str, Any]], bool]:
    """Play the journey against a system of its own; the steps, and whether all were complete."""
    tell: Callable[[str], None] = (lambda _: None) if quiet else click.echo
    # A town of its own, new at each run: the story ends with a purpose narrowed and a citizen erased.
    demo = Path(settings.runtime_directory) / "demo"
    shutil.rmtree(demo, ignore_errors=True)
    settings = dataclasses.replace(settings, runtime_directory=demo, secrets_directory=demo / "secrets")
    async with system(settings, tell=tell) as running:
        return await play(
            running.url,
            manifest=running.manifest,
            staff=running.accounts.staff,
            clients=running.accounts.clients,
            providers_url=running.sandboxes.providers_url,
            channel_url=running.sandboxes.channel_url,
            tell=tell,
        )
