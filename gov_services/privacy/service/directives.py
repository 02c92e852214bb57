"""What citizens direct about relatives' requests after their death, and holding a request against it (PIPL 49)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import parse_id
from gov_services.privacy import rights_store as store
from gov_services.privacy.models import DirectiveRow, RightRequestRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.rights import Choice, DirectiveKind, RefusalReason
from gov_services.subgraph.context import ReadContext, WriteContext


class RelativeAsksForWhat(UserError):
    """A relative's request says which of the three things it asks for."""

    code = "RELATIVE_ASKS_FOR_WHAT"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "近亲属的请求须说明是查阅复制、更正还是删除。",
        "en": "A relative's request says whether it asks to see, to correct or to delete.",
    }


class DeceasedNeeded(UserError):
    """A relative's request is granted about somebody who is known here."""

    code = "DECEASED_NEEDED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "请先凭完整号码找到逝者的账号。",
        "en": "Please find the account of who has died, by the full number, first.",
    }


class DirectedOtherwise(UserError):
    """The person who has died directed that relatives may not have this."""

    code = "DIRECTED_OTHERWISE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "逝者生前另有安排,不得准予。",
        "en": "The person who has died directed otherwise. This is not granted.",
    }


class NothingDirected(UserError):
    """A refusal names a directive that there is not."""

    code = "NOTHING_DIRECTED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "逝者生前没有这样的安排,不能以此为由拒绝。",
        "en": "The person who has died directed no such thing. It is no reason to refuse.",
    }


async def leave(ctx: WriteContext[PrivacyPorts], *, kind: DirectiveKind, choice: Choice) -> DirectiveRow:
    """Direct, for after one's death, what relatives may have; the last word counts and can be taken back."""
    citizen_id = ctx.citizen_id()
    earlier = {row.kind: row.number for row in await store.directives_of(ctx.session, citizen_id=citizen_id)}
    row = DirectiveRow(
        citizen_id=citizen_id,
        kind=kind.value,
        number=earlier.get(kind.value, 0) + 1,
        choice=choice.value,
        made_at=ctx.now,
    )
    ctx.session.add(row)
    await ctx.session.flush()  # two at once: the second loses on the number
    await ctx.record(
        f"directive.{choice.value.lower()}", subject=citizen_id, object_ref=f"directive:{kind.value}:{row.number}"
    )
    return row


async def list_own(ctx: ReadContext[PrivacyPorts]) -> Sequence[DirectiveRow]:
    """What the citizen who asks directs, by kind; what was taken back is not there."""
    citizen_id = ctx.citizen_id()
    await ctx.disclosure(citizen_id, object_ref="directives")
    async with ctx.reading() as session:
        rows = await store.directives_of(session, citizen_id=citizen_id)
    return [row for row in rows if row.choice != Choice.WITHDRAWN]


def require_kind(about: str) -> DirectiveKind:
    """What a relative asks for. Raises RelativeAsksForWhat."""
    try:
        return DirectiveKind(about)
    except ValueError:
        raise RelativeAsksForWhat(field="input.about") from None


async def judge(
    ctx: WriteContext[PrivacyPorts],
    request: RightRequestRow,
    *,
    deceased: str | None,
    grant: bool,
    reason: RefusalReason | None,
) -> None:
    """Hold the answer to a relative's request against what the person who has died directed.

    What is directed otherwise is not granted, and nothing is refused by a directive that there is not. Raises
    DeceasedNeeded, NotFound, DirectedOtherwise, NothingDirected.
    """
    if not grant and reason is not RefusalReason.DIRECTED_OTHERWISE:
        return  # refused for another reason, perhaps because it is not proved that anybody died
    if deceased is None:
        raise DeceasedNeeded(field="input.deceased")
    citizen_id = parse_id(deceased)
    if citizen_id is None or not await store.is_citizen(ctx.session, citizen_id=citizen_id):
        raise NotFound
    kind = require_kind(request.about)
    directed = {row.kind: Choice(row.choice) for row in await store.directives_of(ctx.session, citizen_id=citizen_id)}
    forbidden = directed.get(kind.value) is Choice.FORBIDDEN
    if grant and forbidden:
        raise DirectedOtherwise(field="input.grant")
    if not grant and not forbidden:
        raise NothingDirected(field="input.reason")
    await ctx.record(
        "directive.upheld" if forbidden else "directive.asked",
        subject=citizen_id,
        object_ref=f"right:{request.request_id}:{kind.value}",
    )
