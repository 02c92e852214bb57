"""Guardians of under-14s: noted and ended by an officer who saw a document, never by the guardian (PIPL 31)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from gov_services.consent import guardian_store
from gov_services.consent.purposes import Relation
from gov_services.crypto import blind_index
from gov_services.identity import resident_number, store
from gov_services.identity.models import GuardianshipRow
from gov_services.identity.ports import IdentityPorts
from gov_services.identity.service import childhoods, citizens
from gov_services.identity.service.accounts import filled_in
from gov_services.kit.clock import local_day
from gov_services.kit.errors import UserError
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import Outcome, commit, log_refusal

ADULT = 18
LONGEST_NUMBER = 60
DOCUMENT = "identity.guardianship.document"
"""The blind index of document numbers."""


class GuardianDocument(StrEnum):
    """What an officer sees before noting a guardian."""

    HOUSEHOLD_REGISTER = "household-register"
    """户口簿."""
    BIRTH_CERTIFICATE = "birth-certificate"
    """出生医学证明."""
    COURT_DECISION = "court-decision"
    """Where a court named the guardian (民法典 31)."""


class NotUnderFourteen(UserError):
    """The child has turned fourteen and decides alone."""

    code = "NOT_UNDER_FOURTEEN"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该公民已满十四周岁,由本人决定。",
        "en": "They have turned fourteen, and decide themselves.",
    }


class GuardianNotAdult(UserError):
    """A guardian is of age."""

    code = "GUARDIAN_NOT_ADULT"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "监护人须年满十八周岁。",
        "en": "A guardian is eighteen or older.",
    }


class LinkedAlready(UserError):
    """The guardian is noted already."""

    code = "LINKED_ALREADY"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该监护关系已登记。",
        "en": "This guardian is noted already.",
    }


class NotLinked(UserError):
    """There is no such guardian."""

    code = "NOT_LINKED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "没有登记这样的监护关系。",
        "en": "No such guardian is noted.",
    }


@dataclass(frozen=True, slots=True)
class Pair:
    """A guardian and a child, as found by their numbers."""

    guardian_id: UUID
    child_id: UUID
    born: dt.date
    """The child."""


async def link_guardian(
    ctx: ReadContext[IdentityPorts],
    *,
    guardian_number: str,
    child_number: str,
    document: GuardianDocument,
    document_number: str,
) -> Outcome[UUID]:
    """Note who is guardian of a child, from a document that the officer has seen; both are told.

    Both are found by their full numbers, each counted. It ends by itself once the child has turned fourteen. The errors
    are NotFilledIn, NotAResidentNumber, NotUnderFourteen, GuardianNotAdult, LinkedAlready. Raises as `find_citizen`.
    """
    try:
        seen = filled_in(document_number, field="input.documentNumber", most=LONGEST_NUMBER)
        pair = await _find(ctx, guardian_number=guardian_number, child_number=child_number)
    except UserError as error:
        return await _refused(ctx, error)
    digest = ctx.ports.index.of(DOCUMENT, seen, normalize=blind_index.exact)
    return await commit(ctx, _link, pair=pair, document=document, digest=digest)


async def end_guardian(ctx: ReadContext[IdentityPorts], *, guardian_number: str, child_number: str) -> Outcome[UUID]:
    """End a guardian's relation before its time, for the reason that the officer states; both are told.

    What they consented to for the child opens nothing from then on. The errors are as above, and NotLinked.
    """
    try:
        pair = await _find(ctx, guardian_number=guardian_number, child_number=child_number)
    except UserError as error:
        return await _refused(ctx, error)
    return await commit(ctx, _end, pair=pair)


async def list_wards(ctx: ReadContext[IdentityPorts]) -> Sequence[citizens.Known]:
    """The children under fourteen whose guardian the citizen who asks is; each is decided and logged."""
    guardian_id = ctx.citizen_id()
    await ctx.disclosures.require_listing("wards")
    async with ctx.reading() as session:
        rows = await store.guardianships_of(session, citizen_id=guardian_id)
        ids = [row.citizen_id for row in rows if row.guardian_id == guardian_id]
        children = await guardian_store.children(session, citizen_ids=ids, now=ctx.now)
    return [await citizens.read_citizen(ctx, citizen_id=child_id) for child_id in ids if child_id in children]


async def _find(ctx: ReadContext[IdentityPorts], *, guardian_number: str, child_number: str) -> Pair:
    today = local_day(ctx.now)
    found = []
    for number, field in ((guardian_number, "input.guardianNationalId"), (child_number, "input.childNationalId")):
        known = await citizens.find_citizen(ctx, national_id=number, field=field)
        assert known.row is not None
        found.append((known.row.citizen_id, resident_number.parse(number, today=today, field=field).birth_date))
    (guardian_id, guardian_born), (child_id, child_born) = found
    if resident_number.age_on(child_born, today) >= childhoods.FOURTEEN:
        raise NotUnderFourteen(field="input.childNationalId")
    if resident_number.age_on(guardian_born, today) < ADULT:
        raise GuardianNotAdult(field="input.guardianNationalId")
    return Pair(guardian_id, child_id, child_born)


async def _refused(ctx: ReadContext[IdentityPorts], error: UserError) -> Outcome[UUID]:
    if not error.logged:
        await log_refusal(ctx, error)
    return Outcome(None, (error,))


async def _link(ctx: WriteContext[IdentityPorts], *, pair: Pair, document: GuardianDocument, digest: bytes) -> UUID:
    standing = await store.standing_guardianship(ctx.session, child_id=pair.child_id, guardian_id=pair.guardian_id)
    if standing is not None:
        raise LinkedAlready
    await childhoods.state(ctx, pair.child_id, pair.born)
    index = ctx.ports.index
    relation_id = await ctx.relate(
        pair.child_id, pair.guardian_id, Relation.GUARDIAN, until=childhoods.ends_at(pair.born)
    )
    ctx.session.add(
        GuardianshipRow(
            citizen_id=pair.child_id,
            guardianship_id=relation_id,
            guardian_id=pair.guardian_id,
            document=document.value,
            document_digest=index.followed_up(DOCUMENT, digest, layers=1),
            layers=index.depth,
            made_by=ctx.staff_id(),
            made_at=ctx.now,
            ended_by=None,
            ended_at=None,
        )
    )
    await ctx.session.flush()  # two counters at once: the second fails on the unique index
    await _tell(ctx, pair, "guardian.linked", f"guardianship:{relation_id}:{document.value}", collected=True)
    return relation_id


async def _end(ctx: WriteContext[IdentityPorts], *, pair: Pair) -> UUID:
    row = await store.standing_guardianship(ctx.session, child_id=pair.child_id, guardian_id=pair.guardian_id)
    if row is None:
        raise NotLinked
    row.ended_by, row.ended_at = ctx.staff_id(), ctx.now
    await ctx.end_relation(pair.child_id, pair.guardian_id, Relation.GUARDIAN)
    await _tell(ctx, pair, "guardian.ended", f"guardianship:{row.guardianship_id}")
    return row.guardianship_id


async def _tell(
    ctx: WriteContext[IdentityPorts], pair: Pair, code: str, object_ref: str, *, collected: bool = False
) -> None:
    """An entry and a message for each of the two."""
    for citizen_id in (pair.child_id, pair.guardian_id):
        await ctx.record(
            code,
            subject=citizen_id,
            object_ref=object_ref,
            collected=("LinkGuardianInput.documentNumber",) if collected else (),
        )
        await ctx.publish("message.requested", subject=citizen_id, body={"code": code, "params": {}})
