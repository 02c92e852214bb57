"""The register of breaches in GraphQL; for officers."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import strawberry

from gov_services.kit.ids import parse_id
from gov_services.privacy.breaches import BreachState, Grade
from gov_services.privacy.graph.pages import After, First, page_of
from gov_services.privacy.models import BreachRow
from gov_services.privacy.service import breaches
from gov_services.subgraph.types import (
    PageInfo,
    UserErrorType,
    context_of,
    id_in_cursor,
    page_size,
    register_enum,
    user_errors,
)
from gov_services.subgraph.unit_of_work import Outcome, commit

Input = strawberry.argument(description="What it takes.")

register_enum(
    Grade,
    name="BreachGrade",
    description="How grave a breach is.",
    values={
        Grade.ORDINARY: "Ordinary.",
        Grade.RELATIVELY_MAJOR: "Relatively major; reported within hours.",
        Grade.MAJOR: "Major.",
        Grade.ESPECIALLY_MAJOR: "Especially major.",
    },
)
register_enum(
    BreachState,
    name="BreachState",
    description="Where a breach stands.",
    values={BreachState.OPEN: "Something is still to be done.", BreachState.CLOSED: "All is done."},
)


@strawberry.type(description="A breach of personal data.")
class Breach:
    """With what was told, and when."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    grade: Grade = strawberry.field(description="How grave.")
    kinds: str = strawberry.field(description="Which kinds of data.")
    cause: str = strawberry.field(description="Why it happened.")
    harm: str = strawberry.field(description="Which harm may come of it.")
    measures: str = strawberry.field(description="What was done.")
    advice: str = strawberry.field(description="What people can do themselves.")
    contact: str = strawberry.field(description="Whom to ask.")
    actor: str = strawberry.field(description="By whose accesses it is bounded, as the log names them.")
    since: dt.datetime = strawberry.field(description="From when on.")
    until: dt.datetime = strawberry.field(description="Until when.")
    found_at: dt.datetime = strawberry.field(description="When it was found.")
    report_due_at: dt.datetime = strawberry.field(description="By when the authority is told.")
    reported_at: dt.datetime | None = strawberry.field(description="When it was told.")
    people: int | None = strawberry.field(description="How many people were told.")
    told_at: dt.datetime | None = strawberry.field(description="When they were.")
    not_told_because: str | None = strawberry.field(description="Why they were not.")
    state: BreachState = strawberry.field(description="Where it stands.")


@strawberry.type(description="One breach of a page.")
class BreachEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: Breach = strawberry.field(description="The breach.")


@strawberry.type(description="A page of breaches.")
class BreachConnection:
    """Relay connection, newest first."""

    edges: list[BreachEdge] = strawberry.field(description="The breaches.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.input(description="A breach to enter.")
class EnterBreachInput:
    """All that a notice says (PIPL 57)."""

    grade: Grade = strawberry.field(description="How grave.")
    kinds: str = strawberry.field(description="Which kinds of data.")
    cause: str = strawberry.field(description="Why it happened.")
    harm: str = strawberry.field(description="Which harm may come of it.")
    measures: str = strawberry.field(description="What was done.")
    advice: str = strawberry.field(description="What people can do themselves.")
    contact: str = strawberry.field(description="Whom to ask.")
    actor: str = strawberry.field(description="By whose accesses it is bounded: `staff:…` or `client:…`.")
    since: dt.datetime = strawberry.field(description="From when on.")
    until: dt.datetime = strawberry.field(description="Until when.")
    found_at: dt.datetime = strawberry.field(description="When it was found.")


@strawberry.input(description="A breach.")
class BreachInput:
    """Which one."""

    breach_id: strawberry.ID = strawberry.field(description="Id of the breach.")


@strawberry.input(description="A report to the authority.")
class ReportBreachInput:
    """As it was made."""

    breach_id: strawberry.ID = strawberry.field(description="Id of the breach.")
    number: str = strawberry.field(description="Number under which the authority has it.")


@strawberry.input(description="Why people are not told.")
class WaiveBreachNoticeInput:
    """What was done keeps harm from them."""

    breach_id: strawberry.ID = strawberry.field(description="Id of the breach.")
    because: str = strawberry.field(description="Why.")


@strawberry.type(description="What became of a breach.")
class BreachPayload:
    """Read anew, after the commit."""

    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")
    breach_id: strawberry.Private[UUID | None]

    @strawberry.field(description="The breach as it stands now.")
    async def breach(self, info: strawberry.Info) -> Breach | None:
        """Read after the commit."""
        if self.breach_id is None:
            return None
        return breach_of(await breaches.read_breach(context_of(info), breach_id=self.breach_id))


def breach_of(row: BreachRow) -> Breach:
    """A breach as GraphQL shows it."""
    return Breach(
        id=strawberry.ID(str(row.breach_id)),
        grade=Grade(row.grade),
        kinds=row.kinds,
        cause=row.cause,
        harm=row.harm,
        measures=row.measures,
        advice=row.advice,
        contact=row.contact,
        actor=row.actor,
        since=row.since,
        until=row.until,
        found_at=row.found_at,
        report_due_at=row.report_due_at,
        reported_at=row.reported_at,
        people=row.people,
        told_at=row.told_at,
        not_told_because=row.not_told_because,
        state=BreachState(row.state),
    )


def _payload(outcome: Outcome[BreachRow], info: strawberry.Info) -> BreachPayload:
    return BreachPayload(
        user_errors=user_errors(outcome, info), breach_id=outcome.result.breach_id if outcome.result else None
    )


@strawberry.type
class BreachQuery:
    """Root fields of the register."""

    @strawberry.field(description="The register of breaches, newest first; for officers.")
    async def breaches(self, info: strawberry.Info, first: First = 20, after: After = None) -> BreachConnection:
        """With what was told, and when."""
        size = page_size(first)
        rows = await breaches.list_breaches(context_of(info), before=id_in_cursor(after), limit=size + 1)
        return page_of(
            rows,
            size=size,
            key=lambda row: row.breach_id,
            node=breach_of,
            edge=BreachEdge,
            connection=BreachConnection,
        )


@strawberry.type
class BreachMutation:
    """Changes of the register."""

    @strawberry.mutation(description="Enter a breach; the term for reporting it runs from when it was found.")
    async def enter_breach(self, info: strawberry.Info, input: Annotated[EnterBreachInput, Input]) -> BreachPayload:
        """All that a notice says."""
        outcome = await commit(
            context_of(info),
            breaches.enter,
            grade=input.grade,
            told={name: getattr(input, name) for name in breaches.TOLD},
            actor=input.actor,
            since=input.since,
            until=input.until,
            found_at=input.found_at,
        )
        return _payload(outcome, info)

    @strawberry.mutation(description="Note that the authority was told.")
    async def report_breach(self, info: strawberry.Info, input: Annotated[ReportBreachInput, Input]) -> BreachPayload:
        """Once."""
        outcome = await commit(
            context_of(info), breaches.report, breach_id=parse_id(input.breach_id), number=input.number
        )
        return _payload(outcome, info)

    @strawberry.mutation(description="Tell everybody about whom the log has an access within the breach.")
    async def tell_of_breach(self, info: strawberry.Info, input: Annotated[BreachInput, Input]) -> BreachPayload:
        """Once."""
        outcome = await commit(context_of(info), breaches.tell_people, breach_id=parse_id(input.breach_id))
        return _payload(outcome, info)

    @strawberry.mutation(description="Write down why people need not be told.")
    async def waive_breach_notice(
        self, info: strawberry.Info, input: Annotated[WaiveBreachNoticeInput, Input]
    ) -> BreachPayload:
        """PIPL 57 (2)."""
        outcome = await commit(
            context_of(info), breaches.do_not_tell, breach_id=parse_id(input.breach_id), because=input.because
        )
        return _payload(outcome, info)

    @strawberry.mutation(description="Close a breach of which all is done.")
    async def close_breach(self, info: strawberry.Info, input: Annotated[BreachInput, Input]) -> BreachPayload:
        """Reported, and told or not with a reason."""
        outcome = await commit(context_of(info), breaches.close, breach_id=parse_id(input.breach_id))
        return _payload(outcome, info)
