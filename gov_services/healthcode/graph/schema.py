"""The root fields of healthcode, and the schema put together."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Annotated

import strawberry

from gov_services.consent.personal import Personal
from gov_services.healthcode.facts import Symptom, TestResult
from gov_services.healthcode.graph.reviews import ReviewMutation, ReviewQuery
from gov_services.healthcode.graph.types import (
    HealthCode,
    HealthVerification,
    ShownCode,
    SymptomType,
    TestResultType,
    healthcode_context,
)
from gov_services.healthcode.service import declaring, verifying
from gov_services.subgraph.schema import Schema, build_schema
from gov_services.subgraph.types import UserErrorType, user_errors
from gov_services.subgraph.unit_of_work import commit

_HEALTH = Personal(category="health", sensitivity="sensitive")


@strawberry.input(description="What a citizen declares about their health.")
class DeclareHealthInput:
    """Input of declareHealth."""

    name: str = strawberry.field(
        description="The name, of which the code shows a mask; the name itself is not kept.",
        directives=[Personal(category="name", sensitivity="general")],
    )
    symptoms: list[SymptomType] = strawberry.field(
        description="Symptoms; an empty list for none.", directives=[_HEALTH]
    )
    test_result: TestResultType | None = strawberry.field(
        default=None, description="How a test came out.", directives=[_HEALTH]
    )
    tested_at: dt.datetime | None = strawberry.field(
        default=None, description="When it was taken, within thirty days.", directives=[_HEALTH]
    )
    contact_at: dt.datetime | None = strawberry.field(
        default=None,
        description="When there was close contact with a confirmed case, within thirty days.",
        directives=[_HEALTH],
    )


@strawberry.input(description="A code that was shown.")
class VerifyHealthCodeInput:
    """Input of verifyHealthCode."""

    token: str = strawberry.field(
        description="The code's text, as scanned.",
        directives=[Personal(category="health", sensitivity="sensitive")],
    )


@strawberry.federation.type(description="What came of declareHealth.")
class DeclareHealthPayload:
    """The code is read after the commit."""

    done: strawberry.Private[bool]
    user_errors: list[UserErrorType] = strawberry.field(description="What to put right.")

    @strawberry.field(description="What the rules made of it.")
    async def health_code(self, info: strawberry.Info) -> HealthCode | None:
        return await read_code(info) if self.done else None


@strawberry.type(description="What came of showHealthCode.")
class ShowHealthCodePayload:
    """A code for some minutes."""

    code: ShownCode | None = strawberry.field(description="The code.")
    user_errors: list[UserErrorType] = strawberry.field(description="What to put right.")


@strawberry.type(description="What came of verifyHealthCode.")
class VerifyHealthCodePayload:
    """What a venue learns."""

    verification: HealthVerification | None = strawberry.field(description="What the code says.")
    user_errors: list[UserErrorType] = strawberry.field(description="What to put right.")


@strawberry.type(name="Query", description="Questions.")
class Query(ReviewQuery):
    """What can be read."""

    @strawberry.field(description="The asking citizen's health code; null until something was declared.")
    async def health_code(self, info: strawberry.Info) -> HealthCode | None:
        return await read_code(info)


@strawberry.type(name="Mutation", description="Changes: one a document, each with an input and a payload.")
class Mutation(ReviewMutation):
    """What can be done."""

    @strawberry.mutation(description="Declare one's health; the rules make a colour of it.")
    async def declare_health(
        self,
        info: strawberry.Info,
        input: Annotated[DeclareHealthInput, strawberry.argument(description="What is declared.")],
    ) -> DeclareHealthPayload | None:
        declared = declaring.Declared(
            name=input.name,
            symptoms=[Symptom(str(item.value)) for item in input.symptoms],
            test_result=TestResult(str(input.test_result.value)) if input.test_result else None,
            tested_at=input.tested_at,
            contact_at=input.contact_at,
        )
        outcome = await commit(healthcode_context(info), declaring.declare_health, declared=declared)
        return DeclareHealthPayload(done=outcome.result is not None, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Get a code to show, good for some minutes.")
    async def show_health_code(self, info: strawberry.Info) -> ShowHealthCodePayload | None:
        outcome = await commit(healthcode_context(info), declaring.show_code)
        code = outcome.result
        shown = ShownCode(token=code.text, qr_code=code.qr_code, expires_at=code.expires_at) if code else None
        return ShowHealthCodePayload(code=shown, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="What stands behind a code that its holder shows.")
    async def verify_health_code(
        self,
        info: strawberry.Info,
        input: Annotated[VerifyHealthCodeInput, strawberry.argument(description="The code.")],
    ) -> VerifyHealthCodePayload | None:
        ctx = healthcode_context(info)
        outcome = await commit(ctx, verifying.verify_code, text=input.token)
        verification = None
        if outcome.result is not None:
            row, disclosure = outcome.result
            verification = HealthVerification(row=row, disclosure=disclosure, now=ctx.now)
        return VerifyHealthCodePayload(verification=verification, user_errors=user_errors(outcome, info))


async def read_code(info: strawberry.Info) -> HealthCode | None:
    """The asking citizen's own."""
    ctx = healthcode_context(info)
    found = await declaring.read_code(ctx)
    return HealthCode(row=found[0], disclosure=found[1], now=ctx.now) if found else None


@cache
def create_schema() -> Schema:
    """The subgraph's schema, with nothing connected."""
    return build_schema(query=Query, mutation=Mutation, types=[])
