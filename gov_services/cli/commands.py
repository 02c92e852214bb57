"""Subcommands of `gov-services`: each is a few lines over a function that tests call as well. `main.py` finds them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import rich_click as click
from sqlalchemy.ext.asyncio import AsyncConnection

from gov_services.cli import documents, graph, installation, manifest_signing
from gov_services.cli.database import drift
from gov_services.cli.failing import fail, failing_in_one_line
from gov_services.cli.settings_page import settings_page
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import create_engine
from gov_services.kit.manifest import Manifest
from gov_services.kit.manifest_statement import MOST_DAYS, Office
from gov_services.kit.settings import Settings, load_settings
from gov_services.subgraph.manifests import MANIFEST, load_manifest


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine; what we know can go wrong is told in one line."""
    with failing_in_one_line():
        return asyncio.run(work)


@click.group()
def db() -> None:
    """The database: migrating and checking."""


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema up to date and give the rooms' roles their passwords. Safe to run again."""
    settings = load_settings()
    installation.require_ready(settings)
    run(installation.migrate(settings))
    click.echo("the database is up to date")


@db.command("check")
def db_check() -> None:
    """Find drift between models and database; exits 1 when there is any."""
    settings = load_settings()
    installation.require_database(settings)

    async def compare() -> list[str]:
        engine = create_engine(settings.database_url, pool_size=1)
        try:
            async with engine.connect() as connection:
                return await _drift(connection)
        finally:
            await engine.dispose()

    found = run(compare())
    for line in found:
        click.echo(line, err=True)
    if found:
        fail(f"{len(found)} differences between the models and the database")
    click.echo("models and database agree")


async def _drift(connection: AsyncConnection) -> list[str]:
    return await connection.run_sync(drift)


@click.command("settings")
def settings_command() -> None:
    """Print every setting: what docs/settings.md holds."""
    click.echo(settings_page(), nl=False)


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("documents")
def documents_group() -> None:
    """Trusted documents: building, checking, signing."""


@documents_group.command("build")
@click.option("--above", type=click.IntRange(0), default=0, help="Give it a version higher than this one.")
def documents_build(above: int) -> None:
    """Write the manifest from the operation files. Fails when one reads what its purpose does not grant."""
    settings = load_settings()
    content = _build(settings, above=above)
    (settings.graph_directory / MANIFEST).write_bytes(content)
    manifest = Manifest.parse(content)
    click.echo(f"manifest version {manifest.version}: {len(manifest.documents)} documents")


@documents_group.command("check")
def documents_check() -> None:
    """Whether the committed manifest is what the operation files and the supergraph say; exits 1 when not."""
    settings = load_settings()
    committed = (settings.graph_directory / MANIFEST).read_bytes()
    if _build(settings) != committed:
        fail("trusted-documents.json is not what the operation files say: gov-services documents build")
    click.echo(f"{len(Manifest.parse(committed).documents)} documents, each within its purpose")


@documents_group.command("announce")
def documents_announce() -> None:
    """State in the log which documents are trusted from now on: those that were signed for this installation."""
    settings = load_settings()
    installation.require_database(settings)
    with failing_in_one_line():
        manifest = load_manifest(settings, now=SystemClock().now())
    run(installation.log_manifest(settings, manifest, clock=SystemClock()))
    click.echo(f"manifest version {manifest.version} is in the log")


@documents_group.command("changes")
@click.option("--against", type=_FILE, help="The manifest in force, where no copy of it lies here.")
@click.option("--json", "as_json", is_flag=True, help="Print what changes as JSON.")
def documents_changes(against: Path | None, as_json: bool) -> None:
    """Show what the committed manifest changes against the one in force: new and gone documents, other purposes."""
    with failing_in_one_line():
        found = manifest_signing.changes(load_settings(), against=against)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=2, ensure_ascii=False))
        return
    click.echo("\n".join(found.lines()))


@documents_group.command("sign")
@click.option("--as", "office", type=click.Choice([item.value for item in Office]), required=True, help="Who you are.")
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=MOST_DAYS - 1, help="Author: for how many days.")
@click.option("--against", type=_FILE, help="Officer: the manifest in force, where no copy of it lies here.")
@click.option("--approve", metavar="HASH", help="Officer: the hash that was shown, instead of a yes.")
def documents_sign(office: str, days: int, against: Path | None, approve: str | None) -> None:
    """Sign the committed manifest: first its author, then a compliance officer, who is shown what changes."""
    settings, now = load_settings(), SystemClock().now()
    with failing_in_one_line():
        if not settings.development:
            manifest_signing.require_one_office(settings, Office(office))
        if office == Office.AUTHOR:
            proposed = manifest_signing.propose(settings, days=days, now=now)
            click.echo(f"signed manifest version {proposed.version} as author; a compliance officer signs next")
            return
        manifest_signing.read_proposed(settings, now=now)
        seen = manifest_signing.changes(settings, against=against)
        click.echo("\n".join(seen.lines()))
        if approve is None and not click.confirm("Are these the documents to be trusted?"):
            fail("not signed")
        if approve is not None and approve != seen.hash:
            fail("not signed: what you approve is another manifest than this one")
        statement = manifest_signing.approve(settings, seen, now=now)
    click.echo(f"signed manifest version {statement.version} as officer; in force until {statement.until:%Y-%m-%d}")


def _build(settings: Settings, *, above: int = 0) -> bytes:
    path = settings.graph_directory / MANIFEST
    with failing_in_one_line():
        previous = Manifest.parse(path.read_bytes()) if path.exists() else None
        return documents.build(settings.graph_directory, previous=previous, above=above)


@click.group("purposes")
def purposes_group() -> None:
    """Purposes: putting the reviewed file in force on an installation that has none."""


@purposes_group.command("publish")
def purposes_publish() -> None:
    """Publish the reviewed purposes where no bundle is in force yet."""
    settings = load_settings()
    installation.require_database(settings)
    published = run(installation.publish_seed(settings, clock=SystemClock()))
    click.echo("published" if published else "a bundle is in force already: purposes are changed by review")


@click.group("graph")
def graph_group() -> None:
    """The graph: exporting, composing, checking, explaining."""


@graph_group.command("export")
def graph_export() -> None:
    """Write every subgraph's SDL from the code."""
    for name in graph.export(load_settings().graph_directory):
        click.echo(f"subgraphs/{name}.graphql")


@graph_group.command("compose")
def graph_compose() -> None:
    """Compose the subgraphs into the supergraph (needs Node)."""
    with failing_in_one_line():
        graph.compose(load_settings().graph_directory)
    click.echo("supergraph.graphql")


@graph_group.command("check")
@click.option(
    "--supergraph", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Another one than the city's."
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The supergraph that clients know now: tells what else would break.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def graph_check(supergraph: Path | None, against: Path | None, as_json: bool) -> None:
    """Whether the committed graph is what the code says, what a change breaks, and what personal field is not marked.

    Exits 1 where it has drifted, where a registered document breaks, or where a field looks personal and carries no
    @personal (graphql/reviewed-fields.txt holds those that were looked at). Needs no Node.
    """
    from gov_services.cli.graph_review import review

    directory = load_settings().graph_directory
    drifted = [] if supergraph is not None else graph.drift(directory)
    with failing_in_one_line():
        found = review(supergraph or directory / "supergraph.graphql", directory, against=against)
    if as_json:
        click.echo(json.dumps({"drift": drifted, **dataclasses.asdict(found)}, indent=2, ensure_ascii=False))
    else:
        for line in drifted:
            click.echo(line, err=True)
        for title, lines in (
            ("breaks a registered document", found.breaks_documents),
            ("breaks nobody who is registered", found.breaks_nobody),
            ("looks personal and carries no @personal", found.looks_personal),
        ):
            for line in lines:
                click.echo(f"{title}: {line}", err=True)
    if drifted:
        fail("the committed graph has drifted")
    if not found.is_clean:
        fail("the graph cannot be put in force as it is")
    if not as_json:
        click.echo("the committed graph is what the code says")


@graph_group.command("explain")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--supergraph", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Another one than the city's."
)
def graph_explain(file: Path, supergraph: Path | None) -> None:
    """Print how the document in FILE is planned, stage by stage."""
    from gov_services.cli.explain import explain

    with failing_in_one_line():
        click.echo(explain(supergraph or load_settings().graph_directory / "supergraph.graphql", file))
