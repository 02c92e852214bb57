"""The log in files, for whoever verifies it elsewhere: entries with salts, checkpoints, chains. It checks nothing.

The files are those of `audit.export_files`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gov_services.audit import store
from gov_services.audit.export_files import BETWEEN_NOTES, FILE_ENTRIES, VERSION, entries_file
from gov_services.kit.canonical import canonical_json
from gov_services.kit.database import ReadSession

BATCH = 2000


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    entries: int
    files: int
    checkpoints: int


async def export(
    session: ReadSession, target: Path, *, origin: str, tell: Callable[[int, int], None] = lambda _done, _of: None
) -> Exported:
    """Write the log, up to its newest checkpoint, into the folder `target`, which is empty or absent.

    Raises FileExistsError. It writes as it goes, and so wants a process to itself.
    """
    _prepare(target)
    size = max(0, (await store.standing(session)).signed)
    for begin in range(0, size, FILE_ENTRIES):
        end = min(begin + FILE_ENTRIES, size)
        with entries_file(target, begin).open("wb") as file:
            while begin < end:
                rows = await store.texts(session, begin=begin, limit=min(BATCH, end - begin))
                file.write(b"".join([b"%s %s\n" % (salt.hex().encode(), body) for salt, body in rows]))
                begin += len(rows)
                if not rows:
                    break
        tell(end, size)
    checkpoints = await store.checkpoints_between(session, after=-1, upto=size)
    (target / "checkpoints.txt").write_text("".join(f"{row.note}{BETWEEN_NOTES}" for row in checkpoints))
    await _write_vouchers(session, target, size)
    await _write_chains(session, target)
    manifest = {
        "v": VERSION,
        "origin": origin,
        "entries": size,
        "file_entries": FILE_ENTRIES,
        "chained_from": (await store.head(session)).chained_from,
    }
    (target / "manifest.json").write_bytes(canonical_json(manifest) + b"\n")
    return Exported(size, (size + FILE_ENTRIES - 1) // FILE_ENTRIES, len(checkpoints))


def _prepare(target: Path) -> None:
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty")
    (target / "entries").mkdir(parents=True)


async def _write_vouchers(session: ReadSession, target: Path, size: int) -> None:
    with (target / "vouchers.jsonl").open("w") as file:
        for begin in range(0, size, BATCH):
            for row in await store.vouchers(session, begin=begin, end=min(begin + BATCH, size)):
                said = {"seq": row.seq, "writer": str(row.writer), "voucher": _text(row.voucher or b"")}
                file.write(f"{json.dumps(said)}\n")


async def _write_chains(session: ReadSession, target: Path) -> None:
    writers = await store.writers(session)
    with (target / "writers.jsonl").open("w") as file:
        for one in writers:
            said = {"id": str(one.id), "room": one.room, "key_id": one.key_id, "signature": _text(one.signature)}
            file.write(f"{json.dumps(said)}\n")
    with (target / "batches.jsonl").open("w") as file:
        for one in writers:
            begin = 0
            while rows := await store.batches(session, writer=one.id, begin=begin, limit=BATCH):
                for row in rows:
                    batch = {
                        "writer": str(row.writer),
                        "number": row.number,
                        "first": row.first,
                        "items": _text(row.items),
                        "signature": _text(row.signature),
                    }
                    file.write(f"{json.dumps(batch)}\n")
                begin = rows[-1].number + 1


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
