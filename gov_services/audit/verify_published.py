"""Holding what has been published against the stored tree: no tile lost, none altered. It mends nothing.

A folder that lost some is written anew by moving it away: whoever publishes begins at the first tile then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from obstore.store import ObjectStore

from gov_services.audit.checkpoint import CheckpointRefused, open_checkpoint
from gov_services.audit.findings import Fault, Finding
from gov_services.audit.integrate import LogInconsistent
from gov_services.audit.note import NoteKey
from gov_services.audit.own_cosignature import require_own
from gov_services.audit.publish import CHECKPOINT_PATH, tile_data
from gov_services.audit.tiles import tiles_between
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.database import ReadSession


@dataclass(frozen=True, slots=True)
class PublishedTree:
    """What lies there: how many tiles, under which checkpoint, and what does not hold."""

    tiles: int
    note: str
    findings: tuple[Finding, ...]


async def verify_published(
    session: ReadSession, objects: ObjectStore, keys: VerifyKeys, *, origin: str, own: Sequence[NoteKey] = ()
) -> PublishedTree | None:
    """Compare every tile of the published checkpoint; None where nothing has been published. Raises StoreFailed.

    `own` are the log's keys by ML-DSA-44: where there is one, one has signed it.
    """
    note = await _get(objects, CHECKPOINT_PATH)
    if note is None:
        return None
    text = note.decode(errors="replace")
    try:
        checkpoint = open_checkpoint(text, keys, origin=origin)
        require_own(text, checkpoint, own)
    except CheckpointRefused as refused:
        return PublishedTree(0, text, (Finding(11, Fault.CHECKPOINT_FORGED, "published checkpoint", str(refused)),))
    findings, tiles = [], 0
    for place in tiles_between(0, checkpoint.size):
        tiles += 1
        found = await _get(objects, f"tile/{place.path}")
        try:
            expected = await tile_data(session, place)
        except LogInconsistent:
            continue  # the stored tree lacks it, which other checks tell
        if found is None:
            findings.append(Finding(11, Fault.TILE_LOST, f"tile {place.path}", "it has been published and is gone"))
        elif found != expected:
            findings.append(Finding(11, Fault.TILE_ALTERED, f"tile {place.path}", "it is not what the tree has there"))
    return PublishedTree(tiles, text, tuple(findings))


async def _get(objects: ObjectStore, path: str) -> bytes | None:
    try:
        return bytes(await (await objects.get_async(path)).bytes_async())
    except FileNotFoundError:
        return None
