"""The root fields of payments, and the schema put together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import cache
from typing import Annotated

import strawberry

from gov_services.payments.graph.types import (
    Bill,
    BillConnection,
    BillEdge,
    Payment,
    Refund,
    payments_context,
)
from gov_services.payments.graph.unmatched import UnmatchedQuery
from gov_services.payments.models import PaymentRow, RefundRow
from gov_services.payments.service import paying, reading, refunding
from gov_services.subgraph.schema import Schema, build_schema
from gov_services.subgraph.types import PageInfo, UserErrorType, encode_cursor, is_about, user_errors
from gov_services.subgraph.unit_of_work import commit


@strawberry.input(description="Which bill to pay, under which key.")
class PayBillInput:
    """Input of payBill."""

    bill_id: strawberry.ID = strawberry.field(description="The bill.")
    idempotency_key: str = strawberry.field(
        description="Chosen by the client. Sent again with the same bill it gives the same payment; keep it until paid."
    )


@strawberry.input(description="Which bill's money to give back.")
class RequestRefundInput:
    """Input of requestRefund."""

    bill_id: strawberry.ID = strawberry.field(description="The bill, whose number its payer showed.")
    surplus: bool = strawberry.field(
        default=False,
        description="Not the fee, but money that came though the bill did not need it, or of another amount.",
    )


@strawberry.input(description="Which refund to agree to.")
class ApproveRefundInput:
    """Input of approveRefund."""

    refund_id: strawberry.ID = strawberry.field(description="The refund that another officer requested.")


@strawberry.input(description="Which refund to say no to.")
class RejectRefundInput:
    """Input of rejectRefund."""

    refund_id: strawberry.ID = strawberry.field(description="The refund that another officer requested.")


@strawberry.federation.type(description="What came of payBill.")
class PayBillPayload:
    """The payment is read after the commit."""

    row: strawberry.Private[PaymentRow | None]
    user_errors: list[UserErrorType] = strawberry.field(description="What to put right.")

    @strawberry.field(description="The payment that the key stands for.")
    async def payment(self, info: strawberry.Info) -> Payment | None:
        if self.row is None:
            return None
        return Payment(row=self.row, disclosure=await payments_context(info).disclosure(self.row.citizen_id))


@strawberry.federation.type
class RefundStep:
    """What the three payloads share; the refund and its bill are read after the commit."""

    row: strawberry.Private[RefundRow | None]
    user_errors: list[UserErrorType] = strawberry.field(description="What to put right.")

    @strawberry.field(description="The refund as it stands now.")
    async def refund(self, info: strawberry.Info) -> Refund | None:
        if self.row is None:
            return None
        row = await reading.read_refund(payments_context(info), refund_id=self.row.refund_id)
        return Refund(row=row) if row else None

    @strawberry.field(description="The bill whose money it is.")
    async def bill(self, info: strawberry.Info) -> Bill | None:
        if self.row is None:
            return None
        return Bill.of(*await reading.read_bill(payments_context(info), bill_id=str(self.row.bill_id)))


@strawberry.federation.type(description="What came of requestRefund.")
class RequestRefundPayload(RefundStep):
    """The first officer's step."""


@strawberry.federation.type(description="What came of approveRefund.")
class ApproveRefundPayload(RefundStep):
    """The second officer's yes."""


@strawberry.federation.type(description="What came of rejectRefund.")
class RejectRefundPayload(RefundStep):
    """The second officer's no."""


@strawberry.type(name="Query", description="Questions.")
class Query(UnmatchedQuery):
    """What can be read."""

    @strawberry.field(description="A bill: one's own, or one whose number its payer showed to an officer.")
    async def bill(
        self, info: strawberry.Info, id: Annotated[strawberry.ID, strawberry.argument(description="The bill.")]
    ) -> Bill | None:
        return Bill.of(*await reading.read_bill(payments_context(info), bill_id=str(id)))

    @strawberry.field(description="One's own bills, newest first.")
    async def bills(
        self,
        info: strawberry.Info,
        first: Annotated[int, strawberry.argument(description="How many, 50 at most.")] = 20,
        after: Annotated[str | None, strawberry.argument(description="Cursor to go on from.")] = None,
    ) -> BillConnection | None:
        page = await reading.read_bills(payments_context(info), first=first, after=after)
        edges = [
            BillEdge(cursor=encode_cursor(str(row.bill_id)), node=Bill.of(row, page.disclosure)) for row in page.bills
        ]
        return BillConnection(
            edges=edges, page_info=PageInfo(has_next_page=page.more, end_cursor=edges[-1].cursor if edges else None)
        )


@strawberry.type(name="Mutation", description="Changes: one a document, each with an input and a payload.")
class Mutation:
    """What can be done."""

    @strawberry.mutation(description="Begin to pay a bill; safe to send again with the same key.")
    async def pay_bill(
        self, info: strawberry.Info, input: Annotated[PayBillInput, strawberry.argument(description="What to pay.")]
    ) -> PayBillPayload | None:
        outcome = await paying.pay_bill(
            payments_context(info), bill_id=str(input.bill_id), idempotency_key=input.idempotency_key
        )
        return PayBillPayload(row=outcome.result, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Ask that a bill's money be given back; another officer decides.")
    async def request_refund(
        self,
        info: strawberry.Info,
        input: Annotated[RequestRefundInput, strawberry.argument(description="Which bill.")],
    ) -> RequestRefundPayload | None:
        outcome = await commit(
            payments_context(info), refunding.request_refund, bill_id=str(input.bill_id), surplus=input.surplus
        )
        return RequestRefundPayload(row=outcome.result, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Agree to a refund that another officer requested; the channel is told.")
    async def approve_refund(
        self,
        info: strawberry.Info,
        input: Annotated[ApproveRefundInput, strawberry.argument(description="Which refund.")],
    ) -> ApproveRefundPayload | None:
        outcome = await refunding.approve_refund(payments_context(info), refund_id=str(input.refund_id))
        return ApproveRefundPayload(row=outcome.result, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Say no to a refund that another officer requested.")
    async def reject_refund(
        self,
        info: strawberry.Info,
        input: Annotated[RejectRefundInput, strawberry.argument(description="Which refund.")],
    ) -> RejectRefundPayload | None:
        outcome = await commit(payments_context(info), refunding.reject_refund, refund_id=str(input.refund_id))
        return RejectRefundPayload(row=outcome.result, user_errors=user_errors(outcome, info))


@strawberry.type(name="Subscription", description="What is told as it changes, each time decided and logged anew.")
class Subscription:
    """What can be listened to."""

    @strawberry.subscription(description="A bill of one's own has changed: as it is now.")
    async def bill_changed(
        self,
        info: strawberry.Info,
        id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only this one; left out: any of one's own.")
        ] = None,
    ) -> AsyncGenerator[Bill | None, None]:
        ctx = payments_context(info)
        if is_about(ctx, id):
            yield Bill.of(*await reading.read_bill(ctx, bill_id=str(ctx.about)))


@cache
def create_schema() -> Schema:
    """The subgraph's schema, with nothing connected."""
    return build_schema(query=Query, mutation=Mutation, subscription=Subscription, types=[Bill])
