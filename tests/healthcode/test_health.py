"""Declaring, showing and checking over the room's own graph: consent first, three answers, nothing kept too long."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
from health_codes import MINE, SHOW, VERIFY, consent, declare, show, verify
from town import Town

from gov_services.healthcode.code import open_code
from gov_services.healthcode.service import upkeep
from gov_services.kit.ids import new_id
from gov_services.subgraph.events import Event


async def test_nothing_is_taken_or_shown_without_consent(town: Town) -> None:
    actor = await town.register()

    for answer in (
        await declare(town, actor),
        await town.ask("healthcode", SHOW, purpose="health-code", actor=actor),
    ):
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["CONSENT_REQUIRED"]
    assert await town.value("SELECT count(*) FROM healthcode.declaration") == 0
    assert await town.value("SELECT count(*) FROM healthcode.code") == 0


async def test_a_declaration_becomes_a_colour_with_its_rule_and_reason(town: Town) -> None:
    actor = await town.register()
    await consent(town, actor)

    answer = await declare(town, actor, symptoms=["FEVER"], contactAt="2026-03-01T01:00:00+00:00")

    assert answer["data"]["declareHealth"] == {
        "healthCode": {
            "colour": "YELLOW",
            "ruleId": "example-city/1#Y-1",
            "reason": "Close contact with a confirmed case within the last seven days",
            "validUntil": "2026-03-08T01:00:00+00:00",
            "maskedName": "测**",
        },
        "userErrors": [],
    }
    mine = await town.ask("healthcode", MINE, purpose="health-code", actor=actor)
    assert mine["data"]["healthCode"]["evidence"] == {
        "symptoms": ["FEVER"],
        "testResult": None,
        "testedAt": None,
        "contactAt": "2026-03-01T01:00:00+00:00",
    }
    (entry,) = [item for item in await town.entries() if item.action == "health.declared"]
    assert dict(entry.coordinates) == {
        "DeclareHealthInput.contactAt": "COLLECT",
        "DeclareHealthInput.name": "COLLECT",
        "DeclareHealthInput.symptoms": "COLLECT",
    }


async def test_what_cannot_be_meant_is_told_by_field(town: Town) -> None:
    actor = await town.register()
    await consent(town, actor)
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"name": " "}, "NOT_FILLED_IN", "input.name"),
        ({"name": "测" * 51}, "NOT_FILLED_IN", "input.name"),
        ({"name": "测试乙"}, "NAME_NOT_VERIFIED", "input.name"),
        ({"testResult": "POSITIVE"}, "FACT_REFUSED", "input.testedAt"),
        ({"contactAt": "2099-01-01T00:00:00+00:00"}, "FACT_REFUSED", "input.contactAt"),
        ({"contactAt": "2026-03-01T00:00:00"}, "FACT_REFUSED", "input.contactAt"),
        ({"testResult": "NEGATIVE", "testedAt": "2026-03-01T00:00:00"}, "FACT_REFUSED", "input.testedAt"),
    ]

    for values, code, field in cases:
        answer = await declare(town, actor, **values)
        error = {"code": code, "field": field}
        assert answer["data"]["declareHealth"] == {"healthCode": None, "userErrors": [error]}, values
    assert await town.value("SELECT count(*) FROM healthcode.declaration") == 0


async def test_declaring_again_does_not_undo_a_red_before_its_end(town: Town) -> None:
    actor = await town.register()
    await consent(town, actor)
    first = await declare(town, actor, testResult="POSITIVE", testedAt="2026-03-01T01:00:00+00:00")
    assert first["data"]["declareHealth"]["healthCode"]["colour"] == "RED"
    town.clock.advance(dt.timedelta(days=5))
    await town.integrate()

    again = await declare(town, actor)

    red = {
        "colour": "RED",
        "ruleId": "example-city/1#R-1",
        "reason": "A positive test within the last seven days (declared on 2026-03-02)",
        "validUntil": "2026-03-08T01:00:00+00:00",
        "maskedName": "测**",
    }
    assert again["data"]["declareHealth"] == {"healthCode": red, "userErrors": []}
    assert (await verify(town, await show(town, actor)))["verification"]["colour"] == "RED"
    assert await town.value("SELECT count(*) FROM healthcode.declaration") == 1
    # The declaration of the seventh is good for three days, and the red ends a day later.
    town.clock.advance(dt.timedelta(days=2))
    await town.integrate()
    assert (await verify(town, await show(town, actor)))["verification"]["colour"] == "GREEN"


async def test_of_two_declarations_at_once_the_worse_one_stands(town: Town) -> None:
    actor = await town.register()
    await consent(town, actor)

    await asyncio.gather(
        declare(town, actor, testResult="POSITIVE", testedAt="2026-03-01T01:00:00+00:00"),
        *(declare(town, actor) for _ in range(3)),
    )

    assert await town.value("SELECT count(*) FROM healthcode.declaration") == 1
    mine = await town.ask("healthcode", MINE, purpose="health-code", actor=actor)
    assert mine["data"]["healthCode"]["colour"] == "RED"


async def test_a_venue_learns_three_things_offline_and_the_same_online(town: Town) -> None:
    actor = await town.register()
    await consent(town, actor)
    await declare(town, actor)
    text = await show(town, actor)
    ports = town.rooms["healthcode"].services.ports

    offline = open_code(text, keys=ports.keys, issuer=ports.issuer, now=town.clock.now())
    online = await verify(town, text)

    assert (offline.colour.value, offline.masked_name) == ("GREEN", "测**")
    assert offline.expires_at == town.clock.now() + dt.timedelta(minutes=10)
    assert online == {
        "verification": {"colour": "GREEN", "maskedName": "测**", "validUntil": offline.valid_until.isoformat()},
        "userErrors": [],
    }
    entries = [entry for entry in await town.entries() if entry.client == "night-market"]
    read = {name for entry in entries for name, _ in entry.coordinates}
    assert read == {"HealthVerification.colour", "HealthVerification.maskedName", "HealthVerification.validUntil"}
    assert {entry.actor for entry in entries} == {"client:night-market"}


async def test_a_code_ends_with_its_minutes_and_with_a_later_declaration(town: Town) -> None:
    actor = await town.register()
    await consent(town, actor)
    await declare(town, actor)
    first = await show(town, actor)
    assert (await verify(town, first))["userErrors"] == []

    await declare(town, actor, symptoms=["FEVER"])
    replaced = await verify(town, first)
    second = await show(town, actor)
    town.clock.advance(dt.timedelta(minutes=10))
    await town.integrate()
    late = await verify(town, second)

    for answer in (replaced, late, await verify(town, "GHC1:ABC"), await verify(town, "")):
        assert answer["verification"] is None
        assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [
            ("HEALTH_CODE_REFUSED", "input.token")
        ]


async def test_nothing_is_shown_before_a_declaration_or_after_its_colour_has_ended(town: Town) -> None:
    actor = await town.register()
    await consent(town, actor)

    async def codes() -> list[str]:
        answer = await town.ask("healthcode", SHOW, purpose="health-code", actor=actor)
        return [error["code"] for error in answer["data"]["showHealthCode"]["userErrors"]]

    assert await codes() == ["DECLARATION_NEEDED"]
    assert (await town.ask("healthcode", MINE, purpose="health-code", actor=actor))["data"] == {"healthCode": None}
    await declare(town, actor)
    assert await codes() == []
    town.clock.advance(dt.timedelta(days=3))
    await town.integrate()
    assert await codes() == ["DECLARATION_NEEDED"]


async def test_after_a_withdrawal_no_code_is_shown_and_the_colour_is_not_read(town: Town) -> None:
    actor = await town.register()
    reference = await consent(town, actor)
    await declare(town, actor)

    withdrawn = await town.ask(
        "privacy",
        "mutation($input: WithdrawConsentInput!) { withdrawConsent(input: $input) { userErrors { code } } }",
        {"input": {"consentId": reference}},
        purpose="consent-management",
        actor=actor,
    )
    shown = await town.ask("healthcode", SHOW, purpose="health-code", actor=actor)
    read = await town.ask("healthcode", "{ healthCode { colour } }", purpose="health-code", actor=actor)

    assert withdrawn["data"]["withdrawConsent"]["userErrors"] == []
    assert [error["extensions"]["code"] for error in shown["errors"]] == ["CONSENT_REQUIRED"]
    assert read["data"] == {"healthCode": {"colour": None}}
    assert [error["extensions"]["code"] for error in read["errors"]] == ["CONSENT_REQUIRED"]


async def test_what_has_lapsed_is_removed_and_an_erasure_removes_everything(town: Town) -> None:
    actor = await town.register()
    await consent(town, actor)
    await declare(town, actor)
    await show(town, actor)
    room = town.rooms["healthcode"]
    (job,) = room.jobs
    assert await room.run_job(job) == 0

    town.clock.advance(dt.timedelta(minutes=15))
    assert await room.run_job(job) == 1
    assert await town.value("SELECT count(*) FROM healthcode.code") == 0
    town.clock.advance(dt.timedelta(days=14))
    assert await room.run_job(job) == 1
    assert await town.value("SELECT count(*) FROM healthcode.declaration") == 0

    await town.integrate()
    await declare(town, actor)
    now = town.clock.now()
    event = Event(new_id(now), "privacy", "privacy.citizen_erased", actor.id, {"classes": ["health"]}, now)
    assert await room.receive(event.encode()) is True
    assert await town.value("SELECT count(*) FROM healthcode.declaration") == 0


async def test_all_that_has_lapsed_is_removed_in_one_run_however_much_it_is(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "AT_ONCE", 2)
    actor = await town.register()
    await consent(town, actor)
    await declare(town, actor)
    for _ in range(5):
        await show(town, actor)
    room = town.rooms["healthcode"]
    (job,) = room.jobs

    town.clock.advance(dt.timedelta(minutes=15))

    assert await room.run_job(job) == 5
    assert await town.value("SELECT count(*) FROM healthcode.code") == 0


async def test_the_database_keeps_a_declaration_and_a_code_no_longer_than_it_may(town: Town) -> None:
    actor = await town.register()
    await consent(town, actor)
    await declare(town, actor)
    await show(town, actor)

    (declaration,) = await town.rows("SELECT keep_until - declared_at AS kept FROM healthcode.declaration")
    (code,) = await town.rows("SELECT expires_at - issued_at AS kept FROM healthcode.code")
    assert (declaration["kept"], code["kept"]) == (dt.timedelta(days=14), dt.timedelta(minutes=10))


async def test_only_a_market_verifies_and_its_questions_are_counted(town: Town) -> None:
    actor = await town.register()
    await consent(town, actor)
    await declare(town, actor)
    text = await show(town, actor)

    answer = await town.ask(
        "healthcode",
        VERIFY,
        {"input": {"token": text}},
        purpose="health-code-verification",
        actor=town.party("riverside-bank"),
    )

    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
