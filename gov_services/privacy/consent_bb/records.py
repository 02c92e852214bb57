"""Consent records over the ledger, through the same use cases as GraphQL's. Its one rule is who is named how to whom.

A citizen reads, gives, refuses and withdraws; a party reads what it was given; a compliance officer reads by tags.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.consent import store as consent_store
from gov_services.consent.lifecycle import TRANSITIONS, ConsentEvent, ConsentState
from gov_services.consent.models import RevisionRow, StandingRow
from gov_services.consent.policy import admit
from gov_services.kit.actor import ActorKind
from gov_services.kit.canonical import sha256
from gov_services.kit.database import ReadSession
from gov_services.kit.errors import Forbidden, NotFound, UserError
from gov_services.kit.ids import parse_id
from gov_services.privacy import store as privacy_store
from gov_services.privacy.consent_bb import agreements, shapes, store, views
from gov_services.privacy.consent_bb.register import Agreement
from gov_services.privacy.consent_bb.views import Person, Shown
from gov_services.privacy.consent_bb.webhooks import is_partys
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import consents, requests
from gov_services.subgraph.context import ReadContext, WriteContext

ASKED = (ConsentState.REQUESTED, ConsentState.DEFERRED)
"""Where a party waits for an answer."""


class IndividualNotYours(UserError):
    """A record is asked for, or made, in somebody else's name."""

    code = "INDIVIDUAL_NOT_YOURS"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "只能处理本人的授权记录。",
        "en": "Only one's own consent records are kept here: individualId is the code of who asks.",
    }


class NotWhatIsAgreed(UserError):
    """What comes back signed is not the draft that was handed out, or says something else than the record."""

    code = "NOT_WHAT_IS_AGREED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "签署内容与当前协议或记录不符,请重新获取草稿。",
        "en": "What is signed is not this agreement as it reads now. Please ask for a draft anew.",
    }


class MethodUnknown(UserError):
    """A signature of a kind that proves nothing here."""

    code = "SIGNATURE_METHOD_UNKNOWN"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "仅支持以本人登录会话确认(verificationMethod 为 session)。",
        "en": "Agreement is known by the session it is given in: verificationMethod is “session”.",
    }


@dataclass(frozen=True, slots=True)
class Shower:
    """Shows records to one who asks, each with the agreement that it is to."""

    ctx: ReadContext[PrivacyPorts]
    session: ReadSession
    reader: agreements.Reader

    async def record(self, chain: Sequence[RevisionRow], person: Person, *, signed: bool = False) -> Shown:
        """The consent as its last revision has it; with the city's signature where one is wanted."""
        last = chain[-1]
        found = await self.agreement_of(last.purpose, last.recipient)
        shown = views.record(last, found, person)
        wording = next((one for one in reversed(found.wordings) if one.purpose.notice_hash == last.notice_hash), None)
        if wording is not None:
            shown["dataAgreement"] = await self.reader.agreement(found, last.notice_hash.hex())
            shown["dataAgreementRevision"] = views.agreement_revision(found, wording)
        if signed and shown["state"] == "signed":
            revision = views.record_revision(chain, found, person)
            shown["signature"] = views.signature(self.ctx.ports.receipt_key, revision, last, person)
        return shown

    async def revision(self, chain: Sequence[RevisionRow], person: Person) -> Shown:
        """Its newest revision."""
        found = await self.agreement_of(chain[-1].purpose, chain[-1].recipient)
        return views.record_revision(chain, found, person)

    async def agreement_of(self, purpose: str, recipient: str) -> Agreement:
        """The agreement that a consent is to. Raises NotFound."""
        register = self.ctx.ports.register
        return await register.agreement_of(self.session, code=purpose, recipient=recipient, now=self.ctx.now)


def own(ctx: ReadContext[PrivacyPorts], claimed: str | None = None) -> Person:
    """The citizen who asks, by the code that they know themselves by. Raises Unauthenticated, IndividualNotYours."""
    found = str(ctx.citizen_id())
    if claimed is not None and claimed != found:
        raise IndividualNotYours
    return Person(found, views.OF_CITIZEN)


def by_consent(row: StandingRow | RevisionRow) -> Person:
    """A citizen as a party knows them: by the consent alone, so that two parties cannot compare."""
    return Person(str(row.consent_id), views.OF_CONSENT)


async def own_chain(
    ctx: ReadContext[PrivacyPorts], session: ReadSession, *, consent_id: UUID | None
) -> Sequence[RevisionRow]:
    """Every revision of one's own consent of that name. Raises NotFound."""
    row = await consents.read_consent(ctx, consent_id=consent_id)
    return (await store.chains(session, consents=[row]))[row.consent_id]


async def given_to_party(ctx: ReadContext[PrivacyPorts], *, offset: int, limit: int) -> Sequence[StandingRow]:
    """Consents that the asking party was given, as they stand. Raises Forbidden, AuditUnavailable."""
    if ctx.actor.kind is not ActorKind.CLIENT:
        raise Forbidden
    await ctx.disclosures.require_listing("consents-given")
    async with ctx.reading() as session:
        return await store.given_to(session, recipient=ctx.actor.client_id, offset=offset, limit=limit)


async def one_given(ctx: ReadContext[PrivacyPorts], *, consent_id: str) -> StandingRow:
    """One of them; the citizen is told that its party looked. Raises NotFound, Forbidden, AuditUnavailable."""
    if ctx.actor.kind is not ActorKind.CLIENT:
        raise Forbidden
    identifier = parse_id(consent_id)
    async with ctx.reading() as session:
        admit(await ctx.services.discloser.bundles.current(session), ctx.call)
        recipient = ctx.actor.client_id
        row = await store.one_given(session, consent_id=identifier, recipient=recipient) if identifier else None
        if row is None:
            raise NotFound
        tag = await ctx.subject_tag(session, row.citizen_id)
    await ctx.disclosures.require_log_read("consent-record", tag=tag)
    return row


def as_party_sees(chain: Sequence[RevisionRow]) -> list[RevisionRow]:
    """Of a consent that a party was given, the revisions that are its to know (`webhooks.is_partys`)."""
    before = [None, *(row.state for row in chain)]
    return [row for row, state in zip(chain, before, strict=False) if is_partys(state, row.state)]


async def give(ctx: WriteContext[PrivacyPorts], *, found: Agreement, wording: str) -> RevisionRow:
    """Agree, to what a party asked for where it did, else to all of it. Raises NoticeChanged and as GraphQL's does."""
    notice_hash = _hash(wording) if wording else found.newest.purpose.notice_hash
    citizen_id = ctx.citizen_id()
    waiting = await privacy_store.requests_of(ctx.session, citizen_id=citizen_id, now=ctx.now)
    for request in waiting:
        if (request.purpose, request.recipient) == (found.code, found.recipient):
            await requests.answer_with_consent(
                ctx,
                request_id=request.request_id,
                notice_hash=notice_hash,
                scope=None,
                days=None,
                terms=consents.Asked(),
            )
            return await _last(ctx, citizen_id, found.code, found.recipient)
    return await consents.give_consent(
        ctx,
        purpose=found.code,
        recipient=found.recipient,
        notice_hash=notice_hash,
        scope=None,
        days=365,
        terms=consents.Asked(),
    )


async def opt(
    ctx: WriteContext[PrivacyPorts], *, consent_id: UUID | None, found: Agreement, opt_in: bool, wording: str
) -> RevisionRow:
    """Agree anew, go on after a pause, or withdraw; a request is agreed to or refused. Raises as GraphQL's do."""
    citizen_id = ctx.citizen_id()
    row = await _own_row(ctx, citizen_id, consent_id)
    if opt_in and row.state == ConsentState.PAUSED:
        return await consents.resume_consent(ctx, consent_id=consent_id)
    if opt_in and not wording:
        raise NotWhatIsAgreed
    if opt_in:
        return await give(ctx, found=found, wording=wording)
    if row.state in ASKED:
        return await refuse(ctx, code=found.code, recipient=found.recipient)
    return await consents.withdraw_consent(ctx, consent_id=consent_id)


async def refuse(ctx: WriteContext[PrivacyPorts], *, code: str, recipient: str) -> RevisionRow:
    """Say no to what a party asked for. Raises IllegalConsentChange where nobody asked."""
    citizen_id = ctx.citizen_id()
    for request in await privacy_store.requests_of(ctx.session, citizen_id=citizen_id, now=ctx.now):
        if (request.purpose, request.recipient) == (code, recipient):
            await requests.answer_with_refusal(ctx, request_id=request.request_id)
            return await _last(ctx, citizen_id, code, recipient)
    return await consents.refuse_consent(ctx, purpose=code, recipient=recipient)


async def withdraw_all(ctx: WriteContext[PrivacyPorts]) -> int:
    """Withdraw whatever stands, refuse whatever waits; how many. What was agreed to stays on record (PIPL 69)."""
    citizen_id, ended = ctx.citizen_id(), 0
    for row in await consent_store.consents_of(ctx.session, citizen_id=citizen_id):
        if row.state in ASKED and _may_be_answered(ctx, row):
            await refuse(ctx, code=row.purpose, recipient=row.recipient)
            ended += 1
        elif (ConsentState(row.state), ConsentEvent.WITHDRAW) in TRANSITIONS:
            await consents.withdraw_consent(ctx, consent_id=row.consent_id)
            ended += 1
    await ctx.record("consent.all-withdrawn", subject=citizen_id, object_ref=f"consents:{ended}")
    return ended


def _may_be_answered(ctx: WriteContext[PrivacyPorts], row: StandingRow) -> bool:
    """Whether a request can be refused as such: not where the purposes have moved on, and it is withdrawn then."""
    try:
        consents.for_consent(ctx.bundle, row.purpose, row.recipient)
    except consents.PurposeNotForConsent:
        return False
    return True


def require_agreed(signature: shapes.Signature, found: Agreement, person: Person, *, revision_hash: str) -> None:
    """Hold a signed draft against what it is of. Raises MethodUnknown, NotWhatIsAgreed."""
    if signature.verification_method != views.SESSION:
        raise MethodUnknown
    agreed = views.what_is_agreed(found, person)
    if (
        signature.verification_payload != agreed
        or signature.payload != agreed
        or signature.verification_payload_hash != sha256(agreed.encode()).hex()
        or signature.verification_signed_by != person.id
        or revision_hash != found.newest.purpose.notice_hash.hex()
    ):
        raise NotWhatIsAgreed


def agreement_named(signature: shapes.Signature) -> str:
    """The agreement that a signed draft names. Raises NotWhatIsAgreed."""
    try:
        named = json.loads(signature.verification_payload)["dataAgreementId"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NotWhatIsAgreed from None
    if not isinstance(named, str):
        raise NotWhatIsAgreed
    return named


async def _own_row(ctx: WriteContext[PrivacyPorts], citizen_id: UUID, consent_id: UUID | None) -> StandingRow:
    for row in await consent_store.consents_of(ctx.session, citizen_id=citizen_id):
        if row.consent_id == consent_id:
            return row
    raise NotFound


async def _last(ctx: WriteContext[PrivacyPorts], citizen_id: UUID, code: str, recipient: str) -> RevisionRow:
    chain = await consent_store.revisions_of(ctx.session, citizen_id=citizen_id, purpose=code, recipient=recipient)
    if not chain:
        raise NotFound
    return chain[-1]


def _hash(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
