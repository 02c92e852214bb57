"""What the applicant does: begin, submit, put right, withdraw; and give a licence back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gov_services.consent.attestations import Claim
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import new_id, parse_id
from gov_services.kit.working_days import term_end
from gov_services.permits import store
from gov_services.permits.catalogue import columns_of, service_from_row
from gov_services.permits.filled_in import filled_in
from gov_services.permits.lifecycle import Event, State
from gov_services.permits.models import APPLICANT_NAME, BUSINESS_ADDRESS, BUSINESS_NAME, SCOPE, ApplicationRow
from gov_services.permits.service.assigning import assign_officer
from gov_services.permits.service.moving import (
    FIELD,
    Context,
    close_case,
    move,
    object_of,
    own_application,
    require_step,
)

COLUMNS = {
    "businessName": ("business_name", BUSINESS_NAME),
    "businessAddress": ("business_address", BUSINESS_ADDRESS),
    "scope": ("scope", SCOPE),
    "applicantName": ("applicant_name", APPLICANT_NAME),
}
"""Field of the graph → attribute and sealed column."""


class ServiceUnknown(UserError):
    """The catalogue has no such matter."""

    code = "SERVICE_UNKNOWN"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "没有此办理事项。", "en": "There is no such service."}


class DocumentMissing(UserError):
    """A required document has not been uploaded."""

    code = "DOCUMENT_MISSING"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "缺少必要材料:{kinds}。",
        "en": "A required document is missing: {kinds}.",
    }


class NotWhatWasAsked(UserError):
    """A correction puts right the one field that was asked for, and no other."""

    code = "NOT_WHAT_WAS_ASKED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "仅需补正:{asked}。",
        "en": "Only this is to be corrected: {asked}.",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What the applicant wrote."""

    business_name: str
    business_address: str
    scope: str
    applicant_name: str


async def start_application(ctx: Context, *, service_code: str, filled: Filled) -> ApplicationRow:
    """Begin an application, in the name that the applicant was verified under.

    Raises ServiceUnknown, NotFilledIn, NotAsVerified.
    """
    citizen_id = ctx.citizen_id()
    service = next((item for item in ctx.ports.catalogue if item.code == service_code), None)
    if service is None:
        raise ServiceUnknown(field="input.service")
    values = {
        "businessName": filled_in("businessName", filled.business_name),
        "businessAddress": filled_in("businessAddress", filled.business_address),
        "scope": filled_in("scope", filled.scope),
        "applicantName": filled_in("applicantName", filled.applicant_name),
    }
    await ctx.require_attested(citizen_id, Claim.NAME, values["applicantName"], field="input.applicantName")
    await store.keep_service(ctx.session, columns=columns_of(service), now=ctx.now)
    row = ApplicationRow(
        citizen_id=citizen_id,
        application_id=new_id(ctx.now),
        service_code=service.code,
        state="",
        moves=0,
        started_at=ctx.now,
    )
    await _seal(ctx, row, values)
    move(ctx, row, Event.START)
    ctx.session.add(row)
    await ctx.session.flush()
    await ctx.record(
        "application.started",
        subject=citizen_id,
        object_ref=object_of(row),
        collected=[f"StartApplicationInput.{name}" for name in values],
    )
    return row


async def submit_application(ctx: Context, *, application_id: str) -> ApplicationRow:
    """Hand it in: it gets an officer. Raises NotFound, DocumentMissing, IllegalApplicationChange."""
    row = await own_application(ctx, application_id)
    require_step(row, Event.SUBMIT)
    service = service_from_row(await store.service(ctx.session, code=row.service_code))
    documents = await store.documents(ctx.session, cases=[(row.citizen_id, row.application_id)])
    missing = service.missing([document.kind for document in documents])
    if missing:
        raise DocumentMissing(field=FIELD, kinds=", ".join(missing))
    await assign_officer(ctx, row)
    move(ctx, row, Event.SUBMIT)
    row.submitted_at = ctx.now
    await ctx.record("application.submitted", subject=row.citizen_id, object_ref=object_of(row))
    await ctx.publish(
        "permits.application_submitted",
        subject=row.citizen_id,
        body={"application_id": str(row.application_id)},
    )
    return row


async def correct_application(ctx: Context, *, application_id: str, values: Mapping[str, str]) -> ApplicationRow:
    """Put right what was asked for: one field, or documents uploaded since.

    Raises NotFound, IllegalApplicationChange, NotWhatWasAsked, NotFilledIn.
    """
    row = await own_application(ctx, application_id)
    require_step(row, Event.CORRECT)
    accepted = row.state == State.CORRECTION_REQUESTED
    correction = await store.open_correction(ctx.session, citizen_id=row.citizen_id, application_id=row.application_id)
    assert correction is not None  # there is one in the states from which CORRECT leads
    if correction.field == "documents":
        documents = await store.documents(ctx.session, cases=[(row.citizen_id, row.application_id)])
        fresh = any(item.stored_at and item.stored_at >= correction.requested_at for item in documents)
        if values or not fresh:
            raise NotWhatWasAsked(field=FIELD, asked=correction.field)
    elif set(values) != {correction.field}:
        raise NotWhatWasAsked(field=f"input.{correction.field}", asked=correction.field)
    await _seal(ctx, row, {name: filled_in(name, value) for name, value in values.items()})
    correction.corrected_at = ctx.now
    move(ctx, row, Event.CORRECT)
    if accepted:
        # The statutory time goes on from where it stood still.
        row.due_at = term_end(ctx.now, row.remaining_working_days or 0)
        row.remaining_working_days = None
    await ctx.record(
        "application.corrected",
        subject=row.citizen_id,
        object_ref=object_of(row),
        collected=[f"CorrectApplicationInput.{name}" for name in values],
    )
    return row


async def withdraw_application(ctx: Context, *, application_id: str) -> ApplicationRow:
    """Take it back before it is decided. Raises NotFound, IllegalApplicationChange."""
    row = await own_application(ctx, application_id)
    unpaid = row.state == State.FEE_DUE
    move(ctx, row, Event.WITHDRAW)
    await close_case(ctx, row)
    if unpaid:
        await ctx.publish(
            "permits.fee_cancelled",
            subject=row.citizen_id,
            body={"bill_id": str(row.bill_id), "application_id": str(row.application_id)},
        )
    await ctx.record("application.withdrawn", subject=row.citizen_id, object_ref=object_of(row))
    return row


async def surrender_licence(ctx: Context, *, licence_id: str) -> ApplicationRow:
    """Give a licence back (注销): from now on the status list says so. Raises NotFound, IllegalApplicationChange."""
    citizen_id, identifier = ctx.citizen_id(), parse_id(licence_id)
    found = await store.licence(ctx.session, licence_id=identifier) if identifier else None
    if found is None or found[0].citizen_id != citizen_id:
        raise NotFound
    licence, _ = found
    row = await own_application(ctx, str(licence.application_id))
    move(ctx, row, Event.SURRENDER)
    await store.end_registration(ctx.session, number=licence.number, now=ctx.now)
    await ctx.record("licence.surrendered", subject=citizen_id, object_ref=f"licence:{licence.licence_id}")
    return row


async def _seal(ctx: Context, row: ApplicationRow, values: Mapping[str, str]) -> None:
    sealer = await ctx.sealer(row.citizen_id)
    for name, value in values.items():
        attribute, column = COLUMNS[name]
        setattr(row, attribute, sealer.seal(column, row_id=row.application_id, value=value))
