"""What a person is told before they consent, in GraphQL."""

from __future__ import annotations

import strawberry

from gov_services.consent.purposes import Basis, Form, Party, Separate
from gov_services.consent.terms import Frequency, Period, Terms
from gov_services.privacy.service.consents import Notice as Told
from gov_services.subgraph.types import register_enum

FOR_CHILD = "The child under fourteen whose guardian decides; left out for oneself."

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
register_enum(
    Separate,
    name="SeparateConsent",
    description="What needs a consent of its own.",
    values={
        Separate.SENSITIVE: "Sensitive personal information (PIPL 29).",
        Separate.PROVISION: "Passing on to another who processes for ends of their own (PIPL 23).",
        Separate.PUBLICATION: "Making public (PIPL 25).",
        Separate.IMAGE: "Images in public places, but for public safety (PIPL 26).",
        Separate.EXPORT: "Leaving the mainland (PIPL 39).",
    },
)
register_enum(
    Period,
    name="Period",
    description="What a frequency is counted over; it rolls.",
    values={
        Period.HOUR: "The last sixty minutes.",
        Period.DAY: "The last twenty-four hours.",
        Period.WEEK: "The last seven days.",
        Period.MONTH: "The last thirty days.",
    },
)


@strawberry.type(description="A field that a purpose covers.")
class CoveredField:
    """One line of a notice."""

    coordinate: str = strawberry.field(description="Schema coordinate, `Type.field`.")
    form: Form = strawberry.field(description="In which form it leaves, or that it is collected.")


@strawberry.type(description="An agency that answers for a purpose, or a party that data is passed on to.")
class NoticeParty:
    """Who, and where to write (PIPL 17, 23)."""

    code: str = strawberry.field(description="Code; of a relying party its client id.")
    name: str = strawberry.field(description="Name, in the language asked for.")
    contact: str = strawberry.field(description="Where to write.")


@strawberry.type(description="How often a recipient may read, and how long it may keep what it read.")
class ConsentTerms:
    """Beside the fields and the end of a consent."""

    keep_days: int = strawberry.field(description="For how many days it may be kept.")
    uses: int | None = strawberry.field(description="Most readings in all; 1 is one-time. Nothing: no bound.")
    times: int | None = strawberry.field(description="Most readings per period; nothing: no bound.")
    per: Period | None = strawberry.field(description="That period.")


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
    controller: NoticeParty = strawberry.field(description="The same, with where to write.")
    methods: list[str] = strawberry.field(description="How the data is processed.")
    categories: list[str] = strawberry.field(description="Which kinds of data.")
    retention: str = strawberry.field(description="How long it is kept and what happens then, in words.")
    rights: str = strawberry.field(description="Which rights there are, and how to use them.")
    necessity: str | None = strawberry.field(description="Of sensitive data: why it is needed.")
    impact: str | None = strawberry.field(description="Of sensitive data: what it means for the person.")
    automated: str | None = strawberry.field(description="Where rules decide by themselves: that they do.")
    fields: list[CoveredField] = strawberry.field(description="What it covers, field by field.")
    recipients: list[str] = strawberry.field(description="Clients that act under it.")
    passed_on_to: list[NoticeParty] = strawberry.field(description="Of these, parties with ends of their own.")
    retention_days: int = strawberry.field(description="How long what is taken is kept.")
    separate_consent: bool = strawberry.field(description="Whether it needs consent of its own (PIPL 29).")
    separate_for: list[Separate] = strawberry.field(description="Why it needs one.")
    longest_days: int = strawberry.field(description="For how many days a consent can be given.")
    widest_terms: ConsentTerms = strawberry.field(description="The widest terms that a consent can have.")
    notice_hash: str = strawberry.field(description="What a consent is pinned to; pass it on when consenting.")


def terms_as_shown(terms: Terms) -> ConsentTerms:
    """Terms as GraphQL shows them."""
    frequency: Frequency | None = terms.frequency
    return ConsentTerms(
        keep_days=terms.keep_days,
        uses=terms.uses,
        times=frequency.times if frequency else None,
        per=frequency.per if frequency else None,
    )


def notice_as_shown(found: Told, locale: str) -> Notice:
    """A notice as GraphQL shows it."""
    item, items = found.purpose, found.items
    return Notice(
        purpose=item.code,
        title=item.title[locale],
        text=item.notice[locale],
        basis=item.basis,
        law=item.law,
        article=item.article,
        agency=item.controller.name[locale],
        controller=_party(item.controller, locale),
        methods=items.methods,
        categories=items.categories,
        retention=items.retention,
        rights=items.rights,
        necessity=item.necessity.get(locale),
        impact=item.impact.get(locale),
        automated=items.automated,
        fields=[CoveredField(coordinate=name, form=form) for name, form in found.fields],
        recipients=sorted(item.clients),
        passed_on_to=[_party(party, locale) for party in item.recipients],
        retention_days=item.retention_days,
        separate_consent=bool(item.separate),
        separate_for=sorted(item.separate),
        longest_days=item.consent_days,
        widest_terms=terms_as_shown(item.widest_terms()),
        notice_hash=item.notice_hash.hex(),
    )


def _party(party: Party, locale: str) -> NoticeParty:
    return NoticeParty(code=party.code, name=party.name[locale], contact=party.contact)
