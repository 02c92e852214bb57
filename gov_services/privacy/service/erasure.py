"""Erasure: keys without a hold are destroyed, what stays is named with law and term. It deletes no row.

`terms.py` destroys what stayed, once its term is over.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.audit.entry import EntryKind
from gov_services.consent import store as consent_store
from gov_services.consent.lifecycle import OPEN, ConsentEvent
from gov_services.consent.purposes import Restriction
from gov_services.crypto.keys import DataClass
from gov_services.kit.errors import UserError
from gov_services.kit.ids import new_id
from gov_services.privacy import store
from gov_services.privacy.holds import HOLDS, Hold, held_since, terms_of
from gov_services.privacy.models import ErasureRow, KeptClassRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import consents, rights
from gov_services.subgraph.context import WriteContext


class NotConfirmed(UserError):
    """Erasure cannot be undone, so it is confirmed in so many words."""

    code = "NOT_CONFIRMED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "注销不可恢复,请确认。",
        "en": "Erasure cannot be undone. Please confirm it.",
    }


@dataclass(frozen=True, slots=True)
class Kept:
    """A class that stays, by which duty and until when."""

    hold: Hold
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to."""

    erasure_id: UUID
    destroyed: tuple[DataClass, ...]
    kept: tuple[Kept, ...]


async def request_erasure(ctx: WriteContext[PrivacyPorts], *, confirm: bool) -> Erased:
    """Destroy the citizen's keys of every class of which no law has anything kept, and withdraw all consents (PIPL 47).

    Asked again, it answers what the first time came to. The wrapped keys are gone when the transaction commits, and
    no read that begins after it opens anything; what other processes hold in memory is forgotten with the event that
    goes out, and within 60 s in any case.
    """
    if not confirm:
        raise NotConfirmed(field="input.confirm")
    citizen_id = ctx.citizen_id()
    await store.lock_erasure(ctx.session, citizen_id=citizen_id)
    earlier = await store.erasure_of(ctx.session, citizen_id=citizen_id)
    if earlier is not None:
        await ctx.record("erasure.repeated", subject=citizen_id, object_ref=f"erasure:{earlier.erasure_id}")
        return _erased(earlier)
    await _end_consents(ctx, citizen_id)
    kept = terms_of(await held(ctx, citizen_id))
    destroyed = [item for item in DataClass if item not in kept]
    keys = ctx.services.discloser.keys
    for data_class in destroyed:
        await keys.shred(ctx.session, citizen_id=citizen_id, data_class=data_class, reason="erasure", now=ctx.now)
    await rights.set_restriction(ctx, citizen_id, Restriction.STORAGE_ONLY)
    erasure = ErasureRow(
        citizen_id=citizen_id,
        erasure_id=new_id(ctx.now),
        made_at=ctx.now,
        destroyed=[item.value for item in destroyed],
        kept=[item.value for item in kept],
        kept_until=list(kept.values()),
    )
    ctx.session.add(erasure)
    for item, until in kept.items():
        ctx.session.add(KeptClassRow(citizen_id=citizen_id, data_class=item.value, until=until, ended_at=None))
    await ctx.record(
        "citizen.erased", subject=citizen_id, object_ref=f"erasure:{erasure.erasure_id}", kind=EntryKind.KEY
    )
    await ctx.publish("privacy.citizen_erased", subject=citizen_id, body={"classes": erasure.destroyed})
    await ctx.publish("message.requested", subject=citizen_id, body={"code": "erasure.done", "params": {}})
    return _erased(erasure)


async def held(ctx: WriteContext[PrivacyPorts], citizen_id: UUID) -> dict[DataClass, dt.datetime]:
    """The classes of which a law has something kept, and since when, by what is known now."""
    known = await store.held_classes(ctx.session, citizen_id=citizen_id)
    latest_case, is_case_open = await store.cases_of(ctx.session, citizen_id=citizen_id)
    facts = {DataClass(name): since for name, since in known.items()}
    return held_since(facts, latest_case=latest_case, is_case_open=is_case_open, now=ctx.now)


def _erased(row: ErasureRow) -> Erased:
    kept = zip(row.kept, row.kept_until, strict=True)
    return Erased(
        row.erasure_id,
        tuple(DataClass(name) for name in row.destroyed),
        tuple(Kept(HOLDS[DataClass(name)], until) for name, until in kept),
    )


async def _end_consents(ctx: WriteContext[PrivacyPorts], citizen_id: UUID) -> None:
    for row in await consent_store.consents_of(ctx.session, citizen_id=citizen_id):
        if row.state in OPEN:
            await consents.change(ctx, row, ConsentEvent.WITHDRAW, made_by="citizen", tell=False)
