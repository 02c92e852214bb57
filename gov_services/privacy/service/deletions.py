"""What a party read it deletes when the consent has ended, and says so; who does not say so in time is found.

Nothing of ours runs where the party keeps it: what it attests is its word, shown to the citizen and in the log.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from gov_services.consent import store as consent_store
from gov_services.kit.actor import ActorKind
from gov_services.kit.clock import local_day
from gov_services.kit.errors import Forbidden, NotFound, UserError
from gov_services.privacy import deletions_store
from gov_services.privacy.findings import FindingKind
from gov_services.privacy.models import DeletionRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import findings
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import commit_in_batches

UNDELETED = "undeleted-readings"
BATCH = 100


class DeletionMethod(StrEnum):
    """How a party deleted what it had read."""

    ERASED = "erased"
    """Removed from every medium, backups in their turn included."""
    KEY_DESTROYED = "key-destroyed"
    """It was encrypted, and the key is gone."""
    ANONYMIZED = "anonymized"
    """It can be brought together with nobody any more (PIPL 73)."""
    NOTHING_KEPT = "nothing-kept"
    """It was looked at and never stored."""


class ConsentStands(UserError):
    """The consent has not ended, or was never given: there is nothing to attest about yet."""

    code = "CONSENT_STANDS"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该授权尚未终止,无需声明删除。",
        "en": "This consent has not ended: there is nothing to attest yet.",
    }


class AttestedAlready(UserError):
    """The deletion after this end was attested before; what was attested stays."""

    code = "ATTESTED_ALREADY"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该授权的删除已声明过。",
        "en": "This deletion was attested before.",
    }


class DeletionDayRefused(UserError):
    """A day that has not come, or on which the party was still reading."""

    code = "DELETION_DAY"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "删除日期不能晚于今天,也不能早于最后一次读取。",
        "en": "The day of deletion is not after today, and not before the last reading.",
    }


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a party owes, or has said, about a consent that has ended."""

    due_at: dt.datetime
    was_read: bool
    """Whether it read under the consent since that was last given."""
    attested: DeletionRow | None

    def is_overdue(self, now: dt.datetime) -> bool:
        """Whether it should have said by now that it deleted what it read."""
        return self.was_read and self.attested is None and now >= self.due_at


async def attest_deletion(
    ctx: WriteContext[PrivacyPorts], *, reference: UUID | None, deleted_on: dt.date, method: DeletionMethod
) -> dt.datetime:
    """Attest, as the party that read under a consent, that it deleted what it had read; when that was attested.

    Raises Forbidden, NotFound alike for no consent and for another party's, ConsentStands, AttestedAlready,
    DeletionDayRefused.
    """
    if ctx.actor.kind is not ActorKind.CLIENT:
        raise Forbidden
    found = (
        await deletions_store.consent_of_party(ctx.session, consent_id=reference, recipient=ctx.actor.client_id)
        if reference is not None
        else None
    )
    if found is None:
        raise NotFound
    row = await consent_store.standing_for_update(
        ctx.session, citizen_id=found.citizen_id, purpose=found.purpose, recipient=found.recipient
    )
    ended = await deletions_store.ended(ctx.session, consents=[row.consent_id]) if row is not None else ()
    if row is None or not ended:
        raise ConsentStands(field="input.reference")
    known = ended[0]
    if known.deletion is not None:
        raise AttestedAlready(field="input.reference")
    if deleted_on > local_day(ctx.now) or (known.read_at is not None and deleted_on < local_day(known.read_at)):
        raise DeletionDayRefused(field="input.deletedOn")
    ctx.session.add(
        DeletionRow(
            citizen_id=row.citizen_id,
            consent_id=row.consent_id,
            given=known.given,
            recipient=row.recipient,
            method=method.value,
            deleted_on=deleted_on,
            attested_at=ctx.now,
        )
    )
    await ctx.record("deletion.attested", subject=row.citizen_id, object_ref=f"consent:{row.consent_id}")
    params = {"recipient": row.recipient, "purpose": row.purpose}
    body = {"code": "deletion.attested", "params": params}
    await ctx.publish("message.requested", subject=row.citizen_id, body=body)
    return ctx.now


async def deletion_of(ctx: ReadContext[PrivacyPorts], consent_id: UUID) -> Deletion | None:
    """How the deletion after a consent's end stands; None while it stands, and where it was never given.

    For who has disclosed the consent already.
    """

    async def load(ids: Sequence[UUID]) -> list[Deletion | None]:
        async with ctx.reading() as session:
            rows = await deletions_store.ended(session, consents=ids)
        known = {row.consent_id: _deletion(row) for row in rows}
        return [known.get(one) for one in ids]

    found: Deletion | None = await ctx.loader("privacy.deletion", load).load(consent_id)
    return found


async def find_undeleted(ctx: ReadContext[Any]) -> int:
    """Turn what parties read, should have deleted and do not say that they did into findings; how many are new."""
    async with ctx.reading() as session:
        due = await deletions_store.undeleted(session, now=ctx.now, limit=1)
    return await commit_in_batches(ctx, _find, batch=BATCH) if due else 0


async def _find(ctx: WriteContext[PrivacyPorts]) -> int:
    rows = await deletions_store.undeleted(ctx.session, now=ctx.now, limit=BATCH)
    for row in rows:
        await findings.save_about(
            ctx,
            FindingKind.NOT_DELETED,
            actor=f"client:{row.recipient}",
            purpose=row.purpose,
            about=deletions_store.named(row.consent_id, row.given),
        )
    await ctx.record("findings.not-deleted", subject=None, object_ref=f"count:{len(rows)}")
    return len(rows)


def _deletion(row: deletions_store.Ended) -> Deletion:
    due_at = row.ended_at + dt.timedelta(days=row.keep_days)
    return Deletion(due_at=due_at, was_read=row.read_at is not None, attested=row.deletion)
