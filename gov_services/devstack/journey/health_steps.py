"""Steps 10 and 11: a citizen declares and gets a code; a venue checks it with published keys, and over the network."""

from __future__ import annotations

import datetime as dt

from gov_services.devstack.journey.account_steps import consent_to
from gov_services.devstack.journey.steps import Step, Told
from gov_services.devstack.journey.town import StepFailed, Town
from gov_services.healthcode.code import CodeRefused
from gov_services.healthcode.offline import OfflineVerifier


async def declare(town: Town) -> Told:
    """10."""
    values: dict[str, object] = {"input": {"name": town.person.name, "symptoms": []}}
    await town.refused(town.citizen, "DeclareHealth", values, code="CONSENT_REQUIRED")
    await consent_to(town, "health-code", "citizen-app")
    code = (await town.ask(town.citizen, "DeclareHealth", values))["declareHealth"]["healthCode"]
    shown = (await town.ask(town.citizen, "ShowHealthCode"))["showHealthCode"]["code"]
    town.memory["code"] = shown["token"]
    if not shown["qrCode"].startswith("<svg"):
        raise StepFailed("the code has no QR code")
    lines = [
        "before consent the declaration is refused; after it:",
        f"{code['colour']} by rule {code['ruleId']} ({code['reason']}), until {code['validUntil'][:10]}",
        f"shown until {shown['expiresAt'][11:19]}: {shown['token'][:48]}…",
    ]
    return Told({"healthCode": code, "shown": {"expiresAt": shown["expiresAt"]}}, lines)


async def verify(town: Town) -> Told:
    """11."""
    token = str(town.memory["code"])
    keys = (await town.http.get("/.well-known/health-code-keys.json")).json()
    # From here on the venue is offline.
    venue = OfflineVerifier(keys, issuer=str(town.http.base_url).rstrip("/"))
    now = dt.datetime.now(dt.UTC)
    offline = venue.verify(token, now=now)
    forged = token[:-4] + ("0000" if not token.endswith("0000") else "1111")
    try:
        venue.verify(forged, now=now)
    except CodeRefused:
        pass
    else:
        raise StepFailed("an altered code was taken")
    market = await town.relying_party("night-market")
    answer = await town.ask(market, "VerifyHealthCode", {"input": {"token": token}})
    online = answer["verifyHealthCode"]["verification"]
    if set(online) != {"colour", "maskedName", "validUntil"} or online["colour"] != offline.colour.value:
        raise StepFailed(f"the venue was answered {online}")
    lines = [
        f"offline, with published keys: {offline.colour.value}, {offline.masked_name}, until {offline.valid_until:%F}",
        f"over the network the same three: {online['colour']}, {online['maskedName']}, {online['validUntil'][:10]}",
        "an altered code is refused",
    ]
    return Told(
        {"offline": {"colour": offline.colour.value, "maskedName": offline.masked_name}, "online": online}, lines
    )


STEPS = (
    Step(10, "the citizen declares health facts and gets a code", declare),
    Step(11, "a venue verifies the code, and learns three things", verify),
)
