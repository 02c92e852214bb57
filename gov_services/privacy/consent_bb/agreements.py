"""Data agreements over the bundle of purposes: read by number, changed as drafts that a second officer decides on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

from gov_services.consent.purpose_files import read_purpose
from gov_services.consent.purposes import Bundle, Purpose, plain_purpose
from gov_services.consent.tables import PurposeRefused
from gov_services.kit.clock import local_day
from gov_services.kit.database import ReadSession
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import parse_id
from gov_services.privacy import drafts_store
from gov_services.privacy.consent_bb import policies, store, views
from gov_services.privacy.consent_bb.models import AgreementPolicyRow
from gov_services.privacy.consent_bb.register import Agreement
from gov_services.privacy.consent_bb.shapes import DataAgreement, Lifecycle, Policy, said
from gov_services.privacy.consent_bb.views import Shown
from gov_services.privacy.models import PurposeDraftRow
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service import drafts
from gov_services.subgraph.context import RoomServices, WriteContext

COMPLETE = "Complete"
REFUSED = "Refused"
"""What a second officer sets a draft's lifecycle to; the specification knows no name for the latter."""


class AgreementUndefined(UserError):
    """What the specification's own fields say is not enough to put a purpose in force, or to change one."""

    code = "AGREEMENT_UNDEFINED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "请以 definition 给出完整的用途定义(TOML),并附 code 和 note。",
        "en": "An agreement is given in whole by `definition` (TOML, as the reviewed file has it), `code` and `note`.",
    }


class AgreementBeyondPolicy(UserError):
    """The purpose keeps data longer than the policy allows."""

    code = "AGREEMENT_BEYOND_POLICY"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该用途的保存期限超出所选处理规则。",
        "en": "The purpose keeps data for longer than that policy allows.",
    }


class Reader:
    """Shows agreements: with the policy each goes by, and drafts of them, in one language."""

    def __init__(self, services: RoomServices[PrivacyPorts], session: ReadSession, bundle: Bundle, locale: str) -> None:
        self._ports = services.ports
        self._session = session
        self._bundle = bundle
        self._locale = locale
        self._policies: dict[int, Shown] = {}
        self._governing: Mapping[str, int] | None = None

    async def agreement(self, found: Agreement, revision_id: str = "") -> Shown:
        """An agreement as that revision has it. Raises NotFound."""
        governed_by = await self._policy_of(found.code)
        return views.agreement(found, found.wording(revision_id), governed_by, self._ports.vocabulary, self._locale)

    def draft(self, row: PurposeDraftRow) -> tuple[Shown, Shown]:
        """An agreement that is a draft, and the revision that it would come to. Raises NotFound for unreadable ones."""
        purpose = purpose_of(row, self._bundle)
        shown = views.drafted(
            str(row.draft_id),
            purpose,
            self._ports.vocabulary,
            self._locale,
            dpia=row.assessment_id or "",
            state=row.state.lower(),
        )
        return shown, views.draft_revision(str(row.draft_id), purpose, row.made_at)

    async def _policy_of(self, code: str) -> Shown:
        if self._governing is None:
            self._governing = await store.policies_of_purposes(self._session)
        number = self._governing.get(code, policies.CITYS_OWN)
        if number not in self._policies:
            rows = await store.policy_revisions(self._session, number=number)
            self._policies[number] = views.policy(rows[-1])
        return self._policies[number]


def purpose_of(row: PurposeDraftRow, bundle: Bundle) -> Purpose:
    """The purpose that a draft defines. Raises NotFound where the parties that it names are gone."""
    try:
        return read_purpose(row.code, row.definition, parties=bundle.parties)
    except PurposeRefused as refused:
        raise NotFound from refused


async def create(ctx: WriteContext[PrivacyPorts], *, asked: DataAgreement) -> PurposeDraftRow:
    """Draft a new agreement. Raises AgreementUndefined, and as `drafts.write_draft` does."""
    if not (said(asked.definition) and said(asked.code)):
        raise AgreementUndefined
    return await drafts.write_draft(
        ctx, code=said(asked.code), definition=said(asked.definition), note=said(asked.note)
    )


async def change(ctx: WriteContext[PrivacyPorts], *, found: Agreement, asked: DataAgreement) -> PurposeDraftRow | None:
    """Choose another policy for an agreement in force, or draft another wording; None where no draft is made.

    Raises AgreementUndefined, AgreementBeyondPolicy, NotFound, and as `drafts.write_draft` does.
    """
    if said(asked.definition):
        return await drafts.write_draft(ctx, code=found.code, definition=said(asked.definition), note=said(asked.note))
    if not isinstance(asked.policy, Policy):
        raise AgreementUndefined
    await store.lock_policies(ctx.session)  # nobody ends or tightens it meanwhile
    (policy, *_) = rows = await policies.read(ctx.session, number=asked.policy.id)
    longest = rows[-1].retention_days
    if longest is not None and found.newest.purpose.retention_days > longest:
        raise AgreementBeyondPolicy
    ctx.session.add(
        AgreementPolicyRow(purpose=found.code, made_at=ctx.now, policy=policy.number, made_by=ctx.actor.ref)
    )
    await ctx.record("agreement.policy-chosen", subject=None, object_ref=f"purpose:{found.code}:policy:{policy.number}")
    return None


async def change_draft(ctx: WriteContext[PrivacyPorts], *, draft_id: str, asked: DataAgreement) -> PurposeDraftRow:
    """Decide on a draft by its lifecycle, or attach an impact assessment to it.

    Raises NotFound, AgreementUndefined, and as the drafts do: a second officer decides, and not before what is due.
    """
    wanted = asked.lifecycle.name if isinstance(asked.lifecycle, Lifecycle) else ""
    identifier = parse_id(draft_id)
    if wanted in (COMPLETE, REFUSED):
        return await drafts.decide_draft(ctx, draft_id=identifier, approve=wanted == COMPLETE)
    if said(asked.dpia_id):
        return await drafts.assess_draft(
            ctx, draft_id=identifier, assessment_id=said(asked.dpia_id), assessment=asked.dpia
        )
    raise AgreementUndefined


async def withdraw(ctx: WriteContext[PrivacyPorts], *, draft_id: str) -> PurposeDraftRow:
    """Take one's own draft back. Raises NotFound, DraftDecided."""
    return await drafts.withdraw_draft(ctx, draft_id=parse_id(draft_id))


async def end(ctx: WriteContext[PrivacyPorts], *, found: Agreement) -> PurposeDraftRow:
    """Draft the end of an agreement, with this day: a second officer decides. Raises as `drafts.write_draft` does."""
    purpose = ctx.bundle.purposes.get(found.code)
    if purpose is None:
        raise NotFound
    ending = replace(purpose, ends_on=local_day(ctx.now))
    return await drafts.write_draft(
        ctx, code=found.code, definition=as_toml(plain_purpose(ending)), note="ended by the consent API"
    )


async def draft(session: ReadSession, *, draft_id: str) -> PurposeDraftRow:
    """The draft of that id. Raises NotFound."""
    identifier: UUID | None = parse_id(draft_id)
    row = await drafts_store.draft(session, draft_id=identifier) if identifier else None
    if row is None:
        raise NotFound
    return row


def as_toml(table: Mapping[str, Any]) -> str:
    """A table of texts, numbers, lists and tables of texts as TOML writes it (1.0.0)."""
    return "".join(f"{_key(name)} = {_value(value)}\n" for name, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_value(item)}" for name, item in value.items()) + " }"
    items: Sequence[Any] = value
    return "[" + ", ".join(_value(item) for item in items) + "]"


def _key(name: str) -> str:
    return _text(name)


def _text(text: str) -> str:
    # JSON's escapes are TOML's but for DEL, which TOML wants escaped, and for pairs of surrogates, which it knows not.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
