"""All SQL of the map of subjects, one statement a function. It decides nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, bindparam, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import BYTEA

from gov_services.audit.listing import Withheld
from gov_services.audit.models import SubjectMapRow, SubjectPageRow
from gov_services.audit.store import LEASE
from gov_services.kit.database import ReadSession, Session

MAPPING = LEASE + 3
_BYTES = ARRAY(BYTEA)
_REACH = text(
    "SELECT first, upto, due FROM audit.map_reach(CAST(:batch AS integer), CAST(:codes AS text[]), "
    "CAST(:days AS integer[]), CAST(:moment AS timestamptz))"
)
_TAKE = text(
    "SELECT tag, number, commitment FROM audit.map_take(CAST(:first AS bigint), CAST(:upto AS bigint), "
    "CAST(:codes AS text[]), CAST(:days AS integer[]), CAST(:moment AS timestamptz))"
)


@dataclass(frozen=True, slots=True)
class Reach:
    """From which number up to, not with, which the map may go on, and whether there is a reason to."""

    first: int
    upto: int
    due: bool


async def take_mapping(session: Session) -> bool:
    """Whether this transaction is the one that advances the map. Held until it ends."""
    return bool((await session.execute(select(func.pg_try_advisory_xact_lock(MAPPING)))).scalar_one())


async def withheld(session: ReadSession) -> Withheld:
    """Purposes in force that are not told at once."""
    rows = await session.execute(text("SELECT purpose, days FROM audit.withheld_purposes() ORDER BY purpose"))
    return {purpose: days for purpose, days in rows}


async def reach(session: ReadSession, withheld: Withheld, *, batch: int, at: dt.datetime) -> Reach:
    """How far the map may go on now, by `batch` entries at most."""
    row = (await session.execute(_REACH, {"batch": batch, **_rule(withheld, at)})).one()
    return Reach(row.first, row.upto, row.due)


async def take(
    session: Session, reached: Reach, withheld: Withheld, *, at: dt.datetime
) -> list[tuple[bytes, int, bytes]]:
    """(tag, number, commitment) of what is listed now, in order; what may not be told yet is kept back."""
    rows = await session.execute(_TAKE, {"first": reached.first, "upto": reached.upto, **_rule(withheld, at)})
    return [(tag, number, committed) for tag, number, committed in rows]


async def pages(session: ReadSession, prefixes: Collection[bytes]) -> dict[bytes, bytes]:
    """The stored pages of those places; there are none for the others."""
    wanted = literal(list(prefixes), _BYTES)
    query = select(SubjectPageRow.prefix, SubjectPageRow.slots).where(SubjectPageRow.prefix == func.any(wanted))
    return {prefix: slots for prefix, slots in await session.execute(query)}


async def put_pages(session: Session, changed: Mapping[bytes, bytes]) -> None:
    """Store pages, new ones and those that were there."""
    rows = text(
        "INSERT INTO audit.subject_page (prefix, slots) SELECT * FROM unnest(:prefixes, :slots) "
        "ON CONFLICT ON CONSTRAINT pk_subject_page DO UPDATE SET slots = excluded.slots"
    ).bindparams(bindparam("prefixes", type_=_BYTES), bindparam("slots", type_=_BYTES))
    await session.execute(rows, {"prefixes": list(changed), "slots": list(changed.values())})


async def standing(session: ReadSession) -> SubjectMapRow:
    """How far the stored map reaches."""
    return (await session.execute(select(SubjectMapRow))).scalar_one()


async def advance(session: Session, *, upto: int, root: bytes, entry_id: UUID) -> None:
    """State how far the stored map reaches now."""
    await session.execute(update(SubjectMapRow).values(upto=upto, root=root, entry=entry_id))


async def root_at(session: ReadSession, prefixes: Sequence[bytes]) -> tuple[SubjectMapRow, dict[bytes, bytes]]:
    """The standing and the pages of those places, of one moment: they are written together."""
    wanted = literal(list(prefixes), _BYTES)
    query = select(SubjectMapRow, SubjectPageRow.prefix, SubjectPageRow.slots).outerjoin(
        SubjectPageRow, SubjectPageRow.prefix == func.any(wanted)
    )
    rows = (await session.execute(query)).all()
    return rows[0][0], {prefix: slots for _, prefix, slots in rows if prefix is not None}


@dataclass(frozen=True, slots=True)
class ListedRow:
    """An entry that the map lists."""

    seq: int
    commitment: bytes
    salt: bytes
    body: bytes


async def listed(session: ReadSession, *, tag: bytes, upto: int) -> list[ListedRow]:
    """What the map that reaches to `upto` lists of one subject, in its order."""
    statement = text(
        "SELECT entry.seq, entry.commitment, entry.salt, entry.body FROM audit.description AS said "
        "JOIN audit.entry ON entry.seq = said.seq LEFT JOIN audit.withheld AS late ON late.seq = said.seq "
        "WHERE said.subject_tag = :tag AND said.seq < :upto "
        "AND (late.seq IS NULL OR late.listed_before < :upto) "
        "ORDER BY coalesce(late.listed_before, said.seq), late.seq IS NULL, said.seq"
    )
    return [ListedRow(*row) for row in await session.execute(statement, {"tag": tag, "upto": upto})]


async def page_digest(session: ReadSession, *, nibble: int) -> bytes | None:
    """SHA-256 over the stored pages below one slot of the root, in their order; None for no pages."""
    statement = text(
        "SELECT sha256(string_agg(prefix || slots, '' ORDER BY prefix)) FROM audit.subject_page "
        "WHERE prefix >= :low AND (CAST(:high AS bytea) IS NULL OR prefix < :high)"
    )
    high = bytes([nibble + 1])
    digest: bytes | None = (await session.execute(statement, {"low": bytes([nibble]), "high": high})).scalar_one()
    return digest


async def root_page(session: ReadSession) -> bytes | None:
    """The page that all others are below."""
    query = select(SubjectPageRow.slots).where(SubjectPageRow.prefix == b"")
    return (await session.execute(query)).scalar_one_or_none()


async def withheld_rows(session: ReadSession) -> Sequence[tuple[int, str, dt.datetime, int | None]]:
    """Everything that was ever kept back, by number: (number, purpose, moment, before which number it came in)."""
    rows = await session.execute(text("SELECT seq, purpose, at, listed_before FROM audit.withheld ORDER BY seq"))
    return [(seq, purpose, at, before) for seq, purpose, at, before in rows]


def _rule(withheld: Withheld, at: dt.datetime) -> dict[str, object]:
    return {"codes": list(withheld), "days": list(withheld.values()), "moment": at}
