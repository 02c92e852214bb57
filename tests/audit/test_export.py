"""An exported log verifies without a database, and whatever is changed in it is named."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from gov_services.audit import export_files, verify_export
from gov_services.audit.checkpoint import Checkpoint, sign_checkpoint
from gov_services.audit.describe import Describer
from gov_services.audit.entry import Entry, EntryKind, EntryMalformed
from gov_services.audit.export import export
from gov_services.audit.export_files import ExportRefused
from gov_services.audit.fast_entry import require_entry
from gov_services.audit.findings import Fault
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.map_subjects import Mapper
from gov_services.audit.verify_export import ExportReport
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id

pytestmark = pytest.mark.untraced

MakeEntry = Callable[..., Entry]
RoomDatabase = Callable[[str], Database]
Verify = Callable[[], ExportReport]
SIZES = (3, 8, 2, 20)
SMALL = 8


@pytest.fixture
async def exported(
    permits_log: AuditLog,
    integrator: Integrator,
    room_database: RoomDatabase,
    make_entry: MakeEntry,
    tmp_path: Path,
    origin: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """33 entries under four checkpoints, in files of eight; one more that none covers."""
    for module in ("gov_services.audit.export", "gov_services.audit.verify_export"):
        monkeypatch.setattr(f"{module}.FILE_ENTRIES", SMALL)
    for size in SIZES:
        await permits_log.append([make_entry(request=f"r-{number}") for number in range(size)])
        await integrator.run_once()
    await permits_log.append([make_entry()])
    async with room_database("privacy").reading() as session:
        done = await export(session, tmp_path / "export", origin=origin)
    assert (done.entries, done.files, done.checkpoints) == (33, 5, 4)
    return tmp_path / "export"


@pytest.fixture
def verify(exported: Path, log_keys: VerifyKeys, origin: str, monkeypatch: pytest.MonkeyPatch) -> Verify:
    # Processes of their own read the size of a file anew; in this one it is small.
    monkeypatch.setattr(verify_export, "ProcessPoolExecutor", InThisProcess)
    return lambda: verify_export.verify_export(exported, log_keys, origin=origin)


class InThisProcess:
    def __init__(self, *_: object, **__: object) -> None:
        self.map = map

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def found(report: ExportReport) -> set[tuple[Fault, str]]:
    return {(one.fault, one.where) for one in report.findings}


def test_a_sound_export_is_found_sound(verify: Verify) -> None:
    assert verify() == ExportReport(33, 4, ())


def test_a_text_that_was_changed_is_found_by_every_checkpoint_over_it(verify: Verify, exported: Path) -> None:
    file = export_files.entries_file(exported, 8)
    file.write_text(file.read_text().replace("r-0", "r-9", 1))
    assert found(verify()) == {(Fault.HISTORY_REWRITTEN, f"checkpoint {size}") for size in (13, 33)}


@pytest.mark.parametrize(
    ("spoil", "fault", "where"),
    [
        (lambda lines: lines[:-1], Fault.ENTRY_MISSING, "entries 16 to 23"),
        (lambda lines: [*lines, lines[0]], Fault.ENTRY_MISSING, "entries 16 to 23"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], Fault.HISTORY_REWRITTEN, "checkpoint 33"),
        (lambda lines: ["", *lines[1:]], Fault.ENTRY_ALTERED, "entry 16"),
        (lambda lines: [lines[0].replace('"v":', '"w":'), *lines[1:]], Fault.ENTRY_ALTERED, "entry 16"),
        (lambda lines: ["zz" + lines[0][2:], *lines[1:]], Fault.ENTRY_ALTERED, "entry 16"),
        (lambda lines: ["00" * 32 + lines[0][64:], *lines[1:]], Fault.HISTORY_REWRITTEN, "checkpoint 33"),
        (lambda _: [], Fault.ENTRY_MISSING, "entries 16 to 23"),
    ],
)
def test_a_file_that_was_changed_is_named(
    verify: Verify, exported: Path, spoil: Callable, fault: Fault, where: str
) -> None:
    file = export_files.entries_file(exported, 16)
    lines = file.read_text().splitlines()
    file.write_text("".join(f"{line}\n" for line in spoil(lines)))
    assert (fault, where) in found(verify())


def test_a_file_that_is_gone_is_named(verify: Verify, exported: Path) -> None:
    export_files.entries_file(exported, 24).unlink()
    assert (Fault.ENTRY_MISSING, "entries 24 to 31") in found(verify())


def test_checkpoints_that_were_changed_or_cut_off_are_named(verify: Verify, exported: Path) -> None:
    path = exported / "checkpoints.txt"
    notes = path.read_text()
    path.write_text(re.sub(r"\n3\n", "\n4\n", notes, count=1))
    assert (Fault.CHECKPOINT_FORGED, "checkpoint 0 of the export") in found(verify())
    kept = notes.split(export_files.BETWEEN_NOTES)[:3]
    path.write_text("".join(f"{note}{export_files.BETWEEN_NOTES}" for note in kept))
    assert found(verify()) == {(Fault.ENTRY_MISSING, "export")}


def test_an_export_cut_off_with_its_manifest_does_not_reach_its_checkpoint(verify: Verify, exported: Path) -> None:
    manifest = exported / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "entries": 16}))
    assert {(Fault.ENTRY_MISSING, "export"), (Fault.HISTORY_REWRITTEN, "checkpoint 33")} <= found(verify())


def test_an_export_is_held_against_what_was_published_elsewhere(
    exported: Path, log_keys: VerifyKeys, log_key: SigningKey, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_export, "ProcessPoolExecutor", InThisProcess)
    notes = (exported / "checkpoints.txt").read_text().split(export_files.BETWEEN_NOTES)[:4]

    def held_against(*published: str) -> set[tuple[Fault, str]]:
        return found(verify_export.verify_export(exported, log_keys, origin=origin, published=published))

    assert held_against(*notes) == set()
    forged, forked, longer = (
        notes[1].replace("11", "12"),
        sign_checkpoint(Checkpoint(origin, 9, bytes(32)), log_key),
        sign_checkpoint(Checkpoint(origin, 34, bytes(32)), log_key),
    )
    assert held_against(forged) == {(Fault.CHECKPOINT_FORGED, "published checkpoint")}
    assert held_against(forked) == {(Fault.HISTORY_REWRITTEN, "published checkpoint 9")}
    assert held_against(longer) == {(Fault.ENTRY_MISSING, "published checkpoint 34")}


async def test_every_root_of_the_map_is_recomputed_from_an_export(
    permits_log: AuditLog,
    integrator: Integrator,
    describer: Describer,
    mapper: Mapper,
    room_database: RoomDatabase,
    administrator: Database,
    make_entry: MakeEntry,
    log_keys: VerifyKeys,
    tmp_path: Path,
    origin: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In files of eight, so that roots are stated in others than the entries that they are over."""
    for module in ("gov_services.audit.export", "gov_services.audit.verify_export"):
        monkeypatch.setattr(f"{module}.FILE_ENTRIES", SMALL)
    monkeypatch.setattr(verify_export, "ProcessPoolExecutor", InThisProcess)

    async def round_of(size: int) -> None:
        await permits_log.append([make_entry(subject_tag=bytes([number % 5]) * 16) for number in range(size)])
        for _ in range(2):
            await integrator.run_once()
            await describer.run_once()
            await mapper.run_once()

    async def verified(folder: str) -> ExportReport:
        async with room_database("privacy").reading() as session:
            await export(session, tmp_path / folder, origin=origin)
        return verify_export.verify_export(tmp_path / folder, log_keys, origin=origin)

    for size in (5, 11, 1, 20):
        await round_of(size)
    report = await verified("sound")
    assert (report.findings, report.roots) == ((), 4)

    async with administrator.writing() as session:
        await session.execute(
            text(
                "CREATE OR REPLACE FUNCTION audit.map_take(first bigint, upto bigint, codes text[], days integer[], "
                "moment timestamptz) RETURNS TABLE (number bigint, commitment bytea, tag bytea) "
                "LANGUAGE sql SECURITY DEFINER AS $$ SELECT 0::bigint, ''::bytea, ''::bytea WHERE false $$"
            )
        )
    await round_of(3)
    report = await verified("wrong")
    assert found(report) == {(Fault.MAP_CONTRADICTED, f"entry {report.entries - 1}")}


def test_what_is_no_export_is_refused(tmp_path: Path, log_keys: VerifyKeys, origin: str) -> None:
    with pytest.raises(ExportRefused):
        verify_export.verify_export(tmp_path, log_keys, origin=origin)
    (tmp_path / "manifest.json").write_text('{"v":"gov-audit-export/2","entries":0,"file_entries":1}')
    with pytest.raises(ExportRefused):
        verify_export.verify_export(tmp_path, log_keys, origin=origin)


async def test_it_is_verified_by_processes_of_their_own(
    permits_log: AuditLog,
    integrator: Integrator,
    describer: Describer,
    room_database: RoomDatabase,
    make_entry: MakeEntry,
    tmp_path: Path,
    log_keys: VerifyKeys,
    origin: str,
) -> None:
    await permits_log.append([make_entry() for _ in range(5)])
    await integrator.run_once()
    async with room_database("privacy").reading() as session:
        await export(session, tmp_path / "export", origin=origin)
        with pytest.raises(FileExistsError):
            await export(session, tmp_path / "export", origin=origin)
    report = verify_export.verify_export(tmp_path / "export", log_keys, origin=origin, processes=2)
    assert (report.entries, report.sound) == (5, True)


TEXTS = st.text(max_size=20) | st.sampled_from(["x" * 126, "长" * 167, "长" * 166, "\x00", "a\\u0000", "\x7f\x1f\b"])


@given(
    st.fixed_dictionaries(
        {},
        optional={
            **{
                name: TEXTS
                for name in ("action", "actor", "client", "purpose", "request", "room", "basis", "reason", "office")
            },
            "actor_tag": st.none() | st.binary(max_size=600),
            "case": st.none() | st.uuids(),
            "coordinates": st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
            "outcome": st.sampled_from(["allowed", "refused"]),
            "code": st.none() | TEXTS,
            "count": st.integers(0, 3),
            "at": st.datetimes(min_value=dt.datetime(2000, 1, 1), timezones=st.just(dt.UTC)),
            "roles": st.lists(TEXTS, max_size=2).map(tuple),
        },
    ),
    st.sampled_from(
        [
            (b"", b""),
            (b'"count":1', b'"count":0'),
            (b'"count":1', b'"count":1.0'),
            (b'"count":1', b'"count":true'),
            (b'"count":1', b'"count":null'),
            (b'Z"', b'+00:00"'),
            (b'Z"', b'"'),
            (b'"kind":"read"', b'"kind":"seen"'),
            (b'"v":"gov-audit/1"', b'"v":"gov-audit/2"'),
            (b'"v":"gov-audit/1"', b'"v":"gov-audit/1","w":1'),
            (b',"office":null', b""),
            (b'"roles":[]', b'"roles":[1]'),
            (b'"subject_tag":"', b'"subject_tag":"A'),
            (b'"outcome":"allowed"', b'"outcome":"refused"'),
            (b'"outcome":"allowed"', b'"outcome":"perhaps"'),
            (b",", b", "),
            (b'"id":"0', b'"id":"{0'),
        ]
    ),
)
def test_in_doubt_and_out_of_it_the_same_texts_are_entries(said: dict[str, Any], change: tuple[bytes, bytes]) -> None:
    """The fast way takes what `Entry.parse` takes, and nothing else."""
    at = dt.datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=dt.UTC)
    values: dict[str, Any] = {
        **{"id": new_id(at), "at": at, "room": "permits", "kind": EntryKind.READ, "action": "a", "actor": "system"},
        **{"actor_tag": None, "client": "", "purpose": "p", "entrance": "e", "subject_tag": bytes(16)},
        **{"outcome": "allowed", "request": "r", "parent": UUID(int=1)},
    }
    try:
        body = Entry(**{**values, **said}).canonical()
    except EntryMalformed:
        return
    body = body.replace(*change, 1)

    def takes(check: Callable[[bytes], object]) -> bool:
        try:
            check(body)
        except EntryMalformed:
            return False
        return True

    assert takes(require_entry) == takes(Entry.parse)
