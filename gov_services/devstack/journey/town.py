"""What the journey's parties hold in their hands: addresses, tokens, documents. Everything goes over HTTP."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from gov_services.identity.resident_number import check_character
from gov_services.kit.manifest import Manifest

Found = TypeVar("Found")
PATIENCE_S = 15.0
"""How long the journey waits for what happens behind the requests."""


class StepFailed(Exception):
    """A step did not come out as it must; the message says what came instead."""


@dataclass(slots=True)
class Party:
    """Somebody with a client of the city: a citizen, a clerk, a bank."""

    client: str
    token: str | None = None
    refresh: str | None = None
    case: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A plainly invented citizen, another one at each run; the region of the number does not exist."""

    name: str
    number: str
    phone: str
    address: str


def invent_person(name: str) -> Person:
    """Somebody new, born on 7 March 1990, with a right check character."""
    first = f"99999919900307{secrets.randbelow(1000):03d}"
    phone = f"139{secrets.randbelow(10**8):08d}"
    return Person(name, first + check_character(first), phone, "示例市东区银杏路 7 号 3 单元")


@dataclass(slots=True)
class Town:
    """The running system as the parties see it."""

    http: httpx.AsyncClient
    manifest: Manifest
    staff: Mapping[str, str]
    clients: Mapping[str, str]
    providers_url: str
    channel_url: str
    person: Person
    citizen: Party = field(default_factory=lambda: Party("citizen-app"))
    memory: dict[str, Any] = field(default_factory=dict)
    """What a later step needs from an earlier one."""

    async def ask(
        self, party: Party, name: str, variables: Mapping[str, Any] | None = None, *, expect_errors: bool = False
    ) -> dict[str, Any]:
        """Send a trusted document; the data, or with `expect_errors` the whole answer. Raises StepFailed."""
        headers = {"accept": "application/graphql-response+json", "accept-language": "en"}
        if party.token:
            headers["authorization"] = f"Bearer {party.token}"
        if party.case:
            headers["gov-case"] = party.case
        if party.reason:
            headers["gov-reason"] = quote(party.reason)
        document = self.manifest.named(party.client, name)
        body = {"documentId": document.id, "variables": dict(variables or {})}
        response = await self.http.post("/graphql", json=body, headers=headers)
        answer: dict[str, Any] = response.json()
        if expect_errors:
            return answer
        if answer.get("errors"):
            raise StepFailed(f"{name}: {response.status_code} {answer['errors']}")
        data: dict[str, Any] = answer["data"]
        for root in data.values():
            if isinstance(root, dict) and root.get("userErrors"):
                raise StepFailed(f"{name}: {root['userErrors']}")
        return data

    async def refused(self, party: Party, name: str, variables: Mapping[str, Any], *, code: str) -> str:
        """Send a document that must be refused with `code`; the message that came with it. Raises StepFailed."""
        answer = await self.ask(party, name, variables, expect_errors=True)
        codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
        if code not in codes:
            raise StepFailed(f"{name} was to be refused with {code}, and was answered {answer}")
        return str(answer["errors"][codes.index(code)]["message"])

    async def code_sent_to(self, phone: str) -> str:
        """The newest one-time code on a phone's screen."""
        messages = (await self.http.get(f"{self.providers_url}/sms/+86{phone}")).json()
        found = re.search(r"\d{6}", messages[-1]) if messages else None
        if found is None:
            raise StepFailed("no code arrived")
        return found[0]

    async def staff_member(self, username: str) -> Party:
        """A member of staff, signed in."""
        client = "compliance" if username.endswith(".compliance") else "counter"
        party = Party(client)
        values = {"input": {"username": username, "password": self.staff[username]}}
        session = (await self.ask(party, "StaffSignIn", values))["staffSignIn"]["session"]
        party.token = session["accessToken"]
        return party

    async def relying_party(self, client_id: str) -> Party:
        """A bank or a venue, with a token of its own."""
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": self.clients[client_id],
        }
        response = await self.http.post("/oauth/token", data=form)
        if response.status_code != 200:
            raise StepFailed(f"no token for {client_id}: {response.status_code} {response.text}")
        return Party(client_id, token=response.json()["access_token"])

    async def until(self, what: str, look: Callable[[], Awaitable[Found | None]]) -> Found:
        """Look until there is something. Raises StepFailed when it does not come."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = await look()
            if found:
                return found
            await asyncio.sleep(0.1)
        raise StepFailed(f"{what} did not come about within {PATIENCE_S:.0f} s")


def nodes_of(connection: dict[str, Any]) -> list[dict[str, Any]]:
    """What a page of a connection holds."""
    return [edge["node"] for edge in connection["edges"]]
