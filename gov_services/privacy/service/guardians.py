"""Who decides on a consent: the citizen, or the guardian of a child under fourteen (PIPL 31). It appends nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.consent import guardian_store as store
from gov_services.consent.lawful import is_fit_for_children
from gov_services.consent.ledger import Guardian
from gov_services.consent.purposes import Purpose, Relation
from gov_services.kit.errors import NotFound, UserError
from gov_services.kit.ids import parse_id
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import WriteContext

MADE_BY = "guardian"
"""How the ledger calls who decided for a child."""


class GuardianRequired(UserError):
    """Whoever is under fourteen does not consent alone."""

    code = "GUARDIAN_REQUIRED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "未满十四周岁的,须由监护人同意。",
        "en": "Under fourteen, a guardian has to consent for you.",
    }


class NotForChildren(UserError):
    """All data of a child is sensitive, and the purpose does not tell of it as of sensitive data."""

    code = "PURPOSE_NOT_FOR_CHILDREN"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该用途未按敏感个人信息告知和取得单独同意,不适用于未满十四周岁的人。",
        "en": "This purpose does not treat what it reads as sensitive. It is not for anybody under fourteen.",
    }


@dataclass(frozen=True, slots=True)
class Decider:
    """Whose consent it is, and who decides on it for them; None where they do themselves."""

    citizen_id: UUID
    guardian: Guardian | None = None

    @property
    def made_by(self) -> str:
        """How the ledger calls who decided."""
        return MADE_BY if self.guardian else "citizen"


async def who_decides(ctx: WriteContext[PrivacyPorts], child: str | None) -> Decider:
    """The citizen who asks, for themselves or as guardian of `child`. Raises NotFound.

    That the purpose gives a guardian anything at all is decided and logged as every disclosure is.
    """
    citizen_id = ctx.citizen_id()
    if child is None:
        if Relation.SELF not in ctx.purpose.relations:
            raise NotFound
        return Decider(citizen_id)
    child_id = parse_id(child)
    await ctx.disclosure(child_id, object_ref="consents")
    assert child_id is not None
    relation_id = await store.guardian_relation(ctx.session, child_id=child_id, guardian_id=citizen_id, now=ctx.now)
    if relation_id is None:
        raise NotFound
    return Decider(child_id, Guardian(citizen_id, relation_id))


async def require_who_may(ctx: WriteContext[PrivacyPorts], who: Decider, purpose: Purpose | None = None) -> None:
    """Refuse a child's consent alone, and a child's consent to what is not for children.

    Raises GuardianRequired, NotForChildren.
    """
    if who.guardian is not None:
        if purpose is not None and not is_fit_for_children(purpose):
            raise NotForChildren(field="input.purpose")
    elif await store.children(ctx.session, citizen_ids=[who.citizen_id], now=ctx.now):
        raise GuardianRequired
