"""Reading a citizen, finding one at the counter, replacing a lost phone, erasure's part of identity."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from gov_services.consent.disclosure import Disclosure
from gov_services.consent.disclosures import Subject
from gov_services.consent.policy import Unrelated
from gov_services.consent.purposes import Relation
from gov_services.identity import resident_number, store
from gov_services.identity.models import CitizenRow
from gov_services.identity.phones import parse_phone
from gov_services.identity.ports import IdentityPorts
from gov_services.identity.service import childhoods
from gov_services.identity.service.accounts import (
    SMS_PROVIDER,
    RegistrationNotPossible,
    layers,
    number_digest,
    phone_digest,
)
from gov_services.kit.clock import local_day
from gov_services.kit.errors import NotFound, Refusal, UserError
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.events import Event
from gov_services.subgraph.unit_of_work import Outcome, commit, log_refusal

LONGEST_GLASS_MINUTES = 60
_log = structlog.get_logger("gov_services.identity")
PHONE_REPLACED_TEXT = (
    "【示例市政务】您账号的手机号码已在服务大厅更换,此号码不再用于登录。"
    "如非本人办理,请立即拨打 12345 或前往政务服务大厅提出异议。"
    "[Example City] The phone of your account was replaced at a counter; this number signs in no more. "
    "If that was not you, call 12345 or go to a counter at once."
)
"""To the old number, in both languages: the officer's language is not its owner's."""


@dataclass(frozen=True, slots=True)
class Known:
    """A citizen, and what of them may be read."""

    row: CitizenRow | None
    disclosure: Disclosure | None


async def read_me(ctx: ReadContext[IdentityPorts]) -> Known:
    """The citizen who asks. Raises NotFound once their key is destroyed."""
    return await read_citizen(ctx, citizen_id=ctx.citizen_id())


async def read_citizen(ctx: ReadContext[IdentityPorts], *, citizen_id: UUID, presented: bool = False) -> Known:
    """A citizen whom the request is about. Raises NotFound alike for the absent and the unrelated."""
    row = await _load(ctx, citizen_id)
    disclosure = await ctx.disclosure(
        citizen_id if row else None, case_id=ctx.case_id, presented=presented, object_ref="citizen"
    )
    return Known(row, disclosure)


async def refer_to_citizen(ctx: ReadContext[IdentityPorts], *, citizen_id: UUID | None) -> Known:
    """A citizen to whom another subgraph refers; each field decides for itself, alike for absent and unrelated."""
    if citizen_id is None:
        return Known(None, None)
    row = await _load(ctx, citizen_id)
    return Known(row, await ctx.entity_disclosure(citizen_id, case_id=ctx.case_id))


async def find_citizen(ctx: ReadContext[IdentityPorts], *, national_id: str, field: str = "input.nationalId") -> Known:
    """The citizen with a full resident number, for who stands at the counter. Counted against a budget, hit or miss.

    Raises NotFound, BudgetExhausted, NotAResidentNumber. What is no number is admitted, counted and logged as well:
    else whoever may not ask could try without a trace.
    """
    digest = number_digest(ctx.ports, national_id)
    await ctx.disclosures.require_predicate("Citizen.nationalId", sought=digest.hex())
    try:
        resident_number.parse(national_id, today=local_day(ctx.now), field=field)
    except resident_number.NotAResidentNumber as refused:
        await log_refusal(ctx, refused)
        refused.logged = True
        raise
    async with ctx.reading() as session:
        digests = layers(ctx.ports, store.RESIDENT_NUMBER, digest)
        citizen_id = await store.citizen_by(session, kind=store.RESIDENT_NUMBER, digests=digests)
    if citizen_id is None:
        raise NotFound
    return await read_citizen(ctx, citizen_id=citizen_id, presented=True)


async def break_glass(ctx: ReadContext[IdentityPorts], *, national_id: str, minutes: int) -> Outcome[dt.datetime]:
    """Give oneself a relation to a citizen for an emergency, for a while; until when it holds.

    It is looked into afterwards by somebody else, and the citizen is told. What is then read passes the same decision,
    the same budget and the same log. Raises as `find_citizen` does, and Unauthenticated.
    """
    try:
        found = await find_citizen(ctx, national_id=national_id)
    except UserError as error:
        if not error.logged:
            await log_refusal(ctx, error)
        return Outcome(None, (error,))
    assert found.row is not None
    lasts = dt.timedelta(minutes=min(max(1, minutes), LONGEST_GLASS_MINUTES))
    return await commit(ctx, _break_glass, citizen_id=found.row.citizen_id, until=ctx.now + lasts)


async def _break_glass(ctx: WriteContext[IdentityPorts], *, citizen_id: UUID, until: dt.datetime) -> dt.datetime:
    await ctx.relate(citizen_id, ctx.staff_id(), Relation.BREAK_GLASS, until=until)
    await ctx.record("glass.broken", subject=citizen_id, object_ref="citizen")
    body = {"actor": ctx.actor.ref, "office": ctx.actor.office, "purpose": ctx.call.purpose}
    await ctx.publish("identity.glass_broken", subject=citizen_id, body=body)
    return until


async def replace_phone(ctx: ReadContext[IdentityPorts], *, national_id: str, new_phone: str) -> Outcome[UUID]:
    """Replace the phone of a citizen who stands at the counter; every session of theirs ends.

    They are told in their box and by a text to the number before: the box can be opened with the new phone.
    """
    try:
        phone = parse_phone(new_phone, field="input.newPhone")
        found = await find_citizen(ctx, national_id=national_id)
    except UserError as error:
        if not error.logged:
            await log_refusal(ctx, error)
        return Outcome(None, (error,))
    assert found.row is not None
    citizen_id = found.row.citizen_id
    before = await _phone_before(ctx, found.row)
    outcome = await commit(ctx, _replace_phone, citizen_id=citizen_id, phone=phone, tells_old=before is not None)
    if outcome.result is not None and before is not None:
        ctx.ports.texts.send(phone=before, text=PHONE_REPLACED_TEXT, about="phone replaced")
    return outcome


async def _phone_before(ctx: ReadContext[IdentityPorts], row: CitizenRow) -> str | None:
    """The number to tell; None where the purpose does not give it, or there is none. Replacing goes on either way."""
    disclosures = ctx.disclosures.on_the_way({"Citizen.phone"})
    disclosure = await disclosures.about(Subject(row.citizen_id, presented=True, object="citizen"))
    if isinstance(disclosure, Unrelated):
        return None
    try:
        return await disclosure.open("Citizen.phone", row, "phone")
    except Refusal as withheld:
        _log.error("the number before is not told of its replacement", reason=withheld.code)
        return None


async def _replace_phone(ctx: WriteContext[IdentityPorts], *, citizen_id: UUID, phone: str, tells_old: bool) -> UUID:
    digests = layers(ctx.ports, store.PHONE, phone_digest(ctx.ports, phone))
    await store.strike_from_directory(ctx.session, citizen_id=citizen_id, kinds=[store.PHONE])
    if not await store.list_in_directory(
        ctx.session, kind=store.PHONE, digests=digests, citizen_id=citizen_id, now=ctx.now
    ):
        raise RegistrationNotPossible(field="input.newPhone")
    sealer = await ctx.sealer(citizen_id)
    column = CitizenRow.__table__.columns["phone"].type
    sealed = sealer.seal(column, row_id=citizen_id, value=phone)  # type: ignore[arg-type]
    await store.replace_phone(ctx.session, citizen_id=citizen_id, phone=sealed)
    await store.end_sessions_of(ctx.session, holder_id=citizen_id, reason="phone-replaced", now=ctx.now)
    await ctx.record(
        "phone.replaced",
        subject=citizen_id,
        object_ref="citizen",
        collected=("ReplacePhoneInput.newPhone",),
        recipient=SMS_PROVIDER if tells_old else None,
        disclosed={"Citizen.phone": "PLAIN"} if tells_old else None,
    )
    await ctx.publish("message.requested", subject=citizen_id, body={"code": "phone.replaced", "params": {}})
    return citizen_id


async def on_citizen_erased(ctx: WriteContext[IdentityPorts], *, event: Event) -> None:
    """Remove what finds the citizen and what is unreadable now; end their sessions."""
    if event.citizen_id is None:
        raise ValueError("an erasure names the citizen")
    ctx.services.discloser.keys.forget(event.citizen_id)
    await store.strike_from_directory(
        ctx.session, citizen_id=event.citizen_id, kinds=[store.PHONE, store.RESIDENT_NUMBER]
    )
    await ctx.forget_attestations(event.citizen_id)
    await childhoods.forget(ctx, event.citizen_id)
    await store.blank_citizen(ctx.session, citizen_id=event.citizen_id, now=ctx.now)
    await store.end_sessions_of(ctx.session, holder_id=event.citizen_id, reason="erased", now=ctx.now)
    await ctx.record("citizen.removed", subject=event.citizen_id, object_ref="citizen")


async def _load(ctx: ReadContext[IdentityPorts], citizen_id: UUID) -> CitizenRow | None:
    async def load(ids: Sequence[UUID]) -> list[CitizenRow | None]:
        async with ctx.reading() as session:
            rows = await store.citizens(session, citizen_ids=ids)
        return [rows.get(one) for one in ids]

    row: CitizenRow | None = await ctx.loader("identity.citizen", load).load(citizen_id)
    return row
