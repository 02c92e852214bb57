"""What was dropped or planted before it had a number is found from an export alone, as from the database."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gov_services.audit import log as log_module
from gov_services.audit import verify_export_chains
from gov_services.audit.entry import Entry, EntryKind, commitment
from gov_services.audit.export import export
from gov_services.audit.findings import Fault
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.verify import Trust
from gov_services.audit.verify_export import verify_export
from gov_services.audit.verify_export_chains import ChainsReport, exported_writers, verify_chains
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id

pytestmark = pytest.mark.untraced
MakeEntry = Callable[..., Entry]
LATER = dt.timedelta(minutes=3)


class InThisProcess:
    def __init__(self, *_: object, **__: object) -> None:
        self.map = map

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Auditor:
    """A log with changes in it, what its keeper does to it, and an export for somebody else."""

    def __init__(self, log: AuditLog, make_entry: MakeEntry, databases: dict[str, Database], folder: Path) -> None:
        self.log, self.make_entry, self.databases, self.folder = log, make_entry, databases, folder

    async def change(self, **said: Any) -> Entry:
        """A change, committed and listed."""
        entry = self.make_entry(kind=EntryKind.CHANGE, **said)
        before = await self.value("SELECT count(*) FROM audit.batch")
        async with self.databases["permits"].writing() as session:
            await self.log.record_change(session, entry)
        for _ in range(200):
            if await self.value("SELECT count(*) FROM audit.batch") > before:
                return entry
            await asyncio.sleep(0.01)
        raise AssertionError("it is not listed")

    async def tamper(self, *statements: str, **values: object) -> None:
        """As a superuser does who turns triggers off."""
        async with self.databases["administrator"].writing() as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                await session.execute(text(statement), values)

    async def value(self, statement: str) -> Any:
        async with self.databases["administrator"].reading() as session:
            return (await session.execute(text(statement))).scalar_one()


@pytest.fixture
async def auditor(
    permits_log: AuditLog,
    make_entry: MakeEntry,
    administrator: Database,
    room_database: Callable[[str], Database],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Auditor:
    monkeypatch.setattr(log_module, "CHANGES_LISTED_WITHIN_S", 0.01)
    monkeypatch.setattr(verify_export_chains, "ProcessPoolExecutor", InThisProcess)
    databases = {"administrator": administrator, "permits": room_database("permits")}
    made = Auditor(permits_log, make_entry, databases, tmp_path / "export")
    await permits_log.append([make_entry() for _ in range(3)])
    await made.change()
    return made


@pytest.fixture
def exported(
    auditor: Auditor,
    integrator: Integrator,
    room_database: Callable[[str], Database],
    trust: Trust,
    origin: str,
    log_keys: VerifyKeys,
) -> Callable[..., Awaitable[ChainsReport]]:
    async def exporting(spoil: Callable[[Path], None] = lambda _: None) -> ChainsReport:
        await integrator.run_once()
        async with room_database("privacy").reading() as session:
            await export(session, auditor.folder, origin=origin)
        # Whatever was done before the checkpoint, the tree alone tells nothing of it.
        assert verify_export(auditor.folder, log_keys, origin=origin, processes=1).sound
        spoil(auditor.folder)
        return verify_chains(auditor.folder, trust.writers)

    return exporting


def faults(report: ChainsReport) -> set[tuple[int, Fault]]:
    return {(one.check, one.fault) for one in report.findings}


async def test_a_sound_export_has_sound_chains(auditor: Auditor, exported: Callable) -> None:
    await auditor.log.append([auditor.make_entry()])
    report = await exported()
    assert report.findings == ()
    assert (report.chained_from, report.batches > 2) == (0, True)
    assert exported_writers(auditor.folder) == ["permits"]


async def test_a_change_planted_among_those_that_wait_is_found(auditor: Auditor, exported: Callable) -> None:
    entry, salt = auditor.make_entry(kind=EntryKind.CHANGE), bytes(32)
    for writer, voucher in ((None, None), ("(SELECT id FROM audit.writer)", bytes(64))):
        await auditor.tamper(
            "INSERT INTO audit.pending (id, salt, body, writer, voucher, placed_at) "
            f"VALUES (:id, :salt, :body, {writer or 'NULL'}, :voucher, now())",
            **{"id": entry.id, "salt": salt, "body": entry.canonical(), "voucher": voucher},
        )
        entry = auditor.make_entry(kind=EntryKind.CHANGE)
    report = await exported()
    assert faults(report) == {(10, Fault.ENTRY_PLANTED)}
    assert len(report.findings) == 2


async def test_a_change_dropped_before_it_had_a_number_is_found_a_minute_later(
    auditor: Auditor, exported: Callable
) -> None:
    dropped = await auditor.change()
    await auditor.tamper("DELETE FROM audit.pending WHERE id = :id", id=dropped.id)
    later = auditor.make_entry(id=new_id(dropped.at + LATER), at=dropped.at + LATER)
    await auditor.log.append([later])
    report = await exported()
    assert [(one.fault, one.where) for one in report.findings] == [(Fault.ENTRY_DROPPED, f"entry {dropped.id}")]


async def test_a_change_that_may_wait_still_is_not_called_dropped(auditor: Auditor, exported: Callable) -> None:
    waits = await auditor.change()
    await auditor.tamper("UPDATE audit.pending SET placed_at = placed_at WHERE id = :id", id=waits.id)
    await auditor.tamper("DELETE FROM audit.pending WHERE id = :id", id=waits.id)
    assert (await exported()).findings == ()


async def test_a_change_altered_while_it_waited_is_found(auditor: Auditor, exported: Callable) -> None:
    altered = await auditor.change()
    other = auditor.make_entry(id=altered.id, kind=EntryKind.CHANGE, request="another")
    await auditor.tamper("UPDATE audit.pending SET body = :body WHERE id = :id", id=altered.id, body=other.canonical())
    assert (10, Fault.ENTRY_PLANTED) in faults(await exported())


async def test_an_entry_put_in_the_place_of_one_that_was_answered_for_is_found(
    auditor: Auditor, exported: Callable
) -> None:
    other = auditor.make_entry(request="another")
    await auditor.tamper(
        "UPDATE audit.entry SET id = :id, body = :body, commitment = :committed, salt = :salt WHERE seq = 1",
        **{
            "id": other.id,
            "body": other.canonical(),
            "salt": bytes(32),
            "committed": commitment(other.canonical(), bytes(32)),
        },
    )
    report = await exported()
    assert faults(report) == {(10, Fault.ENTRY_PLANTED), (10, Fault.ENTRY_DROPPED)}
    assert {one.where for one in report.findings if one.fault is Fault.ENTRY_PLANTED} == {"entry 1"}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rewrite(name: str, change: Callable[[list[dict[str, Any]]], list[Any]]) -> Callable[[Path], None]:
    """Change a file of the export, line by line."""

    def spoil(folder: Path) -> None:
        path = folder / name
        path.write_text("".join(f"{json.dumps(line)}\n" for line in change(lines(path))))

    return spoil


def flipped(text_: str) -> str:
    raw = bytearray(base64.b64decode(text_))
    raw[len(raw) // 2] ^= 1
    return base64.b64encode(bytes(raw)).decode()


BATCHES, WRITERS, VOUCHERS = "batches.jsonl", "writers.jsonl", "vouchers.jsonl"
SPOILED: dict[str, tuple[Callable[[Path], None], tuple[int, Fault]]] = {
    "a bit of what a batch lists": (
        rewrite(BATCHES, lambda all_: [{**all_[0], "items": flipped(all_[0]["items"])}, *all_[1:]]),
        (9, Fault.CHAIN_BROKEN),
    ),
    "a bit of its signature": (
        rewrite(BATCHES, lambda all_: [{**all_[0], "signature": flipped(all_[0]["signature"])}, *all_[1:]]),
        (9, Fault.CHAIN_BROKEN),
    ),
    "where it begins": (
        rewrite(BATCHES, lambda all_: [{**all_[0], "first": 2000}, *all_[1:]]),
        (9, Fault.CHAIN_BROKEN),
    ),
    "the first batch gone": (rewrite(BATCHES, lambda all_: all_[1:]), (9, Fault.CHAIN_BROKEN)),
    "batches swapped": (rewrite(BATCHES, lambda all_: [all_[1], all_[0], *all_[2:]]), (9, Fault.CHAIN_BROKEN)),
    "a line that is none": (rewrite(BATCHES, lambda all_: [*all_, 1]), (9, Fault.CHAIN_BROKEN)),
    "a batch of nobody's": (
        rewrite(BATCHES, lambda all_: [*all_, {**all_[0], "writer": "1ed4e99e-b11a-4768-8435-05d1d8d9ace7"}]),
        (9, Fault.CHAIN_BROKEN),
    ),
    "no batches": (lambda folder: (folder / BATCHES).unlink(), (10, Fault.ENTRY_PLANTED)),
    "another room's writer": (
        rewrite(WRITERS, lambda all_: [{**one, "room": "payments"} for one in all_]),
        (9, Fault.CHAIN_BROKEN),
    ),
    "a room of nobody's": (
        rewrite(WRITERS, lambda all_: [{**one, "room": "x"} for one in all_]),
        (9, Fault.CHAIN_BROKEN),
    ),
    "no writers": (lambda folder: (folder / WRITERS).unlink(), (9, Fault.CHAIN_BROKEN)),
    "a bit of a voucher": (
        rewrite(VOUCHERS, lambda all_: [{**one, "voucher": flipped(one["voucher"])} for one in all_]),
        (10, Fault.ENTRY_PLANTED),
    ),
    "no vouchers": (lambda folder: (folder / VOUCHERS).unlink(), (10, Fault.ENTRY_PLANTED)),
}


@pytest.mark.parametrize("case", SPOILED)
async def test_whatever_is_changed_of_the_chains_is_found(auditor: Auditor, exported: Callable, case: str) -> None:
    spoil, fault = SPOILED[case]
    assert fault in faults(await exported(spoil))
