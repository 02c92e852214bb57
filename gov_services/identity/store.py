"""All SQL of `identity`, one statement a function. It seals and opens nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from gov_services.crypto.columns import Sealed
from gov_services.crypto.keys import KeysUnavailable
from gov_services.identity.models import (
    BlindIndexRow,
    CitizenRow,
    ClientRow,
    DirectoryRow,
    GuardianshipRow,
    MessageRow,
    SessionRow,
    StaffRow,
)
from gov_services.kit.database import ReadSession, Session

INDEX_LAYERS = 0x676F762D69647801
"""Key of the advisory lock that whoever adds a layer to the directory holds: `gov-idx`, version 1."""
RESIDENT_NUMBER = "resident-number"
PHONE = "phone"


async def citizens(session: ReadSession, *, citizen_ids: Collection[UUID]) -> dict[UUID, CitizenRow]:
    """These citizens; unknown ids are left out."""
    query = select(CitizenRow).where(CitizenRow.citizen_id.in_(citizen_ids))
    return {row.citizen_id: row for row in (await session.execute(query)).scalars()}


async def citizen_by(session: ReadSession, *, kind: str, digests: Sequence[bytes]) -> UUID | None:
    """The citizen whom a number's digest names, in whichever of its layers. Raises KeysUnavailable."""
    found = await _named(session, kind, digests)
    if found is None:
        await index_layers(session, known=len(digests))
    return found


async def _named(session: ReadSession, kind: str, digests: Sequence[bytes]) -> UUID | None:
    query = select(DirectoryRow.citizen_id).where(DirectoryRow.kind == kind, DirectoryRow.digest.in_(digests))
    return (await session.execute(query)).scalar_one_or_none()


async def list_in_directory(
    session: Session, *, kind: str, digests: Sequence[bytes], citizen_id: UUID, now: dt.datetime
) -> bool:
    """Enter a digest into the directory; False where it names somebody already. Raises KeysUnavailable."""
    # Whoever adds a layer waits until this has been committed, or this is written in all layers there are.
    await session.execute(select(func.pg_advisory_xact_lock_shared(INDEX_LAYERS)))
    layers = await index_layers(session, known=len(digests))
    if await _named(session, kind, digests) is not None:
        return False
    statement = (
        insert(DirectoryRow)
        .values(kind=kind, digest=digests[layers - 1], layers=layers, citizen_id=citizen_id, since=now)
        .on_conflict_do_nothing()
        .returning(DirectoryRow.citizen_id)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def index_layers(session: ReadSession, *, known: int) -> int:
    """How many layers a digest gets that is written now.

    Raises KeysUnavailable where these are more than are `known` here: who is not found may stand there all the same.
    """
    layers = (await session.execute(select(BlindIndexRow.layers))).scalar_one()
    if layers > known:
        raise KeysUnavailable
    return layers


async def strike_from_directory(session: Session, *, citizen_id: UUID, kinds: Collection[str]) -> None:
    """Take a citizen's digests of these kinds out."""
    await session.execute(
        delete(DirectoryRow).where(DirectoryRow.citizen_id == citizen_id, DirectoryRow.kind.in_(kinds))
    )


async def is_listed(session: ReadSession, *, citizen_id: UUID, kind: str, digests: Sequence[bytes]) -> bool:
    """Whether the digest is that of this very citizen. Raises KeysUnavailable."""
    return await citizen_by(session, kind=kind, digests=digests) == citizen_id


async def raise_assurance(session: Session, *, citizen_id: UUID, level: int, now: dt.datetime) -> None:
    """Note a level reached; a higher one that was reached before stays."""
    await session.execute(
        update(CitizenRow)
        .where(CitizenRow.citizen_id == citizen_id, CitizenRow.assurance < level)
        .values(assurance=level, assured_at=now)
    )


async def rename_citizen(session: Session, *, citizen_id: UUID, name: Sealed) -> None:
    """Put another sealed name in place."""
    await session.execute(update(CitizenRow).where(CitizenRow.citizen_id == citizen_id).values(name=name))


async def replace_phone(session: Session, *, citizen_id: UUID, phone: Sealed) -> None:
    """Put another sealed phone number in place."""
    await session.execute(update(CitizenRow).where(CitizenRow.citizen_id == citizen_id).values(phone=phone))


async def blank_citizen(session: Session, *, citizen_id: UUID, now: dt.datetime) -> None:
    """Remove the sealed values, whose key is destroyed anyway."""
    values: dict[str, Any] = dict.fromkeys(("name", "national_id", "phone", "address", "birth_date"))
    await session.execute(update(CitizenRow).where(CitizenRow.citizen_id == citizen_id).values(erased_at=now, **values))


async def standing_guardianship(session: Session, *, child_id: UUID, guardian_id: UUID) -> GuardianshipRow | None:
    """The guardianship of one person over another that nobody ended, locked."""
    query = (
        select(GuardianshipRow)
        .where(
            GuardianshipRow.citizen_id == child_id,
            GuardianshipRow.guardian_id == guardian_id,
            GuardianshipRow.ended_at.is_(None),
        )
        .with_for_update()
    )
    return (await session.execute(query)).scalar_one_or_none()


async def guardianships_of(session: ReadSession, *, citizen_id: UUID) -> Sequence[GuardianshipRow]:
    """Every guardianship that nobody ended in which a citizen is the guardian or the child."""
    query = (
        select(GuardianshipRow)
        .where(
            or_(GuardianshipRow.citizen_id == citizen_id, GuardianshipRow.guardian_id == citizen_id),
            GuardianshipRow.ended_at.is_(None),
        )
        .order_by(GuardianshipRow.guardianship_id)
    )
    return (await session.execute(query)).scalars().all()


async def session_for_update(session: Session, *, session_id: UUID) -> SessionRow | None:
    """That session, locked; who waited for the lock sees what the one before them wrote."""
    query = select(SessionRow).where(SessionRow.session_id == session_id).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def turn_session(
    session: Session, *, session_id: UUID, generation: int, until: dt.datetime, now: dt.datetime
) -> None:
    """Go on to the next refresh token."""
    await session.execute(
        update(SessionRow)
        .where(SessionRow.session_id == session_id)
        .values(generation=generation, turned_at=now, expires_at=until)
    )


async def end_session(session: Session, *, session_id: UUID, reason: str, now: dt.datetime) -> None:
    """End one session."""
    await session.execute(
        update(SessionRow)
        .where(SessionRow.session_id == session_id, SessionRow.ended_at.is_(None))
        .values(ended_at=now, ended_for=reason)
    )


async def end_sessions_of(session: Session, *, holder_id: UUID, reason: str, now: dt.datetime) -> None:
    """End every session of a person."""
    await session.execute(
        update(SessionRow)
        .where(SessionRow.holder_id == holder_id, SessionRow.ended_at.is_(None))
        .values(ended_at=now, ended_for=reason)
    )


async def lapsed(session: ReadSession, *, sessions: dt.datetime, messages: dt.datetime) -> bool:
    """Whether a session ended or a message was sent before these moments."""
    queries = (
        select(SessionRow.session_id).where(SessionRow.expires_at <= sessions),
        select(MessageRow.message_id).where(MessageRow.sent_at <= messages),
    )
    return any([(await session.execute(query.limit(1))).first() is not None for query in queries])


async def remove_sessions(session: Session, *, before: dt.datetime, limit: int) -> int:
    """Remove sessions that had run out before a moment; how many that were."""
    old = select(SessionRow.session_id).where(SessionRow.expires_at <= before).limit(limit)
    statement = delete(SessionRow).where(SessionRow.session_id.in_(old))
    return len((await session.execute(statement.returning(SessionRow.session_id))).all())


async def remove_messages(session: Session, *, before: dt.datetime, limit: int) -> int:
    """Remove messages that were sent before a moment; how many that were."""
    old = select(MessageRow.citizen_id, MessageRow.message_id).where(MessageRow.sent_at <= before).limit(limit)
    statement = delete(MessageRow).where(tuple_(MessageRow.citizen_id, MessageRow.message_id).in_(old))
    return len((await session.execute(statement.returning(MessageRow.message_id))).all())


async def staff_by_username(session: ReadSession, *, username: str) -> StaffRow | None:
    """The member of staff of that name."""
    return (await session.execute(select(StaffRow).where(StaffRow.username == username))).scalar_one_or_none()


async def staff_for_update(session: Session, *, username: str) -> StaffRow | None:
    """The same, locked: nobody signs in under that name meanwhile."""
    query = select(StaffRow).where(StaffRow.username == username).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def enabled_staff(session: Session, *, staff_id: UUID) -> StaffRow | None:
    """The member of staff as they are now, who is disabled or changed only once this transaction has ended.

    None for one who may not sign in.
    """
    query = (
        select(StaffRow)
        .where(StaffRow.staff_id == staff_id, StaffRow.disabled_at.is_(None))
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def set_roles(session: Session, *, staff_id: UUID, roles: Sequence[str], client_id: str) -> None:
    """Give a member of staff other roles, in the front end that goes with them."""
    await session.execute(
        update(StaffRow).where(StaffRow.staff_id == staff_id).values(roles=list(roles), client_id=client_id)
    )


async def disable_staff(session: Session, *, staff_id: UUID, now: dt.datetime) -> None:
    """Let a member of staff sign in no more."""
    await session.execute(update(StaffRow).where(StaffRow.staff_id == staff_id).values(disabled_at=now))


async def staff(session: ReadSession, *, staff_id: UUID) -> StaffRow | None:
    """The member of staff of that id."""
    return await session.get(StaffRow, staff_id)


async def list_staff(session: ReadSession) -> Sequence[StaffRow]:
    """All staff, by name."""
    return (await session.execute(select(StaffRow).order_by(StaffRow.username))).scalars().all()


async def client(session: ReadSession, *, client_id: str) -> ClientRow | None:
    """The relying party of that id."""
    return await session.get(ClientRow, client_id)


async def list_clients(session: ReadSession) -> Sequence[ClientRow]:
    """All relying parties, by id."""
    return (await session.execute(select(ClientRow).order_by(ClientRow.client_id))).scalars().all()


async def client_titles(session: ReadSession, *, client_ids: Collection[str]) -> dict[str, str]:
    """What these relying parties are called; unknown ids are left out."""
    query = select(ClientRow.client_id, ClientRow.title).where(ClientRow.client_id.in_(client_ids))
    return {client_id: title for client_id, title in await session.execute(query)}


async def message(session: ReadSession, *, citizen_id: UUID, message_id: UUID) -> MessageRow | None:
    """One of a citizen's messages."""
    return await session.get(MessageRow, (citizen_id, message_id))


async def messages(session: ReadSession, *, citizen_id: UUID, before: UUID | None, limit: int) -> Sequence[MessageRow]:
    """A citizen's messages, newest first."""
    query = select(MessageRow).where(MessageRow.citizen_id == citizen_id)
    if before is not None:
        query = query.where(MessageRow.message_id < before)
    return (await session.execute(query.order_by(MessageRow.message_id.desc()).limit(limit))).scalars().all()
