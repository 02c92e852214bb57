"""Reading bills and what belongs to them. Each comes with the disclosure that its personal fields need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gov_services.consent.disclosure import Disclosure
from gov_services.kit.actor import ActorKind
from gov_services.kit.ids import parse_id
from gov_services.payments import store
from gov_services.payments.models import BillRow, PaymentRow, RefundRow, UnmatchedReceiptRow
from gov_services.payments.ports import PaymentsPorts
from gov_services.subgraph.context import ReadContext
from gov_services.subgraph.types import id_in_cursor, page_size


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a citizen's bills."""

    bills: Sequence[BillRow]
    more: bool
    disclosure: Disclosure


async def read_bill(ctx: ReadContext[PaymentsPorts], *, bill_id: str) -> tuple[BillRow, Disclosure]:
    """One bill: the asker's own, or one that a payer handed to an officer. Raises NotFound."""
    identifier = parse_id(bill_id)
    row = None
    if identifier is not None:
        async with ctx.reading() as session:
            row = await store.bill(session, bill_id=identifier)
    disclosure = await ctx.disclosure(
        row.citizen_id if row else None,
        case_id=ctx.case_id,
        presented=ctx.actor.kind is ActorKind.STAFF,
        object_ref=f"bill:{row.bill_id}" if row else None,
    )
    assert row is not None  # disclosure raises NotFound for nobody
    return row, disclosure


async def read_bills(ctx: ReadContext[PaymentsPorts], *, first: int, after: str | None) -> Page:
    """The asking citizen's bills, newest first. Raises Unauthenticated, PageTooLarge, BadCursor."""
    citizen_id, limit, last = ctx.citizen_id(), page_size(first), id_in_cursor(after)
    async with ctx.reading() as session:
        rows = await store.bills(session, citizen_id=citizen_id, after=last, limit=limit + 1)
    disclosure = await ctx.disclosure(citizen_id)
    return Page(rows[:limit], len(rows) > limit, disclosure)


async def read_unmatched(
    ctx: ReadContext[PaymentsPorts], *, first: int, after: str | None
) -> tuple[Sequence[UnmatchedReceiptRow], bool]:
    """Money that settled no bill, newest first, and whether there is more. It says nothing of anybody.

    Raises Unauthenticated, PageTooLarge, BadCursor, Forbidden, ReasonRequired.
    """
    ctx.staff_id()
    limit, last = page_size(first), id_in_cursor(after)
    await ctx.disclosures.require_listing("unmatched-receipts")
    async with ctx.reading() as session:
        rows = await store.unmatched(session, before=last, limit=limit + 1)
    return rows[:limit], len(rows) > limit


async def read_refund(ctx: ReadContext[PaymentsPorts], *, refund_id: UUID) -> RefundRow | None:
    """A refund that the asker has just acted on."""
    async with ctx.reading() as session:
        return await store.refund(session, refund_id=refund_id)


async def load_bills(ctx: ReadContext[PaymentsPorts], bill_ids: Sequence[UUID]) -> list[BillRow | None]:
    """The bills of these ids, in their order."""
    async with ctx.reading() as session:
        found = {row.bill_id: row for row in await store.bills_by_id(session, bill_ids=bill_ids)}
    return [found.get(bill_id) for bill_id in bill_ids]


async def load_payments(ctx: ReadContext[PaymentsPorts], bills: Sequence[tuple[UUID, UUID]]) -> list[PaymentRow | None]:
    """Of each bill (citizen id, bill id) the payment that settled it, else the newest."""
    async with ctx.reading() as session:
        found = {(row.citizen_id, row.bill_id): row for row in await store.latest_payments(session, bills=bills)}
    return [found.get(bill) for bill in bills]


async def load_refunds(ctx: ReadContext[PaymentsPorts], bills: Sequence[tuple[UUID, UUID]]) -> list[RefundRow | None]:
    """Of each bill (citizen id, bill id) the newest refund."""
    async with ctx.reading() as session:
        found = {(row.citizen_id, row.bill_id): row for row in await store.latest_refunds(session, bills=bills)}
    return [found.get(bill) for bill in bills]
