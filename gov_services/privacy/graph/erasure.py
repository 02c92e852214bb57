"""A citizen's erasure in GraphQL."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import strawberry

from gov_services.crypto.keys import DataClass
from gov_services.privacy.service import erasure
from gov_services.subgraph.types import UserErrorType, context_of, register_enum, user_errors
from gov_services.subgraph.unit_of_work import commit

register_enum(
    DataClass,
    name="DataClass",
    description="A class of data, with keys of its own for each citizen.",
    values={
        DataClass.IDENTITY: "Who they are.",
        DataClass.PERMITS: "What they applied for.",
        DataClass.PAYMENTS: "What they paid.",
        DataClass.HEALTH: "What they declared of their health.",
        DataClass.AUDIT: "Who saw their data.",
    },
)


@strawberry.type(description="A class of data that outlives an erasure.")
class KeptData:
    """PIPL 47: named with law and term."""

    data_class: DataClass = strawberry.field(description="Which class.")
    law: str = strawberry.field(description="The law that asks for it.")
    article: str = strawberry.field(description="Article of that law.")
    years: int = strawberry.field(description="For how many years.")
    until: dt.date = strawberry.field(description="Until when: the day on which that term is over.")
    reason: str = strawberry.field(description="Why, in the language asked for.")


@strawberry.input(description="A request to erase.")
class RequestErasureInput:
    """Cannot be undone."""

    confirm: bool = strawberry.field(description="True, to say so in so many words.")


@strawberry.type(description="What an erasure came to.")
class ErasurePayload:
    """What is gone and what stays."""

    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")
    destroyed: list[DataClass] = strawberry.field(description="Classes of data whose keys are destroyed.")
    kept: list[KeptData] = strawberry.field(description="Classes that stay, why and until when.")


def kept_of(kept: erasure.Kept, locale: str) -> KeptData:
    """A class that stays, as GraphQL shows it."""
    hold = kept.hold
    return KeptData(
        data_class=hold.data_class,
        law=hold.law,
        article=hold.article,
        years=hold.years,
        until=kept.until.date(),
        reason=hold.reason[locale],
    )


@strawberry.type
class ErasureMutation:
    """The one change that cannot be undone."""

    @strawberry.mutation(description="Destroy the keys of all data without a duty to keep it. Cannot be undone.")
    async def request_erasure(
        self,
        info: strawberry.Info,
        input: Annotated[RequestErasureInput, strawberry.argument(description="What it takes.")],
    ) -> ErasurePayload:
        """PIPL 47."""
        ctx = context_of(info)
        outcome = await commit(ctx, erasure.request_erasure, confirm=input.confirm)
        erased = outcome.result
        return ErasurePayload(
            user_errors=user_errors(outcome, info),
            destroyed=list(erased.destroyed) if erased else [],
            kept=[kept_of(item, ctx.call.locale) for item in erased.kept] if erased else [],
        )
