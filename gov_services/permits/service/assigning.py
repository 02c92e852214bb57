"""Who gets a case. No officer takes one: the citizen's submission, or a fact from payments, assigns it."""

from __future__ import annotations

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
        row.officer_id = await _assign(ctx, row, role=OFFICER, apart_from=[row.approver_id])


async def assign_approver(ctx: Context, row: ApplicationRow) -> None:
    """Give the decision to another officer than the one who handles the case, and than the one who recommended it."""
    if row.approver_id is None:
        row.approver_id = await _assign(ctx, row, role=APPROVER, apart_from=[row.officer_id, row.recommended_by])


async def on_staff_told(ctx: Context, *, event: Event) -> None:
    """`identity.staff_added` and `identity.staff_changed`: keep what assigning needs to know of staff.

    Who has a role no more has no case under it either: those wait for somebody else. Told late, it changes nothing.
    """
    staff_id, roles = UUID(event.body["staff_id"]), frozenset(str(role) for role in event.body["roles"])
    is_news = await store.keep_officer(
        ctx.session,
        staff_id=staff_id,
        roles=sorted(roles & {OFFICER, APPROVER}),
        office=str(event.body["office"]),
        told_at=event.published_at,
    )
    if is_news:
        for role, column in ((OFFICER, "officer_id"), (APPROVER, "approver_id")):
            if role not in roles:
                await _take_from(ctx, staff_id, column)
    await ctx.record("officer.noted", subject=None, object_ref=f"staff:{staff_id}")


async def _take_from(ctx: Context, staff_id: UUID, column: str) -> None:
    for citizen_id, application_id in await store.release_cases(ctx.session, staff_id=staff_id, officer=column):
        await ctx.end_relation(citizen_id, staff_id, Relation.OFFICER, case_id=application_id)
        await ctx.record("application.released", subject=citizen_id, object_ref=f"application:{application_id}")


async def assign_waiting(ctx: ReadContext[PermitsPorts]) -> int:
    """The job: cases that found nobody when they came. To how many somebody is assigned now.

    What nobody here may take is not looked at, so that it keeps none behind it waiting.
    """
    async with ctx.reading() as session:
        waiting: list[store.Case] = []
        for column, others, role, states in (
            ("officer_id", ("approver_id",), OFFICER, _WITH_OFFICER),
            ("approver_id", ("officer_id", "recommended_by"), APPROVER, _WITH_APPROVER),
        ):
            waiting += await store.unassigned(
                session, officer=column, others=others, role=role, states=states, limit=_AT_ONCE
            )
    assigned = 0
    for citizen_id, application_id in dict.fromkeys(waiting):
        try:
            await commit(ctx, _assign_case, citizen_id=citizen_id, application_id=application_id)
            assigned += 1
        except _NobodyAssigned:
            continue
    return assigned


class _NobodyAssigned(Exception):
    """The case has whom it needs by now, or nobody may take it: nothing changed, and nothing is logged."""


async def _assign_case(ctx: Context, *, citizen_id: UUID, application_id: UUID) -> None:
    row = await store.application_for_update(ctx.session, citizen_id=citizen_id, application_id=application_id)
    assert row is not None  # applications are never removed
    before = (row.officer_id, row.approver_id)
    if row.state in _WITH_OFFICER:
        await assign_officer(ctx, row)
    if row.state in _WITH_APPROVER:
        await assign_approver(ctx, row)
    if (row.officer_id, row.approver_id) == before:
        raise _NobodyAssigned
    await ctx.record("application.assigned", subject=citizen_id, object_ref=object_of(row))


async def _assign(ctx: Context, row: ApplicationRow, *, role: str, apart_from: list[UUID | None]) -> UUID | None:
    excluded = [staff_id for staff_id in apart_from if staff_id is not None]
    staff_id = await store.least_burdened(ctx.session, role=role, excluded=excluded)
    if staff_id is not None:
        await ctx.relate(row.citizen_id, staff_id, Relation.OFFICER, case_id=row.application_id)
    return staff_id
