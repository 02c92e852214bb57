"""Webhooks of parties that answer without end, or not at all: they hold up nobody, and take no room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from consent_bb_client import BANK, Asker, asking, number_of, sign
from town import Town

from gov_services.privacy.consent_bb import webhooks
from gov_services.privacy.consent_bb.operations import PREFIX

pytestmark = pytest.mark.untraced

HOOK = {
    "id": "",
    "payloadUrl": "https://hooks.riverside-bank.example/consents",
    "contentType": "application/json",
    "disabled": False,
    "secretKey": "",
}


@pytest.fixture
async def ask(town: Town) -> AsyncIterator[Asker]:
    """A bank with a webhook, and a consent of which it is to be told."""
    async with asking(town) as asker:
        await asker("POST", "/config/webhook/", town.party(BANK), {"webhook": HOOK})
        await sign(asker, await town.register(), await number_of(asker, "adult-check"))
        yield asker


async def pours() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65_536


async def test_an_answer_without_end_is_not_read(town: Town, ask: Asker) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(endless))
    object.__setattr__(town.rooms["privacy"].services.ports, "http", client)
    async with asyncio.timeout(5):
        assert await town.rooms["privacy"].run_job("tell-webhooks") == 1
    assert await town.value("SELECT count(*) FROM privacy.webhook_message") == 0


def endless(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=pours())


async def silent(_: httpx.Request) -> httpx.Response:
    await asyncio.sleep(3600)
    raise AssertionError


async def test_a_party_that_does_not_answer_is_told_later(
    town: Town, ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TELL_TIMEOUT_S", 0.2)
    client = httpx.AsyncClient(transport=httpx.MockTransport(silent), timeout=None)
    object.__setattr__(town.rooms["privacy"].services.ports, "http", client)
    async with asyncio.timeout(5):
        assert await town.rooms["privacy"].run_job("tell-webhooks") == 1
    assert await town.value("SELECT attempts FROM privacy.webhook_message") == 1


async def test_text_that_is_no_text_is_refused_and_not_a_fault(town: Town, ask: Asker) -> None:
    token = town.bearer(town.party(BANK))
    answer = await ask.http.post(
        f"{PREFIX}/config/webhook/",
        content=b'{"webhook": {"payloadUrl": "\xff"}}',
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_BODY")
