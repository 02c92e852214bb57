"""`/config/`: policies, agreements, individuals and webhooks of the consent API. What they do is the services'.

Officers of compliance write policies and draft agreements, parties keep their own webhooks; policies and agreements are
for everybody to read.
"""

from __future__ import annotations

from typing import Any

from gov_services.kit.actor import ActorKind
from gov_services.kit.errors import NotFound
from gov_services.kit.ids import parse_id
from gov_services.privacy.consent_bb import agreements, individuals, policies, shapes, store, views, webhooks
from gov_services.privacy.consent_bb.models import PolicyRow, WebhookRow
from gov_services.privacy.consent_bb.operations import Asked, Operation, Publication, Published
from gov_services.privacy.consent_bb.views import Shown
from gov_services.privacy.door import Context, done
from gov_services.privacy.models import PurposeDraftRow
from gov_services.subgraph.unit_of_work import commit

OFFICER = {ActorKind.STAFF: "purpose-review"}
AUDITOR = {ActorKind.STAFF: "log-review"}
PARTY = {ActorKind.CLIENT: "consent-verification"}
POLICY, AGREEMENT, WEBHOOK = "/config/policy", "/config/data-agreement", "/config/webhook"


async def create_policy(ctx: Context, asked: Asked) -> Shown:
    """`configPolicyCreate`."""
    body = shapes.read_body(asked.body, shapes.PolicyBody)
    row: PolicyRow = done(await commit(ctx, policies.create, asked=body.policy))
    return await _policy(ctx, str(row.number))


async def update_policy(ctx: Context, asked: Asked) -> Shown:
    """`configPolicyUpdate`."""
    body = shapes.read_body(asked.body, shapes.PolicyBody)
    number = asked.path["policy_id"]
    done(await commit(ctx, policies.update, number=number, asked=body.policy))
    return await _policy(ctx, number)


async def delete_policy(ctx: Context, asked: Asked) -> Shown:
    """`configPolicyDelete`."""
    row: PolicyRow = done(await commit(ctx, policies.delete, number=asked.path["policy_id"]))
    async with ctx.reading() as session:
        rows = await store.policy_revisions(session, number=row.number)
    return {"revision": views.policy_revision(rows, len(rows) - 1)}


async def read_policy(published: Published, asked: Asked) -> Shown:
    """`configPolicyRead`, `servicePolicyRead`."""
    rows = await policies.read(published.session, number=asked.path["policy_id"])
    index = policies.at_revision(rows, asked.query.get("revisionId", ""))
    return {"policy": views.policy(rows[index]), "revision": views.policy_revision(rows, index)}


async def list_policy_revisions(published: Published, asked: Asked) -> Shown:
    """`configPolicyRevisionsList`: the policy, and the revisions that the specification's answer has no word for."""
    offset, limit = asked.page()
    rows = await policies.read(published.session, number=asked.path["policy_id"])
    shown = [views.policy_revision(rows, index) for index in range(len(rows))]
    return {"policy": views.policy(rows[-1]), "revisions": shown[offset : offset + limit]}


async def list_policies(published: Published, asked: Asked) -> Shown:
    """`configPolicyList`."""
    offset, limit = asked.page()
    rows = await store.policies(published.session, offset=offset, limit=limit)
    revision = asked.query.get("revisionId", "")
    return {"policies": [views.policy(row) for row in rows if revision in ("", row.hash.hex())]}


async def read_agreement(published: Published, asked: Asked) -> Shown:
    """`configDataAgreementRead`, `serviceDataAgreementRead`: by number, or a draft by its own id."""
    identifier, reader = asked.path["agreement_id"], published.reader
    if parse_id(identifier) is not None:
        row = await agreements.draft(published.session, draft_id=identifier)
        shown, revision = reader.draft(row)
    else:
        found = await published.agreement(identifier)
        shown, revision = await reader.agreement(found), views.agreement_revision(found, found.newest)
    return {"dataAgreement": shown, "revision": revision}


async def list_agreements(published: Published, asked: Asked) -> Shown:
    """`configDataAgreementList`, whose one word is `dataAgreement`."""
    offset, limit = asked.page()
    register, reader = published.services.ports.register, published.reader
    found = await register.agreements(published.session, now=published.clock.now())
    return {"dataAgreement": [await reader.agreement(one) for one in found[offset : offset + limit]]}


async def create_agreement(ctx: Context, asked: Asked) -> Shown:
    """`configDataAgreementCreate`: a draft, to be decided on by another officer."""
    body = shapes.read_body(asked.body, shapes.DataAgreementBody)
    return await _draft(ctx, done(await commit(ctx, agreements.create, asked=body.data_agreement)))


async def update_agreement(ctx: Context, asked: Asked) -> Shown:
    """`configDataAgreementUpdate`: of a draft, what becomes of it; of an agreement in force, its policy or a draft."""
    body = shapes.read_body(asked.body, shapes.DataAgreementBody).data_agreement
    identifier = asked.path["agreement_id"]
    if parse_id(identifier) is not None:
        return await _draft(ctx, done(await commit(ctx, agreements.change_draft, draft_id=identifier, asked=body)))
    async with ctx.reading() as session:
        found = await ctx.ports.register.agreement(session, number=identifier, now=ctx.now)
    row: PurposeDraftRow | None = done(await commit(ctx, agreements.change, found=found, asked=body))
    if row is not None:
        return await _draft(ctx, row)
    async with ctx.reading() as session:
        bundle = await ctx.services.discloser.bundles.current(session)
        shown = await agreements.Reader(ctx.services, session, bundle, ctx.call.locale).agreement(found)
    return {"dataAgreement": shown, "revision": views.agreement_revision(found, found.newest)}


async def delete_agreement(ctx: Context, asked: Asked) -> Shown:
    """`configDataAgreementDelete`: a draft is taken back; what is in force ends when another officer agrees."""
    identifier = asked.path["agreement_id"]
    if parse_id(identifier) is not None:
        row = done(await commit(ctx, agreements.withdraw, draft_id=identifier))
    else:
        async with ctx.reading() as session:
            found = await ctx.ports.register.agreement(session, number=identifier, now=ctx.now)
        row = done(await commit(ctx, agreements.end, found=found))
    return {"revision": (await _draft(ctx, row))["revision"]}


async def create_webhook(ctx: Context, asked: Asked) -> Shown:
    """`configWebhookCreate`."""
    body = shapes.read_body(asked.body, shapes.WebhookBody)
    return _webhook(ctx, done(await commit(ctx, webhooks.create, asked=body.webhook)))


async def update_webhook(ctx: Context, asked: Asked) -> Shown:
    """`configWebhookUpdate`."""
    body = shapes.read_body(asked.body, shapes.WebhookBody)
    identifier = asked.path["webhook_id"]
    return _webhook(ctx, done(await commit(ctx, webhooks.update, webhook_id=identifier, asked=body.webhook)))


async def delete_webhook(ctx: Context, asked: Asked) -> Shown:
    """`configWebhookDelete`."""
    done(await commit(ctx, webhooks.delete, webhook_id=asked.path["webhook_id"]))
    return {}


async def read_webhook(ctx: Context, asked: Asked) -> Shown:
    """`configWebhookRead`; a webhook has no revisions."""
    await ctx.disclosures.require_listing("webhook")
    row = await webhooks.read(ctx, webhook_id=asked.path["webhook_id"])
    if asked.query.get("revisionId", ""):
        raise NotFound
    return {"webhook": views.webhook(row, "")}


async def list_webhooks(ctx: Context, asked: Asked) -> Shown:
    """`configWebhookList`."""
    offset, limit = asked.page()
    await ctx.disclosures.require_listing("webhooks")
    async with ctx.reading() as session:
        rows = await store.webhooks(session, client=ctx.actor.client_id, offset=offset, limit=limit)
    return {"webhooks": [views.webhook(row, "") for row in rows]}


async def _policy(ctx: Context, number: str) -> Shown:
    async with ctx.reading() as session:
        rows = await policies.read(session, number=number)
    return {"policy": views.policy(rows[-1]), "revision": views.policy_revision(rows, len(rows) - 1)}


async def _draft(ctx: Context, row: PurposeDraftRow) -> dict[str, Any]:
    async with ctx.reading() as session:
        bundle = await ctx.services.discloser.bundles.current(session)
        shown, revision = agreements.Reader(ctx.services, session, bundle, ctx.call.locale).draft(row)
    return {"dataAgreement": shown, "revision": revision}


def _webhook(ctx: Context, row: WebhookRow) -> Shown:
    return {"webhook": views.webhook(row, webhooks.secret_of(ctx.ports.webhook_root, row.webhook_id))}


OPERATIONS = (
    Operation("POST", POLICY, OFFICER, create_policy),
    Publication("GET", f"{POLICY}/{{policy_id:str}}", read_policy),
    Operation("PUT", f"{POLICY}/{{policy_id:str}}", OFFICER, update_policy),
    Operation("DELETE", f"{POLICY}/{{policy_id:str}}", OFFICER, delete_policy),
    Publication("GET", f"{POLICY}/{{policy_id:str}}/revisions", list_policy_revisions),
    Publication("GET", "/config/policies", list_policies),
    Publication("GET", f"{AGREEMENT}/{{agreement_id:str}}", read_agreement),
    Operation("PUT", f"{AGREEMENT}/{{agreement_id:str}}", OFFICER, update_agreement),
    Operation("DELETE", f"{AGREEMENT}/{{agreement_id:str}}", OFFICER, delete_agreement),
    Operation("POST", AGREEMENT, OFFICER, create_agreement),
    Publication("GET", "/config/data-agreements", list_agreements),
    Operation("POST", "/config/individual", AUDITOR, individuals.meet_by_tag),
    Operation("GET", "/config/individual/{individual_id:str}", AUDITOR, individuals.read_by_tag),
    Operation("GET", "/config/individuals", AUDITOR, individuals.list_by_tag),
    Operation("POST", WEBHOOK, PARTY, create_webhook),
    Operation("GET", f"{WEBHOOK}/{{webhook_id:str}}", PARTY, read_webhook),
    Operation("PUT", f"{WEBHOOK}/{{webhook_id:str}}", PARTY, update_webhook),
    Operation("DELETE", f"{WEBHOOK}/{{webhook_id:str}}", PARTY, delete_webhook),
    Operation("GET", "/config/webhooks", PARTY, list_webhooks),
)
