"""Who gets a case. No officer takes one: the citizen's submission, or a fact from payments, assigns it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from gov_services.consent.purposes import Relation
from gov_services.permits import store
from gov_services.permits.lifecycle import State
from gov_services.permits.models import ApplicationRow
from gov_services.permits.ports import PermitsPorts
from gov_services.permits.service.moving import Context, object_of
from gov_services.subgraph.context import ReadContext
from gov_services.subgraph.events import Event
from gov_services.subgraph.unit_of_work import commit

OFFICER, APPROVER = "permit-officer", "permit-approver"
_AT_ONCE = 100
_WITH_OFFICER = (State.SUBMITTED, State.ACCEPTED, State.FEE_DUE, State.UNDER_REVIEW)
_WITH_APPROVER = (State.UNDER_REVIEW, State.RECOMMENDED)


async def assign_officer(ctx: Context, row: ApplicationRow) -> None:
    """Give the case to whoever has the fewest; where nobody is there it waits for the job below."""
    if row.officer_id is None:
        row.officer_id = await _assign(ctx, row, role=OFFICER, excluded=row.approver_id)


async def assign_approver(ctx: Context, row: ApplicationRow) -> None:
    """Give the decision to another officer than the one who handles the case."""
    if row.approver_id is None:
        row.approver_id = await _assign(ctx, row, role=APPROVER, excluded=row.officer_id)


async def on_staff_added(ctx: Context, *, event: Event) -> None:
    """`identity.staff_added`: keep what assigning needs to know of staff."""
    staff_id, roles = UUID(event.body["staff_id"]), [str(role) for role in event.body["roles"]]
    if {OFFICER, APPROVER} & set(roles):
        await store.keep_officer(
            ctx.session, staff_id=staff_id, roles=roles, office=str(event.body["office"]), now=ctx.now
        )
    await ctx.record("officer.noted", subject=None, object_ref=f"staff:{staff_id}")


async def assign_waiting(ctx: ReadContext[PermitsPorts]) -> int:
    """The job: cases that found nobody when they came. How many are assigned now."""
    async with ctx.reading() as session:
        waiting: Sequence[store.Case] = [
            *await store.unassigned(session, officer="officer_id", states=_WITH_OFFICER, limit=_AT_ONCE),
            *await store.unassigned(session, officer="approver_id", states=_WITH_APPROVER, limit=_AT_ONCE),
        ]
        anybody = [
            await store.least_burdened(session, role=role, excluded=None) is not None for role in (OFFICER, APPROVER)
        ]
    if not all(anybody):
        return 0
    for citizen_id, application_id in waiting:
        await commit(ctx, _assign_case, citizen_id=citizen_id, application_id=application_id)
    return len(waiting)


async def _assign_case(ctx: Context, *, citizen_id: UUID, application_id: UUID) -> None:
    row = await store.application_for_update(ctx.session, citizen_id=citizen_id, application_id=application_id)
    assert row is not None  # applications are never removed
    if row.state in _WITH_OFFICER:
        await assign_officer(ctx, row)
    if row.state in _WITH_APPROVER:
        await assign_approver(ctx, row)
    await ctx.record("application.assigned", subject=citizen_id, object_ref=object_of(row))


async def _assign(ctx: Context, row: ApplicationRow, *, role: str, excluded: UUID | None) -> UUID | None:
    staff_id = await store.least_burdened(ctx.session, role=role, excluded=excluded)
    if staff_id is not None:
        await ctx.relate(row.citizen_id, staff_id, Relation.OFFICER, case_id=row.application_id)
    return staff_id
