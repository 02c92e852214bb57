"""`gov-services bench NAME`: measures, in one run and by turns, and prints medians. It changes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import rich_click as click

from gov_services.cli.listening import listen, run_served
from gov_services.kit.clock import SystemClock
from gov_services.kit.settings import load_settings

ISSUER, AUDIENCE = "https://issuer.example", "bench"


@click.group("bench")
def bench() -> None:
    """Measuring."""


@bench.command("gateway")
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="Of each gateway's turn in a round.")
@click.option("--connections", default=16, show_default=True)
@click.option("--without-peers", is_flag=True, help="Our own gateway alone; needs no Node.")
@click.option("--json", "as_json", is_flag=True, help="Print the raw figures as JSON.")
def bench_gateway(rounds: int, seconds: float, connections: int, without_peers: bool, as_json: bool) -> None:
    """Our gateway beside those in Node: one query, four replayed subgraphs, five fetches.

    Ours asks for a token, limits, counts and shows metrics; theirs are as they come. One core serves, another asks.
    """
    from gov_services.devstack.bench.measure import Run

    cores = sorted(os.sched_getaffinity(0))
    run = Run(rounds, seconds, connections, (cores[0], cores[1]) if len(cores) > 1 else None)
    figures = run_served(_gateway(run, without_peers=without_peers))
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    click.echo(_table(figures))


@bench.command("sealed")
@click.option("--rounds", default=25, show_default=True)
@click.option("--repeats", default=4000, show_default=True, help="Of each way in a round.")
@click.option("--seconds", default=2.0, show_default=True, help="Of each turn over the database.")
@click.option("--without-database", is_flag=True, help="Fields alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench_sealed(rounds: int, repeats: int, seconds: float, without_database: bool, as_json: bool) -> None:
    """A sealed field beside the bare cipher, by each suite; rows of five, and reads that the log awaits, beside plain.

    The rows are in a PostgreSQL of its own, in the runtime directory.
    """
    from gov_services.devstack.bench.sealed import measure

    figures = {"fields": measure(rounds=rounds, repeats=repeats)}
    if not without_database:
        figures["rows"] = run_served(_rows_of_five(seconds))
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    click.echo(f"{'':34}{'microseconds':>14}{'of the bare cipher':>20}")
    for name, found in figures["fields"].items():
        click.echo(f"{name:34}{found['us']:>14.2f}{found['ratio']:>20.2f}")
    if not without_database:
        rows = figures["rows"]
        click.echo(
            f"\na row found and read: {rows['row_us']} µs plain, {rows['sealed_row_of_plain']} times that sealed\n"
            f"a thousand rows: {rows['page_ms']} ms plain, {rows['sealed_page_of_plain']} times that sealed\n"
            f"reads at 64 callers: {rows['plain_reads_per_s']:,} a second plain, {rows['audited_of_plain']} of that "
            "sealed and awaited by the log"
        )


async def _rows_of_five(seconds: float) -> dict[str, float]:
    from gov_services.devstack.bench import rows
    from gov_services.devstack.bench.appending import ROOM, writing
    from gov_services.kit.database import Database, create_engine

    async with _log_of_its_own() as place, writing(place) as log:
        owner = create_engine(place.owner_url, pool_size=1)
        database = Database(place.urls[ROOM], pool_size=20)
        try:
            return await rows.measure(owner, database, log, seconds=seconds)
        finally:
            await database.close()
            await owner.dispose()


@bench.command("policy")
@click.option("--rounds", default=25, show_default=True)
@click.option("--repeats", default=2000, show_default=True, help="Decisions in a round.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench_policy(rounds: int, repeats: int, as_json: bool) -> None:
    """A decision over twenty coordinates under a consent. Needs no server."""
    from gov_services.devstack.bench.deciding import measure

    found = measure(rounds=rounds, repeats=repeats)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(
        f"{found['decision_us']} µs a decision over {found['fields']:.0f} fields, {found['given']:.0f} of them given"
    )


@bench.command("citizens")
@click.option("--sizes", default="10000,100000,1000000", show_default=True, help="Citizens at which costs are taken.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench_citizens(sizes: str, as_json: bool) -> None:
    """Registering, keys, what a decision needs and a counted reading, as the city grows; on a PostgreSQL of its own."""
    figures = run_served(_citizens(_numbers(sizes)))
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    click.echo(_rows("citizens", ("register_us", "consent_us", "keys_us", "facts_us", "reading_us"), figures))


async def _citizens(sizes: list[int]) -> dict[str, dict[str, float]]:
    from gov_services.devstack.bench.citizens import grow

    async with _log_of_its_own() as place:
        return await grow(place, sizes=sizes, tell=lambda line: click.echo(line, err=True))


@bench.command("subjects")
@click.option("--sizes", default="10000,100000,1000000", show_default=True, help="Subjects at which costs are taken.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench_subjects(sizes: str, as_json: bool) -> None:
    """The map of subjects as it grows: taking entries in, a history's proof, what it takes to store and to recompute.

    On a PostgreSQL of its own that syncs to disk, in the runtime directory.
    """
    figures = run_served(_subjects(_numbers(sizes)))
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    costs = ("one_ms", "two_hundred_ms", "pages", "prove_ms", "verify_ms", "hashes", "bytes", "stored_bytes")
    click.echo(_rows("subjects", costs, figures["growth"]))
    again = figures["recomputed"]
    click.echo(
        f"\n{again['roots']:,} roots over {again['entries']:,} entries recomputed from an export in {again['s']} s, "
        f"with everything else that is verified of it"
    )


async def _subjects(sizes: list[int]) -> dict[str, Any]:
    from gov_services.devstack.bench.subjects import grow

    async with _log_of_its_own() as place:
        return await grow(place, sizes=sizes, tell=lambda line: click.echo(line, err=True))


@bench.command("audit")
@click.option("--rounds", default=7, show_default=True)
@click.option("--seconds", default=1.5, show_default=True, help="Of each way's turn in a round.")
@click.option("--callers", default="1,8,32,64,128", show_default=True, help="How many append at once, by turns.")
@click.option("--sizes", default="10000,100000,1000000", show_default=True, help="Entries at which costs are taken.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench_audit(rounds: int, seconds: float, callers: str, sizes: str, as_json: bool) -> None:
    """Entries of the log beside a bare INSERT; how long until they are signed; what they cost as the log grows.

    On a PostgreSQL of its own that syncs to disk, in the runtime directory.
    """
    counts, steps = _numbers(callers), _numbers(sizes)
    figures = run_served(_audit(counts, rounds, seconds, steps))
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    columns = ("bare_per_s", "ours_per_s", "ratio", "p99_ms")
    click.echo(_rows("callers", columns, figures["appends"]))
    lag = figures["lag"]
    click.echo(
        f"\n{lag['callers']} callers, signed meanwhile: {lag['per_s']:,} entries a second, p99 {lag['p99_ms']} ms, "
        f"until signed p50 {lag['lag_p50_s']} s, p99 {lag['lag_p99_s']} s\n"
    )
    click.echo(_rows("entries", ("append_us", "of_a_citizen_ms", "prove_ms", "sign_ms"), figures["growth"]))
    out = figures["exported"]
    click.echo(
        f"\n{out['entries']:,} entries exported in {out['export_s']} s, verified at {out['verified_per_s']:,} a second"
    )


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part]
    except ValueError:
        raise click.BadParameter(f"{text} is no list of numbers like 1,8") from None


def _rows(first: str, columns: tuple[str, ...], figures: dict[str, dict[str, float]]) -> str:
    head = f"{first:>10}" + "".join(f"{column:>18}" for column in columns)
    return "\n".join(
        [head, *(f"{name:>10}" + "".join(f"{row[column]:>18,}" for column in columns) for name, row in figures.items())]
    )


async def _audit(callers: list[int], rounds: int, seconds: float, sizes: list[int]) -> dict[str, Any]:
    from gov_services.devstack.bench.appending import compare, grow

    def tell(line: str) -> None:
        click.echo(line, err=True)

    async with _log_of_its_own() as place:
        compared = await compare(place, callers=callers, rounds=rounds, seconds=seconds, tell=tell)
    async with _log_of_its_own() as place:
        return {**compared, **await grow(place, sizes=sizes, tell=tell)}


@contextlib.asynccontextmanager
async def _log_of_its_own() -> AsyncIterator[Any]:
    """A migrated PostgreSQL that syncs to disk, and key files, for as long as the block lasts."""
    import dataclasses

    from gov_services.cli.installation import migrate
    from gov_services.crypto.keys import init_keys
    from gov_services.devstack.bench.appending import ROOMS, Place
    from gov_services.devstack.servers import servers

    given = load_settings()
    given.runtime_directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=given.runtime_directory, prefix="bench-") as made:
        os.chmod(made, 0o711)  # noqa: S103  # PostgreSQL runs as another user where we are root
        async with servers(Path(made)) as running:
            settings = dataclasses.replace(
                given,
                database_url=running.database_url,
                valkey_url=running.valkey_url,
                secrets_directory=Path(made) / "secrets",
            )
            init_keys(settings.secrets_directory)
            await migrate(settings)
            urls = {room: settings.room_database_url(room) for room in ROOMS}
            yield Place(running.database_url, urls, settings.secrets_directory)


async def _gateway(run: Any, *, without_peers: bool) -> dict[str, Any]:
    from gov_services.devstack.bench import contestants, scenario
    from gov_services.devstack.bench.measure import measure
    from gov_services.devstack.bench.replay import Replay

    folder = load_settings().runtime_directory / "bench"
    if not without_peers:
        click.echo("the other gateways are being fetched, unless they are there", err=True)
        contestants.install_peers(folder)
    if run.cores is not None:
        os.sched_setaffinity(0, {run.cores[1]})
    listener, address = listen("127.0.0.1", 0)
    ports = [_free_port() for _ in range(5)]
    replay = Replay()
    server = await replay.serve(listener)
    with tempfile.TemporaryDirectory() as made:
        supergraph = Path(made) / "supergraph.graphql"
        supergraph.write_text(scenario.supergraph(address))
        jwks, token = _issuer(Path(made))
        asked = ("--jwks", str(jwks), "--issuer", ISSUER, "--audience", AUDIENCE, "--per-second", "1000000")
        counted = ("--metrics-port", str(ports[4]))
        ours = contestants.ours(supergraph, ports[3], *asked, *counted, headers={"authorization": f"Bearer {token}"})
        others = [] if without_peers else contestants.peers(folder, supergraph, ports[:3])
        figures = await measure([ours, *others], run, lambda line: click.echo(line, err=True))
    server.close()
    return {
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "system": platform.platform()},
        "run": {"rounds": run.rounds, "seconds": run.seconds, "connections": run.connections},
        "medians": {item.name: item.medians() for item in figures},
        "rounds": {item.name: {"requests_per_s": item.rps, "p99_ms": item.p99_ms} for item in figures},
    }


def _free_port() -> int:
    listener, address = listen("127.0.0.1", 0)
    listener.close()
    return int(address.rpartition(":")[2])


def _issuer(folder: Path) -> tuple[Path, str]:
    """A key set of an invented issuer, and a token of it that lasts an hour."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from gov_services.crypto.signing import SigningKey, VerifyKeys
    from gov_services.crypto.tokens import jwks, sign_token

    key = SigningKey(Ed25519PrivateKey.generate(), "bench")
    path = folder / "jwks.json"
    path.write_text(json.dumps(jwks(VerifyKeys({"bench": key.public_bytes}))))
    now = int(SystemClock().now().timestamp())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 3600, "sub": "bench", "scope": "read"}
    return path, sign_token(key, claims, type="at+jwt")


def _table(figures: dict[str, Any]) -> str:
    """Medians, and what ours are of theirs."""
    columns = ("requests_per_s", "p50_ms", "p99_ms", "cpu_ms_per_request", "memory_mb")
    lines = [f"{'':28}" + "".join(f"{name.replace('_', ' '):>22}" for name in columns)]
    for name, medians in figures["medians"].items():
        lines.append(f"{name:28}" + "".join(f"{medians[column]:>22}" for column in columns))
    ours, *others = figures["medians"].values()
    for name, other in zip(list(figures["medians"])[1:], others, strict=True):
        lines.append(
            f"against {name}: {ours['requests_per_s'] / other['requests_per_s']:.1f} times the requests, "
            f"{ours['p99_ms'] / other['p99_ms']:.2f} of the p99, "
            f"{ours['memory_mb'] / other['memory_mb']:.2f} of the memory"
        )
    return "\n".join(lines)
