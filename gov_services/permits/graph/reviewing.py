"""What officers change, in GraphQL."""

from __future__ import annotations

from typing import Annotated

import strawberry

from gov_services.consent.personal import Personal
from gov_services.permits.graph.applying import ApplicationStep, step_of
from gov_services.permits.graph.enums import CorrectableType, RejectionType
from gov_services.permits.graph.types import permits_context
from gov_services.permits.service import reviewing
from gov_services.permits.service.reviewing import Correctable, Rejection
from gov_services.subgraph.unit_of_work import commit


@strawberry.input(description="Which application to accept.")
class AcceptApplicationInput:
    """Input of acceptApplication."""

    application_id: strawberry.ID = strawberry.field(description="The application.")


@strawberry.input(description="What is to be put right.")
class RequestCorrectionInput:
    """Input of requestCorrection."""

    application_id: strawberry.ID = strawberry.field(description="The application.")
    field: CorrectableType = strawberry.field(description="The one thing that is to be put right.")
    note: str | None = strawberry.field(
        default=None,
        description="Words to the applicant, 2 to 300 characters.",
        directives=[Personal(category="business", sensitivity="general")],
    )


@strawberry.input(description="Which application's fee to state.")
class AssessFeeInput:
    """Input of assessFee."""

    application_id: strawberry.ID = strawberry.field(description="The application.")


@strawberry.input(description="Which application to recommend.")
class RecommendApprovalInput:
    """Input of recommendApproval."""

    application_id: strawberry.ID = strawberry.field(description="The application.")


@strawberry.input(description="Which application to approve.")
class ApproveApplicationInput:
    """Input of approveApplication."""

    application_id: strawberry.ID = strawberry.field(description="The application.")


@strawberry.input(description="Which application to reject, and why.")
class RejectApplicationInput:
    """Input of rejectApplication."""

    application_id: strawberry.ID = strawberry.field(description="The application.")
    rejection: RejectionType = strawberry.field(description="Why.")


@strawberry.federation.type(description="What came of acceptApplication.")
class AcceptApplicationPayload(ApplicationStep):
    """Accepted."""


@strawberry.federation.type(description="What came of requestCorrection.")
class RequestCorrectionPayload(ApplicationStep):
    """Waiting for the applicant."""


@strawberry.federation.type(description="What came of assessFee.")
class AssessFeePayload(ApplicationStep):
    """Waiting for the money."""


@strawberry.federation.type(description="What came of recommendApproval.")
class RecommendApprovalPayload(ApplicationStep):
    """The first officer's yes."""


@strawberry.federation.type(description="What came of approveApplication.")
class ApproveApplicationPayload(ApplicationStep):
    """The second officer's yes; the licence is there."""


@strawberry.federation.type(description="What came of rejectApplication.")
class RejectApplicationPayload(ApplicationStep):
    """An officer's no."""


@strawberry.type
class ReviewingMutation:
    """Root fields of officers."""

    @strawberry.mutation(description="Accept an application (受理); the statutory time runs.")
    async def accept_application(
        self,
        info: strawberry.Info,
        input: Annotated[AcceptApplicationInput, strawberry.argument(description="Which.")],
    ) -> AcceptApplicationPayload | None:
        identifier = str(input.application_id)
        outcome = await commit(permits_context(info), reviewing.accept_application, application_id=identifier)
        return AcceptApplicationPayload(**step_of(outcome, info))

    @strawberry.mutation(description="Ask the applicant to put one thing right (补正).")
    async def request_correction(
        self,
        info: strawberry.Info,
        input: Annotated[RequestCorrectionInput, strawberry.argument(description="What.")],
    ) -> RequestCorrectionPayload | None:
        outcome = await commit(
            permits_context(info),
            reviewing.request_correction,
            application_id=str(input.application_id),
            correctable=Correctable(str(input.field.value)),
            note=input.note,
        )
        return RequestCorrectionPayload(**step_of(outcome, info))

    @strawberry.mutation(description="State the fee that the catalogue sets; a bill is issued.")
    async def assess_fee(
        self,
        info: strawberry.Info,
        input: Annotated[AssessFeeInput, strawberry.argument(description="Which.")],
    ) -> AssessFeePayload | None:
        identifier = str(input.application_id)
        outcome = await commit(permits_context(info), reviewing.assess_fee, application_id=identifier)
        return AssessFeePayload(**step_of(outcome, info))

    @strawberry.mutation(description="Recommend approval (审核); another officer decides.")
    async def recommend_approval(
        self,
        info: strawberry.Info,
        input: Annotated[RecommendApprovalInput, strawberry.argument(description="Which.")],
    ) -> RecommendApprovalPayload | None:
        identifier = str(input.application_id)
        outcome = await commit(permits_context(info), reviewing.recommend_approval, application_id=identifier)
        return RecommendApprovalPayload(**step_of(outcome, info))

    @strawberry.mutation(description="Approve (核准) what another officer recommended; the licence is issued.")
    async def approve_application(
        self,
        info: strawberry.Info,
        input: Annotated[ApproveApplicationInput, strawberry.argument(description="Which.")],
    ) -> ApproveApplicationPayload | None:
        identifier = str(input.application_id)
        outcome = await commit(permits_context(info), reviewing.approve_application, application_id=identifier)
        return ApproveApplicationPayload(**step_of(outcome, info))

    @strawberry.mutation(description="Reject an application.")
    async def reject_application(
        self,
        info: strawberry.Info,
        input: Annotated[RejectApplicationInput, strawberry.argument(description="Which, and why.")],
    ) -> RejectApplicationPayload | None:
        outcome = await commit(
            permits_context(info),
            reviewing.reject_application,
            application_id=str(input.application_id),
            rejection=Rejection(str(input.rejection.value)),
        )
        return RejectApplicationPayload(**step_of(outcome, info))
