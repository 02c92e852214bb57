"""Runs the whole system in this process: starts what is not given, prepares it, serves, stops what it started."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable

import httpx
import rich_click as click

from gov_services.cli import installation
from gov_services.cli.accounts import SampleAccounts, make_sample_accounts
from gov_services.cli.listening import listen, metrics_shown, served, spare_the_collector, stop_on_signals
from gov_services.cli.serve import Site, create_app, create_site
from gov_services.crypto.keys import KeyRefused
from gov_services.devstack.sandboxes import Sandboxes, sandboxes
from gov_services.devstack.servers import servers
from gov_services.kit.clock import SystemClock
from gov_services.kit.errors import Unavailable
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


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """Servers and sandboxes that answer, and a database that is ready to be served from."""

    settings: Settings
    sandboxes: Sandboxes
    manifest: Manifest


@contextlib.asynccontextmanager
async def prepared(settings: Settings, *, tell: Callable[[str], None]) -> AsyncIterator[Prepared]:
    """Servers unless they are given, sandboxes, schema, keys, signed documents, purposes in force."""
    settings.secrets_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        manifest = await installation.prepare(around.settings, clock=SystemClock())
        tell(f"the schema is up to date, {len(manifest.documents)} trusted documents are signed")
        yield Prepared(around.settings, around, manifest)


@contextlib.asynccontextmanager
async def system(
    settings: Settings, *, host: str = "127.0.0.1", port: int = 0, tell: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Running]:
    """A development system: what `prepared` makes, sample accounts, and everything served from this process."""
    async with prepared(settings, tell=tell) as ready:
        listener, url = listen(host, port)
        settings = ready.settings
        if port == 0 or settings.public_url == Settings().public_url:
            settings = dataclasses.replace(settings, public_url=url)
        with contextlib.closing(listener):
            site = await site_with_right_keys(settings)
            accounts = await make_sample_accounts(settings, site.rooms["identity"])
            async with (
                metrics_shown(settings.metrics_address, site.gateway.metrics),
                served(create_app(site), listener),
            ):
                await _answers(url)
                yield Running(url, settings, accounts, ready.sandboxes, ready.manifest)


async def site_with_right_keys(settings: Settings) -> Site:
    """Everything wired, once the keys are known to be this database's own. Raises NotInstalled, KeysUnavailable."""
    site = await create_site(settings)
    for room in site.rooms.values():
        try:
            await room.require_right_keys()
        except KeyRefused as wrong:
            await site.close()
            raise installation.NotInstalled(
                f"the keys in {settings.secrets_directory} are not those of this database; put its own back"
            ) from wrong
        except Unavailable:
            await site.close()
            raise
    return site


async def _answers(url: str) -> None:
    async with httpx.AsyncClient(timeout=1) as client:
        for _ in range(200):
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"{url}/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
    raise installation.NotInstalled("the server does not answer")


async def serve_forever(settings: Settings, *, host: str, port: int) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    if settings.environment == "production":
        await _serve_installation(settings, host=host, port=port)
        return
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with system(settings, host=host, port=port, tell=click.echo) as running:
        click.echo(f"serving on {running.url}/graphql (Ctrl-C ends it)")
        click.echo(f"text messages to a phone: {running.sandboxes.providers_url}/sms/+86<phone>")
        for line in running.accounts.lines():
            click.echo(line)
        spare_the_collector()
        await stop.wait()


async def _serve_installation(settings: Settings, *, host: str, port: int) -> None:
    """Serve what was installed: no sandbox, no sample account, no key or schema made on the way."""
    installation.require_ready(settings)
    installation.require_valkey(settings)
    await installation.require_newest_manifest(settings, clock=SystemClock())
    stop = asyncio.Event()
    stop_on_signals(stop)
    listener, url = listen(host, port)
    with contextlib.closing(listener):
        site = await site_with_right_keys(settings)
        async with (
            metrics_shown(settings.metrics_address, site.gateway.metrics),
            served(create_app(site), listener, trusted_proxies=settings.trusted_proxies),
        ):
            click.echo(f"serving on {url}/graphql, in production")
            spare_the_collector()
            await stop.wait()
