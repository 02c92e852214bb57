"""Erasure: keys without a hold are destroyed, what stays is named with law and term. It deletes no row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.audit.entry import EntryKind
from gov_services.consent import ledger
from gov_services.consent import store as consent_store
from gov_services.consent.lifecycle import ConsentEvent
from gov_services.crypto.keys import DataClass
from gov_services.kit.errors import UserError
from gov_services.kit.ids import new_id
from gov_services.privacy.holds import ERASABLE, HOLDS, Hold
from gov_services.privacy.models import ErasureRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import WriteContext


class NotConfirmed(UserError):
    """Erasure cannot be undone, so it is confirmed in so many words."""

    code = "NOT_CONFIRMED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "注销不可恢复,请确认。",
        "en": "Erasure cannot be undone. Please confirm it.",
    }


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to."""

    erasure_id: UUID
    destroyed: tuple[DataClass, ...]
    kept: tuple[Hold, ...]


async def request_erasure(ctx: WriteContext[PrivacyPorts], *, confirm: bool) -> Erased:
    """Destroy the citizen's keys of every class without a hold, and withdraw every consent (PIPL 47).

    The wrapped keys are gone when the transaction commits, and no read that begins after it opens anything; what
    other processes hold in memory is forgotten with the event that goes out, and within 60 s in any case.
    """
    if not confirm:
        raise NotConfirmed(field="input.confirm")
    citizen_id = ctx.citizen_id()
    await _end_consents(ctx, citizen_id)
    keys = ctx.services.discloser.keys
    for data_class in ERASABLE:
        await keys.shred(ctx.session, citizen_id=citizen_id, data_class=data_class, reason="erasure", now=ctx.now)
    erasure = ErasureRow(
        citizen_id=citizen_id,
        erasure_id=new_id(ctx.now),
        made_at=ctx.now,
        destroyed=[item.value for item in ERASABLE],
        kept=[item.value for item in HOLDS],
    )
    ctx.session.add(erasure)
    await ctx.record(
        "citizen.erased", subject=citizen_id, object_ref=f"erasure:{erasure.erasure_id}", kind=EntryKind.KEY
    )
    await ctx.publish("privacy.citizen_erased", subject=citizen_id, body={"classes": erasure.destroyed})
    return Erased(erasure.erasure_id, ERASABLE, tuple(HOLDS.values()))


async def _end_consents(ctx: WriteContext[PrivacyPorts], citizen_id: UUID) -> None:
    for row in await consent_store.consents_of(ctx.session, citizen_id=citizen_id):
        purpose = ctx.bundle.purposes.get(row.purpose)
        if purpose is None or row.state not in ("given", "renewed", "requested", "deferred"):
            continue
        await ledger.append(
            ctx.session,
            bundle=ctx.bundle,
            purpose=purpose,
            citizen_id=citizen_id,
            recipient=row.recipient,
            event=ConsentEvent.WITHDRAW,
            scope=(),
            notice_hash=row.notice_hash,
            made_by="citizen",
            now=ctx.now,
        )
        await ctx.record(
            "consent.withdrawn",
            subject=citizen_id,
            object_ref=f"consent:{row.consent_id}",
            recipient=f"client:{row.recipient}",
        )
