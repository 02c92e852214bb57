"""The types of permits in the graph. They translate; what a personal field gives is the disclosure's to say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import strawberry
from strawberry.federation.schema_directives import Key
from strawberry.federation.types import FieldSet

from gov_services.consent.disclosure import Disclosure
from gov_services.consent.personal import Personal
from gov_services.kit.ids import parse_id
from gov_services.permits import catalogue
from gov_services.permits.credential import qr_code
from gov_services.permits.graph.enums import (
    ApplicationStateType,
    CorrectableType,
    LicenceStatusType,
    RejectionType,
    StepByType,
)
from gov_services.permits.models import ApplicationRow, CorrectionRow, DocumentRow, TimelineRow
from gov_services.permits.ports import PermitsPorts
from gov_services.permits.service import documents, reading
from gov_services.permits.service.reading import Registered
from gov_services.subgraph.context import ReadContext, require_disclosure
from gov_services.subgraph.types import Money, PageInfo, context_of

LoadOfCases = Callable[[ReadContext[PermitsPorts], Sequence[Any]], Awaitable[Sequence[Any]]]


@strawberry.federation.type(
    name="Citizen",
    keys=[Key(fields=FieldSet("id"), resolvable=False)],
    description="A person; identity says more of them.",
)
class CitizenReference:
    """Names a citizen, for identity to resolve."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")


@strawberry.federation.type(
    name="Bill",
    keys=[Key(fields=FieldSet("id"), resolvable=False)],
    description="What a citizen owes; payments says more of it.",
)
class BillReference:
    """Names a bill, for payments to resolve."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")


@strawberry.type(description="A document that an application has, or may have (申请材料).")
class RequiredDocument:
    """One line of a matter's list."""

    kind: str = strawberry.field(description="Code to ask for an upload with.")
    title: str = strawberry.field(description="What it is, in the language asked for.")
    required: bool = strawberry.field(description="Whether nothing can be submitted without it.")


@strawberry.type(description="A matter that citizens apply for (事项).")
class Service:
    """A line of the catalogue; nothing personal."""

    code: str = strawberry.field(description="Stable code.")
    title: str = strawberry.field(description="What it is, in the language asked for.")
    fee: Money = strawberry.field(description="What it costs.")
    statutory_working_days: int = strawberry.field(description="Within how many working days it is decided.")
    legal_basis: str = strawberry.field(description="The law that it rests on.")
    agency: str = strawberry.field(description="Who decides.")
    documents: list[RequiredDocument] = strawberry.field(description="What is to be uploaded.")

    @classmethod
    def of(cls, service: catalogue.Service, locale: str) -> Service:
        """The matter in a language."""
        return cls(
            code=service.code,
            title=service.titles[locale],
            fee=Money(amount=service.fee_fen),
            statutory_working_days=service.statutory_working_days,
            legal_basis=service.legal_basis,
            agency=service.agency,
            documents=[
                RequiredDocument(kind=item.kind, title=item.titles[locale], required=item.required)
                for item in service.documents
            ],
        )


@strawberry.type(description="A link for one file.")
class DocumentLink:
    """Good for a while, for whoever asked for it."""

    document_id: strawberry.ID = strawberry.field(description="The document.")
    url: str = strawberry.field(description="Where to PUT the file, or to GET it.")
    expires_at: dt.datetime = strawberry.field(description="Until when the link is good.")

    @classmethod
    def of(cls, address: documents.Address) -> DocumentLink:
        """The link to an address."""
        return cls(document_id=strawberry.ID(address.document_id), url=address.url, expires_at=address.expires_at)


@strawberry.federation.type(description="A document that was uploaded with an application.")
class ApplicationDocument:
    """What is known of it; its content lies behind a link."""

    row: strawberry.Private[DocumentRow]
    disclosure: strawberry.Private[Disclosure]

    @strawberry.field(description="Opaque id.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.document_id))

    @strawberry.field(description="Which of the service's documents it is.")
    def kind(self) -> str:
        return self.row.kind

    @strawberry.field(description="Media type, as its bytes say.")
    def media_type(self) -> str | None:
        return self.row.media_type

    @strawberry.field(description="Size in bytes.")
    def size_bytes(self) -> int | None:
        return self.row.size_bytes

    @strawberry.field(description="When it came.")
    def stored_at(self) -> dt.datetime | None:
        return self.row.stored_at

    @strawberry.field(
        description="A link to its content; following it is decided and logged anew.",
        directives=[Personal(category="business", sensitivity="sensitive")],
    )
    def content(self, info: strawberry.Info) -> DocumentLink | None:
        address = documents.download_address(permits_context(info), self.row)
        return self.disclosure.release("ApplicationDocument.content", DocumentLink.of(address))


@strawberry.federation.type(description="A request to put one thing right (补正).")
class Correction:
    """What the applicant is asked for."""

    row: strawberry.Private[CorrectionRow]
    disclosure: strawberry.Private[Disclosure]

    @strawberry.field(description="What is to be put right.")
    def field(self) -> CorrectableType:
        return CorrectableType(self.row.field)

    @strawberry.field(
        description="The officer's words.", directives=[Personal(category="business", sensitivity="general")]
    )
    async def note(self) -> str | None:
        return await self.disclosure.open("Correction.note", self.row, "note")

    @strawberry.field(description="When it was asked for.")
    def requested_at(self) -> dt.datetime:
        return self.row.requested_at


@strawberry.type(description="One step of an application.")
class TimelineStep:
    """Names no person."""

    event: str = strawberry.field(description="What happened, as the life cycle names it.")
    state: ApplicationStateType = strawberry.field(description="Where it stood afterwards.")
    at: dt.datetime = strawberry.field(description="When.")
    by: StepByType = strawberry.field(description="Who took the step.")

    @classmethod
    def of(cls, row: TimelineRow) -> TimelineStep:
        """The step of a row."""
        return cls(event=row.event, state=ApplicationStateType(row.state_after), at=row.at, by=StepByType(row.by_kind))


@strawberry.federation.type(keys=["id"], description="A licence: a credential that anyone can check.")
class Licence:
    """Its fields need the disclosure about its holder, all but the id."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    found: strawberry.Private[Registered | None]
    disclosure: strawberry.Private[Disclosure | None]

    @classmethod
    def of(cls, found: Registered, disclosure: Disclosure) -> Licence:
        """The licence of a row."""
        return cls(id=strawberry.ID(str(found[0].licence_id)), found=found, disclosure=disclosure)

    @strawberry.field(description="Its public number (统一社会信用代码).")
    def number(self) -> str | None:
        return self._known()[0][0].number

    @strawberry.field(description="Whether it holds.")
    def status(self) -> LicenceStatusType | None:
        return LicenceStatusType(self._known()[0][1].status)

    @strawberry.field(description="When it was issued.")
    def issued_at(self) -> dt.datetime | None:
        return self._known()[0][0].issued_at

    @strawberry.field(
        description="The licence as a signed credential (JWT of type licence+jwt).",
        directives=[Personal(category="business", sensitivity="general")],
    )
    async def credential(self) -> str | None:
        found, disclosure = self._known()
        return await disclosure.open("Licence.credential", found[0], "credential")

    @strawberry.field(
        description="The credential as a QR code: an SVG.",
        directives=[Personal(category="business", sensitivity="general", derived_from="Licence.credential")],
    )
    async def qr_code(self, info: strawberry.Info) -> str | None:
        found, disclosure = self._known()
        draw = partial(qr_code, issuer=permits_context(info).ports.issuer)
        return await disclosure.derive("Licence.qrCode", found[0], "credential", draw)

    def _known(self) -> tuple[Registered, Disclosure]:
        disclosure = require_disclosure(self.disclosure)
        assert self.found is not None  # a disclosure is about a licence that is there
        return self.found, disclosure


@strawberry.federation.type(keys=["id"], description="One application (办件).")
class Application:
    """Its fields need the disclosure about its applicant, all but the id that the asker named."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    row: strawberry.Private[ApplicationRow | None]
    disclosure: strawberry.Private[Disclosure | None]

    @classmethod
    def of(cls, row: ApplicationRow, disclosure: Disclosure) -> Application:
        """The application of a row."""
        return cls(id=strawberry.ID(str(row.application_id)), row=row, disclosure=disclosure)

    @classmethod
    async def resolve_reference(cls, info: strawberry.Info, id: strawberry.ID) -> Application:
        """An application that another room names. Absent and not to be read look alike."""
        ctx = permits_context(info)
        identifier = parse_id(str(id))
        load = ctx.loader("permits.application", partial(reading.load_applications, ctx))
        row = await load.load(identifier) if identifier else None
        disclosure = await ctx.entity_disclosure(row.citizen_id, case_id=row.application_id) if row else None
        return cls(id=id, row=row if disclosure else None, disclosure=disclosure)

    @strawberry.field(description="Where it stands.")
    def state(self) -> ApplicationStateType | None:
        return ApplicationStateType(self._known()[0].state)

    @strawberry.field(description="The matter that it is about.")
    def service(self, info: strawberry.Info) -> Service | None:
        ctx, code = permits_context(info), self._known()[0].service_code
        known = next((item for item in ctx.ports.catalogue if item.code == code), None)
        return Service.of(known, ctx.call.locale) if known else None

    @strawberry.field(description="Who applies.")
    def applicant(self) -> CitizenReference | None:
        return CitizenReference(id=strawberry.ID(str(self._known()[0].citizen_id)))

    @strawberry.field(
        description="The applicant's name, as it is to stand on the licence.",
        directives=[Personal(category="name", sensitivity="general", mask="name")],
    )
    async def applicant_name(self) -> str | None:
        return await self._open("Application.applicantName", "applicant_name")

    @strawberry.field(
        description="Name of the business.",
        directives=[Personal(category="business", sensitivity="general", mask="business")],
    )
    async def business_name(self) -> str | None:
        return await self._open("Application.businessName", "business_name")

    @strawberry.field(
        description="Where the business is.",
        directives=[Personal(category="address", sensitivity="general", mask="address")],
    )
    async def business_address(self) -> str | None:
        return await self._open("Application.businessAddress", "business_address")

    @strawberry.field(
        description="What the business does (经营范围).",
        directives=[Personal(category="business", sensitivity="general")],
    )
    async def scope(self) -> str | None:
        return await self._open("Application.scope", "scope")

    @strawberry.field(description="When it was submitted.")
    def submitted_at(self) -> dt.datetime | None:
        return self._known()[0].submitted_at

    @strawberry.field(description="By when it is decided; null while no statutory time runs.")
    def due_at(self) -> dt.datetime | None:
        return self._known()[0].due_at

    @strawberry.field(description="What the applicant is asked to put right.")
    async def correction(self, info: strawberry.Info) -> Correction | None:
        _, disclosure = self._known()
        correction = await self._load(info, "correction", reading.load_corrections)
        return Correction(row=correction, disclosure=disclosure) if correction else None

    @strawberry.field(description="The fee, once it is assessed.")
    def fee(self) -> BillReference | None:
        bill_id = self._known()[0].bill_id
        return BillReference(id=strawberry.ID(str(bill_id))) if bill_id else None

    @strawberry.field(description="Why it was rejected.")
    def rejection(self) -> RejectionType | None:
        rejection = self._known()[0].rejection
        return RejectionType(rejection) if rejection else None

    @strawberry.field(description="Documents that were uploaded.")
    async def documents(self, info: strawberry.Info) -> list[ApplicationDocument] | None:
        _, disclosure = self._known()
        rows = await self._load(info, "documents", reading.load_documents)
        return [ApplicationDocument(row=row, disclosure=disclosure) for row in rows]

    @strawberry.field(description="Every step so far, in order.")
    async def timeline(self, info: strawberry.Info) -> list[TimelineStep] | None:
        rows = await self._load(info, "timeline", reading.load_timelines)
        return [TimelineStep.of(row) for row in rows]

    @strawberry.field(description="The licence that came of it.")
    async def licence(self, info: strawberry.Info) -> Licence | None:
        _, disclosure = self._known()
        found = await self._load(info, "licence", reading.load_licences)
        return Licence.of(found, disclosure) if found else None

    def _known(self) -> tuple[ApplicationRow, Disclosure]:
        disclosure = require_disclosure(self.disclosure)
        assert self.row is not None  # a disclosure is about an application that is there
        return self.row, disclosure

    async def _open(self, coordinate: str, attribute: str) -> str | None:
        row, disclosure = self._known()
        return await disclosure.open(coordinate, row, attribute)

    async def _load(self, info: strawberry.Info, name: str, load: LoadOfCases) -> Any:
        row, _ = self._known()
        ctx = permits_context(info)
        return await ctx.loader(f"permits.{name}", partial(load, ctx)).load((row.citizen_id, row.application_id))


@strawberry.federation.type(description="One application of a page.")
class ApplicationEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: Application = strawberry.field(description="The application.")


@strawberry.federation.type(description="A page of applications.")
class ApplicationConnection:
    """Relay's connection."""

    edges: list[ApplicationEdge] = strawberry.field(description="The applications, in the list's order.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


def permits_context(info: strawberry.Info) -> ReadContext[PermitsPorts]:
    """The context of the fetch, with this room's ports."""
    return context_of(info)
