"""Bringing digests that stand in tables up to a root that was added. It opens nothing: each is digested once more."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, text, update

from gov_services.crypto.blind_index import BlindIndex
from gov_services.crypto.keys import KeyRefused
from gov_services.identity.models import BlindIndexRow, DirectoryRow, GuardianshipRow
from gov_services.identity.service.guardians import DOCUMENT
from gov_services.identity.store import INDEX_LAYERS
from gov_services.kit.database import ReadSession, Session

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Progress:
    """How many digests stand, and how many of them under every root."""

    layers: int
    """That a digest gets which is written now."""
    followed_up: int
    of: int


async def progress(session: ReadSession, *, depth: int) -> Progress:
    """What stands, as whoever holds `depth` roots sees it."""
    counts = [0, 0]
    for row in (DirectoryRow, GuardianshipRow):
        query = select(func.count(), func.count().filter(row.layers >= depth)).select_from(row)
        total, done = (await session.execute(query)).one()
        counts = [counts[0] + done, counts[1] + total]
    layers = (await session.execute(select(BlindIndexRow.layers))).scalar_one()
    return Progress(layers, *counts)


async def begin(session: Session, index: BlindIndex) -> bool:
    """Have digests written from now on under every root; whether that is new. Raises KeyRefused for too few roots.

    What others are writing is written first: it is among what stands then.
    """
    await session.execute(select(func.pg_advisory_xact_lock(INDEX_LAYERS)))
    layers = (await session.execute(select(BlindIndexRow.layers))).scalar_one()
    if layers > index.depth:
        raise KeyRefused(f"digests have {layers} layers, and only {index.depth} roots are held here")
    await session.execute(update(BlindIndexRow).values(layers=index.depth))
    return layers < index.depth


async def follow_up(session: Session, index: BlindIndex) -> int:
    """Bring the next digests up to all layers, BATCH of each table at most; how many that were."""
    return await _directory(session, index) + await _guardianships(session, index)


async def _directory(session: Session, index: BlindIndex) -> int:
    query = (
        select(DirectoryRow.kind, DirectoryRow.digest, DirectoryRow.layers)
        .where(DirectoryRow.layers < index.depth)
        .limit(BATCH)
        .with_for_update()
    )
    rows = (await session.execute(query)).all()
    moved = [
        (row.kind, row.digest, index.followed_up(f"identity.directory.{row.kind}", row.digest, layers=row.layers))
        for row in rows
    ]
    statement = text(
        "UPDATE identity.directory AS one SET digest = new.digest, layers = :layers "
        "FROM unnest(CAST(:kinds AS text[]), CAST(:digests AS bytea[]), CAST(:new AS bytea[])) "
        "AS new(kind, old, digest) WHERE one.kind = new.kind AND one.digest = new.old"
    )
    if moved:
        kinds, digests, new = ([one[place] for one in moved] for place in range(3))
        values = {"layers": index.depth, "kinds": kinds, "digests": digests, "new": new}
        await session.execute(statement, values)
    return len(moved)


async def _guardianships(session: Session, index: BlindIndex) -> int:
    query = select(GuardianshipRow).where(GuardianshipRow.layers < index.depth).limit(BATCH).with_for_update()
    rows = (await session.execute(query)).scalars().all()
    for row in rows:
        row.document_digest = index.followed_up(DOCUMENT, row.document_digest, layers=row.layers)
        row.layers = index.depth
    return len(rows)
