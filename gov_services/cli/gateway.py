"""`gov-services gateway`: the city's front door by itself, or the engine alone over any supergraph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from gov_services.cli.failing import fail
from gov_services.cli.listening import listening, run_served, serve_alone
from gov_services.kit.settings import Settings


@click.command("gateway")
@listening
@click.option(
    "--supergraph",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Serve this supergraph instead of the city's, over the addresses that it names.",
)
@click.option("--unsafe-open", is_flag=True, help="Ask no token and take any document, with introspection.")
def gateway(port: int, host: str, supergraph: Path | None, unsafe_open: bool) -> None:
    """The gateway alone, over rooms elsewhere (GOV_ROOM_URLS); with --supergraph the engine alone."""
    if supergraph is None:
        if unsafe_open:
            fail("--unsafe-open is for --supergraph alone: the city's gateway is never open")
        run_served(serve_alone(_city, host=host, port=port))
        return
    if not unsafe_open:
        fail("--supergraph needs --unsafe-open: it asks for no token and is for development and conformance runs")
    file = supergraph

    async def alone(_: Settings) -> Any:
        from gov_services.gateway.standalone import create_open_app

        return create_open_app(file)

    run_served(serve_alone(alone, host=host, port=port))


async def _city(settings: Settings) -> Any:
    from gov_services.cli import deployables

    return deployables.create_gateway_app(settings)
