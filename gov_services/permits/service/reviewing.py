"""What officers do with a case: accept, ask for a correction, assess the fee, recommend, approve, reject."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from gov_services.kit.errors import UserError
from gov_services.kit.ids import new_id
from gov_services.kit.working_days import local_day, term_end, working_days_until
from gov_services.permits import store
from gov_services.permits.filled_in import filled_note
from gov_services.permits.lifecycle import Event, State
from gov_services.permits.models import CORRECTION_NOTE, ApplicationRow, CorrectionRow
from gov_services.permits.service.issuing import issue_licence
from gov_services.permits.service.moving import (
    FIELD,
    Context,
    case_of_officer,
    close_case,
    move,
    object_of,
    require_approver,
    require_officer,
    require_step,
    tell_applicant,
)


class Correctable(StrEnum):
    """What can be asked for in a correction: one of these at a time."""

    BUSINESS_NAME = "businessName"
    BUSINESS_ADDRESS = "businessAddress"
    SCOPE = "scope"
    DOCUMENTS = "documents"


class Rejection(StrEnum):
    """Why an application is rejected (不予登记). A code: words about a person belong into no column in clear."""

    NOT_ELIGIBLE = "not-eligible"
    NAME_TAKEN = "name-taken"
    PREMISES_UNFIT = "premises-unfit"
    SCOPE_RESTRICTED = "scope-restricted"
    UNTRUE = "untrue"


class FeeOnItsWayBack(UserError):
    """The fee is being refunded: nothing is recommended or approved until that has ended."""

    code = "FEE_ON_ITS_WAY_BACK"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "登记费正在退还,暂不能办理。",
        "en": "The fee is on its way back; nothing is decided meanwhile.",
    }


async def accept_application(ctx: Context, *, application_id: str) -> ApplicationRow:
    """Accept it (受理): the statutory time runs from today. Raises NotFound and UserErrors."""
    row = await case_of_officer(ctx, application_id)
    require_officer(ctx, row)
    service = await store.service(ctx.session, code=row.service_code)
    move(ctx, row, Event.ACCEPT)
    row.accepted_at, row.due_at = ctx.now, term_end(ctx.now, service.statutory_working_days)
    await ctx.record("application.accepted", subject=row.citizen_id, object_ref=object_of(row))
    await tell_applicant(ctx, row, "application.accepted", due_at=local_day(row.due_at).isoformat())
    return row


async def request_correction(
    ctx: Context, *, application_id: str, correctable: Correctable, note: str | None
) -> ApplicationRow:
    """Ask to put one thing right (补正); the statutory time stands still meanwhile. Raises NotFound and UserErrors."""
    row = await case_of_officer(ctx, application_id)
    require_officer(ctx, row)
    require_step(row, Event.REQUEST_CORRECTION)
    accepted = row.state == State.ACCEPTED
    correction_id = new_id(ctx.now)
    sealed = None
    if note is not None:
        sealer = await ctx.sealer(row.citizen_id)
        sealed = sealer.seal(CORRECTION_NOTE, row_id=correction_id, value=filled_note(note))
    ctx.session.add(
        CorrectionRow(
            citizen_id=row.citizen_id,
            correction_id=correction_id,
            application_id=row.application_id,
            field=correctable.value,
            note=sealed,
            requested_by=ctx.staff_id(),
            requested_at=ctx.now,
            corrected_at=None,
        )
    )
    move(ctx, row, Event.REQUEST_CORRECTION)
    if accepted:
        assert row.due_at is not None  # the database holds it so while accepted
        row.remaining_working_days = working_days_until(local_day(ctx.now), local_day(row.due_at))
        row.due_at = None
    collected = ["RequestCorrectionInput.note"] if note is not None else []
    await ctx.record(
        "application.correction-requested", subject=row.citizen_id, object_ref=object_of(row), collected=collected
    )
    await tell_applicant(ctx, row, "application.correction", field=correctable.value)
    return row


async def assess_fee(ctx: Context, *, application_id: str) -> ApplicationRow:
    """State the fee that the catalogue sets; payments is told by way of the outbox. Raises NotFound and UserErrors."""
    row = await case_of_officer(ctx, application_id)
    require_officer(ctx, row)
    service = await store.service(ctx.session, code=row.service_code)
    move(ctx, row, Event.ASSESS_FEE)
    row.bill_id, row.fee_fen = new_id(ctx.now), service.fee_fen
    await ctx.record("application.fee-assessed", subject=row.citizen_id, object_ref=object_of(row))
    await ctx.publish(
        "permits.fee_assessed",
        subject=row.citizen_id,
        body={
            "bill_id": str(row.bill_id),
            "application_id": str(row.application_id),
            "titles": dict(service.fee_titles),
            "amount_fen": row.fee_fen,
        },
    )
    return row


async def recommend_approval(ctx: Context, *, application_id: str) -> ApplicationRow:
    """The first officer is for it (审核). Raises NotFound and UserErrors."""
    row = await case_of_officer(ctx, application_id)
    staff_id = require_officer(ctx, row)
    require_step(row, Event.RECOMMEND)
    await _require_fee_here(ctx, row)
    move(ctx, row, Event.RECOMMEND)
    row.recommended_by = staff_id
    await ctx.record("application.recommended", subject=row.citizen_id, object_ref=object_of(row))
    return row


async def approve_application(ctx: Context, *, application_id: str) -> ApplicationRow:
    """The second officer decides (核准), and the licence is issued in the same step. Raises NotFound and UserErrors."""
    row = await case_of_officer(ctx, application_id)
    staff_id = require_approver(ctx, row)
    require_step(row, Event.APPROVE)
    await _require_fee_here(ctx, row)
    move(ctx, row, Event.APPROVE)
    row.decided_by = staff_id
    await ctx.session.flush()
    await issue_licence(ctx, row)
    await close_case(ctx, row)
    await tell_applicant(ctx, row, "application.decided", decision="approved")
    return row


async def reject_application(ctx: Context, *, application_id: str, rejection: Rejection) -> ApplicationRow:
    """Whoever has the step says no. Raises NotFound and UserErrors."""
    row = await case_of_officer(ctx, application_id)
    staff_id = require_approver(ctx, row) if row.state == State.RECOMMENDED else require_officer(ctx, row)
    move(ctx, row, Event.REJECT)
    row.decided_by, row.rejection = staff_id, rejection.value
    await close_case(ctx, row)
    await ctx.record("application.rejected", subject=row.citizen_id, object_ref=object_of(row))
    await tell_applicant(ctx, row, "application.decided", decision="rejected")
    return row


async def _require_fee_here(ctx: Context, row: ApplicationRow) -> None:
    if row.bill_id is not None and await store.is_on_its_way_back(
        ctx.session, citizen_id=row.citizen_id, bill_id=row.bill_id
    ):
        raise FeeOnItsWayBack(field=FIELD)
