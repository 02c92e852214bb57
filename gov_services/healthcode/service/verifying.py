"""What a venue may ask of a code that its holder shows: colour, masked name, until when. Nothing else is read."""

from __future__ import annotations

from typing import ClassVar

from gov_services.consent.disclosure import Disclosure
from gov_services.healthcode import store
from gov_services.healthcode.code import CodeRefused, open_code
from gov_services.healthcode.models import DeclarationRow
from gov_services.healthcode.ports import HealthcodePorts
from gov_services.kit.errors import UserError
from gov_services.subgraph.context import WriteContext

SAID = ("HealthVerification.colour", "HealthVerification.maskedName", "HealthVerification.validUntil")


class HealthCodeRefused(UserError):
    """Not ours, over, or replaced since. Which of these is not told."""

    code = "HEALTH_CODE_REFUSED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "健康码无效或已过期,请持码人重新出示。",
        "en": "This code is not valid, or not any more. Ask its holder to show it anew.",
    }


async def verify_code(ctx: WriteContext[HealthcodePorts], *, text: str) -> tuple[DeclarationRow, Disclosure]:
    """What stands behind a code that was shown. Raises HealthCodeRefused, BudgetExhausted."""
    try:
        shown = open_code(text, keys=ctx.ports.keys, issuer=ctx.ports.issuer, now=ctx.now)
    except CodeRefused:
        raise HealthCodeRefused(field="input.token") from None
    row = await store.declaration_of_code(ctx.session, code_id=shown.id, now=ctx.now)
    if row is None:
        raise HealthCodeRefused(field="input.token")
    disclosure = await ctx.disclosure(row.citizen_id, presented=True, object_ref=f"code:{shown.id}")
    await ctx.record(
        "health-code.verified",
        subject=row.citizen_id,
        object_ref=f"code:{shown.id}",
        recipient=ctx.actor.ref,
        disclosed=dict.fromkeys(SAID, "DERIVED"),
    )
    return row, disclosure
