"""A citizen's consents: the notice, giving, refusing, withdrawing; and what a relying party learns of one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import NAMESPACE_OID, UUID, uuid5

from gov_services.consent import ledger
from gov_services.consent import store as consent_store
from gov_services.consent.disclosure import ConsentRequired
from gov_services.consent.disclosures import Subject
from gov_services.consent.lifecycle import ConsentEvent
from gov_services.consent.models import RevisionRow, StandingRow
from gov_services.consent.policy import Unrelated, admit
from gov_services.consent.purposes import Basis, Bundle, Form, Purpose
from gov_services.kit.actor import ActorKind
from gov_services.kit.errors import Forbidden, NotFound, UserError
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import ReadContext, WriteContext

LONGEST_CONSENT = dt.timedelta(days=365)


class PurposeNotForConsent(UserError):
    """There is no such purpose, or it does not rest on consent, or that party does not act under it."""

    code = "PURPOSE_NOT_FOR_CONSENT"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该用途不存在,或不以您的授权为依据。",
        "en": "There is no such purpose, or it does not rest on your consent.",
    }


class ScopeTooWide(UserError):
    """More than the purpose asks for was put into the scope, or nothing at all."""

    code = "SCOPE_TOO_WIDE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "授权范围须为该用途所列字段的一部分。",
        "en": "The scope is some of the fields that the purpose names.",
    }


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person is told before they decide (PIPL 17, 30)."""

    purpose: Purpose
    bundle_version: int

    @property
    def fields(self) -> list[tuple[str, Form]]:
        """Coordinates that leave under the purpose, and in which form."""
        return sorted(
            (name, form)
            for name, form in self.purpose.grants.items()
            if form in (Form.PLAIN, Form.MASKED, Form.DERIVED, Form.COLLECT)
        )


async def read_notice(ctx: ReadContext[PrivacyPorts], *, purpose: str) -> Notice:
    """The notice of a purpose in force. Raises NotFound."""
    async with ctx.reading() as session:
        bundle = await ctx.services.discloser.bundles.current(session)
    admit(bundle, ctx.call)
    found = bundle.purposes.get(purpose)
    if found is None:
        raise NotFound
    return Notice(found, bundle.version)


async def list_consents(ctx: ReadContext[PrivacyPorts]) -> Sequence[StandingRow]:
    """Every consent of the citizen who asks, as it stands."""
    citizen_id = ctx.citizen_id()
    await ctx.disclosure(citizen_id, object_ref="consents")
    async with ctx.reading() as session:
        return await consent_store.consents_of(session, citizen_id=citizen_id)


async def read_consent(ctx: ReadContext[PrivacyPorts], *, consent_id: UUID | None) -> StandingRow:
    """One consent of the citizen who asks. Raises NotFound."""
    for row in await list_consents(ctx):
        if row.consent_id == consent_id:
            return row
    raise NotFound


async def give_consent(
    ctx: WriteContext[PrivacyPorts],
    *,
    purpose: str,
    recipient: str,
    notice_hash: bytes,
    scope: Collection[str] | None,
    days: int,
) -> RevisionRow:
    """Consent to a purpose for one recipient, for so many days. Raises NoticeChanged, ScopeTooWide and others."""
    granted = _for_consent(ctx.bundle, purpose, recipient)
    covered = frozenset(_consentable(granted))
    wanted = covered if scope is None else frozenset(scope)
    if not wanted or not wanted <= covered:
        raise ScopeTooWide(field="input.scope")
    expires_at = ctx.now + min(dt.timedelta(days=max(1, days)), LONGEST_CONSENT)
    return await _append(
        ctx, granted, recipient, ConsentEvent.GIVE, scope=wanted, notice_hash=notice_hash, expires_at=expires_at
    )


async def refuse_consent(ctx: WriteContext[PrivacyPorts], *, purpose: str, recipient: str) -> RevisionRow:
    """Say no to what was requested; it is not asked again."""
    granted = _for_consent(ctx.bundle, purpose, recipient)
    return await _append(ctx, granted, recipient, ConsentEvent.REFUSE, scope=(), notice_hash=granted.notice_hash())


async def withdraw_consent(ctx: WriteContext[PrivacyPorts], *, consent_id: UUID | None) -> RevisionRow:
    """Withdraw a consent: no reason asked, binding on the next read (PIPL 15). Raises NotFound."""
    citizen_id = ctx.citizen_id()
    standing = await consent_store.consents_of(ctx.session, citizen_id=citizen_id)
    row = next((row for row in standing if row.consent_id == consent_id), None)
    if row is None:
        raise NotFound
    granted = ctx.bundle.purposes.get(row.purpose)
    if granted is None:
        raise NotFound
    return await _append(ctx, granted, row.recipient, ConsentEvent.WITHDRAW, scope=(), notice_hash=row.notice_hash)


async def consented_citizen(ctx: ReadContext[PrivacyPorts], *, reference: UUID | None) -> UUID:
    """The citizen who gave the asking party that consent, for the purpose of this very document.

    Raises ConsentRequired alike where there is none, where it stands no more, and where it is another party's.
    """
    if ctx.actor.kind is not ActorKind.CLIENT:
        raise Forbidden
    async with ctx.reading() as session:
        row = (
            await consent_store.standing_by_id(session, consent_id=reference, recipient=ctx.actor.client_id)
            if reference is not None
            else None
        )
    if row is not None and row.purpose != ctx.call.purpose:
        row = None
    # A reference to nothing is decided on as one to somebody is: the same work, the same count, the same entry.
    subject_id = row.citizen_id if row else uuid5(NAMESPACE_OID, f"consent:{reference}")
    found = await ctx.disclosures.about(Subject(subject_id, object=f"consent:{reference}" if reference else None))
    if row is None or isinstance(found, Unrelated) or not _stands(row, ctx.now):
        refused = ConsentRequired()
        refused.logged = isinstance(found, Unrelated)
        raise refused
    return row.citizen_id


def _stands(row: StandingRow, now: dt.datetime) -> bool:
    return row.state in ("given", "renewed") and (row.expires_at is None or now < row.expires_at)


def _for_consent(bundle: Bundle, purpose: str, recipient: str) -> Purpose:
    found = bundle.purposes.get(purpose)
    if found is None or found.basis is not Basis.CONSENT or recipient not in found.clients:
        raise PurposeNotForConsent(field="input.purpose")
    return found


def _consentable(purpose: Purpose) -> list[str]:
    return [name for name, form in purpose.grants.items() if form is not Form.PREDICATE]


async def _append(
    ctx: WriteContext[PrivacyPorts],
    purpose: Purpose,
    recipient: str,
    event: ConsentEvent,
    *,
    scope: Collection[str],
    notice_hash: bytes,
    expires_at: dt.datetime | None = None,
) -> RevisionRow:
    citizen_id = ctx.citizen_id()
    revision = await ledger.append(
        ctx.session,
        bundle=ctx.bundle,
        purpose=purpose,
        citizen_id=citizen_id,
        recipient=recipient,
        event=event,
        scope=scope,
        notice_hash=notice_hash,
        made_by="citizen",
        now=ctx.now,
        expires_at=expires_at,
    )
    await ctx.record(
        f"consent.{revision.state}",
        subject=citizen_id,
        object_ref=f"consent:{revision.consent_id}:{revision.hash.hex()}",
        recipient=f"client:{recipient}",
        disclosed=dict.fromkeys(revision.scope, "CONSENTED"),
    )
    await ctx.publish("message.requested", subject=citizen_id, body={"code": "consent.changed", "params": {}})
    return revision
