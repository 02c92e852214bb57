"""Consents that guardians give for children under fourteen: who gave them, what they open, what ends them."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any
from uuid import UUID

import pytest
from adult_checks import change_consent
from bank_consents import ask_adult, notice_hash
from family import (
    GIVE,
    OF_AGE,
    PAUSE,
    REFUSE,
    RESUME,
    WITHDRAW,
    codes_in_box,
    decide,
    end,
    family,
    give,
    parent_and_child,
)
from sqlalchemy import text
from town import Town, sample_number

from gov_services.consent import store
from gov_services.consent.ledger import verify_chain
from gov_services.consent.lifecycle import ConsentEvent
from gov_services.kit.actor import Actor

pytestmark = pytest.mark.untraced

OF_CHILD = "query($c: ID!) { consentsOfChild(child: $c) { edges { node { id byGuardian } } } }"
RECEIPT = "query($id: ID!) { consentReceipt(consentId: $id) }"
ERASE = "mutation($i: RequestErasureInput!) { requestErasure(input: $i) { destroyed } }"
REQUEST = "request { id state consentId } userErrors { code field }"
SCAN = f"mutation($i: ReceiveConsentRequestInput!) {{ a: receiveConsentRequest(input: $i) {{ {REQUEST} }} }}"
AGREE = f"mutation($i: AnswerConsentRequestInput!) {{ a: agreeToConsentRequest(input: $i) {{ {REQUEST} }} }}"
NO = f"mutation($i: ConsentRequestInput!) {{ a: refuseConsentRequest(input: $i) {{ {REQUEST} }} }}"
DEFER = f"mutation($i: ConsentRequestInput!) {{ a: deferConsentRequest(input: $i) {{ {REQUEST} }} }}"
WAITING = "query($c: ID!) { requestedConsentsOfChild(child: $c) { id } }"
ALONE = [{"code": "GUARDIAN_REQUIRED", "field": None}]


async def of_child(town: Town, actor: Actor, child: Actor, purpose: str = "guardian-consents") -> Any:
    answer = await town.ask("privacy", OF_CHILD, {"c": str(child.id)}, purpose=purpose, actor=actor)
    if "errors" in answer:
        return answer["errors"][0]["extensions"]["code"]
    return [edge["node"] for edge in answer["data"]["consentsOfChild"]["edges"]]


async def revisions(town: Town, child: Actor) -> Any:
    async with town.database.reading() as session:
        return await store.revisions_of(session, citizen_id=child.id, purpose="adult-check", recipient="riverside-bank")  # type: ignore[arg-type]


async def test_ledger_and_log_name_the_guardian_and_the_relation(town: Town) -> None:
    parent, child = await family(town)
    relation_id = await town.value("SELECT relation_id FROM consent.relation WHERE relation = 'guardian'")
    reference = (await give(town, parent, child=child))["consent"]["id"]
    (revision,) = await revisions(town, child)
    assert (revision.made_by, revision.guardian_id, revision.guardian_relation_id) == (
        "guardian",
        parent.id,
        relation_id,
    )
    tags = {row["citizen_id"]: row["tag"] for row in await town.rows("SELECT citizen_id, tag FROM privacy.subject")}
    entries = await town.entries()
    (given,) = [entry for entry in entries if entry.action == "consent.given"]
    assert given.object == f"consent:{reference}:{revision.hash.hex()}:guardian:{relation_id}"
    assert (given.subject_tag, given.actor_tag) == (tags[child.id], tags[parent.id])
    assert given.purpose == "guardian-consents"
    assert "consent.changed" in await codes_in_box(town, child)
    await decide(town, parent, WITHDRAW, child=child, consentId=reference)
    chain = await revisions(town, child)
    verify_chain(chain)
    assert [(row.state, row.made_by, row.guardian_id) for row in chain] == [
        ("given", "guardian", parent.id),
        ("withdrawn", "guardian", parent.id),
    ]
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"


async def test_a_child_says_no_alone_and_yes_never(town: Town) -> None:
    parent, child = await family(town)
    reference = (await give(town, parent, child=child))["consent"]["id"]
    assert (await decide(town, child, PAUSE, consentId=reference))["consent"]["state"] == "PAUSED"
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"
    assert (await decide(town, child, RESUME, consentId=reference))["userErrors"] == ALONE
    resumed = await decide(town, parent, RESUME, child=child, consentId=reference)
    assert resumed["consent"] == {"id": reference, "state": "GIVEN", "byGuardian": True}
    assert await ask_adult(town, reference) is False
    assert (await decide(town, child, WITHDRAW, consentId=reference))["consent"]["state"] == "WITHDRAWN"
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"
    assert (await give(town, child))["userErrors"] == ALONE
    assert await town.value("SELECT state FROM consent.standing") == "withdrawn"


async def test_a_party_that_asks_a_child_is_answered_by_the_guardian(town: Town) -> None:
    parent, child = await family(town)
    hash_ = await notice_hash(town, parent, "adult-check")
    request_id = await a_request(town, child)
    answer = {"requestId": request_id, "noticeHash": hash_}
    assert (await decide(town, child, AGREE, **answer))["userErrors"] == ALONE
    assert await waiting(town, parent, child) == [request_id]
    agreed = await decide(town, parent, AGREE, child=child, **answer)
    assert (agreed["request"]["state"], agreed["userErrors"]) == ("GIVEN", [])
    assert await ask_adult(town, agreed["request"]["consentId"]) is False
    # The second, which the guardian scans for the child, is put off and then refused.
    await decide(town, child, WITHDRAW, consentId=agreed["request"]["consentId"])
    request_id = await a_request(town, parent, child)
    assert (await decide(town, parent, DEFER, child=child, requestId=request_id))["request"]["state"] == "OPEN"
    assert (await decide(town, parent, NO, child=child, requestId=request_id))["request"]["state"] == "REFUSED"
    assert await waiting(town, parent, child) == []
    by_guardian = [row.state for row in await revisions(town, child) if row.guardian_id == parent.id]
    assert by_guardian == ["given", "deferred", "refused"]
    other = await town.register(name="测试丙", number=sample_number(sequence=400), phone="13900000013")
    assert await waiting(town, other, child) == "NOT_FOUND"
    for document in (AGREE, NO, DEFER):
        more = {"noticeHash": hash_} if document == AGREE else {}
        assert await decide(town, other, document, child=child, requestId=request_id, **more) == "NOT_FOUND"


async def a_request(town: Town, actor: Actor, child: Actor | None = None) -> str:
    """The bank shows a code, and somebody scans it, for a child perhaps."""
    open_ = """mutation($i: OpenConsentRequestInput!) { openConsentRequest(input: $i) { code } }"""
    told = {"i": {"purpose": "adult-check"}}
    opened = await town.ask("privacy", open_, told, purpose="consent-requests", actor=town.party("riverside-bank"))
    scanned = await decide(town, actor, SCAN, child=child, code=opened["data"]["openConsentRequest"]["code"])
    found: str = scanned["request"]["id"]
    return found


async def waiting(town: Town, actor: Actor, child: Actor) -> Any:
    answer = await town.ask("privacy", WAITING, {"c": str(child.id)}, purpose="guardian-consents", actor=actor)
    if "errors" in answer:
        return answer["errors"][0]["extensions"]["code"]
    return [item["id"] for item in answer["data"]["requestedConsentsOfChild"]]


async def test_a_guardian_refuses_what_a_child_was_asked(town: Town) -> None:
    parent, child = await family(town)
    await a_request(town, child)
    told = {"purpose": "adult-check", "recipient": "riverside-bank"}
    assert (await decide(town, parent, REFUSE, child=child, **told))["consent"]["state"] == "REFUSED"
    assert (await revisions(town, child))[-1].guardian_id == parent.id


async def test_nobody_else_decides_for_a_child_and_nobody_by_mistake_for_themselves(town: Town) -> None:
    parent, child = await family(town)
    other = await town.register(name="测试丙", number=sample_number(sequence=400), phone="13900000013")
    assert await give(town, other, child=child) == "NOT_FOUND"
    assert await give(town, parent, child=other) == "NOT_FOUND"
    assert await give(town, child, child=child) == "NOT_FOUND"
    told = {"purpose": "adult-check", "recipient": "riverside-bank", "noticeHash": "00"}
    for wrong in ("", "no id", str(child.id).replace("0", "1")):
        for purpose in ("guardian-consents", "consent-management"):
            values = {"i": {**told, "forChild": wrong}}
            answer = await town.ask("privacy", GIVE, values, purpose=purpose, actor=parent)
            assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    # Each under its own purpose: one for oneself, one for a child.
    for purpose, for_child in (("guardian-consents", None), ("consent-management", str(child.id))):
        values = {"i": {**told, "forChild": for_child}}
        answer = await town.ask("privacy", GIVE, values, purpose=purpose, actor=parent)
        assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    # A parent who names themselves as their child is not asked as one.
    values = {"i": {**told, "forChild": str(parent.id)}}
    answer = await town.ask("privacy", GIVE, values, purpose="consent-management", actor=parent)
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert await town.rows("SELECT 1 FROM consent.revision") == []
    assert {"NOT_RELATED"} <= {entry.code for entry in await town.entries()}


async def test_a_guardian_sees_the_consents_of_their_child_and_of_nobody_else(town: Town) -> None:
    parent, child = await family(town)
    reference = (await give(town, parent, child=child))["consent"]["id"]
    other = await town.register(name="测试丙", number=sample_number(sequence=400), phone="13900000013")
    assert await of_child(town, parent, child) == [{"id": reference, "byGuardian": True}]
    assert await of_child(town, other, child) == "NOT_FOUND"
    assert await of_child(town, parent, other) == "NOT_FOUND"
    assert await of_child(town, parent, child, "consent-management") == "NOT_FOUND"
    await end(town)
    assert await of_child(town, parent, child) == "NOT_FOUND"


async def test_a_consent_that_a_child_gave_alone_opens_nothing(town: Town) -> None:
    _, child = await parent_and_child(town)
    await change_consent(town, child, ConsentEvent.GIVE)  # past the rooms, as a program might
    reference = str(await town.value("SELECT consent_id FROM consent.standing"))
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE consent.standing SET guardian_id = NULL, guardian_relation_id = NULL",
        "UPDATE consent.standing SET guardian_relation_id = gen_random_uuid()",
    ],
)
async def test_who_gave_a_consent_is_not_changed_by_hand(town: Town, change: str) -> None:
    parent, child = await family(town)
    reference = (await give(town, parent, child=child))["consent"]["id"]
    town.clock.advance(OF_AGE - town.clock.now())
    async with town.database.writing() as session:
        await session.execute(text(change))
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"


async def test_whoever_began_to_ask_before_a_guardian_was_ended_finds_that_they_were(town: Town) -> None:
    parent, child = await family(town)
    await give(town, parent, child=child)
    began = town.clock.now()

    async def stands() -> int:
        async with town.database.reading() as session:
            assert child.id is not None
            found = await store.standing(
                session, citizen_ids=[child.id], purpose="adult-check", recipient="riverside-bank", now=began
            )
        return len(found)

    assert await stands() == 1
    town.clock.advance(dt.timedelta(seconds=5))
    await end(town)
    assert await stands() == 0


@pytest.mark.parametrize("who", ["parent", "child"])
async def test_an_erasure_ends_the_guardian_and_takes_the_birthday_along(town: Town, who: str) -> None:
    parent, child = await family(town)
    reference = (await give(town, parent, child=child))["consent"]["id"]
    gone = parent if who == "parent" else child
    await town.ask("privacy", ERASE, {"i": {"confirm": True}}, purpose="erasure", actor=gone)
    await town.settle()
    assert await ask_adult(town, reference) == "CONSENT_REQUIRED"
    now = town.clock.now()
    assert await town.rows("SELECT 1 FROM consent.relation WHERE relation = 'guardian' AND until > :now", now=now) == []
    left = await town.value("SELECT count(*) FROM consent.childhood")
    assert left == (1 if who == "parent" else 0)


@pytest.mark.parametrize("grown", [False, True])
async def test_after_an_erasure_nothing_tells_the_birthday(town: Town, grown: bool) -> None:
    _, child = await family(town)
    if grown:
        town.clock.advance(dt.timedelta(days=30))

    async def told() -> bool:
        tables = await town.rows(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
            "WHERE schemaname IN ('consent', 'identity', 'privacy', 'events')"
        )
        rows = [await town.rows(f"SELECT t::text AS line FROM {table['name']} AS t") for table in tables]
        return "2026-03-05" in str(rows)

    assert await told()
    await town.ask("privacy", ERASE, {"i": {"confirm": True}}, purpose="erasure", actor=child)
    await town.settle()
    assert not await told()


async def test_an_access_is_borne_out_by_a_guardian_only_while_they_were_one(town: Town) -> None:
    parent, child = await family(town)
    reference = (await give(town, parent, child=child))["consent"]["id"]
    town.clock.advance(dt.timedelta(minutes=5))
    assert await ask_adult(town, reference) is False
    await town.entries()
    await town.integrate()
    privacy = town.rooms["privacy"]
    town.clock.advance(dt.timedelta(minutes=1))
    await privacy.run_job("groundless-accesses")
    assert await town.rows("SELECT kind FROM privacy.finding") == []
    async with town.database.writing() as session:
        await session.execute(text("UPDATE consent.relation SET until = since WHERE relation = 'guardian'"))
        await session.execute(text("DELETE FROM privacy.watermark WHERE job = 'groundless-accesses'"))
    await privacy.run_job("groundless-accesses")
    assert {row["kind"] for row in await town.rows("SELECT kind FROM privacy.finding")} == {"groundless"}


async def test_a_receipt_says_that_all_of_a_childs_data_is_sensitive_and_who_decided(town: Town) -> None:
    parent, child = await family(town)
    reference = (await give(town, parent, child=child))["consent"]["id"]
    answer = await town.ask("privacy", RECEIPT, {"id": reference}, purpose="consent-management", actor=child)
    body = answer["data"]["consentReceipt"].split(".")[1]
    record = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    (purpose,) = record["pii_processing"]["purposes"]
    assert [item["sensitive"] for item in purpose["pii_information"]] == [True]
    (event,) = record["events"]
    assert event["entity_id"] == "guardian"
    assert UUID(event["guardian_relation_id"]) == await town.value(
        "SELECT relation_id FROM consent.relation WHERE relation = 'guardian'"
    )
