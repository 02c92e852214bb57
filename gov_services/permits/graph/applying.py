"""What an applicant changes, in GraphQL."""

from __future__ import annotations

from typing import Annotated, TypedDict

import strawberry

from gov_services.consent.personal import Personal
from gov_services.permits.graph.types import Application, DocumentLink, permits_context
from gov_services.permits.models import ApplicationRow
from gov_services.permits.service import applying, documents, reading
from gov_services.subgraph.types import UserErrorType, user_errors
from gov_services.subgraph.unit_of_work import Outcome, commit

_BUSINESS = Personal(category="business", sensitivity="general")
_ADDRESS = Personal(category="address", sensitivity="general")
_NAME = Personal(category="name", sensitivity="general")


@strawberry.input(description="What to apply for, and with what.")
class StartApplicationInput:
    """Input of startApplication."""

    service: str = strawberry.field(description="Code of the matter, from the catalogue.")
    business_name: str = strawberry.field(
        description="Name of the business, 2 to 60 characters.", directives=[_BUSINESS]
    )
    business_address: str = strawberry.field(
        description="Where the business is, 2 to 120 characters.", directives=[_ADDRESS]
    )
    scope: str = strawberry.field(description="What it does, 2 to 200 characters.", directives=[_BUSINESS])
    applicant_name: str = strawberry.field(
        description="The applicant's name, as it is to stand on the licence.", directives=[_NAME]
    )


@strawberry.input(description="Which document is to come.")
class RequestUploadInput:
    """Input of requestUpload."""

    application_id: strawberry.ID = strawberry.field(description="The application.")
    kind: str = strawberry.field(description="Which of the service's documents.")


@strawberry.input(description="Which application to submit.")
class SubmitApplicationInput:
    """Input of submitApplication."""

    application_id: strawberry.ID = strawberry.field(description="The application.")


@strawberry.input(description="The one thing that was asked for; nothing where a document was, which is uploaded.")
class CorrectApplicationInput:
    """Input of correctApplication."""

    application_id: strawberry.ID = strawberry.field(description="The application.")
    business_name: str | None = strawberry.field(
        default=None, description="Name of the business.", directives=[_BUSINESS]
    )
    business_address: str | None = strawberry.field(
        default=None, description="Where the business is.", directives=[_ADDRESS]
    )
    scope: str | None = strawberry.field(default=None, description="What it does.", directives=[_BUSINESS])


@strawberry.input(description="Which application to take back.")
class WithdrawApplicationInput:
    """Input of withdrawApplication."""

    application_id: strawberry.ID = strawberry.field(description="The application.")


@strawberry.input(description="Which licence to give back.")
class SurrenderLicenceInput:
    """Input of surrenderLicence."""

    licence_id: strawberry.ID = strawberry.field(description="The licence.")


@strawberry.federation.type
class ApplicationStep:
    """What the payloads share; the application is read after the commit."""

    row: strawberry.Private[ApplicationRow | None]
    user_errors: list[UserErrorType] = strawberry.field(description="What to put right.")

    @strawberry.field(description="The application as it stands now.")
    async def application(self, info: strawberry.Info) -> Application | None:
        if self.row is None:
            return None
        identifier = str(self.row.application_id)
        return Application.of(*await reading.read_application(permits_context(info), application_id=identifier))


@strawberry.federation.type(description="What came of startApplication.")
class StartApplicationPayload(ApplicationStep):
    """A draft."""


@strawberry.federation.type(description="What came of submitApplication.")
class SubmitApplicationPayload(ApplicationStep):
    """A case."""


@strawberry.federation.type(description="What came of correctApplication.")
class CorrectApplicationPayload(ApplicationStep):
    """Put right."""


@strawberry.federation.type(description="What came of withdrawApplication.")
class WithdrawApplicationPayload(ApplicationStep):
    """Taken back."""


@strawberry.federation.type(description="What came of surrenderLicence.")
class SurrenderLicencePayload(ApplicationStep):
    """Given back."""


@strawberry.type(description="What came of requestUpload.")
class RequestUploadPayload:
    """A link to PUT one file to."""

    upload: DocumentLink | None = strawberry.field(description="Where to PUT the file.")
    user_errors: list[UserErrorType] = strawberry.field(description="What to put right.")


@strawberry.type
class ApplyingMutation:
    """Root fields of an applicant."""

    @strawberry.mutation(description="Begin an application.")
    async def start_application(
        self,
        info: strawberry.Info,
        input: Annotated[StartApplicationInput, strawberry.argument(description="What to apply for.")],
    ) -> StartApplicationPayload | None:
        filled = applying.Filled(
            business_name=input.business_name,
            business_address=input.business_address,
            scope=input.scope,
            applicant_name=input.applicant_name,
        )
        outcome = await commit(
            permits_context(info), applying.start_application, service_code=input.service, filled=filled
        )
        return StartApplicationPayload(**step_of(outcome, info))

    @strawberry.mutation(description="Ask for a link to upload one document.")
    async def request_upload(
        self,
        info: strawberry.Info,
        input: Annotated[RequestUploadInput, strawberry.argument(description="Which document.")],
    ) -> RequestUploadPayload | None:
        outcome = await commit(
            permits_context(info),
            documents.request_upload,
            application_id=str(input.application_id),
            kind=input.kind,
        )
        upload = DocumentLink.of(outcome.result) if outcome.result else None
        return RequestUploadPayload(upload=upload, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Submit an application; an officer gets it.")
    async def submit_application(
        self,
        info: strawberry.Info,
        input: Annotated[SubmitApplicationInput, strawberry.argument(description="Which.")],
    ) -> SubmitApplicationPayload | None:
        identifier = str(input.application_id)
        outcome = await commit(permits_context(info), applying.submit_application, application_id=identifier)
        return SubmitApplicationPayload(**step_of(outcome, info))

    @strawberry.mutation(description="Put right what was asked for.")
    async def correct_application(
        self,
        info: strawberry.Info,
        input: Annotated[CorrectApplicationInput, strawberry.argument(description="What was asked for.")],
    ) -> CorrectApplicationPayload | None:
        given = {
            "businessName": input.business_name,
            "businessAddress": input.business_address,
            "scope": input.scope,
        }
        outcome = await commit(
            permits_context(info),
            applying.correct_application,
            application_id=str(input.application_id),
            values={name: value for name, value in given.items() if value is not None},
        )
        return CorrectApplicationPayload(**step_of(outcome, info))

    @strawberry.mutation(description="Take an application back before it is decided.")
    async def withdraw_application(
        self,
        info: strawberry.Info,
        input: Annotated[WithdrawApplicationInput, strawberry.argument(description="Which.")],
    ) -> WithdrawApplicationPayload | None:
        identifier = str(input.application_id)
        outcome = await commit(permits_context(info), applying.withdraw_application, application_id=identifier)
        return WithdrawApplicationPayload(**step_of(outcome, info))

    @strawberry.mutation(description="Give a licence back; from then on whoever checks it is told.")
    async def surrender_licence(
        self,
        info: strawberry.Info,
        input: Annotated[SurrenderLicenceInput, strawberry.argument(description="Which.")],
    ) -> SurrenderLicencePayload | None:
        identifier = str(input.licence_id)
        outcome = await commit(permits_context(info), applying.surrender_licence, licence_id=identifier)
        return SurrenderLicencePayload(**step_of(outcome, info))


class Step(TypedDict):
    """What every payload of a step is made with."""

    row: ApplicationRow | None
    user_errors: list[UserErrorType]


def step_of(outcome: Outcome[ApplicationRow], info: strawberry.Info) -> Step:
    return {"row": outcome.result, "user_errors": user_errors(outcome, info)}
