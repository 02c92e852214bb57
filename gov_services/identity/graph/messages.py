"""The message box in GraphQL."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import strawberry

from gov_services.identity.service import messages
from gov_services.kit.ids import parse_id
from gov_services.subgraph.types import PageInfo, context_of, decode_cursor, encode_cursor, page_size


@strawberry.type(description="A message to the citizen.")
class Message:
    """Holds no personal value."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    code: str = strawberry.field(description="What it is about, for programs.")
    text: str = strawberry.field(description="The message, in the language asked for.")
    sent_at: dt.datetime = strawberry.field(description="When it was sent.")


@strawberry.type(description="A page of messages.")
class MessageConnection:
    """Relay connection, newest first."""

    nodes: list[Message] = strawberry.field(description="The messages.")
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
        size, key = page_size(first), decode_cursor(after)
        told = await messages.list_messages(ctx, before=parse_id(key) if key else None, limit=size + 1)
        shown = told[:size]
        return MessageConnection(
            nodes=[
                Message(
                    id=strawberry.ID(str(one.row.message_id)),
                    code=one.row.code,
                    text=one.text,
                    sent_at=one.row.sent_at,
                )
                for one in shown
            ],
            page_info=PageInfo(
                has_next_page=len(told) > size,
                end_cursor=encode_cursor(str(shown[-1].row.message_id)) if shown else None,
            ),
        )
