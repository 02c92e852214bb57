"""`gov-services serve`, `demo`, and deployables by themselves: subgraph, log, worker; `gateway.py` has the gateway."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable

import rich_click as click
from litestar import Litestar

from gov_services.cli import deployables, installation
from gov_services.cli.listening import listening, run_served, serve_alone
from gov_services.cli.rooms import SUBGRAPHS
from gov_services.kit.settings import Settings, load_settings


@click.command("serve")
@listening
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


@click.command("subgraph")
@click.argument("name", type=click.Choice(SUBGRAPHS))
@listening
def subgraph(name: str, port: int, host: str) -> None:
    """One room alone: identity, permits, payments, healthcode or privacy."""

    async def make(settings: Settings) -> Litestar:
        installation.require_database(settings)
        return await deployables.create_subgraph_app(settings, name)

    run_served(serve_alone(make, host=host, port=port))


@click.command("log")
@listening
def log(port: int, host: str) -> None:
    """The integrator, which numbers and signs, and the public log."""
    run_served(serve_alone(_over_a_database(deployables.create_log_app), host=host, port=port))


@click.command("worker")
@listening
def worker(port: int, host: str) -> None:
    """The worker: brings events and due jobs to rooms elsewhere (GOV_ROOM_URLS). The port is for its health alone."""
    run_served(serve_alone(_over_a_database(deployables.create_worker_app), host=host, port=port))


def _over_a_database(make: Callable[[Settings], Litestar]) -> Callable[[Settings], Awaitable[Litestar]]:
    """`make`, which refuses where no database is set: only `serve` and `demo` bring one."""

    async def made(settings: Settings) -> Litestar:
        installation.require_database(settings)
        return make(settings)

    return made
