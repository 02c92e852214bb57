"""Notices, consents and what a relying party may ask, in GraphQL."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.federation.schema_directives import Key
from strawberry.federation.types import FieldSet

from gov_services.consent.models import RevisionRow, StandingRow
from gov_services.consent.purposes import Basis, Form
from gov_services.kit.ids import parse_id
from gov_services.privacy.graph.pages import After, First, page_of, rows_after
from gov_services.privacy.service import consents
from gov_services.subgraph.types import (
    PageInfo,
    UserErrorType,
    context_of,
    page_size,
    register_enum,
    user_errors,
)
from gov_services.subgraph.unit_of_work import Outcome, commit

register_enum(
    Form,
    name="FieldForm",
    description="How much of a field a purpose gives.",
    values={
        Form.PLAIN: "The value.",
        Form.MASKED: "The value, masked.",
        Form.DERIVED: "An answer computed from it.",
        Form.PREDICATE: "Looked up by, and not shown.",
        Form.COLLECT: "Taken in.",
    },
)
register_enum(
    Basis,
    name="LegalBasis",
    description="Legal basis of processing (PIPL 13).",
    values={
        Basis.CONSENT: "The person agreed.",
        Basis.CONTRACT: "Needed for what the person asked for.",
        Basis.STATUTORY: "Needed for a duty that a law sets an agency.",
        Basis.LEGAL_OBLIGATION: "A law obliges us to.",
        Basis.EMERGENCY: "A public emergency, with an end.",
    },
)


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


@strawberry.federation.type(
    name="Citizen",
    keys=[Key(fields=FieldSet("id"), resolvable=False)],
    description="A citizen; what is known of them is identity's to tell.",
)
class CitizenReference:
    """Only the id, for federation."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")


@strawberry.type(description="A field that a purpose covers.")
class CoveredField:
    """One line of a notice."""

    coordinate: str = strawberry.field(description="Schema coordinate, `Type.field`.")
    form: Form = strawberry.field(description="In which form it leaves, or that it is collected.")


@strawberry.type(description="What a person is told before they consent.")
class Notice:
    """A purpose in force, in words (PIPL 17, 30)."""

    purpose: str = strawberry.field(description="Code of the purpose.")
    title: str = strawberry.field(description="What it is called, in the language asked for.")
    text: str = strawberry.field(description="Who, what, why, how long, and which rights.")
    basis: Basis = strawberry.field(description="Legal basis.")
    law: str = strawberry.field(description="The law, where consent is not the basis.")
    article: str = strawberry.field(description="Article of that law.")
    agency: str = strawberry.field(description="The agency that answers for it.")
    fields: list[CoveredField] = strawberry.field(description="What it covers, field by field.")
    recipients: list[str] = strawberry.field(description="Clients that act under it.")
    retention_days: int = strawberry.field(description="How long what is taken is kept.")
    separate_consent: bool = strawberry.field(description="Whether it needs consent of its own (PIPL 29).")
    notice_hash: str = strawberry.field(description="What a consent is pinned to; pass it on when consenting.")


@strawberry.type(description="A consent of the citizen who asks, as it stands.")
class Consent:
    """One purpose, one recipient."""

    id: strawberry.ID = strawberry.field(description="Names the consent for good; give it to the recipient.")
    purpose: str = strawberry.field(description="Code of the purpose.")
    recipient: str = strawberry.field(description="Client that it was given to.")
    state: ConsentState = strawberry.field(description="Where it stands.")
    scope: list[str] = strawberry.field(description="Coordinates that it covers.")
    revision: int = strawberry.field(description="How often it has changed.")
    revision_hash: str = strawberry.field(description="Hash of the last revision, over all before it.")
    expires_at: dt.datetime | None = strawberry.field(description="When it ends by itself.")


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


@strawberry.input(description="A consent to refuse.")
class RefuseConsentInput:
    """What was asked for."""

    purpose: str = strawberry.field(description="Code of the purpose.")
    recipient: str = strawberry.field(description="Client that asked for it.")


@strawberry.input(description="A consent to withdraw.")
class WithdrawConsentInput:
    """Which one."""

    consent_id: strawberry.ID = strawberry.field(description="Id of the consent.")


@strawberry.type(description="What became of a consent.")
class ConsentPayload:
    """The consent is read anew, after the commit."""

    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")
    consent_id: strawberry.Private[UUID | None]

    @strawberry.field(description="The consent as it stands now.")
    async def consent(self, info: strawberry.Info) -> Consent | None:
        """Read after the commit."""
        if self.consent_id is None:
            return None
        return consent_of(await consents.read_consent(context_of(info), consent_id=self.consent_id))


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
    )


def payload_of(outcome: Outcome[RevisionRow], info: strawberry.Info) -> ConsentPayload:
    """The payload of a ledger use-case."""
    return ConsentPayload(
        user_errors=user_errors(outcome, info), consent_id=outcome.result.consent_id if outcome.result else None
    )


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
        found = await consents.read_notice(ctx, purpose=purpose)
        item, locale = found.purpose, ctx.call.locale
        return Notice(
            purpose=item.code,
            title=item.title[locale],
            text=item.notice[locale],
            basis=item.basis,
            law=item.law,
            article=item.article,
            agency=item.agency,
            fields=[CoveredField(coordinate=name, form=form) for name, form in found.fields],
            recipients=sorted(item.clients),
            retention_days=item.retention_days,
            separate_consent=item.separate_consent,
            notice_hash=item.notice_hash().hex(),
        )

    @strawberry.field(description="The consents of the citizen who asks: one a purpose and recipient.")
    async def consents(
        self,
        info: strawberry.Info,
        first: First = 20,
        after: After = None,
    ) -> ConsentConnection:
        """In order of purpose and recipient."""
        size = page_size(first)
        rows = await consents.list_consents(context_of(info))
        return page_of(
            rows_after(rows, after=after, key=_consent_id),
            size=size,
            key=_consent_id,
            node=consent_of,
            edge=ConsentEdge,
            connection=ConsentConnection,
        )

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
        )
        return payload_of(outcome, info)

    @strawberry.mutation(description="Refuse a consent; it is not asked for again.")
    async def refuse_consent(
        self,
        info: strawberry.Info,
        input: Annotated[RefuseConsentInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentPayload:
        """A refusal costs nothing."""
        outcome = await commit(
            context_of(info), consents.refuse_consent, purpose=input.purpose, recipient=input.recipient
        )
        return payload_of(outcome, info)

    @strawberry.mutation(description="Withdraw a consent; it binds the next read.")
    async def withdraw_consent(
        self,
        info: strawberry.Info,
        input: Annotated[WithdrawConsentInput, strawberry.argument(description="What it takes.")],
    ) -> ConsentPayload:
        """No reason is asked."""
        outcome = await commit(context_of(info), consents.withdraw_consent, consent_id=parse_id(input.consent_id))
        return payload_of(outcome, info)


def _consent_id(row: StandingRow) -> UUID:
    return row.consent_id


def _hash(text: str) -> bytes:
    """A hash as a client sends it; what is none equals no notice's."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
