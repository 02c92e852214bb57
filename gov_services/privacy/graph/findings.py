"""Findings in GraphQL: what an officer looks into, and what came of it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import strawberry

from gov_services.kit.ids import parse_id
from gov_services.privacy.findings import FindingKind
from gov_services.privacy.graph.pages import After, First, page_of
from gov_services.privacy.models import FindingReviewRow, FindingRow
from gov_services.privacy.service import findings
from gov_services.subgraph.types import (
    PageInfo,
    UserErrorType,
    context_of,
    id_in_cursor,
    page_size,
    register_enum,
    user_errors,
)
from gov_services.subgraph.unit_of_work import commit

register_enum(
    FindingKind,
    name="FindingKind",
    description="What an officer has to look into.",
    values={
        FindingKind.BUDGET_EXHAUSTED: "Staff or a party asked for more than their budget holds.",
        FindingKind.NO_RELATION: "Staff or a party asked about somebody who is none of their business.",
        FindingKind.SUBJECT_UNKNOWN: "A party read about somebody whom we could not tell of it.",
        FindingKind.NO_BUSINESS: "Staff looked somebody up, and nothing came of it within a day.",
        FindingKind.CURIOSITY: "Staff came back to one person on several days without a case.",
        FindingKind.GROUNDLESS: "The consent or the case that an access named does not bear it out.",
        FindingKind.OVER_ASKING: "A document asks for a field again and again and never opens it.",
        FindingKind.OVERDUE: "A person's request, or the report of a breach, is past its term.",
        FindingKind.COMPLAINT: "A citizen complains about an access.",
        FindingKind.NOT_DELETED: "A party does not say that it deleted what it read under a consent that has ended.",
        FindingKind.BREAK_GLASS: "Somebody read under a relation that they gave themselves, for an emergency.",
    },
)


@strawberry.type(description="What came of a finding.")
class FindingReview:
    """By somebody who is not concerned."""

    fault: bool = strawberry.field(description="Whether somebody was at fault.")
    note: str = strawberry.field(description="What came of it, in words.")
    reviewed_at: dt.datetime = strawberry.field(description="When it was looked into.")


@strawberry.type(description="Something in the log that an officer has to look into.")
class Finding:
    """It points to an entry and holds nothing of it."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    kind: FindingKind = strawberry.field(description="What it is.")
    actor: str = strawberry.field(description="Who.")
    purpose: str = strawberry.field(description="Under which purpose.")
    entry_id: strawberry.ID | None = strawberry.field(description="The entry of the log, where one shows it.")
    about: str = strawberry.field(description="What it is about, where no one entry shows it; else empty.")
    found_at: dt.datetime = strawberry.field(description="When it was found.")
    due_at: dt.datetime | None = strawberry.field(description="By when somebody has to have looked into it.")
    review: FindingReview | None = strawberry.field(description="What came of it.")


@strawberry.type(description="One finding of a page.")
class FindingEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: Finding = strawberry.field(description="The finding.")


@strawberry.type(description="A page of findings.")
class FindingConnection:
    """Relay connection, newest first."""

    edges: list[FindingEdge] = strawberry.field(description="The findings.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.input(description="What came of a finding.")
class ReviewFindingInput:
    """By somebody who is not concerned."""

    finding_id: strawberry.ID = strawberry.field(description="Id of the finding.")
    fault: bool = strawberry.field(description="Whether somebody was at fault.")
    note: str = strawberry.field(description="What came of it.")


@strawberry.type(description="What became of a finding.")
class FindingPayload:
    """Read anew, after the commit."""

    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")
    finding_id: strawberry.Private[UUID | None]

    @strawberry.field(description="The finding as it stands now.")
    async def finding(self, info: strawberry.Info) -> Finding | None:
        """Read after the commit."""
        if self.finding_id is None:
            return None
        return finding_of(await findings.read_finding(context_of(info), finding_id=self.finding_id))


def finding_of(found: tuple[FindingRow, FindingReviewRow | None]) -> Finding:
    """A finding as GraphQL shows it."""
    row, review = found
    return Finding(
        id=strawberry.ID(str(row.finding_id)),
        kind=FindingKind(row.kind),
        actor=row.actor,
        purpose=row.purpose,
        entry_id=strawberry.ID(str(row.entry_id)) if row.entry_id else None,
        about=row.about,
        found_at=row.found_at,
        due_at=row.due_at,
        review=FindingReview(fault=review.fault, note=review.note, reviewed_at=review.reviewed_at) if review else None,
    )


@strawberry.type
class FindingQuery:
    """Root fields of findings."""

    @strawberry.field(description="Findings, newest first; for officers.")
    async def findings(
        self,
        info: strawberry.Info,
        first: First = 20,
        after: After = None,
        open: Annotated[bool, strawberry.argument(description="Only those that nobody has looked into.")] = False,
    ) -> FindingConnection:
        """They point into the log."""
        size = page_size(first)
        rows = await findings.list_findings(
            context_of(info), before=id_in_cursor(after), limit=size + 1, open_only=open
        )
        return page_of(
            rows,
            size=size,
            key=lambda found: found[0].finding_id,
            node=finding_of,
            edge=FindingEdge,
            connection=FindingConnection,
        )


@strawberry.type
class FindingMutation:
    """Looking into findings."""

    @strawberry.mutation(description="Say what came of a finding; for an officer who is not concerned.")
    async def review_finding(
        self,
        info: strawberry.Info,
        input: Annotated[ReviewFindingInput, strawberry.argument(description="What it takes.")],
    ) -> FindingPayload:
        """Once."""
        outcome = await commit(
            context_of(info),
            findings.review_finding,
            finding_id=parse_id(input.finding_id),
            fault=input.fault,
            note=input.note,
        )
        return FindingPayload(user_errors=user_errors(outcome, info), finding_id=outcome.result)
