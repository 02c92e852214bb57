"""Reading bills: one's own, in pages, as entities; every personal field through a disclosure in the log."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from payment_city import City, citizen, officer

from gov_services.consent import bundles
from gov_services.consent.purpose_files import load_seed
from gov_services.consent.vocabulary import Vocabulary
from gov_services.crypto.signing import SigningKey
from gov_services.kit.settings import PROJECT_ROOT
from gov_services.payments.graph.schema import create_schema
from gov_services.subgraph.types import encode_cursor

pytestmark = pytest.mark.untraced


async def _entities(city: City, who: UUID, *bill_ids: object) -> Any:
    representations = [{"__typename": "Bill", "id": str(bill_id)} for bill_id in bill_ids]
    return await city.ask(citizen(who), "Fees", {"representations": representations})


async def test_pages_follow_each_other_newest_first(city: City) -> None:
    payer = await city.register()
    made = [await city.assess(payer, amount_fen=100 + number) for number in range(5)]
    await city.assess(await city.register())
    seen: list[str] = []
    after = None
    for expected in (2, 2, 1):
        answer = await city.ask(citizen(payer), "MyBills", {"first": 2, "after": after})
        page = answer["data"]["bills"]
        assert len(page["edges"]) == expected
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] is (len(seen) < 5)
    assert seen == [str(bill_id) for bill_id in sorted(made, reverse=True)]


async def test_a_citizen_without_bills_has_an_empty_page(city: City) -> None:
    answer = await city.ask(citizen(await city.register()), "MyBills", {})
    assert answer == {"data": {"bills": {"edges": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}}


async def test_a_page_that_cannot_be_is_refused(city: City) -> None:
    actor = citizen(await city.register())
    for variables, code in [
        ({"first": 51}, "PAGE_TOO_LARGE"),
        ({"first": 0}, "PAGE_TOO_LARGE"),
        ({"after": "?"}, "BAD_CURSOR"),
        ({"after": encode_cursor("not an id")}, "BAD_CURSOR"),
    ]:
        answer = await city.ask(actor, "MyBills", variables)
        assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


async def test_absent_malformed_and_anothers_bill_look_alike(city: City) -> None:
    payer, other = await city.register(), await city.register()
    theirs = await city.assess(other)
    answers = [await city.ask(citizen(payer), "MyBill", {"id": str(given)}) for given in (theirs, uuid4(), "x")]
    for answer in answers:
        assert answer["data"] == {"bill": None}
        (error,) = answer["errors"]
        assert (error["extensions"]["code"], error["message"]) == (
            "NOT_FOUND",
            "There is nothing here that you can see.",
        )


async def test_staff_without_the_purpose_see_no_bill(city: City) -> None:
    bill_id = await city.assess(await city.register())
    answer = await city.ask(officer(1, "permit-officer"), "ReviewBill", {"id": str(bill_id)}, reason="看看")
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]


async def test_entities_are_answered_one_by_one_and_never_fail_the_batch(city: City) -> None:
    payer, other = await city.register(), await city.register()
    mine, also_mine, theirs = [await city.assess(who) for who in (payer, payer, other)]
    answer = await _entities(city, payer, mine, theirs, uuid4(), also_mine, "not an id")
    found = answer["data"]["_entities"]
    assert [bill["state"] for bill in found] == ["ISSUED", None, None, "ISSUED", None]
    assert [bill["payer"] for bill in found] == [{"id": str(payer)}, None, None, {"id": str(payer)}, None]
    refused = [(error["path"][1], error["path"][2], error["extensions"]["code"]) for error in answer["errors"]]
    fields = ("title", "amount", "state", "payer", "dueAt")
    assert sorted(refused) == sorted((place, name, "CONSENT_REQUIRED") for place in (1, 2, 4) for name in fields)
    refusals = await city.refusals()
    # Of who is somebody else, and of what is not there.
    assert [code for code, _ in refusals] == ["NOT_RELATED", "CONSENT_REQUIRED"]


async def test_what_was_read_is_in_the_log_before_it_is_given_and_what_was_opened_follows(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    await city.ask(citizen(payer), "MyBill", {"id": str(bill_id)})
    await city.room.close()
    entries = [json.loads(row["body"]) for row in await city.rows("SELECT body FROM audit.entry ORDER BY seq")]
    read, use = entries
    assert (read["kind"], read["purpose"], read["object"]) == ("read", "bill-payment", f"bill:{bill_id}")
    assert read["coordinates"] == [["Bill.amount", "PLAIN"], ["Bill.title", "PLAIN"], ["Receipt.number", "PLAIN"]]
    assert (use["kind"], use["parent"]) == ("use", read["id"])
    assert use["coordinates"] == [["Bill.amount", "OPENED"], ["Bill.title", "OPENED"]]


async def test_what_a_newer_bundle_took_away_is_null_with_its_code(city: City) -> None:
    payer = await city.register()
    bill_id = await city.assess(payer)
    seed = load_seed((PROJECT_ROOT / "gov_services" / "consent" / "purposes.toml").read_text())
    async with city.database.writing() as session:
        await bundles.publish(
            session,
            seed.without_grant("bill-payment", "Bill.title"),
            key=SigningKey.load(city.settings.secrets_directory, "bundle"),
            proposed_by="a",
            approved_by="b",
            note="test",
            now=city.clock.now(),
        )
    answer = await city.ask(citizen(payer), "MyBill", {"id": str(bill_id)})
    assert answer["data"]["bill"]["title"] is None
    assert answer["data"]["bill"]["amount"] == {"amount": 5000}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["PURPOSE_NARROWED"]


def test_every_personal_field_of_the_room_is_granted_by_some_purpose_of_its_own() -> None:
    seed = load_seed((PROJECT_ROOT / "gov_services" / "consent" / "purposes.toml").read_text())
    granted = {name for code in ("bill-payment", "bill-refund") for name in seed.purposes[code].grants}
    assert granted == {field.coordinate for field in Vocabulary.from_sdl(create_schema().as_str())}
