"""`gov-services audit`: verifying the log and proving an entry, offline or against the database."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import rich_click as click
from obstore.store import ObjectStore

from gov_services.audit.export import Exported, export
from gov_services.audit.findings import lines_of
from gov_services.audit.history_proof import VERSION as HISTORY
from gov_services.audit.history_proof import HistoryEvidence, make_history_evidence, verify_history
from gov_services.audit.integrate import adopt
from gov_services.audit.proof import Evidence, EvidenceRefused, Step, make_evidence, verify_evidence
from gov_services.audit.publish import open_store
from gov_services.audit.verify import Report, Trust, verify_log
from gov_services.audit.verify_export import CHECKS as EXPORT_CHECKS
from gov_services.audit.verify_export import verify_export
from gov_services.audit.verify_export_chains import CHECKS as CHAIN_CHECKS
from gov_services.audit.verify_export_chains import exported_writers, verify_chains
from gov_services.audit.witness import Witness
from gov_services.cli.failing import fail, failing_in_one_line
from gov_services.cli.witnessing import audit_witness, seen_in
from gov_services.crypto.keys import KeyRefused
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database
from gov_services.kit.settings import Settings, load_settings


@click.group("audit")
def audit_group() -> None:
    """The log: verifying it, proving an entry."""


audit_group.add_command(audit_witness)


@audit_group.command("verify")
@click.argument("evidence", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--published",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint that was kept elsewhere, at a witness's or an auditor's. May be given several times.",
)
@click.option(
    "--export",
    "exported",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Verify an export (`audit export`) instead of the database, on all cores.",
)
@click.option(
    "--witness",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The directory of a witness (`audit witness`), which cosigns this log no more if the export does not hold.",
)
def audit_verify(
    evidence: Path | None, as_json: bool, published: tuple[Path, ...], exported: Path | None, witness: Path | None
) -> None:
    """Check the whole log in the database, or an EVIDENCE file; exits 1 when something does not hold.

    An evidence file proves one entry, or that a history leaves nothing out.

    The log is also held against what has been published, and against the checkpoints in `log/` of the runtime
    directory: neither can be rewritten by whoever keeps the database.
    """
    settings = load_settings()
    if witness is not None and exported is None:
        fail("--witness needs --export: a witness has no database")
    if evidence is not None:
        _verify_evidence(evidence, VerifyKeys.load(settings.secrets_directory, "log"), settings)
        return
    if exported is not None:
        _verify_export(exported, [path.read_text() for path in published], witness, as_json=as_json)
        return
    trust = Trust.load(settings.secrets_directory, settings.log_origin)
    kept = sorted((settings.runtime_directory / "log").glob("*.checkpoint"))
    notes = [path.read_text() for path in (*kept, *published)]
    with failing_in_one_line():
        report = asyncio.run(_verify(settings, trust, notes))
    if as_json:
        faults = [{"check": one.check, "fault": one.fault.value, "where": one.where} for one in report.findings]
        click.echo(json.dumps({"entries": report.entries, "covered": report.covered, "findings": faults}))
    else:
        for line in report.lines():
            click.echo(line)
        click.echo(f"{report.entries} entries, {report.covered} under {report.checkpoints} signed checkpoints")
    if not report.sound:
        sys.exit(1)


@audit_group.command("export")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def audit_export(directory: Path) -> None:
    """Write the log, up to its newest checkpoint, into DIRECTORY, to be verified where no database is.

    Entries hold coordinates and never values; who may read the log may read them.
    """
    settings = load_settings()
    with failing_in_one_line():
        if directory.exists() and any(directory.iterdir()):
            raise FileExistsError(f"{directory} is not empty")
        done = asyncio.run(_export(settings, directory))
    click.echo(f"{done.entries} entries in {done.files} files, {done.checkpoints} checkpoints")


@audit_group.command("adopt-log")
@click.argument("log_id", type=click.UUID)
def audit_adopt_log(log_id: UUID) -> None:
    """Have the log of that id signed as the continuation of the published checkpoint.

    For a log whose database bears another id than the one that was signed, or where the file with the id was lost.
    Its tree must continue the published one all the same. Name the id, so that it is not the database that decides.
    """
    settings = load_settings()
    adopt(settings.runtime_directory / "log", settings.log_origin, log_id)
    click.echo(f"log {log_id} is signed from now on, if it continues what was published")


@audit_group.command("prove")
@click.argument("entry_id", type=click.UUID)
def audit_prove(entry_id: UUID) -> None:
    """Print the evidence for one entry, to be checked by `audit verify FILE` or any RFC 6962 tool."""
    settings = load_settings()
    with failing_in_one_line():
        evidence = asyncio.run(_prove(settings, entry_id))
    if evidence is None:
        click.echo(f"gov-services: there is no entry {entry_id}", err=True)
        sys.exit(1)
    click.echo(evidence.to_json())


@audit_group.command("prove-history")
@click.argument("tag")
def audit_prove_history(tag: str) -> None:
    """Print the evidence that a history leaves nothing out: of the subject with that TAG, as the log writes it.

    It is as of the newest root of the map of subjects, and is checked by `audit verify FILE`.
    """
    settings = load_settings()
    try:
        subject = bytes.fromhex(tag)
    except ValueError:
        fail(f"{tag} is no tag: it is written in hexadecimal")
    with failing_in_one_line():
        evidence = asyncio.run(_prove_history(settings, subject))
    click.echo(evidence.to_json())


def _verify_evidence(path: Path, keys: VerifyKeys, settings: Settings) -> None:
    try:
        steps = _steps(path.read_text(), keys, origin=settings.log_origin)
    except EvidenceRefused as refused:
        click.echo(f"gov-services: the evidence proves nothing: {refused}", err=True)
        sys.exit(1)
    for step in steps:
        click.echo(f"{step.number}. {step.title}: {step.detail}")


def _steps(text: str, keys: VerifyKeys, *, origin: str) -> Sequence[Step]:
    """What held of evidence, of either kind. Raises EvidenceRefused."""
    if f'"v":"{HISTORY}"' in text:
        return verify_history(HistoryEvidence.from_json(text), keys, origin=origin).steps
    return verify_evidence(Evidence.from_json(text), keys, origin=origin)


def _verify_export(folder: Path, published: Sequence[str], witness: Path | None, *, as_json: bool) -> None:
    settings = load_settings()
    began = time.perf_counter()
    with failing_in_one_line():
        keys = VerifyKeys.load(settings.secrets_directory, "log")
        report = verify_export(folder, keys, origin=settings.log_origin, published=published)
        seconds = time.perf_counter() - began
        writers, unknown = _keys_of_writers(settings.secrets_directory, folder)
        chains = None if unknown else verify_chains(folder, writers)
    findings = sorted((*report.findings, *(chains.findings if chains else ())), key=lambda one: one.check)
    if as_json:
        faults = [{"check": one.check, "fault": one.fault.value, "where": one.where} for one in findings]
        click.echo(json.dumps({"entries": report.entries, "seconds": round(seconds, 3), "findings": faults}))
    else:
        left_out = (set() if published else {7}) | (set() if chains else set(CHAIN_CHECKS))
        for line in lines_of({**EXPORT_CHECKS, **CHAIN_CHECKS}, findings, left_out=left_out):
            click.echo(line)
        for room in unknown:
            click.echo(f"there is no public key of the writers of {room} here: chains are not looked at")
        if chains is not None:
            took = time.perf_counter() - began - seconds
            click.echo(
                f"{chains.batches} batches of writers, from entry {chains.chained_from} on, in {took:.1f} s more"
            )
        rate = report.entries / seconds
        made = f"{report.checkpoints} checkpoints, {report.roots} roots of the map of subjects"
        click.echo(f"{report.entries} entries, {made}, {rate:,.0f} entries a second")
    if findings:
        if witness is not None:
            reason = "".join(f"{one.fault.value} {one.where}: {one.detail}\n" for one in findings)
            Witness([], {}, seen_in(witness), SystemClock()).give_up(settings.log_origin, reason)
            click.echo(f"the witness in {witness} cosigns {settings.log_origin} no more", err=True)
        sys.exit(1)


def _keys_of_writers(secrets: Path, folder: Path) -> tuple[dict[str, VerifyKeys], list[str]]:
    """Public keys by room, and the rooms in the export whose are not here."""
    found, unknown = {}, []
    for room in exported_writers(folder):
        try:
            found[room] = VerifyKeys.load(secrets, f"writer-{room}")
        except KeyRefused:
            unknown.append(room)
    return found, unknown


async def _export(settings: Settings, target: Path) -> Exported:
    database = Database(settings.room_database_url("privacy"), pool_size=1, application="gov-services audit export")
    try:
        async with database.reading() as session:
            return await export(session, target, origin=settings.log_origin)
    finally:
        await database.close()


async def _verify(settings: Settings, trust: Trust, published: Sequence[str]) -> Report:
    database = Database(settings.room_database_url("privacy"), pool_size=1, application="gov-services audit verify")
    try:
        async with database.reading() as session:
            return await verify_log(session, trust, published=published, objects=_objects(settings))
    finally:
        await database.close()


def _objects(settings: Settings) -> ObjectStore | None:
    """Where the log is published, if it is anywhere: an auditor's machine has no such folder."""
    default = settings.runtime_directory / "log" / "tree"
    return open_store(settings.log_store, default) if settings.log_store or default.exists() else None


async def _prove(settings: Settings, entry_id: UUID) -> Evidence | None:
    database = Database(settings.room_database_url("privacy"), pool_size=1, application="gov-services audit prove")
    try:
        async with database.reading() as session:
            return await make_evidence(session, entry_id=entry_id)
    finally:
        await database.close()


async def _prove_history(settings: Settings, tag: bytes) -> HistoryEvidence:
    database = Database(settings.room_database_url("privacy"), pool_size=1, application="gov-services audit prove")
    try:
        async with database.reading() as session:
            return await make_history_evidence(session, tag=tag, opens=lambda _: True)
    finally:
        await database.close()
