"""`/audit/`: consent records and agreements for compliance officers, who know people by tags. It changes nothing."""

from __future__ import annotations

from gov_services.kit.errors import NotFound
from gov_services.kit.ids import parse_id
from gov_services.privacy.consent_bb import store
from gov_services.privacy.consent_bb.config import AUDITOR
from gov_services.privacy.consent_bb.operations import Asked, Operation, shower
from gov_services.privacy.consent_bb.views import OF_TAG, Person, Shown
from gov_services.privacy.door import Context


async def list_records(ctx: Context, asked: Asked) -> Shown:
    """`auditConsentRecordList`."""
    offset, limit = asked.page()
    await ctx.disclosures.require_log_read("consent-records", tag=None)
    async with ctx.reading() as session:
        found = await store.every_consent(session, offset=offset, limit=limit)
        chains = await store.chains(session, consents=[row for row, _ in found])
        show = await shower(ctx, session)
        shown = [await show.record(chains[row.consent_id], Person(tag.hex(), OF_TAG)) for row, tag in found]
    return {"consentRecords": shown}


async def read_record(ctx: Context, asked: Asked) -> Shown:
    """`auditConsentRecordRead`, with its revision and the city's signature over it."""
    identifier = parse_id(asked.path["record_id"])
    async with ctx.reading() as session:
        row = await store.by_name(session, consent_id=identifier) if identifier else None
        tag = await store.tag_of(session, citizen_id=row.citizen_id) if row else None
        await ctx.disclosures.require_log_read("consent-record", tag=tag)
        if row is None or tag is None:
            raise NotFound
        chain = (await store.chains(session, consents=[row]))[row.consent_id]
        show, person = await shower(ctx, session), Person(tag.hex(), OF_TAG)
        return {
            "consentRecord": await show.record(chain, person, signed=True),
            "revision": await show.revision(chain, person),
        }


async def list_agreements(ctx: Context, asked: Asked) -> Shown:
    """`auditDataAgreementList`."""
    offset, limit = asked.page()
    await ctx.disclosures.require_log_read("data-agreements", tag=None)
    async with ctx.reading() as session:
        found = await ctx.ports.register.agreements(session, now=ctx.now)
        show = await shower(ctx, session)
        shown = [await show.reader.agreement(one) for one in found[offset : offset + limit]]
    return {"dataAgreements": shown}


async def read_agreement(ctx: Context, asked: Asked) -> Shown:
    """`auditDataAgreementRead`."""
    await ctx.disclosures.require_log_read("data-agreement", tag=None)
    async with ctx.reading() as session:
        number = asked.path["agreement_id"]
        found = await ctx.ports.register.agreement(session, number=number, now=ctx.now)
        show = await shower(ctx, session)
        return {"dataAgreement": await show.reader.agreement(found)}


OPERATIONS = (
    Operation("GET", "/audit/consent-records", AUDITOR, list_records),
    Operation("GET", "/audit/consent-record/{record_id:str}", AUDITOR, read_record),
    Operation("GET", "/audit/data-agreements", AUDITOR, list_agreements),
    Operation("GET", "/audit/data-agreement/{agreement_id:str}", AUDITOR, read_agreement),
)
