"""A whole city whose servers are taken away under load of one: what is still answered, how fast, and what is lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from gov_services.cli.running import Running, system
from gov_services.devstack.journey import account_steps
from gov_services.devstack.journey.permit_steps import SERVICE
from gov_services.devstack.journey.town import Party, Town, invent_person
from gov_services.devstack.postgres import PostgresServer
from gov_services.devstack.valkey import ValkeyServer
from gov_services.kit.settings import Settings

pytestmark = pytest.mark.untraced

WITHIN_S = 2.0
"""The promise is a second; the other one is for a machine that runs a second worker of the tests besides."""


@dataclass
class Place:
    """A city on servers of its own, with a citizen, a clerk and a bank who are signed in."""

    running: Running
    town: Town
    clerk: Party
    bank: Party
    consent: str
    postgres: PostgresServer
    valkey: ValkeyServer
    is_timed: bool = False
    """Whether something is gone: each answer comes in time then, rather than after somebody's patience."""

    async def answer(
        self, party: Party, name: str, variables: dict[str, Any] | None = None
    ) -> tuple[int, tuple[str, ...], Any]:
        """Status, codes and data of one request, which came in time while something is gone."""
        begun = time.monotonic()
        headers = {"accept": "application/graphql-response+json"}
        if party.token:
            headers["authorization"] = f"Bearer {party.token}"
        if party.reason:
            headers["gov-reason"] = party.reason
        body = {"documentId": self.town.manifest.named(party.client, name).id, "variables": variables or {}}
        response = await self.town.http.post("/graphql", json=body, headers=headers)
        took_s = time.monotonic() - begun
        answer = response.json()
        assert took_s < WITHIN_S or not self.is_timed, f"{name} took {took_s:.2f} s"
        codes = tuple(sorted({error["extensions"]["code"] for error in answer.get("errors", ())}))
        return response.status_code, codes, answer.get("data")

    async def me(self) -> tuple[int, tuple[str, ...], Any]:
        """The citizen reads about themselves."""
        return await self.answer(self.town.citizen, "Me")

    async def look_up(self) -> tuple[int, tuple[str, ...], Any]:
        """The clerk finds the citizen."""
        number = self.town.person.number
        return await self.answer(self.clerk, "FindCitizen", {"input": {"nationalId": number}})

    async def ask_adult(self) -> tuple[int, tuple[str, ...], Any]:
        """The bank asks."""
        return await self.answer(self.bank, "IsAdult", {"reference": self.consent})

    async def request_code(self) -> tuple[int, tuple[str, ...], Any]:
        """Somebody wants to sign in."""
        return await self.answer(Party("citizen-app"), "RequestSignInCode", {"input": {"phone": "13900009999"}})

    async def start(self) -> tuple[int, tuple[str, ...], Any]:
        """The citizen begins an application."""
        values = {
            "service": SERVICE,
            "applicantName": "测试甲",
            "businessName": "示例小店",
            "businessAddress": "示例市东区一号",
            "scope": "小吃制售",
        }
        return await self.answer(self.town.citizen, "StartApplication", {"input": values})

    async def execute(self, statement: str) -> None:
        """Run a statement as the database's owner."""
        connection = await asyncpg.connect(self.postgres.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def count(self, what: str) -> int:
        """How many rows there are."""
        connection = await asyncpg.connect(self.postgres.url)
        try:
            return int(await connection.fetchval(f"SELECT count(*) FROM {what}"))
        finally:
            await connection.close()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A city that runs, on servers that a test may take away."""
    postgres, valkey = PostgresServer(tmp_path / "postgres"), ValkeyServer(tmp_path / "valkey")
    async with contextlib.AsyncExitStack() as stack:
        for server in (postgres, valkey):
            stack.callback(server.stop)
            server.start()
        settings = Settings(
            environment="development",
            database_url=postgres.url,
            valkey_url=valkey.url,
            runtime_directory=tmp_path / "run",
            secrets_directory=tmp_path / "run" / "secrets",
        )
        running = await stack.enter_async_context(system(settings))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=running.url, timeout=15))
        town = Town(
            http,
            running.manifest,
            running.accounts.staff,
            running.accounts.clients,
            running.sandboxes.providers_url,
            running.sandboxes.channel_url,
            invent_person("测试甲"),
        )
        for step in account_steps.STEPS[:3]:
            await step.play(town)
        _, consent = await account_steps.consent_to(town, "adult-check", "riverside-bank")
        clerk = await town.staff_member("qian.registrar")
        clerk.reason = "invented"
        bank = await town.relying_party("riverside-bank")
        yield Place(running, town, clerk, bank, str(consent["id"]), postgres, valkey)


async def until_answered(place: Place) -> None:
    """Wait until the citizen is answered again, for five seconds at most."""
    deadline = time.monotonic() + 5
    while (await place.me())[0] != 200:
        assert time.monotonic() < deadline, "not answered again"


async def test_without_valkey_signed_in_reads_go_on_and_all_others_wait(place: Place) -> None:
    assert (await place.me())[0] == (await place.look_up())[0] == (await place.ask_adult())[0] == 200
    place.valkey.crash()
    place.is_timed = True

    status, codes, data = await place.me()
    assert (status, codes) == (200, ())
    assert data["me"]["name"] == place.town.person.name
    for refused in (await place.look_up(), await place.ask_adult(), await place.request_code(), await place.start()):
        assert refused[0] == 503, refused
        assert set(refused[1]) <= {"SERVICE_UNAVAILABLE", "BUDGET_UNAVAILABLE"}, refused
    form = {"grant_type": "client_credentials", "client_id": "riverside-bank"}
    form["client_secret"] = place.town.clients["riverside-bank"]
    assert (await place.town.http.post("/oauth/token", data=form)).status_code == 503
    assert (await place.town.http.get("/readyz")).json() == {
        "database": True,
        "keys": True,
        "valkey": False,
        "entries_signed": True,
    }
    assert await place.count("permits.application") == 0

    place.valkey.start()
    place.is_timed = False

    assert (await place.look_up())[0] == (await place.ask_adult())[0] == (await place.request_code())[0] == 200
    assert (await place.start())[2]["startApplication"]["application"]["state"] == "DRAFT"


async def test_without_postgresql_everything_is_503_and_work_resumes_without_a_restart(place: Place) -> None:
    assert (await place.start())[0] == 200
    entries = await place.count("audit.entry")
    place.postgres.crash()
    place.is_timed = True

    for refused in (await place.me(), await place.ask_adult(), await place.start(), await place.me()):
        assert refused[0] == 503, refused
        assert set(refused[1]) <= {"SERVICE_UNAVAILABLE", "AUDIT_UNAVAILABLE", "POLICY_UNAVAILABLE"}, refused
    ready = await place.town.http.get("/readyz")
    assert (ready.status_code, ready.json()["database"]) == (503, False)
    assert (await place.town.http.get("/healthz")).status_code == 200

    place.postgres.start()
    place.is_timed = False
    await until_answered(place)

    status, codes, data = await place.start()
    assert (status, codes) == (200, ())
    assert data["startApplication"]["application"]["state"] == "DRAFT"
    assert await place.count("permits.application") == 2
    assert await place.count("audit.entry") > entries
    officer = await place.town.staff_member("wu.compliance")
    report = (await place.town.ask(officer, "VerifyLog"))["verifyLog"]
    assert report["sound"] is True, report


async def test_when_the_log_cannot_be_written_nothing_is_opened_and_nothing_changes(place: Place) -> None:
    roles = ", ".join(f"gov_{room}" for room in ("identity", "permits", "payments", "healthcode", "privacy"))
    assert (await place.me())[0] == 200
    await place.execute(f"REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA audit FROM {roles}")

    place.is_timed = True
    for _ in range(3):
        status, codes, data = await place.me()
        assert (status, codes) == (503, ("AUDIT_UNAVAILABLE",))
        assert data is None
        assert place.town.person.name not in str(data)
    # What changes is recorded in its own transaction: the change stands, what would be read after it is withheld.
    status, codes, data = await place.start()
    assert codes == ("AUDIT_UNAVAILABLE",)
    assert data == {"startApplication": {"application": None, "userErrors": []}}
    assert await place.count("permits.application") == 1

    await place.execute(f"REVOKE INSERT ON audit.pending FROM {roles}")
    status, codes, _ = await place.start()
    assert status != 200 or codes
    assert await place.count("permits.application") == 1
