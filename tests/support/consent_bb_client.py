"""GovStack's consent API asked over HTTP, as its clients do. No test here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from litestar import Litestar
from town import CITY_URL, Town

from gov_services.kit.actor import ANONYMOUS, Actor
from gov_services.privacy.consent_bb.operations import PREFIX

BANK = "riverside-bank"


@dataclass
class Asker:
    """Asks the API as somebody."""

    town: Town
    http: httpx.AsyncClient

    async def __call__(
        self, method: str, path: str, actor: Actor = ANONYMOUS, body: Any = None, status: int = 200, **query: str
    ) -> Any:
        bearer = self.town.bearer(actor)
        headers = {"accept-language": "en", **({"authorization": f"Bearer {bearer}"} if bearer else {})}
        answer = await self.http.request(method, f"{PREFIX}{path}", params=query, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def refused(
        self, method: str, path: str, actor: Actor = ANONYMOUS, body: Any = None, status: int = 400, **query: str
    ) -> str:
        """The code of a refusal."""
        found: str = (await self(method, path, actor, body, status, **query))["code"]
        return found


def officer(town: Town) -> Actor:
    return town.staff("compliance-officer", client="compliance")


async def number_of(ask: Asker, code: str) -> str:
    """The agreement of a purpose, as a client would look for it."""
    found = (await ask("GET", "/config/data-agreements/"))["dataAgreement"]
    (agreement,) = [one for one in found if one["code"] == code]
    number: str = agreement["id"]
    return number


async def sign(ask: Asker, citizen: Actor, number: str) -> Any:
    """Draft and sign, as the specification has it."""
    drafted = await ask(
        "POST",
        "/service/individual/record/consent-record/draft/",
        citizen,
        individualId=str(citizen.id),
        dataAgreementId=number,
    )
    return await ask("POST", "/service/individual/record/consent-record/", citizen, drafted)


def require_hashed(revision: dict[str, Any]) -> dict[str, Any]:
    """A revision is what its hash says; its snapshot."""
    snapshot: str = revision["serializedSnapshot"]
    assert hashlib.sha256(snapshot.encode()).hexdigest() == revision["serializedHash"] == revision["id"]
    found: dict[str, Any] = json.loads(snapshot)
    return found


@asynccontextmanager
async def asking(town: Town) -> AsyncIterator[Asker]:
    """The room's own routes, and whoever asks there."""
    app = Litestar([route.handler for route in town.rooms["privacy"].routes], openapi_config=None)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=CITY_URL) as client:
        yield Asker(town, client)


def bare(record: dict[str, Any]) -> dict[str, Any]:
    """What of a record is sent back to change it."""
    return {name: record[name] for name in ("id", "dataAgreementRevisionHash", "state", "optIn")}


async def request_by_code(town: Town, bank: Actor, citizen: Actor) -> None:
    """The bank shows a code, and the citizen scans it."""
    opened = await town.ask(
        "privacy",
        "mutation($i: OpenConsentRequestInput!) { openConsentRequest(input: $i) { code userErrors { code } } }",
        {"i": {"purpose": "adult-check"}},
        purpose="consent-requests",
        actor=bank,
    )
    await town.ask(
        "privacy",
        "mutation($i: ReceiveConsentRequestInput!) { receiveConsentRequest(input: $i) { userErrors { code } } }",
        {"i": {"code": opened["data"]["openConsentRequest"]["code"]}},
        purpose="consent-management",
        actor=citizen,
    )
