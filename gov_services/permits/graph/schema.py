"""The root fields of permits, and the schema put together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import cache
from typing import Annotated

import strawberry

from gov_services.permits.graph.applying import ApplyingMutation
from gov_services.permits.graph.enums import ApplicationStateType
from gov_services.permits.graph.reviewing import ReviewingMutation
from gov_services.permits.graph.types import (
    Application,
    ApplicationConnection,
    ApplicationEdge,
    Licence,
    Service,
    permits_context,
)
from gov_services.permits.service import reading
from gov_services.subgraph.schema import Schema, build_schema
from gov_services.subgraph.types import PageInfo, encode_cursor, is_about

First = Annotated[int, strawberry.argument(description="How many, 50 at most.")]
After = Annotated[str | None, strawberry.argument(description="Cursor to go on from.")]


@strawberry.type(name="Query", description="Questions.")
class Query:
    """What can be read."""

    @strawberry.field(description="The catalogue: what can be applied for.")
    async def services(self, info: strawberry.Info) -> list[Service]:
        ctx = permits_context(info)
        return [Service.of(service, ctx.call.locale) for service in ctx.ports.catalogue]

    @strawberry.field(description="An application: one's own, or that of a case that lies with the asking officer.")
    async def application(
        self,
        info: strawberry.Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The application.")],
    ) -> Application | None:
        return Application.of(*await reading.read_application(permits_context(info), application_id=str(id)))

    @strawberry.field(description="One's own applications, newest first.")
    async def applications(
        self, info: strawberry.Info, first: First = 20, after: After = None
    ) -> ApplicationConnection | None:
        return connection_of(await reading.read_applications(permits_context(info), first=first, after=after))

    @strawberry.field(description="The cases that lie with the asking officer, oldest first.")
    async def caseload(
        self,
        info: strawberry.Info,
        first: First = 20,
        after: After = None,
        states: Annotated[
            list[ApplicationStateType] | None, strawberry.argument(description="Only those; left out: all open ones.")
        ] = None,
    ) -> ApplicationConnection | None:
        wanted = [str(state.value) for state in states or ()]
        page = await reading.read_caseload(permits_context(info), states=wanted, first=first, after=after)
        return connection_of(page)

    @strawberry.field(description="A licence of one's own.")
    async def licence(
        self, info: strawberry.Info, id: Annotated[strawberry.ID, strawberry.argument(description="The licence.")]
    ) -> Licence | None:
        return Licence.of(*await reading.read_licence(permits_context(info), licence_id=str(id)))


@strawberry.type(name="Mutation", description="Changes: one a document, each with an input and a payload.")
class Mutation(ApplyingMutation, ReviewingMutation):
    """What can be done."""


@strawberry.type(name="Subscription", description="What is told as it changes, each time decided and logged anew.")
class Subscription:
    """What can be listened to."""

    @strawberry.subscription(description="An application of one's own has changed: as it is now.")
    async def application_changed(
        self,
        info: strawberry.Info,
        id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only this one; left out: any of one's own.")
        ] = None,
    ) -> AsyncGenerator[Application | None, None]:
        ctx = permits_context(info)
        if is_about(ctx, id):
            yield Application.of(*await reading.read_application(ctx, application_id=str(ctx.about)))


def connection_of(page: reading.Page) -> ApplicationConnection:
    """A page as Relay has it."""
    edges = [
        ApplicationEdge(cursor=encode_cursor(str(row.application_id)), node=Application.of(row, disclosure))
        for row, disclosure in page.applications
    ]
    return ApplicationConnection(
        edges=edges, page_info=PageInfo(has_next_page=page.more, end_cursor=edges[-1].cursor if edges else None)
    )


@cache
def create_schema() -> Schema:
    """The subgraph's schema, with nothing connected."""
    return build_schema(query=Query, mutation=Mutation, subscription=Subscription, types=[Application, Licence])
