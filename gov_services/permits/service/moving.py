"""One step of an application's life, however it comes about, and the locks and relations around it."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from gov_services.consent.purposes import Relation
from gov_services.kit.actor import ActorKind
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import parse_id
from gov_services.permits import store
from gov_services.permits.lifecycle import OPEN, Event, State, advance
from gov_services.permits.models import ApplicationRow
from gov_services.permits.ports import PermitsPorts
from gov_services.subgraph.context import WriteContext

Context = WriteContext[PermitsPorts]
FIELD = "input.applicationId"


class AnotherOfficersStep(UserError):
    """The step is another officer's: the case's officer reviews, its approver decides, and they are two people."""

    code = "ANOTHER_OFFICERS_STEP"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "此环节须由另一名经办人员办理。",
        "en": "Another officer has to take this step.",
    }


def require_step(row: ApplicationRow, event: Event) -> None:
    """Refuse what cannot follow, before anything else is looked at. Raises IllegalApplicationChange."""
    advance(State(row.state), event, field=FIELD)


def move(ctx: Context, row: ApplicationRow, event: Event) -> None:
    """Take the step. Raises IllegalApplicationChange; the database refuses the same, and writes the timeline.

    What a state requires (`due_at`, `bill_id`) is set right after it: a statement in between would write half of it.
    """
    before = State(row.state) if row.moves else None
    row.state = advance(before, event, field=FIELD).value
    row.event = event.value
    row.moves += 1
    row.moved_at = ctx.now
    row.moved_by_kind = ctx.actor.kind.value if ctx.actor.kind in (ActorKind.CITIZEN, ActorKind.STAFF) else "system"
    row.moved_by = ctx.actor.id if ctx.actor.kind is ActorKind.STAFF else None


async def own_application(ctx: Context, application_id: str) -> ApplicationRow:
    """The asking citizen's application, locked. Raises NotFound alike for another's, an unknown and a malformed id."""
    citizen_id, identifier = ctx.citizen_id(), parse_id(application_id)
    row = None
    if identifier is not None:
        row = await store.application_for_update(ctx.session, citizen_id=citizen_id, application_id=identifier)
    if row is None:
        raise NotFound
    return row


async def case_of_officer(ctx: Context, application_id: str) -> ApplicationRow:
    """The application of a case that lies with the asking officer, locked. Raises NotFound for any other."""
    ctx.staff_id()
    identifier = parse_id(application_id)
    known = await store.application(ctx.session, application_id=identifier) if identifier else None
    await ctx.disclosure(
        known.citizen_id if known else None,
        case_id=known.application_id if known else None,
        object_ref=object_of(known) if known else None,
    )
    assert known is not None  # disclosure raises NotFound for nobody
    row = await store.application_for_update(
        ctx.session, citizen_id=known.citizen_id, application_id=known.application_id
    )
    assert row is not None  # applications are never removed
    return row


def require_officer(ctx: Context, row: ApplicationRow) -> UUID:
    """The asking officer, who is the one that handles the case. Raises AnotherOfficersStep."""
    if row.officer_id != ctx.staff_id():
        raise AnotherOfficersStep(field=FIELD)
    return ctx.staff_id()


def require_approver(ctx: Context, row: ApplicationRow) -> UUID:
    """The asking officer, who is the one that decides, and did not recommend. Raises AnotherOfficersStep."""
    if row.approver_id != ctx.staff_id() or row.recommended_by == ctx.staff_id():
        raise AnotherOfficersStep(field=FIELD)
    return ctx.staff_id()


async def close_case(ctx: Context, row: ApplicationRow) -> None:
    """Nobody is officer of a case that is not open: the relations end with it."""
    if row.state in OPEN:
        raise ValueError("the case is still open")
    for staff_id in (row.officer_id, row.approver_id):
        if staff_id is not None:
            await ctx.end_relation(row.citizen_id, staff_id, Relation.OFFICER, case_id=row.application_id)


async def tell_applicant(ctx: Context, row: ApplicationRow, code: str, **params: str) -> None:
    """Put a message into the applicant's box, by way of the outbox. `params` hold no personal value."""
    await ctx.publish(
        "message.requested",
        subject=row.citizen_id,
        body={"code": code, "params": {"application_id": str(row.application_id), **params}},
    )


def object_of(row: ApplicationRow) -> str:
    """How the log names an application."""
    return f"application:{row.application_id}"
