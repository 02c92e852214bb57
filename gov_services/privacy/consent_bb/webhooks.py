"""Webhooks: a relying party is told at its own address that a consent given to it has changed. They carry no values.

Signed as https://www.standardwebhooks.com has it (`webhook-id`, `webhook-timestamp`, `webhook-signature: v1,…`). The
secret is derived, told to whoever makes or changes the webhook, and kept nowhere.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import time
from typing import ClassVar
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import structlog

from gov_services.consent.lifecycle import STANDS, ConsentState
from gov_services.consent.models import RevisionRow
from gov_services.consent.store import UNDER_WAY
from gov_services.kit.actor import ActorKind
from gov_services.kit.canonical import canonical_json
from gov_services.kit.errors import Forbidden, NotFound, UserError
from gov_services.kit.ids import new_id, parse_id
from gov_services.privacy.consent_bb import shapes, store
from gov_services.privacy.consent_bb.models import MessageRow, WebhookRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.relay import wait_after
from gov_services.subgraph.unit_of_work import commit

JOB = "tell-webhooks"
TOLD_UNTIL = dt.timedelta(days=3)
"""A change that could not be told for so long is not told any more: the party can read how its consents stand."""
LEASE = dt.timedelta(seconds=30)
RUN_S = 4.0
"""A run begins nothing after that: others' jobs wait."""
TELL_TIMEOUT_S = 4.0
"""For a message in all, however its party answers."""
AT_ONCE = 20
"""Webhooks that are told at once: a slow one holds nobody else up."""
MOST = 10
"""Webhooks of one party."""
LONGEST_URL = 500
JSON = "application/json"
_log = structlog.get_logger("gov_services.privacy")


class WebhookNotTaken(UserError):
    """A webhook that we will not call."""

    code = "WEBHOOK_NOT_TAKEN"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "不接受该回调:{problem}。",
        "en": "That webhook is not taken: {problem}.",
    }


async def create(ctx: WriteContext[PrivacyPorts], *, asked: shapes.Webhook) -> WebhookRow:
    """A webhook of the party that asks. Raises WebhookNotTaken, Forbidden."""
    client = _party(ctx)
    if len(await store.webhooks(ctx.session, client=client, offset=0, limit=MOST)) >= MOST:
        raise WebhookNotTaken(problem=f"a party has {MOST} at most")
    row = WebhookRow(
        webhook_id=new_id(ctx.now),
        client=client,
        url=_address(ctx, asked),
        disabled=asked.disabled,
        made_at=ctx.now,
        removed_at=None,
    )
    ctx.session.add(row)
    await ctx.record("webhook.created", subject=None, object_ref=f"webhook:{row.webhook_id}")
    return row


async def update(ctx: WriteContext[PrivacyPorts], *, webhook_id: str, asked: shapes.Webhook) -> WebhookRow:
    """Another address, or silence for a while. Raises NotFound, WebhookNotTaken."""
    row = await _own(ctx, webhook_id)
    row.url, row.disabled = _address(ctx, asked), asked.disabled
    await ctx.record("webhook.updated", subject=None, object_ref=f"webhook:{row.webhook_id}")
    return row


async def delete(ctx: WriteContext[PrivacyPorts], *, webhook_id: str) -> WebhookRow:
    """Nothing is told there any more. Raises NotFound."""
    row = await _own(ctx, webhook_id)
    row.removed_at = ctx.now
    await ctx.record("webhook.removed", subject=None, object_ref=f"webhook:{row.webhook_id}")
    return row


async def read(ctx: ReadContext[PrivacyPorts], *, webhook_id: str) -> WebhookRow:
    """A webhook of the party that asks. Raises NotFound."""
    identifier = parse_id(webhook_id)
    async with ctx.reading() as session:
        row = await store.webhook(session, webhook_id=identifier) if identifier else None
    return _require_own(row, _party(ctx))


def secret_of(root: bytes, webhook_id: UUID) -> str:
    """What a webhook's messages are signed with, as the party configures it: `whsec_` and base64."""
    return "whsec_" + base64.b64encode(hmac.digest(root, f"webhook:{webhook_id}".encode(), hashlib.sha256)).decode()


def is_partys(before: str | None, state: str) -> bool:
    """Whether a change is a party's to know: what it was given, and how that went on or ended.

    That it asked again, and what came of that, it learns of its request alone: else it could tell whom its question
    reached, and one refusal from another.
    """
    return state in UNDER_WAY or before in UNDER_WAY


async def announce(ctx: WriteContext[PrivacyPorts], revision: RevisionRow) -> None:
    """Have a change of a consent told to its recipient, once it is committed.

    Only what a party may know: that it was given, and what became of what was given (`is_partys`).
    """
    hooks = await store.webhooks_to_tell(ctx.session, client=revision.recipient)
    if not hooks:
        return
    before = await store.before(ctx.session, revision)
    if not is_partys(before.state if before else None, revision.state):
        return
    body = {
        # Not that it was given again: an earlier no would show.
        "type": f"consent.{ConsentState.GIVEN.value if revision.state in STANDS else revision.state}",
        "consentRecordId": str(revision.consent_id),
        "purpose": revision.purpose,
        "optIn": revision.state in STANDS,
        "at": revision.made_at.isoformat(),
    }
    for webhook_id in hooks:
        message_id = new_id(ctx.now)
        ctx.session.add(
            MessageRow(
                message_id=message_id,
                webhook_id=webhook_id,
                body=canonical_json({"id": str(message_id), **body}),
                made_at=ctx.now,
                due_at=ctx.now,
                attempts=0,
            )
        )


async def tell_due(ctx: ReadContext[PrivacyPorts]) -> int:
    """Tell what is due: of each webhook one after the other, all webhooks at once, no transaction open meanwhile.

    What is not taken comes again, later each time, for three days.
    """
    told, until = 0, time.monotonic() + RUN_S
    while time.monotonic() < until:
        async with ctx.services.discloser.database.writing() as session:
            leased = await store.lease_messages(session, now=ctx.now, until=ctx.now + LEASE, limit=AT_ONCE)
        if not leased:
            break
        taken = await asyncio.gather(*(_tell(ctx.ports, hook, message, now=ctx.now) for message, hook in leased))
        for (message, hook), one in zip(leased, taken, strict=True):
            await commit(ctx, _note_told, number=message.number, hook=hook, taken=one)
        told += len(leased)
    return told


async def _note_told(ctx: WriteContext[PrivacyPorts], *, number: int, hook: WebhookRow, taken: bool | None) -> None:
    """What became of a message: told, put off, given up; dropped where the webhook is silent by now."""
    message = await store.message_for_update(ctx.session, number=number)
    outcome = "dropped" if taken is None else "told" if taken else "put-off"
    if message is not None and outcome == "put-off":
        message.attempts += 1
        message.due_at = ctx.now + wait_after(message.attempts)
        if ctx.now - message.made_at >= TOLD_UNTIL:
            outcome = "given-up"
    if message is not None and outcome != "put-off":
        await ctx.session.delete(message)
    name = f"webhook:{hook.webhook_id}"
    await ctx.record(f"webhook.{outcome}", subject=None, object_ref=name, recipient=f"client:{hook.client}")


async def _tell(ports: PrivacyPorts, hook: WebhookRow, message: MessageRow, *, now: dt.datetime) -> bool | None:
    """Whether it was taken; None where nothing is told there any more."""
    if hook.removed_at is not None or hook.disabled:
        return None
    headers = signed_headers(secret_of(ports.webhook_root, hook.webhook_id), str(message.message_id), message.body, now)
    try:
        # In all and not for each piece, and of the answer only how it begins: it is the party who sends it.
        async with (
            asyncio.timeout(TELL_TIMEOUT_S),
            ports.http.stream(
                "POST", hook.url, content=message.body, headers={"content-type": JSON, **headers}
            ) as answer,
        ):
            pass
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as away:
        _log.warning("a webhook does not answer", webhook=str(hook.webhook_id), error=type(away).__name__)
        return False
    if not answer.is_success:
        _log.warning("a webhook does not take it", webhook=str(hook.webhook_id), status=answer.status_code)
    return answer.is_success


def signed_headers(secret: str, message_id: str, body: bytes, now: dt.datetime) -> dict[str, str]:
    """The three headers by which a party knows that a message is ours, and not an old one."""
    moment = str(int(now.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{moment}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _party(ctx: ReadContext[PrivacyPorts]) -> str:
    if ctx.actor.kind is not ActorKind.CLIENT:
        raise Forbidden
    return ctx.actor.client_id


async def _own(ctx: WriteContext[PrivacyPorts], webhook_id: str) -> WebhookRow:
    identifier = parse_id(webhook_id)
    row = await store.webhook_for_update(ctx.session, webhook_id=identifier) if identifier else None
    return _require_own(row, _party(ctx))


def _require_own(row: WebhookRow | None, client: str) -> WebhookRow:
    if row is None or row.client != client or row.removed_at is not None:
        raise NotFound
    return row


def _address(ctx: WriteContext[PrivacyPorts], asked: shapes.Webhook) -> str:
    """The address, where it is one of the party's own: we call nobody on somebody's word."""
    if asked.content_type != JSON:
        raise WebhookNotTaken(problem=f"contentType is {JSON}")
    party = ctx.bundle.parties.get(ctx.actor.client_id)
    domain = party.contact.rpartition("@")[2].lower() if party is not None else ""
    try:
        parts = urlsplit(asked.payload_url)
        host = (parts.hostname or "").lower()
        own = bool(domain) and (host == domain or host.endswith(f".{domain}"))
        sound = parts.scheme == "https" and parts.port in (None, 443) and parts.username is None
    except ValueError:
        own = sound = False
    if not sound or not own or len(asked.payload_url) > LONGEST_URL or not asked.payload_url.isascii():
        raise WebhookNotTaken(problem=f"payloadUrl begins with https:// and is within {domain or 'your own domain'}")
    return asked.payload_url
