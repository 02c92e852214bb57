"""The permit office for tests: applicants and officers over the room's own graph and routes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
from litestar import Litestar
from town import CITY_URL, Town

from gov_services.kit.actor import Actor
from gov_services.kit.ids import new_id
from gov_services.subgraph.events import Event

SERVICE = "individual-business-licence"
PDF = b"%PDF-1.4\ninvented\n%%EOF\n"
ERRORS = "userErrors { code message field }"
STEPS = {
    "startApplication": ("StartApplicationInput", "licence-application"),
    "submitApplication": ("SubmitApplicationInput", "licence-application"),
    "correctApplication": ("CorrectApplicationInput", "licence-application"),
    "withdrawApplication": ("WithdrawApplicationInput", "licence-application"),
    "surrenderLicence": ("SurrenderLicenceInput", "licence-holding"),
    "acceptApplication": ("AcceptApplicationInput", "licence-review"),
    "requestCorrection": ("RequestCorrectionInput", "licence-review"),
    "assessFee": ("AssessFeeInput", "licence-review"),
    "recommendApproval": ("RecommendApprovalInput", "licence-review"),
    "rejectApplication": ("RejectApplicationInput", "licence-review"),
    "approveApplication": ("ApproveApplicationInput", "licence-approval"),
}
FILLED = {
    "service": SERVICE,
    "businessName": "测试甲小吃店",
    "businessAddress": "示例市东区一号",
    "scope": "小吃制售",
    "applicantName": "测试甲",
}


class Office:
    """A town with one applicant, one officer and one approver."""

    def __init__(self, town: Town, applicant: Actor, officer: Actor, approver: Actor) -> None:
        self.town = town
        self.applicant = applicant
        self.officer = officer
        self.approver = approver
        app = Litestar([route.handler for route in town.rooms["permits"].routes], openapi_config=None)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=CITY_URL)

    @classmethod
    async def open(cls, town: Town) -> Office:
        """An office with staff, as identity tells of them."""
        applicant = await town.register()
        officer, approver = town.staff("permit-officer"), town.staff("permit-approver")
        office = cls(town, applicant, officer, approver)
        await office.add_staff(officer, "permit-officer")
        await office.add_staff(approver, "permit-approver")
        return office

    async def add_staff(self, actor: Actor, *roles: str) -> None:
        """Tell permits of a member of staff."""
        body = {"staff_id": str(actor.id), "roles": list(roles), "office": "north-counter"}
        await self.tell("identity.staff_added", body, citizen_id=None)

    async def tell(
        self, event_type: str, body: dict[str, Any], *, citizen_id: UUID | None, event_id: UUID | None = None
    ) -> bool:
        """Send permits an event, as the worker does."""
        now = self.town.clock.now()
        event = Event(event_id or new_id(now), event_type.partition(".")[0], event_type, citizen_id, body, now)
        return await self.town.rooms["permits"].receive(event.encode())

    async def step(
        self, name: str, values: dict[str, Any], *, actor: Actor | None = None, case: UUID | None = None
    ) -> dict[str, Any]:
        """Take a step; the answer's data of it, or the whole answer where it was refused."""
        kind, purpose = STEPS[name]
        selection = f"{{ application {{ id state dueAt }} {ERRORS} }}"
        document = f"mutation Step($input: {kind}!) {{ {name}(input: $input) {selection} }}"
        answer = await self.town.ask(
            "permits", document, {"input": values}, purpose=purpose, actor=actor or self.applicant, case=case
        )
        if answer.get("errors"):
            return answer
        return dict(answer["data"][name])

    async def draft(self, **changed: str) -> str:
        """An application that was begun; its id."""
        begun = await self.step("startApplication", {**FILLED, **changed})
        assert begun["userErrors"] == []
        return str(begun["application"]["id"])

    async def link(self, application_id: str, kind: str = "premises-proof") -> str:
        """A link to upload one document."""
        document = (
            "mutation Link($input: RequestUploadInput!) { requestUpload(input: $input) "
            f"{{ upload {{ documentId url expiresAt }} {ERRORS} }} }}"
        )
        values = {"input": {"applicationId": application_id, "kind": kind}}
        answer = await self.town.ask("permits", document, values, purpose="licence-application", actor=self.applicant)
        return str(answer["data"]["requestUpload"]["upload"]["url"])

    async def submitted(self) -> str:
        """An application with its document, submitted; its id."""
        application_id = await self.draft()
        assert (await self.http.put(await self.link(application_id), content=PDF)).status_code == 201
        answer = await self.step("submitApplication", {"applicationId": application_id})
        assert answer["userErrors"] == []
        return application_id

    async def officer_step(self, name: str, application_id: str, **values: Any) -> dict[str, Any]:
        """A step of the officer's."""
        return await self.step(name, {"applicationId": application_id, **values}, actor=self.officer)

    async def fee_due(self) -> str:
        """An application whose fee is to be paid; its id."""
        application_id = await self.submitted()
        for name in ("acceptApplication", "assessFee"):
            assert (await self.officer_step(name, application_id))["userErrors"] == []
        return application_id

    async def settle(self, application_id: str, *, amount_fen: int = 2000, event_id: UUID | None = None) -> bool:
        """Tell permits that the fee was paid."""
        row = await self.row(application_id)
        body = {
            "bill_id": str(row["bill_id"]),
            "application_id": application_id,
            "amount_fen": amount_fen,
            "settled_at": self.town.clock.now().isoformat(),
        }
        return await self.tell("payments.bill_settled", body, citizen_id=self.applicant.id, event_id=event_id)

    async def recommended(self) -> str:
        """An application that waits for its decision; its id."""
        application_id = await self.fee_due()
        await self.settle(application_id)
        assert (await self.officer_step("recommendApproval", application_id))["userErrors"] == []
        return application_id

    async def issued(self) -> str:
        """An application whose licence was issued; its id."""
        application_id = await self.recommended()
        approved = await self.step("approveApplication", {"applicationId": application_id}, actor=self.approver)
        assert approved["userErrors"] == []
        assert approved["application"]["state"] == "ISSUED"
        return application_id

    async def row(self, application_id: str) -> dict[str, Any]:
        """The application as the database has it."""
        (row,) = await self.town.rows(
            "SELECT * FROM permits.application WHERE application_id = :id", id=UUID(application_id)
        )
        return row

    async def read(self, application_id: str, fields: str, *, actor: Actor | None = None) -> dict[str, Any]:
        """Some fields of an application; the whole answer where there are errors."""
        actor = actor or self.applicant
        purpose = "licence-application" if actor is self.applicant else "licence-review"
        answer = await self.town.ask(
            "permits",
            f"query Read($id: ID!) {{ application(id: $id) {{ {fields} }} }}",
            {"id": application_id},
            purpose=purpose,
            actor=actor,
        )
        return answer if answer.get("errors") else dict(answer["data"]["application"])

    async def close(self) -> None:
        """Let go of the routes."""
        await self.http.aclose()
