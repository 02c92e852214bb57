"""Pages of the privacy room's connections: cursors in, edges and PageInfo out. It reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

import strawberry

from gov_services.kit.ids import parse_id
from gov_services.subgraph.types import BadCursor, PageInfo, decode_cursor

Row = TypeVar("Row")
First = Annotated[int, strawberry.argument(description="How many, 50 at most.")]
After = Annotated[str | None, strawberry.argument(description="Cursor to go on from.")]
LAST_NUMBER = 2**63 - 1
"""The last that the log's column holds."""


class Edge(Protocol):
    """What every edge has."""

    cursor: str


def page_info(edges: Sequence[Edge], *, more: bool) -> PageInfo:
    """Where a page of these edges lies."""
    return PageInfo(has_next_page=more, end_cursor=edges[-1].cursor if edges else None)


def number_in(after: str | None) -> int | None:
    """The number of an entry in a cursor. Raises BadCursor."""
    key = decode_cursor(after)
    if key is None:
        return None
    if not (key.isascii() and key.isdecimal()) or len(key) > len(str(LAST_NUMBER)) or int(key) > LAST_NUMBER:
        raise BadCursor(field="after")
    return int(key)


def id_in(after: str | None) -> UUID | None:
    """The id in a cursor. Raises BadCursor."""
    key = decode_cursor(after)
    if key is None:
        return None
    found = parse_id(key)
    if found is None:
        raise BadCursor(field="after")
    return found


def page_of_all(
    rows: Sequence[Row], *, after: str | None, size: int, key: Callable[[Row], str]
) -> tuple[list[tuple[str, Row]], bool]:
    """A page of rows that are all at hand, each with its key, and whether more follow. Raises BadCursor."""
    start = decode_cursor(after)
    keyed = [(key(row), row) for row in rows]
    begin = 0
    if start is not None:
        begin = next((index + 1 for index, (name, _) in enumerate(keyed) if name == start), 0)
        if begin == 0:
            raise BadCursor(field="after")
    return keyed[begin : begin + size], len(keyed) > begin + size
