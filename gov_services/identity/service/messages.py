"""The message box: what a citizen is told, from codes to words. It holds no personal value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from uuid import UUID

from gov_services.identity import store
from gov_services.identity.labels import Labels, Words, called
from gov_services.identity.models import MessageRow
from gov_services.identity.ports import IdentityPorts
from gov_services.kit.database import ReadSession
from gov_services.kit.errors import NotFound
from gov_services.kit.ids import new_id
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.events import Event

TEMPLATES: Mapping[str, Mapping[str, str]] = {
    "application.accepted": {
        "zh-CN": "您的申请已受理,将在 ${due_at} 前办结。",
        "en": "Your application was accepted and will be decided by ${due_at}.",
    },
    "application.correction": {
        "zh-CN": "您的申请需要补正:${field}。",
        "en": "Your application needs a correction: ${field}.",
    },
    "application.decided": {
        "zh-CN": "您的申请已有结果:${decision}。",
        "en": "Your application was decided: ${decision}.",
    },
    "bill.issued": {"zh-CN": "您有一张待缴账单。", "en": "You have a bill to pay."},
    "bill.settled": {"zh-CN": "您的账单已缴清。", "en": "Your bill is paid."},
    "bill.refunded": {"zh-CN": "您的缴费已退款。", "en": "Your payment was refunded."},
    "disclosure.made": {
        "zh-CN": "${recipient} 为“${purpose}”查看了您的信息:${fields}。",
        "en": "${recipient} read about you for “${purpose}”: ${fields}.",
    },
    "phone.replaced": {
        "zh-CN": "您的手机号码已在服务大厅更换。如非本人办理,请立即联系我们。",
        "en": "Your phone number was replaced at a counter. If that was not you, tell us at once.",
    },
    "consent.changed": {"zh-CN": "您的授权已变更。", "en": "One of your consents has changed."},
    "notice.given": {
        "zh-CN": "紧急情况中,您的信息曾用于“${purpose}”;详情见该用途的告知和“谁看过我的信息”。",
        "en": "In an emergency your data was used for “${purpose}”; see its notice, and who saw your data.",
    },
    "right.answered": {
        "zh-CN": "您提出的个人信息请求已答复。如被拒绝,答复中载明理由;您可以依法向人民法院提起诉讼。",
        "en": "Your request about your data was answered. A refusal says why; you may take it to court.",
    },
    "breach.happened": {
        "zh-CN": "您的个人信息可能已泄露。信息种类:${kinds};原因:${cause};可能的危害:${harm};已采取的措施:${measures};"
        "您可以:${advice};联系方式:${contact}。",
        "en": "Your data may be in other hands. Which: ${kinds}; cause: ${cause}; possible harm: ${harm}; "
        "what was done: ${measures}; what you can do: ${advice}; contact: ${contact}.",
    },
    "glass.broken": {
        "zh-CN": "因紧急情况,工作人员查看了您的联系信息;该操作将由其他部门复核,详情见“谁看过我的信息”。",
        "en": "In an emergency a member of staff read how to reach you. Another office looks into it; see who saw your "
        "data.",
    },
    "consent.requested": {
        "zh-CN": "${recipient} 请求您授权:“${purpose}”。您可以同意、拒绝或稍后再答。",
        "en": "${recipient} asks for your consent: “${purpose}”. You may agree, refuse, or answer later.",
    },
    "consent.ended": {
        "zh-CN": "您给 ${recipient} 的授权“${purpose}”已到期或由机构终止。",
        "en": "Your consent for ${recipient}, “${purpose}”, has run out or was ended by the agency.",
    },
    "consent.of-age": {
        "zh-CN": "您已满十四周岁:监护人代您给 ${recipient} 的授权“${purpose}”已失效,今后由您自己决定是否同意。",
        "en": "You have turned fourteen: the consent that a guardian gave ${recipient} for you, “${purpose}”, has "
        "ended. You may decide yourself now.",
    },
    "guardian.linked": {
        "zh-CN": "窗口已凭证件登记一项未满十四周岁儿童的监护关系,监护人可代其决定授权,至其满十四周岁止。"
        "如有异议请立即联系我们。",
        "en": "A counter has seen a document and noted a guardian of a child under fourteen, who decides on consents "
        "for them until they have turned fourteen. If that is wrong, tell us at once.",
    },
    "guardian.ended": {
        "zh-CN": "窗口已终止一项监护关系,监护人代儿童给出的授权随之失效。",
        "en": "A counter has ended a guardian's relation to a child; what the guardian consented to ends with it.",
    },
    "deletion.attested": {
        "zh-CN": "${recipient} 声明已删除其按您的授权“${purpose}”读取的信息。",
        "en": "${recipient} states that it deleted what it had read under your consent “${purpose}”.",
    },
    "health-strike.wrong-person": {
        "zh-CN": "经您申请,两名工作人员复核后撤销了健康码中属于他人的依据,颜色已按公开规则重新得出。",
        "en": "On your request two officers struck evidence of your health code that is about somebody else. The "
        "colour follows anew from the published rules.",
    },
    "health-strike.wrong-result": {
        "zh-CN": "经您申请,两名工作人员复核后撤销了健康码中有误的依据,颜色已按公开规则重新得出。",
        "en": "On your request two officers struck evidence of your health code that was wrong. The colour follows "
        "anew from the published rules.",
    },
    "health-strike.outdated": {
        "zh-CN": "经您申请,两名工作人员复核后撤销了健康码中已过时的依据,颜色已按公开规则重新得出。",
        "en": "On your request two officers struck evidence of your health code that is out of date. The colour "
        "follows anew from the published rules.",
    },
    "health-strike.declined": {
        "zh-CN": "经您申请并由两名工作人员复核,健康码的依据未撤销,颜色不变。",
        "en": "On your request two officers looked at your health code: the evidence stands, and so does the colour.",
    },
    "erasure.done": {"zh-CN": "您的信息已删除。", "en": "Your data was erased."},
}
"""By code. A code that is not here is shown as it is, so that no message is lost."""


async def on_message_requested(ctx: WriteContext[IdentityPorts], *, event: Event) -> None:
    """Put a message into the citizen's box."""
    if event.citizen_id is None:
        raise ValueError("a message is for a citizen")
    ctx.session.add(
        MessageRow(
            citizen_id=event.citizen_id,
            message_id=new_id(ctx.now),
            code=str(event.body["code"]),
            params=dict(event.body.get("params") or {}),
            sent_at=event.published_at,
        )
    )
    await ctx.record("message.sent", subject=event.citizen_id, object_ref=f"message:{event.body['code']}")


@dataclass(frozen=True, slots=True)
class Told:
    """A message, in the words of whoever reads it."""

    row: MessageRow
    text: str


async def list_messages(ctx: ReadContext[IdentityPorts], *, before: UUID | None, limit: int) -> Sequence[Told]:
    """The messages of the citizen who asks, newest first."""
    citizen_id = ctx.citizen_id()
    await ctx.disclosure(citizen_id, object_ref="messages")
    async with ctx.reading() as session:
        rows = await store.messages(session, citizen_id=citizen_id, before=before, limit=limit)
        return await _in_their_words(ctx, session, rows)


async def read_message(ctx: ReadContext[IdentityPorts], *, message_id: UUID) -> Told:
    """One message of the citizen who asks. Raises NotFound alike for another's and for one that is not there."""
    citizen_id = ctx.citizen_id()
    await ctx.disclosure(citizen_id, object_ref="messages")
    async with ctx.reading() as session:
        row = await store.message(session, citizen_id=citizen_id, message_id=message_id)
        if row is None:
            raise NotFound
        return (await _in_their_words(ctx, session, [row]))[0]


async def _in_their_words(
    ctx: ReadContext[IdentityPorts], session: ReadSession, rows: Sequence[MessageRow]
) -> list[Told]:
    bundle = await ctx.services.discloser.bundles.current(session)
    recipients = {str(row.params.get("recipient")) for row in rows if "recipient" in row.params}
    titles = await store.client_titles(session, client_ids=recipients) if recipients else {}
    names = Names(ctx.ports.labels, {code: purpose.title for code, purpose in bundle.purposes.items()}, titles)
    return [Told(row, text_of(row.code, row.params, names, ctx.call.locale)) for row in rows]


@dataclass(frozen=True, slots=True)
class Names:
    """What stands for the codes in a message, at the time of reading."""

    labels: Labels
    purposes: Mapping[str, Words]
    """Titles of the purposes in force."""
    clients: Mapping[str, str]
    """Titles of relying parties, in the one language in which each gave its own."""


def text_of(code: str, params: Mapping[str, object], names: Names, locale: str) -> str:
    """The message in words; what has no name shows its code."""
    template = TEMPLATES.get(code, {}).get(locale, code)
    return Template(template).safe_substitute(
        {name: _in_words(name, str(value), names, locale) for name, value in params.items()}
    )


def _in_words(name: str, value: str, names: Names, locale: str) -> str:
    match name:
        case "field":
            return called(names.labels.corrections, value, locale)
        case "decision":
            return called(names.labels.results, value, locale)
        case "purpose":
            return called(names.purposes, value, locale)
        case "recipient":
            return names.clients.get(value, value)
        case "fields":
            between = "、" if locale == "zh-CN" else ", "
            return between.join(called(names.labels.fields, one, locale) for one in value.split(", "))
        case _:
            return value
