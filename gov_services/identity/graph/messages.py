"""The message box in GraphQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

from gov_services.identity.service import messages
from gov_services.identity.service.messages import Told
from gov_services.subgraph.types import PageInfo, context_of, encode_cursor, id_in_cursor, page_size


@strawberry.type(description="A message to the citizen.")
class Message:
    """Holds no personal value."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    code: str = strawberry.field(description="What it is about, for programs.")
    text: str = strawberry.field(description="The message, in the language asked for.")
    sent_at: dt.datetime = strawberry.field(description="When it was sent.")


@strawberry.type(description="One message of a page.")
class MessageEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: Message = strawberry.field(description="The message.")


@strawberry.type(description="A page of messages.")
class MessageConnection:
    """Relay's connection, newest first."""

    edges: list[MessageEdge] = strawberry.field(description="The messages.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type
class MessageQuery:
    """Root fields about messages."""

    @strawberry.field(description="The messages of the citizen who asks, newest first.")
    async def messages(
        self,
        info: strawberry.Info,
        first: Annotated[int, strawberry.argument(description="How many, 50 at most.")] = 20,
        after: Annotated[str | None, strawberry.argument(description="Cursor to go on from.")] = None,
    ) -> MessageConnection:
        """Their own box."""
        ctx = context_of(info)
        size = page_size(first)
        told = await messages.list_messages(ctx, before=id_in_cursor(after), limit=size + 1)
        edges = [_edge(one) for one in told[:size]]
        return MessageConnection(
            edges=edges,
            page_info=PageInfo(has_next_page=len(told) > size, end_cursor=edges[-1].cursor if edges else None),
        )


@strawberry.type
class MessageSubscription:
    """What is told of messages."""

    @strawberry.subscription(description="A message came for the citizen who listens.")
    async def message_received(self, info: strawberry.Info) -> AsyncGenerator[Message | None, None]:
        ctx = context_of(info)
        yield _message(await messages.read_message(ctx, message_id=ctx.about))


def _message(told: Told) -> Message:
    row = told.row
    return Message(id=strawberry.ID(str(row.message_id)), code=row.code, text=told.text, sent_at=row.sent_at)


def _edge(told: Told) -> MessageEdge:
    return MessageEdge(cursor=encode_cursor(str(told.row.message_id)), node=_message(told))
