"""What parties attest to have deleted, in GraphQL: the party's change, and the citizen's sight of it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import strawberry

from gov_services.kit.ids import parse_id
from gov_services.privacy.service import deletions
from gov_services.privacy.service.deletions import DeletionMethod
from gov_services.subgraph.types import UserErrorType, context_of, register_enum, user_errors
from gov_services.subgraph.unit_of_work import commit

register_enum(
    DeletionMethod,
    name="DeletionMethod",
    description="How a recipient deleted what it had read.",
    values={
        DeletionMethod.ERASED: "Removed from every medium.",
        DeletionMethod.KEY_DESTROYED: "It was encrypted, and the key is gone.",
        DeletionMethod.ANONYMIZED: "It can be brought together with nobody any more.",
        DeletionMethod.NOTHING_KEPT: "It was looked at and never stored.",
    },
)


@strawberry.type(description="What a recipient owes after a consent has ended: to delete what it read, and to say so.")
class ConsentDeletion:
    """The recipient's word; nothing of ours runs where it keeps things."""

    was_read: bool = strawberry.field(description="Whether it read anything under the consent.")
    due_at: dt.datetime = strawberry.field(description="When it has to have deleted it at the latest.")
    overdue: bool = strawberry.field(description="Whether that is over, and it has not said so.")
    attested_at: dt.datetime | None = strawberry.field(description="When it said that it had.")
    deleted_on: dt.date | None = strawberry.field(description="On which day it says it did.")
    method: DeletionMethod | None = strawberry.field(description="How it says it did.")


@strawberry.input(description="An attestation that what was read under a consent is deleted.")
class AttestDeletionInput:
    """For relying parties, once the consent has ended."""

    reference: strawberry.ID = strawberry.field(description="Id of the consent.")
    deleted_on: dt.date = strawberry.field(description="On which day it was deleted, in Beijing time.")
    method: DeletionMethod = strawberry.field(description="How.")


@strawberry.type(description="What came of an attestation.")
class AttestDeletionPayload:
    """Made once after each end of a consent."""

    attested_at: dt.datetime | None = strawberry.field(description="When it was attested.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


def deletion_as_shown(found: deletions.Deletion, now: dt.datetime) -> ConsentDeletion:
    """As GraphQL shows it."""
    attested = found.attested
    return ConsentDeletion(
        was_read=found.was_read,
        due_at=found.due_at,
        overdue=found.is_overdue(now),
        attested_at=attested.attested_at if attested else None,
        deleted_on=attested.deleted_on if attested else None,
        method=DeletionMethod(attested.method) if attested else None,
    )


@strawberry.type
class DeletionMutation:
    """A relying party's word."""

    @strawberry.mutation(description="Attest that what was read under a consent is deleted, once that has ended.")
    async def attest_deletion(
        self,
        info: strawberry.Info,
        input: Annotated[AttestDeletionInput, strawberry.argument(description="What it takes.")],
    ) -> AttestDeletionPayload:
        """Told to the citizen, and in the log."""
        outcome = await commit(
            context_of(info),
            deletions.attest_deletion,
            reference=parse_id(input.reference),
            deleted_on=input.deleted_on,
            method=input.method,
        )
        return AttestDeletionPayload(attested_at=outcome.result, user_errors=user_errors(outcome, info))
