"""`gov-services keys`: making what is missing, adding, handing out, rotating and retiring keys. It knows no format."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

import rich_click as click

from gov_services.cli import index_upkeep, key_calendar, key_upkeep
from gov_services.cli.failing import fail, failing_in_one_line
from gov_services.cli.key_making import make_missing, operator_keys
from gov_services.cli.key_sets import KEY_SETS, export_keys, place_keys
from gov_services.crypto import blind_index
from gov_services.crypto.keys import DataClass, add_signing_key
from gov_services.kit.clock import SystemClock
from gov_services.kit.settings import Settings, load_settings

CLASSES = tuple(item.value for item in DataClass)


@click.group()
def keys() -> None:
    """Keys: making what is missing, adding, handing each deployable its own, rotating and retiring."""


@keys.command("init")
@click.option("--sm", is_flag=True, help="Seal by SM4-GCM, wrap by SM4 and find by HMAC-SM3 (GB/T 39786).")
def keys_init(sm: bool) -> None:
    """Make every key and database password that is not there yet. Never overwrites."""
    settings = load_settings()
    with failing_in_one_line():
        made = make_missing(settings, sm=sm)
    for name in made:
        click.echo(f"made {name}")
    click.echo(f"{len(made)} made in {settings.secrets_directory}")


@keys.command("export")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--for", "deployable", type=click.Choice(tuple(KEY_SETS)), required=True, help="Who needs them.")
def keys_export(directory: Path, deployable: str) -> None:
    """Copy the key files that one deployable needs into DIRECTORY, flat: what a Secret is made of."""
    with failing_in_one_line():
        names = export_keys(load_settings().secrets_directory, deployable, directory)
    click.echo(f"{len(names)} files for {deployable} in {directory}")


@keys.command("place")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def keys_place(directory: Path) -> None:
    """Put an exported set from DIRECTORY in place, readable for us alone."""
    settings = load_settings()
    with failing_in_one_line():
        placed = place_keys(directory, settings.secrets_directory)
    click.echo(f"{len(placed)} key files in {settings.secrets_directory}")


@keys.command("add")
@click.argument("name")
@click.option("--sm", is_flag=True, help="A key-encryption key that wraps by SM4 and has SM4-GCM seal.")
def keys_add(name: str, sm: bool) -> None:
    """Add a key NAME beside the old ones: a signing key, kek/CLASS, or blind-index.

    The newest signs or wraps, all serve. Digests of blind indexes are made under each root in turn: none may go.
    """
    settings = load_settings()
    kind, _, data_class = name.partition("/")
    with failing_in_one_line():
        if kind == "kek" and data_class in CLASSES:
            one = DataClass(data_class)
            # The name of a key that was retired would be taken by no database again.
            above = asyncio.run(key_upkeep.highest_retired(settings, one)) if settings.database_url else 0
            click.echo(operator_keys(settings, [one]).add(one, sm=sm, above=above))
        elif name == blind_index.NAME:
            click.echo(blind_index.add_root(settings.secrets_directory, sm=sm))
        elif sm:
            fail("only key-encryption keys (kek/CLASS) and blind-index serve by SM4 and SM3")
        else:
            click.echo(add_signing_key(settings.secrets_directory, name))


@keys.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def keys_status(as_json: bool) -> None:
    """Show of every class which key-encryption keys there are, and how many data keys each wraps."""
    settings = load_settings()
    with failing_in_one_line():
        found = asyncio.run(key_upkeep.status(settings))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in found]))
        return
    for one in found:
        what = "wraps" if one.newest else "retired" if one.retired else "older"
        lacks = "" if one.held or one.retired else ", NOT HELD HERE"
        counts = f"{one.keys} of {one.of} keys, {one.destroyed} destroyed{lacks}"
        click.echo(f"{one.kek_id:20} {one.provider:7} {one.suite:12} {what:8} {counts}")
    if not (settings.secrets_directory / blind_index.NAME).exists():
        return  # whoever keeps key-encryption keys need not hold these
    with failing_in_one_line():
        depth, standing = asyncio.run(index_upkeep.status(settings))
    roots = f"{depth} roots, digests written under {standing.layers} of them"
    click.echo(f"{blind_index.NAME}: {roots}; {standing.followed_up} of {standing.of} are under all")


@keys.command("rotate")
@click.argument("data_class", metavar="[CLASS]", required=False, type=click.Choice((*CLASSES, blind_index.NAME)))
@click.option("--due", is_flag=True, help="Of every class: make, wrap anew, retire and destroy what is due.")
@click.option("--json", "as_json", is_flag=True, help="Print what it came to as JSON.")
def keys_rotate(data_class: str | None, due: bool, as_json: bool) -> None:
    """Wrap every data key of CLASS under its newest key-encryption key, while all serves. Ended, it is begun again.

    With `blind-index`, digest every digest once more under a root that was added, once each process of identity has it.

    With --due and no CLASS, keep the calendar (GOV_KEK_EPOCH_DAYS, GOV_KEK_GRACE_DAYS): once a day, whatever it finds.
    """
    if due == (data_class is not None):
        fail("name a CLASS, or say --due")
    settings = load_settings()
    if data_class is None:
        _keep_calendar(settings, as_json=as_json)
        return
    if data_class == blind_index.NAME:
        _follow_up(settings, as_json=as_json)
        return
    with failing_in_one_line():
        done = asyncio.run(key_upkeep.rotate(settings, DataClass(data_class), clock=SystemClock(), tell=_told))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done)))
        return
    click.echo(f"{done.rewrapped} of {done.seen} data keys wrapped anew, all under {done.newest}")


def _follow_up(settings: Settings, *, as_json: bool) -> None:
    def tell(done: int, total: int) -> None:
        click.echo(f"{done} of {total} digests followed up", err=True)

    with failing_in_one_line():
        done = asyncio.run(index_upkeep.rotate(settings, clock=SystemClock(), tell=tell))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done)))
        return
    click.echo(f"{done.followed_up} of {done.of} digests are under {done.layers} roots")


def _keep_calendar(settings: Settings, *, as_json: bool) -> None:
    with failing_in_one_line():
        kept = asyncio.run(key_calendar.keep(settings, clock=SystemClock(), tell=_told))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in kept]))
    else:
        for one in kept:
            click.echo(_line_of(one))
    problems = [f"{one.data_class}: {one.problem}" for one in kept if one.problem]
    if problems:
        fail("; ".join(problems))


def _line_of(kept: key_calendar.Kept) -> str:
    parts = [f"{kept.newest} {'was made' if kept.made else 'wraps'}, the newest since {kept.since}"]
    if kept.waits_for:
        parts.append(f"waits for {', '.join(kept.waits_for)}")
    if kept.rewrapped:
        parts.append(f"{kept.rewrapped} data keys wrapped anew")
    parts += [f"retired {kek_id}" for kek_id in kept.left]
    parts += [f"destroyed {kek_id}" for kek_id in kept.destroyed]
    return f"{kept.data_class}: {'; '.join(parts)}"


def _told(seen: int, rewrapped: int, total: int) -> None:
    click.echo(f"{seen} of {total} looked at, {rewrapped} wrapped anew", err=True)


@keys.command("retire")
@click.argument("data_class", metavar="CLASS", type=click.Choice(CLASSES))
def keys_retire(data_class: str) -> None:
    """Destroy all key-encryption keys of CLASS but the newest, once no data key is wrapped under them.

    Dumps made before open nothing from then on, once the backups of these keys are destroyed as well.
    """
    settings = load_settings()
    with failing_in_one_line():
        destroyed = asyncio.run(key_upkeep.retire(settings, DataClass(data_class), clock=SystemClock()))
    for kek_id in destroyed:
        click.echo(f"destroyed {kek_id}")
    if not destroyed:
        click.echo(f"{data_class} has one key-encryption key here, and it wraps")


@keys.command("shred")
@click.argument("kek_id", metavar="KEY")
@click.option("--json", "as_json", is_flag=True, help="Print what was destroyed as JSON.")
def keys_shred(kek_id: str, as_json: bool) -> None:
    """Destroy one key-encryption KEY, as `health/0001`. Refused while it wraps new keys, or still wraps any."""
    settings = load_settings()
    with failing_in_one_line():
        destroyed = asyncio.run(key_upkeep.shred(settings, kek_id, clock=SystemClock()))
    if as_json:
        click.echo(json.dumps({"destroyed": destroyed}))
        return
    for one in destroyed:
        click.echo(f"destroyed {one}")
    if not destroyed:
        click.echo(f"{kek_id} was destroyed before")
