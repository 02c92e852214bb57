"""Money that no bill waited for, as finance officers see it: which bill, why, since when; nothing personal."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import strawberry

from gov_services.payments.graph.types import payments_context
from gov_services.payments.service import reading
from gov_services.payments.unmatched import UnmatchedReason
from gov_services.subgraph.types import PageInfo, encode_cursor, register_enum

register_enum(
    UnmatchedReason,
    name="UnmatchedReason",
    description="Why money that came settled no bill.",
    values={
        UnmatchedReason.SURPLUS: "The bill did not need it, or it was of another amount; it can be given back.",
        UnmatchedReason.OTHER_AMOUNT: "The channel tells of another amount than was asked for.",
        UnmatchedReason.OTHER_CURRENCY: "The channel tells of another currency.",
        UnmatchedReason.OTHER_TRANSACTION: "Another transaction had settled the payment.",
    },
)


@strawberry.federation.type(description="Money that came through the channel and settled no bill.")
class UnmatchedReceipt:
    """It points to a bill, which is opened by its id, with a reason and under a budget."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    bill_id: strawberry.ID = strawberry.field(description="The bill that it was sent for.")
    reason: UnmatchedReason = strawberry.field(description="Why it settled nothing.")
    received_at: dt.datetime = strawberry.field(description="When the channel told of it last.")


@strawberry.federation.type(description="One receipt of a page.")
class UnmatchedReceiptEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: UnmatchedReceipt = strawberry.field(description="The receipt.")


@strawberry.federation.type(description="A page of receipts.")
class UnmatchedReceiptConnection:
    """Relay's connection."""

    edges: list[UnmatchedReceiptEdge] = strawberry.field(description="The receipts, newest first.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type
class UnmatchedQuery:
    """Root field of finance officers."""

    @strawberry.field(description="Money that came and settled no bill, newest first; for finance officers.")
    async def unmatched_receipts(
        self,
        info: strawberry.Info,
        first: Annotated[int, strawberry.argument(description="How many, 50 at most.")] = 20,
        after: Annotated[str | None, strawberry.argument(description="Cursor to go on from.")] = None,
    ) -> UnmatchedReceiptConnection | None:
        """What is settled or on its way back since is left out."""
        rows, more = await reading.read_unmatched(payments_context(info), first=first, after=after)
        edges = [
            UnmatchedReceiptEdge(
                cursor=encode_cursor(str(row.receipt_id)),
                node=UnmatchedReceipt(
                    id=strawberry.ID(str(row.receipt_id)),
                    bill_id=strawberry.ID(str(row.bill_id)),
                    reason=UnmatchedReason(row.reason),
                    received_at=row.received_at,
                ),
            )
            for row in rows
        ]
        return UnmatchedReceiptConnection(
            edges=edges, page_info=PageInfo(has_next_page=more, end_cursor=edges[-1].cursor if edges else None)
        )
