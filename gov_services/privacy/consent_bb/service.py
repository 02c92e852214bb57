"""`/service/`: citizens keep their consent records, parties read what they were given. It has no rule of its own."""

from __future__ import annotations

from gov_services.consent.models import RevisionRow
from gov_services.kit.actor import ActorKind
from gov_services.kit.errors import NotFound
from gov_services.kit.ids import parse_id
from gov_services.privacy.consent_bb import individuals, records, shapes, store, views
from gov_services.privacy.consent_bb.config import PARTY, read_agreement, read_policy
from gov_services.privacy.consent_bb.operations import Asked, Operation, Publication, shower
from gov_services.privacy.consent_bb.register import Agreement
from gov_services.privacy.consent_bb.views import Person, Shown
from gov_services.privacy.door import BadQuery, Context, done
from gov_services.privacy.service import consents, requests
from gov_services.subgraph.unit_of_work import commit

CITIZEN = {ActorKind.CITIZEN: "consent-management"}
EITHER = {**CITIZEN, **PARTY}
INDIVIDUAL_HEADER = "x-consentbb-individualid"
"""The specification says that the individual comes in a header, and not in which; this is the reference software's."""
RECORD, OF_AGREEMENT = "/service/individual/record/consent-record", "/service/individual/record/data-agreement"


async def list_agreements_of_party(ctx: Context, asked: Asked) -> Shown:
    """`serviceVerificationDataAgreementList`: those that the asking party may be consented to for."""
    offset, limit = asked.page()
    await ctx.disclosures.require_listing("data-agreements")
    async with ctx.reading() as session:
        show = await shower(ctx, session)
        found = await ctx.ports.register.agreements(session, now=ctx.now)
        mine = [one for one in found if one.recipient == ctx.actor.client_id]
        shown = [await show.reader.agreement(one) for one in mine[offset : offset + limit]]
    return {"dataAgreements": shown}


async def list_given(ctx: Context, asked: Asked) -> Shown:
    """`serviceVerificationConsentRecordList`."""
    offset, limit = asked.page()
    rows = await records.given_to_party(ctx, offset=offset, limit=limit)
    async with ctx.reading() as session:
        show, chains = await shower(ctx, session), await store.chains(session, consents=rows)
        shown = [
            await show.record(records.as_party_sees(chains[row.consent_id]), records.by_consent(row)) for row in rows
        ]
    return {"consentRecords": shown}


async def read_given(ctx: Context, asked: Asked) -> Shown:
    """`serviceVerificationConsentRecordRead`, signed, so that a party can show what it relied on."""
    row = await records.one_given(ctx, consent_id=asked.path["record_id"])
    async with ctx.reading() as session:
        chain = records.as_party_sees((await store.chains(session, consents=[row]))[row.consent_id])
        show, person = await shower(ctx, session), records.by_consent(row)
        return {
            "consentRecord": await show.record(chain, person, signed=True),
            "revision": await show.revision(chain, person),
        }


async def agree(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualConsentRecordCreate`: a citizen agrees at once; a party asks them to, in their app."""
    found = await _agreement(ctx, asked.path["agreement_id"])
    wording = asked.query.get("revisionId", "")
    claimed = _required(asked, "individualId")
    if ctx.actor.kind is ActorKind.CLIENT:
        return await _ask_for(ctx, found, claimed)
    records.own(ctx, claimed)
    row: RevisionRow = done(await commit(ctx, records.give, found=found, wording=wording))
    return await _own_record(ctx, asked, str(row.consent_id))


async def read_of_agreement(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualConsentRecordRead`."""
    chain = await _own_chain(ctx, asked, asked.path["agreement_id"])
    async with ctx.reading() as session:
        show = await shower(ctx, session)
        return {"consentRecord": await show.record(chain, records.own(ctx), signed=True)}


async def list_of_agreement(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualDataAgreementConsentRecordList`: the record after each of its revisions, newest first."""
    offset, limit = asked.page()
    chain = await _own_chain(ctx, asked, asked.path["agreement_id"])
    async with ctx.reading() as session:
        show = await shower(ctx, session)
        person = records.own(ctx)
        every = [chain[:end] for end in range(len(chain), 0, -1)][offset : offset + limit]
        return {"consentRecords": [await show.record(part, person) for part in every]}


async def draft(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualConsentRecordDraftCreate`."""
    person = records.own(ctx, _required(asked, "individualId"))
    await ctx.disclosure(ctx.citizen_id(), object_ref="consents")
    found = await _agreement(ctx, _required(asked, "dataAgreementId"))
    if found.wording(asked.query.get("revisionId", "")) is not found.newest:
        raise NotFound
    return {
        "consentRecord": views.draft_record(found, person),
        "signature": views.draft_signature(found, person, at=ctx.now),
    }


async def sign(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualConsentRecordSignatureCreate`: a draft comes back, and is agreed to."""
    body, person = shapes.read_body(asked.body, shapes.PairBody), _individual(ctx, asked)
    record = body.consent_record
    found = await _agreement_signed(ctx, record, body.signature)
    if record.id or record.opt_in is False:
        raise records.NotWhatIsAgreed
    wording = record.data_agreement_revision_hash
    records.require_agreed(body.signature, found, person, revision_hash=wording)
    row: RevisionRow = done(await commit(ctx, records.give, found=found, wording=wording))
    shown = await _own_record(ctx, asked, str(row.consent_id))
    return {**shown, "signature": shown["consentRecord"]["signature"]}


async def list_own(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualConsentRecordList`."""
    offset, limit = asked.page()
    person = _individual(ctx, asked)
    rows = (await consents.list_consents(ctx))[offset : offset + limit]
    async with ctx.reading() as session:
        show, chains = await shower(ctx, session), await store.chains(session, consents=rows)
        return {"consentRecords": [await show.record(chains[row.consent_id], person) for row in rows]}


async def update(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualConsentRecordUpdate`: `optIn` is what can be changed."""
    record = shapes.read_body(asked.body, shapes.ConsentRecordBody).consent_record
    identifier = asked.path["record_id"]
    found = await _agreement_of_record(ctx, asked, identifier)
    if record.id not in ("", identifier) or not isinstance(record.opt_in, bool):
        raise records.NotWhatIsAgreed
    done(
        await commit(
            ctx,
            records.opt,
            consent_id=parse_id(identifier),
            found=found,
            opt_in=record.opt_in,
            wording=record.data_agreement_revision_hash,
        )
    )
    return await _own_record(ctx, asked, identifier)


async def signature_to_sign(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualSignatureCreate`: what is to be signed; of a record that is signed, its signature."""
    shapes.read_body(asked.body, shapes.SignatureBody)
    identifier = asked.path["record_id"]
    found = await _agreement_of_record(ctx, asked, identifier)
    shown = (await _own_record(ctx, asked, identifier))["consentRecord"]
    if "signature" in shown:
        return {"signature": shown["signature"]}
    return {"signature": views.draft_signature(found, records.own(ctx), at=ctx.now)}


async def sign_record(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualSignatureUpdate`: a record that waits is agreed to."""
    signature = shapes.read_body(asked.body, shapes.SignatureBody).signature
    identifier = asked.path["record_id"]
    found = await _agreement_of_record(ctx, asked, identifier)
    shown = (await _own_record(ctx, asked, identifier))["consentRecord"]
    if shown["state"] == "unsigned":
        newest = found.newest.purpose.notice_hash.hex()
        records.require_agreed(signature, found, records.own(ctx), revision_hash=newest)
        done(await commit(ctx, records.give, found=found, wording=newest))
        shown = (await _own_record(ctx, asked, identifier))["consentRecord"]
    elif signature.signature != shown["signature"]["signature"]:
        raise records.NotWhatIsAgreed
    return {"signature": shown["signature"]}


async def withdraw_all(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualConsentRecordDeleteAll`: no agreement here is forgettable, so that whatever stands ends."""
    _individual(ctx, asked)
    done(await commit(ctx, records.withdraw_all))
    return {}


async def _ask_for(ctx: Context, found: Agreement, reference: str) -> Shown:
    """A party's request: of whoever gave it the consent `reference`, or of who scans its code where that is `-`."""
    opened: requests.Opened = done(
        await commit(
            ctx,
            requests.open_request,
            purpose=found.code,
            scope=None,
            days=None,
            terms=consents.Asked(),
            reference=parse_id(reference),
            directed=reference != "-",
        )
    )
    person = Person(reference, views.OF_CONSENT)
    shown = {**views.draft_record(found, person, opt_in=False), "id": str(opened.request_id)}
    if opened.code is not None:
        shown["requestCode"] = opened.code
    return {"consentRecord": shown, "revision": views.request_revision(shown, ctx.now)}


async def _own_record(ctx: Context, asked: Asked, identifier: str) -> Shown:
    person = _individual(ctx, asked)
    async with ctx.reading() as session:
        chain = await records.own_chain(ctx, session, consent_id=parse_id(identifier))
        show = await shower(ctx, session)
        return {
            "consentRecord": await show.record(chain, person, signed=True),
            "revision": await show.revision(chain, person),
        }


async def _own_chain(ctx: Context, asked: Asked, number: str) -> list[RevisionRow]:
    _individual(ctx, asked)
    found = await _agreement(ctx, number)
    for row in await consents.list_consents(ctx):
        if (row.purpose, row.recipient) == (found.code, found.recipient):
            async with ctx.reading() as session:
                return (await store.chains(session, consents=[row]))[row.consent_id]
    raise NotFound


async def _agreement(ctx: Context, number: str) -> Agreement:
    async with ctx.reading() as session:
        return await ctx.ports.register.agreement(session, number=number, now=ctx.now)


async def _agreement_signed(ctx: Context, record: shapes.ConsentRecord, signature: shapes.Signature) -> Agreement:
    """The agreement that a draft is of: as the record names it, or what was signed does."""
    named = record.data_agreement.id if isinstance(record.data_agreement, shapes.DataAgreement) else ""
    return await _agreement(ctx, named or records.agreement_named(signature))


async def _agreement_of_record(ctx: Context, asked: Asked, identifier: str) -> Agreement:
    _individual(ctx, asked)
    row = await consents.read_consent(ctx, consent_id=parse_id(identifier))
    async with ctx.reading() as session:
        register = ctx.ports.register
        return await register.agreement_of(session, code=row.purpose, recipient=row.recipient, now=ctx.now)


def _individual(ctx: Context, asked: Asked) -> Person:
    return records.own(ctx, asked.headers.get(INDIVIDUAL_HEADER))


def _required(asked: Asked, name: str) -> str:
    if name not in asked.query:
        raise BadQuery(problem=f"{name} is missing")
    return asked.query[name]


OPERATIONS = (
    Operation("POST", "/service/individual", EITHER, individuals.meet),
    Operation("GET", "/service/individual/{individual_id:str}", EITHER, individuals.read),
    Operation("PUT", "/service/individual/{individual_id:str}", EITHER, individuals.meet),
    Operation("GET", "/service/individuals", EITHER, individuals.list_known),
    Publication("GET", "/service/data-agreement/{agreement_id:str}", read_agreement),
    Publication("GET", "/service/policy/{policy_id:str}", read_policy),
    Operation("GET", "/service/verification/data-agreements", PARTY, list_agreements_of_party),
    Operation("GET", "/service/verification/consent-records", PARTY, list_given),
    Operation("GET", "/service/verification/consent-record/{record_id:str}", PARTY, read_given),
    Operation("POST", f"{OF_AGREEMENT}/{{agreement_id:str}}", {**CITIZEN, ActorKind.CLIENT: "consent-requests"}, agree),
    Operation("GET", f"{OF_AGREEMENT}/{{agreement_id:str}}", CITIZEN, read_of_agreement),
    Operation("GET", f"{OF_AGREEMENT}/{{agreement_id:str}}/all", CITIZEN, list_of_agreement),
    Operation("POST", f"{RECORD}/draft", CITIZEN, draft),
    Operation("POST", RECORD, CITIZEN, sign),
    Operation("GET", RECORD, CITIZEN, list_own),
    Operation("PUT", f"{RECORD}/{{record_id:str}}", CITIZEN, update),
    Operation("POST", f"{RECORD}/{{record_id:str}}/signature", CITIZEN, signature_to_sign),
    Operation("PUT", f"{RECORD}/{{record_id:str}}/signature", CITIZEN, sign_record),
    Operation("DELETE", "/service/individual/record", CITIZEN, withdraw_all),
)
