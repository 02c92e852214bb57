"""`gov-services audit witness`: what a second body runs. It needs no database, and no file of the log but its key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import rich_click as click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gov_services.audit.cosignature import Cosigner, Ed25519Cosigner, MlDsa44Cosigner
from gov_services.audit.note import NoteKey, NoteRefused
from gov_services.audit.witness import Witness, create_witness_app, logs_of
from gov_services.cli.failing import fail, failing_in_one_line
from gov_services.cli.listening import listen, listening, run_served, served, stop_on_signals
from gov_services.crypto.keys import KeyRefused, read_secret
from gov_services.kit.clock import SystemClock

KEY_FILES: dict[str, Callable[[], Ed25519PrivateKey | MLDSA44PrivateKey]] = {
    "ed25519.pem": Ed25519PrivateKey.generate,
    "ml-dsa-44.pem": MLDSA44PrivateKey.generate,
}


@click.command("witness")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", required=True, help="The witness's name, like witness.example/city: never changes.")
@click.option("--log", "logs", multiple=True, required=True, help="A log's key, as /log/key shows it.")
@listening
def audit_witness(directory: Path, name: str, logs: tuple[str, ...], port: int, host: str) -> None:
    """Serve a witness that keeps its keys and what it saw in DIRECTORY; prints its public keys.

    It cosigns a log's checkpoint if that continues the one before, and keeps the newest. For whoever keeps the log
    honest and is not whoever runs it; it needs nothing of the log but its key.
    """
    with failing_in_one_line():
        cosigners = _cosigners(directory, name)
        witness = Witness(cosigners, logs_of([_log_key(text) for text in logs]), seen_in(directory), SystemClock())
    for one in cosigners:
        click.echo(one.key)
    run_served(_serve(witness, host=host, port=port))


async def _serve(witness: Witness, *, host: str, port: int) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    listener, address = listen(host, port)
    async with served(create_witness_app(witness), listener):
        click.echo(f"witnessing at {address}", err=True)
        await stop.wait()


def seen_in(directory: Path) -> Path:
    """Where a witness keeps what it saw of each log."""
    return directory / "seen"


def _log_key(text: str) -> NoteKey:
    try:
        return NoteKey.parse(text)
    except NoteRefused as refused:
        fail(f"--log {text}: {refused}")


def _cosigners(directory: Path, name: str) -> list[Cosigner]:
    """The witness's keys, made where there are none. Raises KeyRefused."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file, generate in KEY_FILES.items():
        path = directory / file
        if not path.exists():
            text = generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as written:
                written.write(text)
    classical = load_pem_private_key(read_secret(directory / "ed25519.pem").encode(), None)
    quantum_safe = load_pem_private_key(read_secret(directory / "ml-dsa-44.pem").encode(), None)
    if not isinstance(classical, Ed25519PrivateKey) or not isinstance(quantum_safe, MLDSA44PrivateKey):
        raise KeyRefused(f"the keys in {directory} are of other kinds than their names say")
    return [Ed25519Cosigner(name, classical), MlDsa44Cosigner(name, quantum_safe)]
