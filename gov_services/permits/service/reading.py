"""Reading applications and what belongs to them. Each comes with the disclosure that its personal fields need."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from gov_services.consent.disclosure import Disclosure
from gov_services.consent.disclosures import Subject
from gov_services.consent.policy import Unrelated
from gov_services.kit.errors import NotFound
from gov_services.kit.ids import parse_id
from gov_services.permits import store
from gov_services.permits.lifecycle import OPEN
from gov_services.permits.models import ApplicationRow, CorrectionRow, DocumentRow, LicenceRow, RegisterRow, TimelineRow
from gov_services.permits.ports import PermitsPorts
from gov_services.permits.service.moving import object_of
from gov_services.subgraph.context import ReadContext
from gov_services.subgraph.types import id_in_cursor, page_size

Context = ReadContext[PermitsPorts]
Registered = tuple[LicenceRow, RegisterRow]


@dataclass(frozen=True, slots=True)
class Page:
    """Some applications, each with its disclosure."""

    applications: Sequence[tuple[ApplicationRow, Disclosure]]
    more: bool


async def read_application(ctx: Context, *, application_id: str) -> tuple[ApplicationRow, Disclosure]:
    """One application: the asker's own, or that of a case which lies with them. Raises NotFound."""
    identifier = parse_id(application_id)
    row = None
    if identifier is not None:
        async with ctx.reading() as session:
            row = await store.application(session, application_id=identifier)
    disclosure = await ctx.disclosure(
        row.citizen_id if row else None,
        case_id=row.application_id if row else None,
        object_ref=object_of(row) if row else None,
    )
    assert row is not None  # disclosure raises NotFound for nobody
    return row, disclosure


async def read_applications(ctx: Context, *, first: int, after: str | None) -> Page:
    """The asking citizen's applications, newest first. Raises Unauthenticated, PageTooLarge, BadCursor."""
    citizen_id, limit, last = ctx.citizen_id(), page_size(first), id_in_cursor(after)
    async with ctx.reading() as session:
        rows = await store.applications(session, citizen_id=citizen_id, before=last, limit=limit + 1)
    return Page(await _related(ctx, rows[:limit]), len(rows) > limit)


async def read_caseload(ctx: Context, *, states: Collection[str], first: int, after: str | None) -> Page:
    """The cases that lie with the asking officer, oldest first. Raises Unauthenticated, PageTooLarge, BadCursor.

    A case without a relation is left out, as one that is not there. Closed cases have none, so that they are not even
    asked about: a list of one's own counts toward no budget. The page is filled from the cases that follow; where all
    of those are left out too, the next page is empty.
    """
    staff_id, limit, last = ctx.staff_id(), page_size(first), id_in_cursor(after)
    sought = [state for state in OPEN if not states or state in states]
    shown: list[tuple[ApplicationRow, Disclosure]] = []
    more = True
    while more and len(shown) < limit:
        wanted = limit - len(shown)
        async with ctx.reading() as session:
            rows = await store.caseload(session, staff_id=staff_id, states=sought, after=last, limit=wanted + 1)
        shown += await _related(ctx, rows[:wanted])
        more = len(rows) > wanted
        last = rows[wanted - 1].application_id if more else last
    return Page(shown, more)


async def read_licence(ctx: Context, *, licence_id: str) -> tuple[Registered, Disclosure]:
    """One licence: the asker's own. Raises NotFound."""
    identifier = parse_id(licence_id)
    found = None
    if identifier is not None:
        async with ctx.reading() as session:
            found = await store.licence(session, licence_id=identifier)
    if found is None:
        raise NotFound
    disclosure = await ctx.disclosure(
        found[0].citizen_id, case_id=found[0].application_id, object_ref=f"licence:{found[0].licence_id}"
    )
    return found, disclosure


async def load_applications(ctx: Context, ids: Sequence[UUID]) -> list[ApplicationRow | None]:
    """The applications of these ids, in their order."""
    async with ctx.reading() as session:
        found = {row.application_id: row for row in await store.applications_by_id(session, ids=ids)}
    return [found.get(application_id) for application_id in ids]


async def load_corrections(ctx: Context, cases: Sequence[store.Case]) -> list[CorrectionRow | None]:
    """Of each case the correction that is open."""
    async with ctx.reading() as session:
        rows = await store.open_corrections(session, cases=cases)
    found = {(row.citizen_id, row.application_id): row for row in rows}
    return [found.get(case) for case in cases]


async def load_documents(ctx: Context, cases: Sequence[store.Case]) -> list[list[DocumentRow]]:
    """Of each case the stored documents."""
    found: defaultdict[store.Case, list[DocumentRow]] = defaultdict(list)
    async with ctx.reading() as session:
        for row in await store.documents(session, cases=cases):
            found[row.citizen_id, row.application_id].append(row)
    return [found[case] for case in cases]


async def load_timelines(ctx: Context, cases: Sequence[store.Case]) -> list[list[TimelineRow]]:
    """Of each case every step."""
    found: defaultdict[store.Case, list[TimelineRow]] = defaultdict(list)
    async with ctx.reading() as session:
        for row in await store.timelines(session, cases=cases):
            found[row.citizen_id, row.application_id].append(row)
    return [found[case] for case in cases]


async def load_licences(ctx: Context, cases: Sequence[store.Case]) -> list[Registered | None]:
    """Of each case the licence that came of it."""
    async with ctx.reading() as session:
        rows = await store.licences(session, cases=cases)
    found = {(licence.citizen_id, licence.application_id): (licence, entry) for licence, entry in rows}
    return [found.get(case) for case in cases]


async def _related(ctx: Context, rows: Sequence[ApplicationRow]) -> list[tuple[ApplicationRow, Disclosure]]:
    """Those of the applications that the asker stands in a relation to, each with its disclosure."""
    # Asked in one tick, decided and logged in one append.
    decided = await asyncio.gather(
        *(
            ctx.disclosures.about(Subject(row.citizen_id, case_id=row.application_id, object=object_of(row)))
            for row in rows
        )
    )
    return [(row, found) for row, found in zip(rows, decided, strict=True) if not isinstance(found, Unrelated)]
