"""A citizen's history in others' formats: Estonia's usage service and FHIR's AuditEvent, for their own eyes alone."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from bank_consents import ask_adult, give
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from town import CITY_URL, Town, sample_number

from gov_services.audit.entry import EntryKind
from gov_services.kit.actor import Actor
from gov_services.kit.rates import RequestRate
from gov_services.privacy.consent_bb.routes import routes as consent_bb_routes
from gov_services.privacy.face_routes import routes as face_routes
from gov_services.subgraph.context import RoomServices

pytestmark = pytest.mark.untraced


@pytest.fixture
async def http(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    """The room's own routes."""
    app = Litestar([route.handler for route in town.rooms["privacy"].routes], openapi_config=None)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=CITY_URL) as client:
        yield client


def headers(town: Town, actor: Actor) -> dict[str, str]:
    return {"authorization": f"Bearer {town.bearer(actor)}", "x-road-userid": str(actor.id), "accept-language": "en"}


@pytest.fixture
async def read_about(town: Town) -> Actor:
    """A citizen about whom a bank has read."""
    actor = await town.register()
    await ask_adult(town, (await give(town, actor))["consent"]["id"])
    await town.entries()
    await town.integrate()
    return actor


async def test_others_use_of_ones_data_is_told_as_the_service_tells_it(
    town: Town, http: httpx.AsyncClient, read_about: Actor
) -> None:
    asked = {"userCode": str(read_about.id)}
    answer = await http.get("/v2/findUsage", params=asked, headers=headers(town, read_about))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    by_bank = [usage for usage in body["usages"] if usage["receiverSystem"] == "riverside-bank"]
    assert body["totalUsages"] == len(body["usages"])
    assert by_bank[0]["receiverName"] == "Riverside Bank"
    assert by_bank[0]["action"] == "Confirming that you are an adult"
    for usage in body["usages"]:
        assert {"logtime", "action", "receiverCode", "receiverSystem"} <= usage.keys()
        assert dt.datetime.fromisoformat(usage["logtime"]).tzinfo is not None
    # What they did themselves is no use by others.
    own = [entry for entry in await town.entries() if entry.actor == "citizen" and entry.subject_tag]
    assert own
    assert len(body["usages"]) < len([entry for entry in await town.entries() if entry.subject_tag])


async def test_pages_and_periods_bound_it_and_the_total_stays(
    town: Town, http: httpx.AsyncClient, read_about: Actor
) -> None:
    async def found(**more: str) -> dict[str, Any]:
        asked = {"userCode": str(read_about.id), **more}
        answer = await http.get("/v2/findUsage", params=asked, headers=headers(town, read_about))
        return answer.json() if answer.status_code == 200 else {"status": answer.status_code}

    whole = await found()
    assert whole["totalUsages"] >= 2
    paged = [(await found(offset=str(at), limit="1"))["usages"][0] for at in range(whole["totalUsages"])]
    assert paged == whole["usages"]
    assert (await found(offset="0", limit="1"))["totalUsages"] == whole["totalUsages"]
    soon = (town.clock.now() + dt.timedelta(hours=1)).isoformat()
    assert (await found(periodStart=soon))["usages"] == []
    assert (await found(periodEnd=soon))["totalUsages"] == whole["totalUsages"]
    for wrong in ({"limit": "0"}, {"limit": "1001"}, {"offset": "-1"}, {"limit": "x"}, {"periodStart": "yesterday"}):
        assert await found(**wrong) == {"status": 400}


async def test_it_is_for_whom_the_token_is_of_and_for_nobody_else(
    town: Town, http: httpx.AsyncClient, read_about: Actor
) -> None:
    other = await town.register(phone="13900000002", number=sample_number(sequence=200))
    asked = {"userCode": str(read_about.id)}
    assert (await http.get("/v2/findUsage", params=asked, headers=headers(town, other))).status_code == 400
    claiming = {**headers(town, other), "x-road-userid": str(read_about.id)}
    assert (await http.get("/v2/findUsage", params=asked, headers=claiming)).status_code == 400
    for path in ("/v2/findUsage", "/v2/usagePeriod", "/fhir/AuditEvent"):
        assert (await http.get(path, params=asked)).status_code == 401
        forged = {"authorization": "Bearer x.y.z"}
        assert (await http.get(path, params=asked, headers=forged)).status_code == 401
        clerk = headers(town, town.staff("registrar"))
        assert (await http.get(path, params=asked, headers=clerk)).status_code == 403
    entry = next(entry for entry in await town.entries() if entry.client == "riverside-bank" and entry.subject_tag)
    path = f"/fhir/AuditEvent/{entry.id}"
    assert (await http.get(path, headers=headers(town, read_about))).status_code == 200
    assert (await http.get(path, headers=headers(town, other))).status_code == 404


async def test_every_event_has_what_fhir_asks_for_and_no_value(
    town: Town, http: httpx.AsyncClient, read_about: Actor
) -> None:
    answer = await http.get("/fhir/AuditEvent", headers=headers(town, read_about))
    assert answer.headers["content-type"].startswith("application/fhir+json")
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    assert bundle["total"] == len(bundle["entry"])
    for item in bundle["entry"]:
        event = item["resource"]
        # Of R4's AuditEvent, what has a cardinality of one at least.
        assert event["resourceType"] == "AuditEvent"
        assert event["type"]["code"]
        assert dt.datetime.fromisoformat(event["recorded"]).tzinfo is not None
        assert [type(agent["requestor"]) for agent in event["agent"]] == [bool]
        assert event["source"]["observer"]
        assert event["action"] in "CRUDE"
        assert event["outcome"] in ("0", "4", "8", "12")
        assert event["purposeOfEvent"][0]["coding"][0]["code"]
    assert "测试甲" not in answer.text
    by_bank = [
        item["resource"] for item in bundle["entry"] if "client:riverside-bank" in str(item["resource"]["agent"])
    ]
    details = [detail for event in by_bank for detail in event["entity"][0].get("detail", ())]
    assert {"type": "Citizen.isAdult", "valueString": "OPENED"} in details
    first = (await http.get("/fhir/AuditEvent?_count=1", headers=headers(town, read_about))).json()
    assert [link["relation"] for link in first["link"]] == ["self", "next"]


async def test_reading_it_is_in_the_log_and_a_refusal_too(
    town: Town, http: httpx.AsyncClient, read_about: Actor
) -> None:
    await http.get("/fhir/AuditEvent", headers=headers(town, read_about))
    await http.get("/fhir/AuditEvent")
    entries = await town.entries()
    assert any(entry.kind is EntryKind.LOG_READ and entry.action == "audit-events" for entry in entries)
    assert any(entry.outcome == "refused" and entry.code == "UNAUTHENTICATED" for entry in entries)


async def test_who_asks_for_somebody_elses_history_leaves_an_entry(
    town: Town, http: httpx.AsyncClient, read_about: Actor
) -> None:
    other = await town.register(phone="13900000002", number=sample_number(sequence=200))
    asked = {"userCode": str(read_about.id)}
    answer = await http.get("/v2/findUsage", params=asked, headers=headers(town, other))
    assert (answer.status_code, answer.json()["code"]) == (400, "NOT_YOUR_CODE")
    assert "NOT_YOUR_CODE" in {entry.code for entry in await town.entries()}
    wrong = await http.get("/fhir/AuditEvent?_count=x", headers=headers(town, other))
    assert (wrong.status_code, wrong.json()["code"]) == (400, "BAD_QUERY")


async def test_the_service_says_since_when_and_that_it_lives(
    town: Town, http: httpx.AsyncClient, read_about: Actor
) -> None:
    period = await http.get("/v2/usagePeriod", headers=headers(town, read_about))
    assert dt.datetime.fromisoformat(period.json()["periodStart"]) <= town.clock.now()
    assert (await http.get("/v2/heartbeat")).json() == {"status": "OK"}
    assert (await http.get("/fhir/metadata")).json()["fhirVersion"] == "4.0.1"


names = st.sampled_from(("offset", "limit", "periodStart", "periodEnd", "userCode", "_count", "_offset"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(names, st.text(max_size=40)), st.sampled_from(("/v2/findUsage", "/fhir/AuditEvent")))
async def test_whatever_is_asked_is_answered_in_good_order(
    town: Town, http: httpx.AsyncClient, asked: dict[str, str], path: str
) -> None:
    if not hasattr(town, "asker"):
        town.asker = await town.register()  # type: ignore[attr-defined]
    who = headers(town, town.asker)  # type: ignore[attr-defined]
    answer = await http.get(path, params={"userCode": str(uuid.uuid4()), **asked}, headers=who)
    assert answer.status_code in (200, 400), (asked, answer.text)


async def test_who_asks_faster_than_they_may_waits_and_others_do_not(town: Town, read_about: Actor) -> None:
    services = town.rooms["privacy"].services
    slow = dataclasses.replace(services.ports, rate=RequestRate(town.valkey, per_second=1, burst=3))
    routes = [*face_routes(RoomServices(services.discloser, slow), town.clock)]
    routes += consent_bb_routes(RoomServices(services.discloser, slow), town.clock)
    transport = httpx.ASGITransport(app=Litestar([route.handler for route in routes], openapi_config=None))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=CITY_URL) as client:
        path, asking = "/v2/usagePeriod", headers(town, read_about)
        answers = [await client.get(path, headers=asking) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].json()["code"] == "RATE_LIMITED"
        assert int(answers[-1].headers["retry-after"]) >= 1
        limited = [entry for entry in await town.entries() if entry.code == "RATE_LIMITED"]
        assert len(limited) == 1, "written once, then counted: who asks too often fills no log"
        # Strangers are counted by where they ask from, with a bad token, without one, and for what is public.
        codes = [(await client.get(path)).status_code for _ in range(2)]
        codes += [(await client.get("/consent-bb/service/policy/1/")).status_code for _ in range(2)]
        codes.append((await client.get(path, headers={"authorization": "Bearer x"})).status_code)
        assert codes == [401, 401, 200, 429, 429]
