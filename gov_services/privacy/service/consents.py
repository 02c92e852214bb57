"""A citizen's consents, or their child's: notice, giving, refusing, withdrawing; what a party learns of one."""

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
from gov_services.consent.ledger import Guardian
from gov_services.consent.lifecycle import STANDS, ConsentEvent
from gov_services.consent.models import RevisionRow, StandingRow
from gov_services.consent.notices import Items, items_of
from gov_services.consent.policy import Unrelated, admit
from gov_services.consent.purpose_files import parse_bundle
from gov_services.consent.purposes import Basis, Bundle, Form, Purpose
from gov_services.consent.receipts import record_of, sign_receipt
from gov_services.consent.terms import Frequency, Terms
from gov_services.kit.actor import ActorKind
from gov_services.kit.errors import Forbidden, NotFound, UserError
from gov_services.kit.ids import parse_id
from gov_services.privacy.consent_bb import webhooks
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import guardians
from gov_services.privacy.service.guardians import Decider
from gov_services.subgraph.context import ReadContext, WriteContext


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


class TermsTooWide(UserError):
    """More readings, or more often, than the purpose allows."""

    code = "TERMS_TOO_WIDE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "次数或频率超出该用途允许的范围。",
        "en": "That is more readings, or more often, than the purpose allows.",
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """Terms as somebody states them; what is left out is as wide as it may be."""

    uses: int | None = None
    frequency: Frequency | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person is told before they decide (PIPL 17, 30)."""

    purpose: Purpose
    items: Items

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
    return Notice(found, items_of(found, ctx.ports.vocabulary, ctx.call.locale))


async def list_consents(ctx: ReadContext[PrivacyPorts], *, child: str | None = None) -> Sequence[StandingRow]:
    """Every consent of the citizen who asks, or of a child whose guardian they are, as it stands. Raises NotFound."""
    citizen_id = ctx.citizen_id() if child is None else parse_id(child)
    await ctx.disclosure(citizen_id, object_ref="consents")
    assert citizen_id is not None
    async with ctx.reading() as session:
        return await consent_store.consents_of(session, citizen_id=citizen_id)


async def read_consent(
    ctx: ReadContext[PrivacyPorts], *, consent_id: UUID | None, child: str | None = None
) -> StandingRow:
    """One consent of the citizen who asks, or of their child. Raises NotFound."""
    for row in await list_consents(ctx, child=child):
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
    terms: Asked,
    child: str | None = None,
) -> RevisionRow:
    """Consent to a purpose for one recipient, for so many days; for a child as their guardian.

    Raises NoticeChanged, ScopeTooWide, TermsTooWide; GuardianRequired, NotForChildren, NotFound.
    """
    who = await guardians.who_decides(ctx, child)
    granted = for_consent(ctx.bundle, purpose, recipient)
    await guardians.require_who_may(ctx, who, granted)
    wanted = scope_within(granted, scope)
    bounded = terms_within(granted, terms)
    return await append(
        ctx,
        granted,
        recipient,
        ConsentEvent.GIVE,
        citizen_id=who.citizen_id,
        made_by=who.made_by,
        guardian=who.guardian,
        scope=wanted,
        notice_hash=notice_hash,
        expires_at=ctx.now + dt.timedelta(days=min(max(1, days), granted.consent_days)),
        terms=bounded,
    )


async def refuse_consent(
    ctx: WriteContext[PrivacyPorts], *, purpose: str, recipient: str, child: str | None = None
) -> RevisionRow:
    """Say no to what was requested; it is not asked again. A child may, too."""
    who = await guardians.who_decides(ctx, child)
    granted = for_consent(ctx.bundle, purpose, recipient)
    return await append(
        ctx,
        granted,
        recipient,
        ConsentEvent.REFUSE,
        citizen_id=who.citizen_id,
        made_by=who.made_by,
        guardian=who.guardian,
        notice_hash=granted.notice_hash,
    )


async def withdraw_consent(
    ctx: WriteContext[PrivacyPorts], *, consent_id: UUID | None, child: str | None = None
) -> RevisionRow:
    """Withdraw a consent: no reason asked, binding on the next read (PIPL 15). A child may, too. Raises NotFound."""
    return await _change(ctx, consent_id, ConsentEvent.WITHDRAW, await guardians.who_decides(ctx, child))


async def pause_consent(
    ctx: WriteContext[PrivacyPorts], *, consent_id: UUID | None, child: str | None = None
) -> RevisionRow:
    """Hold a consent up; nothing is read under it until it goes on. Raises NotFound, IllegalConsentChange."""
    return await _change(ctx, consent_id, ConsentEvent.PAUSE, await guardians.who_decides(ctx, child))


async def resume_consent(
    ctx: WriteContext[PrivacyPorts], *, consent_id: UUID | None, child: str | None = None
) -> RevisionRow:
    """Let a paused consent go on, exactly as it was given. Raises NotFound, IllegalConsentChange, GuardianRequired."""
    who = await guardians.who_decides(ctx, child)
    await guardians.require_who_may(ctx, who)
    return await _change(ctx, consent_id, ConsentEvent.RESUME, who)


async def make_receipt(ctx: ReadContext[PrivacyPorts], *, consent_id: UUID | None) -> str:
    """A signed receipt of one's own consent, with all that became of it. Raises NotFound."""
    row = await read_consent(ctx, consent_id=consent_id)
    async with ctx.reading() as session:
        revisions = await consent_store.revisions_of(
            session, citizen_id=row.citizen_id, purpose=row.purpose, recipient=row.recipient
        )
        given = next((item for item in reversed(revisions) if item.scope), revisions[-1])
        bundle = parse_bundle((await consent_store.bundle(session, version=given.bundle_version)).body)
        tag = await ctx.subject_tag(session, row.citizen_id)
    if tag is None:
        raise NotFound
    ledger.verify_chain(revisions)
    record = record_of(
        revisions,
        bundle=bundle,
        principal=tag.hex(),
        vocabulary=ctx.ports.vocabulary,
        locale=ctx.call.locale,
        issuer=ctx.ports.issuer,
    )
    return sign_receipt(ctx.ports.receipt_key, record)


async def _change(
    ctx: WriteContext[PrivacyPorts], consent_id: UUID | None, event: ConsentEvent, who: Decider
) -> RevisionRow:
    standing = await consent_store.consents_of(ctx.session, citizen_id=who.citizen_id)
    row = next((row for row in standing if row.consent_id == consent_id), None)
    if row is None:
        raise NotFound
    return await change(ctx, row, event, made_by=who.made_by, guardian=who.guardian)


async def consented_citizen(ctx: ReadContext[PrivacyPorts], *, reference: UUID | None) -> UUID:
    """The citizen who gave the asking party that consent, for the purpose of this very document.

    Raises ConsentRequired alike where there is none, where it stands no more, and where it is another party's.
    """
    if ctx.actor.kind is not ActorKind.CLIENT:
        raise Forbidden
    async with ctx.reading() as session:
        row = (
            await consent_store.standing_by_id(
                session, consent_id=reference, recipient=ctx.actor.client_id, now=ctx.now
            )
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
    return row.state in STANDS and (row.expires_at is None or now < row.expires_at)


def for_consent(bundle: Bundle, purpose: str, recipient: str) -> Purpose:
    """The purpose, where `recipient` may be consented to for it. Raises PurposeNotForConsent."""
    found = bundle.purposes.get(purpose)
    if found is None or found.basis is not Basis.CONSENT or recipient not in found.clients:
        raise PurposeNotForConsent(field="input.purpose")
    return found


def scope_within(purpose: Purpose, scope: Collection[str] | None) -> frozenset[str]:
    """`scope`, or all that the purpose asks for where it is None. Raises ScopeTooWide."""
    covered = frozenset(name for name, form in purpose.grants.items() if form is not Form.PREDICATE)
    wanted = covered if scope is None else frozenset(scope)
    if not wanted or not wanted <= covered:
        raise ScopeTooWide(field="input.scope")
    return wanted


def narrowed(widest: Terms, asked: Asked) -> Terms:
    """`widest`, with what was asked for in its place."""
    return Terms(
        keep_days=widest.keep_days,
        uses=widest.uses if asked.uses is None else asked.uses,
        frequency=widest.frequency if asked.frequency is None else asked.frequency,
    )


def terms_within(purpose: Purpose, asked: Asked) -> Terms:
    """The terms asked for, no wider than the purpose's. Raises TermsTooWide."""
    widest = purpose.widest_terms()
    terms = narrowed(widest, asked)
    least = min(terms.uses or 1, terms.frequency.times if terms.frequency else 1)
    if least < 1 or (asked.uses is not None and asked.uses < 1) or not terms.within(widest):
        raise TermsTooWide(field="input.uses")
    return terms


async def append(
    ctx: WriteContext[PrivacyPorts],
    purpose: Purpose,
    recipient: str,
    event: ConsentEvent,
    *,
    citizen_id: UUID,
    notice_hash: bytes,
    scope: Collection[str] = (),
    expires_at: dt.datetime | None = None,
    terms: Terms | None = None,
    made_by: str = "citizen",
    guardian: Guardian | None = None,
    tell: bool = True,
) -> RevisionRow:
    """A revision of the ledger with its entry in the log, and a message to the citizen unless they are told otherwise.

    Raises NoticeChanged, IllegalConsentChange.
    """
    revision = await ledger.append(
        ctx.session,
        bundle=ctx.bundle,
        purpose=purpose,
        citizen_id=citizen_id,
        recipient=recipient,
        event=event,
        scope=scope,
        notice_hash=notice_hash,
        made_by=made_by,
        now=ctx.now,
        expires_at=expires_at,
        terms=terms,
        guardian=guardian,
    )
    await _note(ctx, revision, tell=tell)
    return revision


async def change(
    ctx: WriteContext[PrivacyPorts],
    row: StandingRow,
    event: ConsentEvent,
    *,
    made_by: str,
    guardian: Guardian | None = None,
    tell: bool = True,
) -> RevisionRow:
    """The same for a consent that is there, whatever became of its purpose. Raises IllegalConsentChange."""
    revision = await ledger.change(
        ctx.session, row, event=event, bundle=ctx.bundle, made_by=made_by, now=ctx.now, guardian=guardian
    )
    await _note(ctx, revision, tell=tell)
    return revision


async def _note(ctx: WriteContext[PrivacyPorts], revision: RevisionRow, *, tell: bool) -> None:
    citizen_id = revision.citizen_id
    under = f":guardian:{revision.guardian_relation_id}" if revision.made_by == guardians.MADE_BY else ""
    await ctx.record(
        f"consent.{revision.state}",
        subject=citizen_id,
        object_ref=f"consent:{revision.consent_id}:{revision.hash.hex()}{under}",
        recipient=f"client:{revision.recipient}",
        disclosed=dict.fromkeys(revision.scope, "CONSENTED"),
    )
    await webhooks.announce(ctx, revision)
    if tell:
        await ctx.publish("message.requested", subject=citizen_id, body={"code": "consent.changed", "params": {}})
