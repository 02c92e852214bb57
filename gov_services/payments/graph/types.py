"""The types of payments in the graph. They translate; what a personal field gives is the disclosure's to say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any

import strawberry
from strawberry.federation.schema_directives import Key
from strawberry.federation.types import FieldSet

from gov_services.consent.disclosure import Disclosure
from gov_services.consent.personal import Personal
from gov_services.kit.ids import parse_id
from gov_services.payments.lifecycle import PaymentState
from gov_services.payments.models import BillRow, PaymentRow, RefundRow
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service import reading
from gov_services.subgraph.context import ReadContext, require_disclosure
from gov_services.subgraph.types import Money, PageInfo, context_of

LoadOfBills = Callable[[ReadContext[PaymentsPorts], Sequence[Any]], Awaitable[Sequence[Any]]]


@strawberry.enum(name="BillState", description="Where a bill stands.")
class BillStateType(Enum):
    ISSUED = strawberry.enum_value("issued", description="It waits to be paid.")
    PAID = strawberry.enum_value("paid", description="It is paid.")
    REFUNDING = strawberry.enum_value("refunding", description="Its money is on the way back.")
    REFUNDED = strawberry.enum_value("refunded", description="Its money was given back.")
    CANCELLED = strawberry.enum_value("cancelled", description="What it was for was taken back; nothing is owed.")


@strawberry.enum(name="PaymentState", description="Where one attempt to pay stands.")
class PaymentStateType(Enum):
    CREATED = strawberry.enum_value("created", description="The channel has not answered yet; send payBill again.")
    AWAITING = strawberry.enum_value("awaiting", description="The code can be scanned and paid.")
    CLOSED = strawberry.enum_value("closed", description="It can no longer be paid; begin another.")
    SUCCEEDED = strawberry.enum_value("succeeded", description="It settled its bill.")
    SURPLUS = strawberry.enum_value("surplus", description="Its bill did not need it; officers give it back.")


@strawberry.enum(name="RefundState", description="Where a refund stands.")
class RefundStateType(Enum):
    REQUESTED = strawberry.enum_value("requested", description="One officer asked for it.")
    REJECTED = strawberry.enum_value("rejected", description="Another officer said no.")
    APPROVED = strawberry.enum_value("approved", description="Another officer agreed; the channel is told next.")
    SUBMITTED = strawberry.enum_value("submitted", description="The channel is working on it.")
    SUCCEEDED = strawberry.enum_value("succeeded", description="The money is back with whoever paid.")
    FAILED = strawberry.enum_value("failed", description="The channel could not give it back.")


@strawberry.federation.type(
    name="Citizen",
    keys=[Key(fields=FieldSet("id"), resolvable=False)],
    description="A person; identity says more of them.",
)
class CitizenReference:
    """Names a citizen, for identity to resolve."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")


@strawberry.federation.type(description="Proof that a bill was paid.")
class Receipt:
    """What the payer can point to."""

    row: strawberry.Private[BillRow]
    disclosure: strawberry.Private[Disclosure]

    @strawberry.field(
        description="The channel's number of the transaction, as the payer's own statement shows it.",
        directives=[Personal(category="payment", sensitivity="general")],
    )
    def number(self) -> str | None:
        return self.disclosure.release("Receipt.number", self.row.receipt_number)

    @strawberry.field(description="When it was settled.")
    def settled_at(self) -> dt.datetime | None:
        return self.row.settled_at


@strawberry.federation.type(description="One attempt to pay a bill.")
class Payment:
    """What the payer needs to pay, and how it went."""

    row: strawberry.Private[PaymentRow]
    disclosure: strawberry.Private[Disclosure]

    @strawberry.field(description="Opaque id.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.payment_id))

    @strawberry.field(description="Where it stands.")
    def state(self) -> PaymentStateType:
        return PaymentStateType(self.row.state)

    @strawberry.field(description="What the payer's phone scans, as a QR code; there while it can be paid.")
    def code_url(self) -> str | None:
        return self.row.code_url if self.row.state == PaymentState.AWAITING else None

    @strawberry.field(description="Until when the code is good.")
    def expires_at(self) -> dt.datetime:
        return self.row.expires_at

    @strawberry.field(
        description="The payer's pseudonym at the channel. The payer's name is not kept.",
        directives=[Personal(category="account", sensitivity="sensitive", mask="document_number")],
    )
    async def payer_account(self) -> str | None:
        return await self.disclosure.open("Payment.payerAccount", self.row, "payer_account")


@strawberry.federation.type(description="Giving the money of a bill back, by the word of two officers.")
class Refund:
    """How it goes."""

    row: strawberry.Private[RefundRow]

    @strawberry.field(description="Opaque id.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.refund_id))

    @strawberry.field(description="Where it stands.")
    def state(self) -> RefundStateType:
        return RefundStateType(self.row.state)

    @strawberry.field(description="When it was requested.")
    def requested_at(self) -> dt.datetime:
        return self.row.requested_at


@strawberry.federation.type(keys=["id"], description="What a citizen owes for one application (缴款单).")
class Bill:
    """A bill. Its fields need the disclosure about its payer, all but the id that the asker named."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    row: strawberry.Private[BillRow | None]
    disclosure: strawberry.Private[Disclosure | None]

    @classmethod
    def of(cls, row: BillRow, disclosure: Disclosure) -> Bill:
        """The bill of a row."""
        return cls(id=strawberry.ID(str(row.bill_id)), row=row, disclosure=disclosure)

    @classmethod
    async def resolve_reference(cls, info: strawberry.Info, id: strawberry.ID) -> Bill:
        """A bill that another room names. One that is not there and one that may not be read look alike."""
        ctx = payments_context(info)
        identifier = parse_id(str(id))
        load = ctx.loader("payments.bill", partial(reading.load_bills, ctx))
        row = await load.load(identifier) if identifier else None
        disclosure = await ctx.entity_disclosure(row.citizen_id, case_id=ctx.case_id) if row else None
        return cls(id=id, row=row if disclosure else None, disclosure=disclosure)

    @strawberry.field(description="What it is for.", directives=[Personal(category="payment", sensitivity="general")])
    def title(self, info: strawberry.Info) -> str | None:
        row, disclosure = self._known()
        return disclosure.release("Bill.title", row.titles[payments_context(info).call.locale])

    @strawberry.field(description="What is owed.", directives=[Personal(category="payment", sensitivity="general")])
    def amount(self) -> Money | None:
        row, disclosure = self._known()
        return Money(amount=disclosure.release("Bill.amount", row.amount_fen))

    @strawberry.field(description="Where it stands.")
    def state(self) -> BillStateType | None:
        return BillStateType(self._known()[0].state)

    @strawberry.field(description="Who owes it.")
    def payer(self) -> CitizenReference | None:
        return CitizenReference(id=strawberry.ID(str(self._known()[0].citizen_id)))

    @strawberry.field(description="Until when it is to be paid.")
    def due_at(self) -> dt.datetime | None:
        return self._known()[0].due_at

    @strawberry.field(description="Proof that it was paid, once it is.")
    def receipt(self) -> Receipt | None:
        row, disclosure = self._known()
        return Receipt(row=row, disclosure=disclosure) if row.settled_at else None

    @strawberry.field(description="The payment that settled it, else the newest attempt.")
    async def payment(self, info: strawberry.Info) -> Payment | None:
        _, disclosure = self._known()
        payment = await self._load(info, "payment", reading.load_payments)
        return Payment(row=payment, disclosure=disclosure) if payment else None

    @strawberry.field(description="The newest refund of it.")
    async def refund(self, info: strawberry.Info) -> Refund | None:
        refund = await self._load(info, "refund", reading.load_refunds)
        return Refund(row=refund) if refund else None

    def _known(self) -> tuple[BillRow, Disclosure]:
        disclosure = require_disclosure(self.disclosure)
        assert self.row is not None  # a disclosure is about a bill that is there
        return self.row, disclosure

    async def _load(self, info: strawberry.Info, name: str, load: LoadOfBills) -> Any:
        row, _ = self._known()
        ctx = payments_context(info)
        return await ctx.loader(f"payments.{name}", partial(load, ctx)).load((row.citizen_id, row.bill_id))


@strawberry.federation.type(description="One bill of a page.")
class BillEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: Bill = strawberry.field(description="The bill.")


@strawberry.federation.type(description="A page of bills.")
class BillConnection:
    """Relay's connection."""

    edges: list[BillEdge] = strawberry.field(description="The bills, newest first.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


def payments_context(info: strawberry.Info) -> ReadContext[PaymentsPorts]:
    """The context of the fetch, with this room's ports."""
    return context_of(info)
