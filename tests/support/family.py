"""A parent and a child under fourteen in a town, and what they ask and do. No test here."""

from __future__ import annotations

import datetime as dt
from typing import Any

from bank_consents import notice_hash
from city_law import SEED, put_in_force
from town import Town, sample_number

from gov_services.consent.purposes import Separate
from gov_services.kit.actor import Actor

PARENT, CHILD = sample_number(born="19850614", sequence=300), sample_number(born="20120305", sequence=301)
PARENTS_PHONE, CHILDS_PHONE = "13900000011", "13900000012"
OF_AGE = dt.datetime(2026, 3, 5, 16, 0, tzinfo=dt.UTC)
"""Midnight in the city at which the day of the child's fourteenth birthday ends."""
LINK = "mutation($i: LinkGuardianInput!) { a: linkGuardian(input: $i) { linked userErrors { code field } } }"
END = "mutation($i: EndGuardianInput!) { a: endGuardian(input: $i) { ended userErrors { code field } } }"
CONSENT = "consent { id state byGuardian } userErrors { code field }"
GIVE = f"mutation($i: GiveConsentInput!) {{ a: giveConsent(input: $i) {{ {CONSENT} }} }}"
REFUSE = f"mutation($i: RefuseConsentInput!) {{ a: refuseConsent(input: $i) {{ {CONSENT} }} }}"
WITHDRAW = f"mutation($i: WithdrawConsentInput!) {{ a: withdrawConsent(input: $i) {{ {CONSENT} }} }}"
PAUSE = f"mutation($i: ConsentInput!) {{ a: pauseConsent(input: $i) {{ {CONSENT} }} }}"
RESUME = f"mutation($i: ConsentInput!) {{ a: resumeConsent(input: $i) {{ {CONSENT} }} }}"
MESSAGES = "{ messages { edges { node { code text } } } }"
NUMBERS = {"guardianNationalId": PARENT, "childNationalId": CHILD}


async def parent_and_child(town: Town) -> tuple[Actor, Actor]:
    """Both registered, not linked yet; the bank's check is told as of sensitive data."""
    both = {"zh-CN": "必要", "en": "needed"}
    separate = frozenset({Separate.PROVISION, Separate.SENSITIVE})
    await put_in_force(town, "adult-check", separate=separate, necessity=both, impact=both)
    parent = await town.register(name="测试甲", number=PARENT, phone=PARENTS_PHONE)
    return parent, await town.register(name="测试乙", number=CHILD, phone=CHILDS_PHONE)


async def link(town: Town, *, by: Actor | None = None, reason: str | None = "户口簿已核验", **changes: str) -> Any:
    """A registrar notes the parent as guardian."""
    told = {"i": {**NUMBERS, "document": "HOUSEHOLD_REGISTER", "documentNumber": "X000000001", **changes}}
    return await _ask(town, "identity", LINK, told, "guardian-linking", by or town.staff("registrar"), reason=reason)


async def end(town: Town) -> Any:
    """A registrar ends it."""
    return await _ask(
        town, "identity", END, {"i": NUMBERS}, "guardian-linking", town.staff("registrar"), reason="法院另行指定"
    )


async def family(town: Town) -> tuple[Actor, Actor]:
    """Parent and child, linked at a counter."""
    parent, child = await parent_and_child(town)
    assert await link(town) == {"linked": True, "userErrors": []}
    return parent, child


async def decide(town: Town, actor: Actor, document: str, *, child: Actor | None = None, **told: Any) -> Any:
    """A consent given, refused, ended: for oneself, or for a child. What came of it, or the code of a refusal."""
    purpose = "guardian-consents" if child else "consent-management"
    values = {**told, "forChild": str(child.id)} if child else told
    return await _ask(town, "privacy", document, {"i": values}, purpose, actor)


async def give(town: Town, actor: Actor, *, child: Actor | None = None, purpose: str = "adult-check") -> Any:
    """To the bank, or to the city's own app."""
    recipient = min(SEED.purposes[purpose].clients)
    hash_ = await notice_hash(town, actor, purpose)
    return await decide(
        town, actor, GIVE, child=child, purpose=purpose, recipient=recipient, noticeHash=hash_, days=300
    )


async def codes_in_box(town: Town, actor: Actor) -> list[str]:
    """Messages of a citizen, newest first, by code."""
    await town.settle()
    answer = await town.ask("identity", MESSAGES, purpose="own-account", actor=actor)
    return [edge["node"]["code"] for edge in answer["data"]["messages"]["edges"]]


async def _ask(
    town: Town, room: str, document: str, told: Any, purpose: str, actor: Actor, *, reason: str | None = None
) -> Any:
    answer = await town.ask(room, document, told, purpose=purpose, actor=actor, reason=reason)
    return answer["data"]["a"] if "errors" not in answer else answer["errors"][0]["extensions"]["code"]
