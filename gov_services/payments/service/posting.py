"""Posting a fact to the books within the change that makes it true. Which accounts it moves is ledger's."""

from __future__ import annotations

from uuid import UUID

from gov_services.kit.ids import new_id
from gov_services.payments import store
from gov_services.payments.ledger import PostingKind, lines
from gov_services.payments.models import BillRow
from gov_services.payments.ports import PaymentsPorts
from gov_services.subgraph.context import WriteContext


async def post_fact(
    ctx: WriteContext[PaymentsPorts], bill: BillRow, kind: PostingKind, *, cause_id: UUID, amount_fen: int
) -> None:
    """Post `kind` for its cause. The database refuses the same fact a second time."""
    await store.post(
        ctx.session,
        citizen_id=bill.citizen_id,
        transaction_id=new_id(ctx.now),
        bill_id=bill.bill_id,
        kind=kind,
        cause_id=cause_id,
        lines=lines(kind, amount_fen),
        now=ctx.now,
    )
