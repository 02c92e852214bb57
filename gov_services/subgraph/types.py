"""GraphQL types that several subgraphs share: user errors, money, pages. They carry no rule."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

import strawberry

from gov_services.kit import errors
from gov_services.kit.ids import parse_id
from gov_services.subgraph.context import ReadContext
from gov_services.subgraph.unit_of_work import Outcome

MAX_PAGE = 50


@strawberry.federation.type(shareable=True, name="UserError", description="Something that the person can put right.")
class UserErrorType:
    """One item of a payload's `userErrors`."""

    code: str = strawberry.field(description="Stable code, for programs.")
    message: str = strawberry.field(description="What to do about it, in the language asked for.")
    field: str | None = strawberry.field(description="Path of the input field it concerns, dotted.")


@strawberry.federation.type(shareable=True, description="An amount of money in renminbi.")
class Money:
    """Integer fen."""

    amount: int = strawberry.field(description="Amount in fen (1/100 yuan).")


@strawberry.federation.type(shareable=True, description="Where a page of a connection lies.")
class PageInfo:
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="Whether more follow.")
    end_cursor: str | None = strawberry.field(description="Pass as `after` to go on.")


class BadCursor(errors.UserError):
    """The cursor is none of ours."""

    code = "BAD_CURSOR"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "分页游标无效。", "en": "The cursor is not valid."}


class PageTooLarge(errors.UserError):
    """More was asked for at once than a page holds."""

    code = "PAGE_TOO_LARGE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "每页最多 {most} 条。",
        "en": "A page holds at most {most}.",
    }


def register_enum(kind: type[Enum], *, name: str, description: str, values: Mapping[Any, str]) -> None:
    """Show an enum of a rule's module in the graph, where every value is described."""
    registered: Any = strawberry.enum(kind, name=name, description=description)
    described = {member.value: text for member, text in values.items()}
    for value in registered.__strawberry_definition__.values:
        value.description = described[value.value]


def is_about(ctx: ReadContext[Any], wanted: strawberry.ID | None) -> bool:
    """Whether what has changed is what a subscription listens for; None: anything. Raises NotAnEvent."""
    return ctx.about == parse_id(str(wanted)) if wanted is not None else bool(ctx.about)


def page_size(first: int) -> int:
    """`first`, if a page may be so long. Raises PageTooLarge."""
    if not 1 <= first <= MAX_PAGE:
        raise PageTooLarge(field="first", most=MAX_PAGE)
    return first


def encode_cursor(key: str) -> str:
    """An opaque cursor for a keyset `key`, which holds no personal value."""
    return base64.urlsafe_b64encode(f"1:{key}".encode()).decode()


def decode_cursor(cursor: str | None) -> str | None:
    """The keyset key in `cursor`. Raises BadCursor."""
    if cursor is None:
        return None
    try:
        version, _, key = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise BadCursor(field="after") from None
    if version != "1" or not key:
        raise BadCursor(field="after")
    return key


def id_in_cursor(cursor: str | None) -> UUID | None:
    """The id in `cursor`, where ids are the keyset. Raises BadCursor."""
    key = decode_cursor(cursor)
    found = parse_id(key) if key is not None else None
    if key is not None and found is None:
        raise BadCursor(field="after")
    return found


def context_of(info: strawberry.Info) -> ReadContext[Any]:
    """The context of the fetch that a resolver runs in."""
    context: ReadContext[Any] = info.context
    return context


def user_errors(outcome: Outcome[Any], info: strawberry.Info) -> list[UserErrorType]:
    """The outcome's errors, in the language asked for."""
    return describe(outcome.errors, locale=context_of(info).call.locale)


def describe(found: Sequence[errors.UserError], *, locale: str) -> list[UserErrorType]:
    """Errors as items of `userErrors`."""
    return [UserErrorType(code=error.code, message=error.message(locale), field=error.field or None) for error in found]
