"""`gov-services gateway`: the city's front door by itself, or the engine alone over any supergraph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from gov_services.cli.failing import fail
from gov_services.cli.listening import listening, metrics_shown, run_served, serve_alone
from gov_services.kit.settings import Settings, load_settings


@click.command("gateway")
@listening
@click.option(
    "--supergraph",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Serve this supergraph instead of the city's, over the addresses that it names.",
)
@click.option("--unsafe-open", is_flag=True, help="Ask no token and set hardly any limit. For development.")
@click.option("--jwks", help="Whose tokens are taken: their JWK Set, a file or an address.")
@click.option("--issuer", help="The `iss` of their tokens.")
@click.option("--audience", help="The `aud` of their tokens.")
@click.option("--per-second", default=0.0, help="Requests a caller may make, on average; 0: as many as they like.")
@click.option("--override-labels", default="", help="Labels of progressive overrides: `new-register=20,other=100`.")
@click.option(
    "--header-rules",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Which headers go on to which subgraph; without it none do.",
)
@click.option("--metrics-port", default=0, help="Show metrics for Prometheus at /metrics of this port; 0: nowhere.")
def gateway(port: int, host: str, supergraph: Path | None, **options: Any) -> None:
    """The gateway alone, over rooms elsewhere (GOV_ROOM_URLS); with --supergraph the engine alone.

    The options after --supergraph are the engine's; the city's gateway takes its settings from the environment.
    """
    if supergraph is None:
        if any(options.values()):
            fail("only --supergraph takes these options: the city's gateway has settings, and is never open")
        run_served(_city(host, port))
        return
    if options["unsafe_open"] == bool(options["jwks"]):
        fail("--supergraph needs either --jwks, --issuer and --audience, or --unsafe-open")
    if options["jwks"] and not (options["issuer"] and options["audience"]):
        fail("--jwks needs --issuer and --audience: a token that is for anybody is for nobody")
    run_served(_alone(supergraph, host, port, options))


async def _city(host: str, port: int) -> None:
    from gov_services.cli import deployables
    from gov_services.gateway.metrics import GatewayMetrics

    metrics = GatewayMetrics()

    async def make(settings: Settings) -> Any:
        return deployables.create_gateway_app(settings, metrics)

    async with metrics_shown(load_settings().metrics_address, metrics):
        await serve_alone(make, host=host, port=port)


async def _alone(supergraph: Path, host: str, port: int, options: dict[str, Any]) -> None:
    from gov_services.crypto.jwk_sets import JwkSet, from_address, from_file
    from gov_services.gateway.headers import parse_rules
    from gov_services.gateway.issuers import IssuedTokens
    from gov_services.gateway.labels import Labels, LabelsRefused, parse_labels
    from gov_services.gateway.standalone import Standalone, create_standalone_app
    from gov_services.gateway.tracing import traces_to

    keys = tokens = None
    if options["jwks"]:
        at = options["jwks"]
        keys = JwkSet(from_address(at) if at.startswith(("http://", "https://")) else from_file(Path(at)))
        tokens = IssuedTokens(keys, issuer=options["issuer"], audience=options["audience"])
        await keys.load()
    rules = parse_rules(options["header_rules"].read_text()) if options["header_rules"] else ()
    try:
        labels = Labels(parse_labels(options["override_labels"]))
    except LabelsRefused as refused:
        fail(f"--override-labels: {refused}")
    settings = load_settings()
    alone = Standalone(
        supergraph=supergraph,
        tokens=tokens,
        per_second=options["per_second"],
        rules=rules,
        labels=labels,
        traces=traces_to(settings.traces_endpoint, ratio=settings.traces_ratio),
    )

    async def make(_: Settings) -> Any:
        return create_standalone_app(alone)

    address = f"127.0.0.1:{options['metrics_port']}" if options["metrics_port"] else ""
    async with metrics_shown(address, alone.metrics):
        await serve_alone(make, host=host, port=port)
