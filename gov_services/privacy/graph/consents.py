"""Notices, consents and what a relying party may ask, in GraphQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.federation.schema_directives import Key
from strawberry.federation.types import FieldSet

from gov_services.consent.ledger import terms_of
from gov_services.consent.models import RevisionRow, StandingRow
from gov_services.consent.terms import Period
from gov_services.kit.ids import parse_id
from gov_services.privacy.graph.deletions import ConsentDeletion, deletion_as_shown
from gov_services.privacy.graph.notices import FOR_CHILD, ConsentTerms, Notice, notice_as_shown, terms_as_shown
from gov_services.privacy.graph.pages import After, First, page_of, rows_after
from gov_services.privacy.graph.requests import asked
from gov_services.privacy.service import consents, deletions
from gov_services.subgraph.types import (
    PageInfo,
    UserErrorType,
    context_of,
    page_size,
    user_errors,
)
from gov_services.subgraph.unit_of_work import Outcome, commit


@strawberry.enum(description="Where a consent stands.")
class ConsentState(Enum):
    """As consent.lifecycle; only GIVEN and RENEWED let anything leave."""

    REQUESTED = strawberry.enum_value("requested", description="Asked for, not answered.")
    DEFERRED = strawberry.enum_value("deferred", description="To be answered later.")
    REFUSED = strawberry.enum_value("refused", description="Refused; it is not asked again.")
    GIVEN = strawberry.enum_value("given", description="Given.")
    EXPIRED = strawberry.enum_value("expired", description="Its term is over.")
    WITHDRAWN = strawberry.enum_value("withdrawn", description="Withdrawn by the citizen.")
    REVOKED = strawberry.enum_value("revoked", description="Ended by the agency.")
    RENEWED = strawberry.enum_value("renewed", description="Given again.")
    PAUSED = strawberry.enum_value("paused", description="Held up by the citizen, until they let it go on.")


@strawberry.federation.type(
    name="Citizen",
    keys=[Key(fields=FieldSet("id"), resolvable=False)],
    description="A citizen; what is known of them is identity's to tell.",
)
class CitizenReference:
    """Only the id, for federation."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")


@strawberry.type(description="A consent of the citizen who asks, or of their child, as it stands.")
class Consent:
    """One purpose, one recipient."""

    id: strawberry.ID = strawberry.field(description="Names the consent for good; give it to the recipient.")
    purpose: str = strawberry.field(description="Code of the purpose.")
    recipient: str = strawberry.field(description="Client that it was given to.")
    state: ConsentState = strawberry.field(description="Where it stands.")
    scope: list[str] = strawberry.field(description="Coordinates that it covers.")
    revision: int = strawberry.field(description="How often it has changed.")
    revision_hash: str = strawberry.field(description="Hash of the last revision, over all before it.")
    expires_at: dt.datetime | None = strawberry.field(
        description="When it ends by itself. What a guardian gave ends before, once the child has turned fourteen."
    )
    by_guardian: bool = strawberry.field(description="Whether a guardian decided last.")
    terms: ConsentTerms | None = strawberry.field(description="How often it may be read under, and how long kept.")

    @strawberry.field(description="Once it has ended: whether the recipient has deleted what it read.")
    async def deletion(self, info: strawberry.Info) -> ConsentDeletion | None:
        """By the recipient's word."""
        ctx, consent_id = context_of(info), parse_id(self.id)
        found = await deletions.deletion_of(ctx, consent_id) if consent_id else None
        return deletion_as_shown(found, ctx.now) if found else None


@strawberry.type(description="One consent of a page.")
class ConsentEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: Consent = strawberry.field(description="The consent.")


@strawberry.type(description="A page of consents.")
class ConsentConnection:
    """Relay connection."""

    edges: list[ConsentEdge] = strawberry.field(description="The consents.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.input(description="A consent to give.")
class GiveConsentInput:
    """What was shown, and what of it is agreed to."""

    purpose: str = strawberry.field(description="Code of the purpose.")
    recipient: str = strawberry.field(description="Client that it is given to.")
    notice_hash: str = strawberry.field(description="The notice that was shown.")
    scope: list[str] | None = strawberry.field(
        default=None, description="Coordinates, some of the notice's; all when left out."
    )
    days: int = strawberry.field(default=365, description="For how many days, 365 at most.")
    uses: int | None = strawberry.field(default=None, description="Most readings in all; 1 is one-time.")
    times: int | None = strawberry.field(default=None, description="Most readings per period.")
    per: Period | None = strawberry.field(default=None, description="That period.")
    for_child: strawberry.ID | None = strawberry.field(default=None, description=FOR_CHILD)


@strawberry.input(description="A consent to refuse.")
class RefuseConsentInput:
    """What was asked for."""

    purpose: str = strawberry.field(description="Code of the purpose.")
    recipient: str = strawberry.field(description="Client that asked for it.")
    for_child: strawberry.ID | None = strawberry.field(default=None, description=FOR_CHILD)


@strawberry.input(description="A consent to hold up, or to let go on.")
class ConsentInput:
    """Which one."""

    consent_id: strawberry.ID = strawberry.field(description="Id of the consent.")
    for_child: strawberry.ID | None = strawberry.field(default=None, description=FOR_CHILD)


@strawberry.input(description="A consent to withdraw.")
class WithdrawConsentInput:
    """Which one."""

    consent_id: strawberry.ID = strawberry.field(description="Id of the consent.")
    for_child: strawberry.ID | None = strawberry.field(default=None, description=FOR_CHILD)


@strawberry.type(description="What became of a consent.")
class ConsentPayload:
    """The consent is read anew, after the commit."""

    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")
    consent_id: strawberry.Private[UUID | None]
    child: strawberry.Private[str | None]

    @strawberry.field(description="The consent as it stands now.")
    async def consent(self, info: strawberry.Info) -> Consent | None:
        """Read after the commit."""
        if self.consent_id is None:
            return None
        found = await consents.read_consent(context_of(info), consent_id=self.consent_id, child=self.child)
        return consent_of(found)


def consent_of(row: StandingRow) -> Consent:
    """A consent as GraphQL shows it."""
    return Consent(
        id=strawberry.ID(str(row.consent_id)),
        purpose=row.purpose,
        recipient=row.recipient,
        state=ConsentState(row.state),
        scope=list(row.scope),
        revision=row.number,
        revision_hash=row.head.hex(),
        expires_at=row.expires_at,
        by_guardian=row.guardian_id is not None,
        terms=terms_as_shown(terms) if (terms := terms_of(row)) else None,
    )


def payload_of(outcome: Outcome[RevisionRow], info: strawberry.Info, *, child: str | None) -> ConsentPayload:
    """The payload of a ledger use-case."""
    consent_id = outcome.result.consent_id if outcome.result else None
    return ConsentPayload(user_errors=user_errors(outcome, info), consent_id=consent_id, child=child)


@strawberry.type
class ConsentQuery:
    """Root fields about consent."""

    @strawberry.field(description="The notice of a purpose in force.")
    async def notice(
        self,
        info: strawberry.Info,
        purpose: Annotated[str, strawberry.argument(description="Code of the purpose.")],
    ) -> Notice:
        """Shown before a consent is asked for."""
        ctx = context_of(info)
        return notice_as_shown(await consents.read_notice(ctx, purpose=purpose), ctx.call.locale)

    @strawberry.field(description="A signed receipt of a consent of the citizen who asks: a JWS, to be kept.")
    async def consent_receipt(
        self,
        info: strawberry.Info,
        consent_id: Annotated[strawberry.ID, strawberry.argument(description="Id of the consent.")],
    ) -> str:
        """Checked with the keys at /.well-known/consent-receipt-keys.json."""
        return await consents.make_receipt(context_of(info), consent_id=parse_id(consent_id))

    @strawberry.field(description="The consents of the citizen who asks: one a purpose and recipient.")
    async def consents(
        self,
        info: strawberry.Info,
        first: First = 20,
        after: After = None,
    ) -> ConsentConnection:
        """In order of purpose and recipient."""
        size = page_size(first)
        return _page(await consents.list_consents(context_of(info)), size=size, after=after)

    @strawberry.field(description="The consents of a child whose guardian asks.")
    async def consents_of_child(
        self,
        info: strawberry.Info,
        child: Annotated[strawberry.ID, strawberry.argument(description="Id of the child.")],
        first: First = 20,
        after: After = None,
    ) -> ConsentConnection:
        """In order of purpose and recipient."""
        size = page_size(first)
        return _page(await consents.list_consents(context_of(info), child=child), size=size, after=after)

    @strawberry.field(description="The citizen who gave the asking party a consent for this very purpose.")
    async def consented_citizen(
        self,
        info: strawberry.Info,
        reference: Annotated[strawberry.ID, strawberry.argument(description="Id of the consent.")],
    ) -> CitizenReference:
        """For relying parties."""
        citizen_id = await consents.consented_citizen(context_of(info), reference=parse_id(reference))
        return CitizenReference(id=strawberry.ID(str(citizen_id)))


@strawberry.type
class ConsentMutation:
    """Changes of a citizen's own consents."""

    @strawberry.mutation(description="Consent to a purpose for one recipient.")
    async def give_consent(
        self,
        info: strawberry.Info,
        input: Annotated[GiveConsentInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentPayload:
        """Pinned to the notice that was shown."""
        outcome = await commit(
            context_of(info),
            consents.give_consent,
            purpose=input.purpose,
            recipient=input.recipient,
            notice_hash=_hash(input.notice_hash),
            scope=input.scope,
            days=input.days,
            terms=asked(input.uses, input.times, input.per),
            child=input.for_child,
        )
        return payload_of(outcome, info, child=input.for_child)

    @strawberry.mutation(description="Refuse a consent; it is not asked for again.")
    async def refuse_consent(
        self,
        info: strawberry.Info,
        input: Annotated[RefuseConsentInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentPayload:
        """A refusal costs nothing."""
        outcome = await commit(
            context_of(info),
            consents.refuse_consent,
            purpose=input.purpose,
            recipient=input.recipient,
            child=input.for_child,
        )
        return payload_of(outcome, info, child=input.for_child)

    @strawberry.mutation(description="Withdraw a consent; it binds the next read.")
    async def withdraw_consent(
        self,
        info: strawberry.Info,
        input: Annotated[WithdrawConsentInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentPayload:
        """No reason is asked."""
        outcome = await commit(
            context_of(info),
            consents.withdraw_consent,
            consent_id=parse_id(input.consent_id),
            child=input.for_child,
        )
        return payload_of(outcome, info, child=input.for_child)

    @strawberry.mutation(description="Hold a consent up; nothing is read under it until it goes on.")
    async def pause_consent(
        self,
        info: strawberry.Info,
        input: Annotated[ConsentInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentPayload:
        """Binds the next read, as withdrawing does."""
        outcome = await commit(
            context_of(info),
            consents.pause_consent,
            consent_id=parse_id(input.consent_id),
            child=input.for_child,
        )
        return payload_of(outcome, info, child=input.for_child)

    @strawberry.mutation(description="Let a paused consent go on, as it was given.")
    async def resume_consent(
        self,
        info: strawberry.Info,
        input: Annotated[ConsentInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentPayload:
        """Same fields, same terms, same end."""
        outcome = await commit(
            context_of(info),
            consents.resume_consent,
            consent_id=parse_id(input.consent_id),
            child=input.for_child,
        )
        return payload_of(outcome, info, child=input.for_child)


def _page(rows: Sequence[StandingRow], *, size: int, after: str | None) -> ConsentConnection:
    return page_of(
        rows_after(rows, after=after, key=_consent_id),
        size=size,
        key=_consent_id,
        node=consent_of,
        edge=ConsentEdge,
        connection=ConsentConnection,
    )


def _consent_id(row: StandingRow) -> UUID:
    return row.consent_id


def _hash(text: str) -> bytes:
    """A hash as a client sends it; what is none equals no notice's."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
