"""A citizen declares, shows a code, and a market checks it, over the room's own graph. No test here."""

from __future__ import annotations

from typing import Any

from town import Town

from gov_services.kit.actor import Actor

DECLARE = """mutation Declare($input: DeclareHealthInput!) { declareHealth(input: $input) {
  healthCode { colour ruleId reason validUntil maskedName } userErrors { code field } } }"""
SHOW = "mutation Show { showHealthCode { code { token qrCode expiresAt } userErrors { code } } }"
MINE = "{ healthCode { colour maskedName evidence { symptoms testResult testedAt contactAt } } }"
VERIFY = """mutation Verify($input: VerifyHealthCodeInput!) { verifyHealthCode(input: $input) {
  verification { colour maskedName validUntil } userErrors { code message field } } }"""


async def consent(town: Town, actor: Actor) -> str:
    """Consent to a health code; the consent's id."""
    notice = await town.ask(
        "privacy",
        '{ notice(purpose: "health-code") { noticeHash } }',
        purpose="consent-management",
        actor=actor,
    )
    values = {
        "purpose": "health-code",
        "recipient": "citizen-app",
        "noticeHash": notice["data"]["notice"]["noticeHash"],
    }
    answer = await town.ask(
        "privacy",
        "mutation($input: GiveConsentInput!) { giveConsent(input: $input) { consent { id } userErrors { code } } }",
        {"input": values},
        purpose="consent-management",
        actor=actor,
    )
    return str(answer["data"]["giveConsent"]["consent"]["id"])


async def declare(town: Town, actor: Actor, **values: Any) -> dict[str, Any]:
    """Declare something; the answer."""
    filled = {"name": "测试甲", "symptoms": [], **values}
    return await town.ask("healthcode", DECLARE, {"input": filled}, purpose="health-code", actor=actor)


async def show(town: Town, actor: Actor) -> str:
    """The text of a code."""
    answer = await town.ask("healthcode", SHOW, purpose="health-code", actor=actor)
    return str(answer["data"]["showHealthCode"]["code"]["token"])


async def verify(town: Town, text: str) -> dict[str, Any]:
    """What the market is answered."""
    answer = await town.ask(
        "healthcode",
        VERIFY,
        {"input": {"token": text}},
        purpose="health-code-verification",
        actor=town.party("night-market"),
    )
    return dict(answer["data"]["verifyHealthCode"])
