"""Pages of the privacy room's connections: cursors in, edges and PageInfo out. It reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import strawberry

from gov_services.subgraph.types import BadCursor, PageInfo, decode_cursor, encode_cursor

Row = TypeVar("Row")
Node = TypeVar("Node")
Edge = TypeVar("Edge")
Connection = TypeVar("Connection")
First = Annotated[int, strawberry.argument(description="How many, 50 at most.")]
After = Annotated[str | None, strawberry.argument(description="Cursor to go on from.")]
LAST_NUMBER = 2**63 - 1
"""The last that the log's column holds."""


def page_of(
    rows: Sequence[Row],
    *,
    size: int,
    key: Callable[[Row], object],
    node: Callable[[Row], Node],
    edge: Callable[..., Edge],
    connection: Callable[..., Connection],
) -> Connection:
    """A page out of `size` + 1 rows at most; `key` of the last one shown is where the next page goes on."""
    shown = rows[:size]
    cursors = [encode_cursor(str(key(row))) for row in shown]
    edges = [edge(cursor=cursor, node=node(row)) for cursor, row in zip(cursors, shown, strict=True)]
    page_info = PageInfo(has_next_page=len(rows) > size, end_cursor=cursors[-1] if cursors else None)
    return connection(edges=edges, page_info=page_info)


def number_in(after: str | None) -> int | None:
    """The number of an entry in a cursor. Raises BadCursor."""
    key = decode_cursor(after)
    if key is None:
        return None
    if not (key.isascii() and key.isdecimal()) or len(key) > len(str(LAST_NUMBER)) or int(key) > LAST_NUMBER:
        raise BadCursor(field="after")
    return int(key)


def rows_after(rows: Sequence[Row], *, after: str | None, key: Callable[[Row], object]) -> Sequence[Row]:
    """Of rows that are all at hand, those that follow the one that a cursor names. Raises BadCursor."""
    start = decode_cursor(after)
    if start is None:
        return rows
    for place, row in enumerate(rows, start=1):
        if str(key(row)) == start:
            return rows[place:]
    raise BadCursor(field="after")
