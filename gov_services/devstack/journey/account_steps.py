"""Steps 1 to 4: a citizen registers, signs in, is verified, reads a notice and consents."""

from __future__ import annotations

import asyncio

from gov_services.devstack.journey.steps import Step, Told
from gov_services.devstack.journey.town import StepFailed, Town

LOOKS, LOOK_AGAIN_S = 50, 0.1


async def register(town: Town) -> Told:
    """1."""
    person = town.person
    values = {
        "name": person.name,
        "nationalId": person.number,
        "phone": person.phone,
        "address": person.address,
    }
    data = await town.ask(town.citizen, "Register", {"input": values})
    if data["register"]["registered"] is not True:
        raise StepFailed("not registered")
    return Told({"registered": True}, [f"{person.name} is registered; five data keys were made for them"])


async def sign_in(town: Town) -> Told:
    """2."""
    phone = town.person.phone
    await town.ask(town.citizen, "RequestSignInCode", {"input": {"phone": phone}})
    code = await _code_on(town, phone)
    data = await town.ask(town.citizen, "SignIn", {"input": {"phone": phone, "code": code}})
    session = data["signIn"]["session"]
    town.citizen.token, town.citizen.refresh = session["accessToken"], session["refreshToken"]
    me = (await town.ask(town.citizen, "Me"))["me"]
    town.memory["citizen_id"] = me["id"]
    lines = [f"signed in with the code {code}; me: {me['name']}, {me['nationalId']}"]
    return Told({"me": me}, lines)


async def _code_on(town: Town, phone: str) -> str:
    """The code on the phone's screen; it is sent behind the answer, so look a few times."""
    for _ in range(LOOKS):
        try:
            return await town.code_sent_to(phone)
        except StepFailed:
            await asyncio.sleep(LOOK_AGAIN_S)
    return await town.code_sent_to(phone)


async def verify(town: Town) -> Told:
    """3."""
    person = town.person
    await town.http.post(f"{town.providers_url}/people", json={"name": person.name, "number": person.number})
    values = {"input": {"name": person.name, "nationalId": person.number}}
    data = await town.ask(town.citizen, "VerifyIdentity", values)
    level = data["verifyIdentity"]["citizen"]["assuranceLevel"]
    await refresh(town)
    return Told({"assuranceLevel": level}, [f"the population register answered yes: assurance level {level}"])


async def refresh(town: Town) -> None:
    """Go on with the citizen's session."""
    values = {"input": {"refreshToken": town.citizen.refresh}}
    session = (await town.ask(town.citizen, "RefreshSession", values))["refreshSession"]["session"]
    town.citizen.token, town.citizen.refresh = session["accessToken"], session["refreshToken"]


async def consent_to(town: Town, purpose: str, recipient: str) -> tuple[dict[str, object], dict[str, object]]:
    """Read a purpose's notice and consent to it; notice and consent."""
    notice = (await town.ask(town.citizen, "Notice", {"purpose": purpose}))["notice"]
    values = {"purpose": purpose, "recipient": recipient, "noticeHash": notice["noticeHash"]}
    given = (await town.ask(town.citizen, "GiveConsent", {"input": values}))["giveConsent"]["consent"]
    return notice, given


async def consent(town: Town) -> Told:
    """4."""
    notice, given = await consent_to(town, "licence-prefill", "citizen-app")
    prefilled = (await town.ask(town.citizen, "PrefillApplication"))["me"]
    town.memory["prefill"] = prefilled
    lines = [
        f"notice: {notice['text']}",
        f"consent {given['id']} {given['state']}, covers {given['scope']}",
        f"prefill: {prefilled['name']}, {prefilled['nationalId']}, {prefilled['address']}",
    ]
    return Told({"notice": notice, "consent": given, "prefill": prefilled}, lines)


STEPS = (
    Step(1, "a citizen registers with resident number and phone", register),
    Step(2, "signs in with a one-time code", sign_in),
    Step(3, "is verified to a higher assurance level", verify),
    Step(4, "reads a notice and consents", consent),
)
