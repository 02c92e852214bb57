"""Guardians of under-14s in GraphQL: what officers note, and whose guardian a citizen is."""

from __future__ import annotations

from typing import Annotated

import strawberry

from gov_services.consent.personal import Personal
from gov_services.identity.graph.citizens import Citizen, citizen_of
from gov_services.identity.service import guardians
from gov_services.identity.service.guardians import GuardianDocument
from gov_services.subgraph.types import UserErrorType, context_of, register_enum, user_errors

NUMBER = Personal(category="identifier", sensitivity="sensitive")
Input = strawberry.argument(description="What it takes.")

register_enum(
    GuardianDocument,
    name="GuardianDocument",
    description="What an officer sees before noting a guardian.",
    values={
        GuardianDocument.HOUSEHOLD_REGISTER: "Household register.",
        GuardianDocument.BIRTH_CERTIFICATE: "Medical certificate of birth.",
        GuardianDocument.COURT_DECISION: "A court's decision that names the guardian.",
    },
)


@strawberry.input(description="A guardian to note, from a document that the officer has seen.")
class LinkGuardianInput:
    """Both by their full numbers."""

    guardian_national_id: str = strawberry.field(
        description="Full resident identity number of the guardian.", directives=[NUMBER]
    )
    child_national_id: str = strawberry.field(
        description="Full resident identity number of the child.", directives=[NUMBER]
    )
    document: GuardianDocument = strawberry.field(description="What was seen.")
    document_number: str = strawberry.field(
        description="Its number; a keyed digest of it is kept.", directives=[NUMBER]
    )


@strawberry.input(description="A guardian's relation to end before its time.")
class EndGuardianInput:
    """Both by their full numbers."""

    guardian_national_id: str = strawberry.field(
        description="Full resident identity number of the guardian.", directives=[NUMBER]
    )
    child_national_id: str = strawberry.field(
        description="Full resident identity number of the child.", directives=[NUMBER]
    )


@strawberry.type(description="What became of noting a guardian.")
class LinkGuardianPayload:
    """Both are told."""

    linked: bool = strawberry.field(description="Whether it was done.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


@strawberry.type(description="What became of ending a guardian's relation.")
class EndGuardianPayload:
    """Both are told."""

    ended: bool = strawberry.field(description="Whether it was done.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


@strawberry.type
class GuardianQuery:
    """Root fields about guardians."""

    @strawberry.field(description="The children under fourteen whose guardian asks.")
    async def wards(self, info: strawberry.Info) -> list[Citizen]:
        """What of them is shown, the purpose says."""
        ctx = context_of(info)
        return [citizen_of(ctx, known) for known in await guardians.list_wards(ctx)]


@strawberry.type
class GuardianMutation:
    """At a counter only."""

    @strawberry.mutation(description="Note who is guardian of a child under fourteen, from a document.")
    async def link_guardian(
        self, info: strawberry.Info, input: Annotated[LinkGuardianInput, Input]
    ) -> LinkGuardianPayload:
        """It ends by itself once the child has turned fourteen."""
        outcome = await guardians.link_guardian(
            context_of(info),
            guardian_number=input.guardian_national_id,
            child_number=input.child_national_id,
            document=input.document,
            document_number=input.document_number,
        )
        return LinkGuardianPayload(linked=outcome.result is not None, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="End a guardian's relation before its time.")
    async def end_guardian(
        self, info: strawberry.Info, input: Annotated[EndGuardianInput, Input]
    ) -> EndGuardianPayload:
        """What they consented to for the child opens nothing from then on."""
        outcome = await guardians.end_guardian(
            context_of(info), guardian_number=input.guardian_national_id, child_number=input.child_national_id
        )
        return EndGuardianPayload(ended=outcome.result is not None, user_errors=user_errors(outcome, info))
